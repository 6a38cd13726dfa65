"""Frame + view → rows: sorting, folding, filtering and the held order, without a screen."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Stage
from smoothtask.model.frame import GroupPressure, Mark
from smoothtask.model.text import sanitise
from smoothtask_tui.columns import column_at, heading, layout, row_line, short_effect
from smoothtask_tui.query import parse_query
from smoothtask_tui.rows import SortKey, View, all_toggled, build, sorted_by, stepped, toggled
from tui.fakes import frame, group

MACHINE = frame(
    group("ff", label="Firefox", cpu=0.5, target=PriorityClass.INTERACTIVE, stage=Stage.RULE, type_="browser"),
    group("make", label="make", cpu=0.2, target=PriorityClass.BACKGROUND, stage=Stage.RULE, type_="build"),
    group("sshd", label="sshd", cpu=0.0, marks=frozenset({Mark.PROTECTED}), stage=Stage.PROTECTION, rss_bytes=5 << 30),
    group("ff/tab", label="tab 7", cpu=0.9, parent="ff", target=PriorityClass.IDLE, stage=Stage.BEHAVIOUR),
    group("make/cc", label="cc1plus", cpu=3.0, parent="make", target=PriorityClass.IDLE, read_bps=9e6),
)


def ids(view: View = View(), held: tuple[str, ...] = ()) -> list[str]:  # noqa: B008 - View is frozen
    return [row.id for row in build(MACHINE, view, held).rows]


def test_applications_sort_with_their_parts_counted_and_parts_stand_below():
    """make alone uses less than Firefox, with its compiler more."""
    assert ids() == ["make", "make/cc", "ff", "ff/tab", "sshd"]
    rows = build(MACHINE, View()).rows
    assert rows[0].metrics.cpu == pytest.approx(3.2)
    assert rows[0].metrics.processes == 4
    assert rows[1].metrics.cpu == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("key", "first"),
    [
        (SortKey.CPU, "make"),
        (SortKey.MEMORY, "sshd"),
        (SortKey.NAME, "ff"),
        (SortKey.CLASS, "ff"),
        (SortKey.IO, "make"),
    ],
)
def test_each_key_sorts_and_turns_round(key, first):
    """The first row by the key is the last application the other way round."""
    assert ids(View(sort=key))[0] == first
    tops = [i for i in ids(View(sort=key, reverse=True)) if "/" not in i]
    assert tops[-1] == first


def test_the_same_key_again_turns_round_and_another_starts_anew():
    view = sorted_by(View(), SortKey.CPU)
    assert view.reverse
    assert sorted_by(view, SortKey.NAME) == View(sort=SortKey.NAME)


def test_held_order_wins_and_newcomers_come_last():
    """What stood somewhere stays there; what the held order does not know is at the end."""
    assert ids(held=("sshd", "ff", "ff/tab")) == ["sshd", "ff", "ff/tab", "make", "make/cc"]


def test_folding_hides_parts_of_one_or_all():
    view = toggled(View(), "ff")
    assert "ff/tab" not in ids(view)
    assert "make/cc" in ids(view)
    assert ids(toggled(view, "ff")) == ids()
    folded = all_toggled(View(), MACHINE)
    assert ids(folded) == ["make", "ff", "sshd"]
    assert [r.fold for r in build(MACHINE, folded).rows] == ["▸", "▸", " "]
    assert ids(all_toggled(folded, MACHINE)) == ids()


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("fire", ["ff", "ff/tab"]),
        ("tab", ["ff", "ff/tab"]),  # the application of a part that matches
        ("cc1", ["make", "make/cc"]),
        ("class:idle", ["make", "make/cc", "ff", "ff/tab"]),
        ("class:back", ["make", "make/cc"]),
        ("type:browser", ["ff", "ff/tab"]),
        ("browser", ["ff", "ff/tab"]),
        ("by:prot", ["sshd"]),
        ("mark:protected", ["sshd"]),
        ("cpu>100", ["make", "make/cc", "ff", "ff/tab"]),
        ("cpu>150", ["make", "make/cc"]),
        ("cpu<1", ["sshd"]),
        ("mem>1g", ["sshd"]),
        ("io>1m", ["make", "make/cc"]),
        ("cpu>100 !make", ["make", "make/cc", "ff", "ff/tab"]),
        ("!fire !sshd !make !cc1plus !tab", []),
        ("cpu>", ["make", "make/cc", "ff", "ff/tab", "sshd"]),  # still being typed
        ("nonsense:x", []),
    ],
)
def test_filter(query, shown):
    assert ids(View(filter=query)) == shown


def test_pressure_is_shown_sorted_and_filtered_by():
    pressed = replace(group("p", cpu=0.1), pressure=GroupPressure(1.0, 42.0, 0.0))
    machine = frame(group("calm", cpu=0.9), pressed)
    assert [r.id for r in build(machine, View(sort=SortKey.PRESSURE)).rows] == ["p", "calm"]
    rows = build(machine, View(filter="psi>40")).rows
    assert [r.id for r in rows] == ["p"]
    assert "42i" in row_line(rows[0], layout(300), cursor=False).text
    assert [r.id for r in build(machine, View(filter="for<40")).rows] == []


def test_what_the_daemon_left_out_is_counted():
    """The list says `5 of 12`."""
    listing = build(replace(MACHINE, left_out=7), View())
    assert (listing.total, len(listing.ids)) == (12, 5)


@settings(max_examples=300)
@given(st.text(max_size=60))
def test_no_filter_text_ever_fails(text):
    """A person may type anything."""
    listing = build(MACHINE, View(filter=text))
    assert len(listing.rows) <= 5
    assert listing.total == 5


@settings(max_examples=100)
@given(
    st.text(alphabet="clastypeiomuwd:<>!0123456789.kmgt ", max_size=30),
)
def test_what_looks_like_a_query_never_fails(text):
    parse_query(text)
    build(MACHINE, View(filter=text))


HOSTILE = [
    "[/nope]",
    "[kworker/0:1]",
    "[bold red]x[/]",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202egnp.exe",
    "名前の長いアプリケーション名前の長い",
    "e\u0301" * 20,
    "",
    "a" * 500,
    "👩‍👩‍👧 family",
    "tab\tand\nnewline",
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("width", [40, 60, 80, 120, 200, 300])
def test_rows_are_as_wide_as_they_should_be(name, width):
    """Whatever a process calls itself, its row has the width of the heading and no control character."""
    columns = layout(width)
    shown = frame(group("g", label=sanitise(name), cpu=2.0))
    row = row_line(build(shown, View()).rows[0], columns, cursor=True)
    assert row.cells == heading(columns, View()).cells <= width
    assert row.text.isprintable()


@settings(max_examples=200)
@given(st.text(max_size=40), st.integers(20, 300))
def test_any_name_in_any_width(name, width):
    columns = layout(width)
    row = row_line(build(frame(group("g", label=sanitise(name))), View()).rows[0], columns, cursor=False)
    assert cell_len(row.text) == heading(columns, View()).cells


def test_columns_go_one_by_one_as_the_terminal_shrinks():
    """The name and the class stay to the last; wider terminals show at least as many columns."""
    counts = [len(layout(width)) for width in range(20, 200)]
    assert counts == sorted(counts)
    assert [c.title for c, _ in layout(60)][:3] == ["APPLICATION", "CLASS", "BY"]
    assert [c.title for c, _ in layout(160)][-2:] == ["IN EFFECT", "TREND"]
    for width in range(79, 250):  # of 80 cells one is the scroll bar's
        titles = {c.title for c, _ in layout(width)}
        assert {"CLASS", "BY"} <= titles
        assert {"EFFECT", "IN EFFECT"} & titles


def test_what_is_in_effect_in_few_cells():
    """Nice or weight first; in brackets what would only be done."""
    all_of_it = "nice +19, ionice idle · 6 threads"
    mechanisms = (
        "-",
        all_of_it,
        "would be nice -4",
        "CPUWeight 25 · nice +5",
        "CPUWeight 25",
        "FIFO",
        "ionice idle",
        "autogroup +5",
    )
    said = [short_effect(m) for m in mechanisms]
    assert said == ["-", "ni +19", "(ni -4)", "ni +5", "w 25", "FIFO", "ionic…", "ag +5"]


def test_a_column_is_found_by_its_cell():
    columns = layout(160)
    line = heading(columns, View()).text
    found = column_at(columns, line.index("MEM"))
    assert found is not None
    assert found.sort is SortKey.MEMORY
    assert column_at(columns, 159) is None or column_at(columns, 159).title == "TREND"


def test_there_is_no_class_beyond_the_ends():
    assert stepped(PriorityClass.IDLE, -1) is None
    assert stepped(PriorityClass.LATENCY_CRITICAL, 1) is None
    assert stepped(PriorityClass.NORMAL, 1) is PriorityClass.INTERACTIVE


def test_user_is_looked_up_and_decided_is_by():
    def found(text: str) -> list[str]:
        query = parse_query(text, {1000: "Ann"}.__getitem__)
        return [g.group.id for g in MACHINE.groups if query.matches(g, g.group.metrics)]

    everybody = [g.group.id for g in MACHINE.groups]
    assert found("user:an") == found("user:1000") == everybody
    assert found("user:bob") == []
    assert found("decided:behav") == found("by:behav") == ["ff/tab"]


def test_you_finds_overrides_as_the_list_calls_them():
    overridden = group("x", stage=Stage.OVERRIDE)
    assert parse_query("by:you").matches(overridden, overridden.group.metrics)
    assert parse_query("by:override").matches(overridden, overridden.group.metrics)
