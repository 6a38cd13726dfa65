"""ananicy's rules: their defects are said and tolerated, whatever the files hold."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smoothtask.classifier.ananicy import load, parse_line
from smoothtask.classifier.match import Prior, PriorTable
from smoothtask.config.located import Problem
from smoothtask.model.classes import PriorityClass


def prior(table: PriorTable, name: str) -> Prior:
    """What a name probably is."""
    return table.priors[table.names[name][0]]


def read(root: Path, **contents: str | bytes) -> tuple[PriorTable, list[Problem]]:
    """A folder of files `name_suffix`."""
    for name, content in contents.items():
        path = root / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    problems: list[Problem] = []
    return load(root, problems), problems


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"name": "x"}', None),
        ('{"name": "x"} # why', None),
        ('{"name": "x"}+', "text after the object is ignored: +"),
        ('["name"]', "expected a JSON object"),
        ('{"name": "x"', "expected a JSON object"),
        ("[" * 50_000, "expected a JSON object"),
        ("9" * 5000, "expected a JSON object"),
        ("{" * 70_000, "expected at most 65536 characters"),
    ],
)
def test_the_defects_of_a_line(line: str, problem: str | None) -> None:
    """What can be used is used."""
    entry, said = parse_line(line)
    assert said == problem
    assert (entry == {"name": "x"}) is line.startswith('{"name": "x"}')


def test_later_files_replace_and_case_counts(tmp_path: Path) -> None:
    """In the order of their paths."""
    table, problems = read(
        tmp_path,
        a_types='{"type": "Game"}\n{"type": "BG_CPUIO"}\n',
        a_rules='{"name": "x", "type": "Game"}\n{"name": "X", "type": "Game"}\n',
        z__b_rules='\n{"name": "x", "type": "BG_CPUIO"}\n',
    )
    assert problems == []
    assert (prior(table, "x").type, prior(table, "X").type) == ("background", "game")
    _, file, line = table.names["x"]
    assert (table.files[file], line) == (str(tmp_path / "z/b.rules"), 2)


def test_what_is_defined_nowhere_is_said(tmp_path: Path) -> None:
    """Types and cgroups; the rule is a prior all the same, by its own nice or its type's."""
    table, problems = read(
        tmp_path,
        a_cgroups='{"cgroup": "cpu80", "CPUQuota": 80}\n{"CPUQuota": 80}\n',
        a_types='{"type": "Fast", "nice": -5}\n',
        a_rules=(
            '{"name": "a", "type": "NoSuch", "nice": 9}\n{"name": "b", "cgroup": "cpu80"}\n'
            '{"name": "c", "cgroup": "cpu7"}\n{"name": "d", "type": "Fast"}\n{"name": "e", "type": 7, "nice": "x"}\n'
        ),
    )
    assert [(Path(p.file).name, p.line, p.field) for p in problems] == [
        ("a.cgroups", 2, "cgroup"),
        ("a.rules", 1, "type"),
        ("a.rules", 3, "cgroup"),
        ("a.rules", 5, "type"),
    ]
    targets = {name: prior(table, name).target for name in "abcde"}
    low, high = PriorityClass.BACKGROUND, PriorityClass.INTERACTIVE
    assert targets == {"a": low, "b": None, "c": None, "d": high, "e": None}


@pytest.mark.parametrize("name", ["sshd", "bash", "sddm-helper", "konsole", "tmux"])
def test_what_starts_others_is_lowered_by_no_prior(tmp_path: Path, name: str) -> None:
    """Everything below it would inherit that."""
    types = '{"type": "BG_CPUIO", "nice": 16, "sched": "idle"}\n'
    table, _ = read(tmp_path, a_types=types, a_rules=f'{{"name": "{name}", "type": "BG_CPUIO"}}\n')
    assert prior(table, name).target is None
    assert prior(table, name).starts_others


def test_a_pipe_is_not_waited_for_and_a_missing_folder_has_no_rules(tmp_path: Path) -> None:
    """Nothing hangs."""
    os.mkfifo(tmp_path / "a.rules")
    table, problems = read(tmp_path)
    assert (table.names, problems) == ({}, [])
    assert load(tmp_path / "nowhere", problems).names == {}
    assert problems == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
ENTRY = st.dictionaries(st.sampled_from(["name", "type", "cgroup", "nice", "sched"]), JSON | st.just("Game"))


@given(st.lists(ENTRY.map(lambda e: json.dumps(e).encode()) | st.binary(max_size=60), max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_content_breaks_the_reading(tmp_path: Path, lines: list[bytes]) -> None:
    """Every rule that is taken has a place, and text that is safe to show."""
    content = b"\n".join(lines)
    table, problems = read(tmp_path, a_types=content, a_cgroups=content, a_rules=content)
    for name, (which, file, line) in table.names.items():
        assert table.priors[which].type.isprintable()
        assert table.files[file] == str(tmp_path / "a.rules")
        assert 1 <= line <= len(content.splitlines())
        assert name
    assert all(str(p).isprintable() for p in problems)
