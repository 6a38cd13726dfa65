"""Applications of one name, told apart."""

from dataclasses import replace

from smoothtask.model.frame import ProcessFrame
from smoothtask_tui.rows import View, build
from smoothtask_tui.twins import told_apart
from tui.fakes import frame, group


def process(of: str, name: str, rss_bytes: int = 1) -> ProcessFrame:
    return ProcessFrame(1, 1, 0, 0, of, name, name, 1, 0, 0.0, 0.0, 0.0, 0.0, rss_bytes)


SHELLS = frame(
    group("a", label="Bash"),
    group("b", label="Bash"),
    group("c", label="Bash"),
    group("ff", label="Firefox"),
    group("b/build", label="make", parent="b"),
)


def test_a_name_that_one_application_has_stays():
    assert "ff" not in told_apart(SHELLS)
    assert told_apart(frame(group("a", label="Bash"))) == {}


def test_the_largest_program_in_it_says_which_it_is_and_parts_count():
    busy = replace(SHELLS, processes=(process("a", "bash", 9), process("a", "vi", 3), process("b/build", "cc1", 5)))
    assert told_apart(busy) == {"a": "Bash › vi", "b": "Bash › cc1", "c": "Bash 10"}
    assert {row.label for row in build(busy, View()).rows} == {"Bash › vi", "Bash › cc1", "Bash 10", "make", "Firefox"}


def test_where_nothing_else_runs_its_terminal_says_it():
    groups = tuple(replace(g, group=replace(g.group, tty="pts/3")) if g.group.id == "c" else g for g in SHELLS.groups)
    assert told_apart(replace(SHELLS, groups=groups))["c"] == "Bash pts/3"
