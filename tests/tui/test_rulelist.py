"""The rows of the rules screen: what matches, what never has, and lines that fit."""

from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from scenes.play import frames
from smoothtask.model.classes import DEFAULT_EFFECTS, PriorityClass
from smoothtask.model.detail import RuleUse, RuleUses
from smoothtask.model.group import RuleSource
from smoothtask.model.text import sanitise
from smoothtask_tui import demodetail
from smoothtask_tui.plots import DECISION
from smoothtask_tui.rulelist import (
    RuleSort,
    RuleView,
    Which,
    about,
    heading,
    matched_groups,
    rule_line,
    rule_rows,
    sorted_by,
    tail,
    types_of,
)
from tui.fakes import frame, group

IDLE, INTERACTIVE = PriorityClass.IDLE, PriorityClass.INTERACTIVE


def use(id_: str, layer: str = "vendor", processes: int = 0, matched: int = 0, **more: object) -> RuleUse:
    values = {
        "label": id_.title(), "type": "game", "target": INTERACTIVE, "certain": True, "protected": False,
        "file": f"/rules/{layer}.yaml", "line": 7, **more,
    }  # fmt: skip
    return RuleUse(id=id_, layer=layer, processes=processes, matched=matched, **values)  # type: ignore[arg-type]


USES = RuleUses(
    (
        use("alpha", processes=3, matched=5),
        use("beta", matched=2, target=IDLE, type="indexer"),
        use("gamma", layer="user"),
        use("delta", processes=1, matched=1, target=None),
    ),
    since=1.0,
)
FRAME = frame(group("a", label="Alpha"), group("a2", label="Alpha"), group("x", label="Other"))


def ids(view: RuleView, logged: frozenset[tuple[str, str]] | None = None) -> list[str]:
    return [row.use.id for row in rule_rows(USES, FRAME, logged, view)]


def test_groups_are_counted_by_layer_and_id_and_the_busiest_rule_comes_first() -> None:
    rows = rule_rows(USES, FRAME, None, RuleView())
    assert [(r.use.id, r.groups) for r in rows] == [("alpha", 2), ("delta", 0), ("beta", 0), ("gamma", 0)]
    assert [g.group.id for g in matched_groups(FRAME, ("vendor", "alpha"))] == ["a", "a2"]
    assert matched_groups(FRAME, ("user", "alpha")) == []


def test_what_never_matched_is_neither_alive_nor_counted_nor_recorded() -> None:
    """What the log has seen did match; a log that cannot be read says nothing."""
    assert ids(RuleView(which=Which.NEVER)) == ["gamma"]
    assert ids(RuleView(which=Which.NEVER), frozenset({("user", "gamma")})) == []
    assert ids(RuleView(which=Which.NEVER), frozenset({("vendor", "gamma")})) == ["gamma"]
    assert ids(RuleView(which=Which.NOW)) == ["alpha", "delta"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("layer:user", {"gamma"}), ("class:idle", {"beta"}), ("type:index", {"beta"}), ("class:none", {"delta"}),
        ("!type:game", {"beta"}), ("alp", {"alpha"}), ("file:user", {"gamma"}),
        ("game layer:vendor", {"alpha", "delta"}),
        ("!", {"alpha", "beta", "gamma", "delta"}), ("nonsense:x", set()),
    ],
)  # fmt: skip
def test_filter(text: str, found: set[str]) -> None:
    assert set(ids(RuleView(filter=text))) == found


@pytest.mark.parametrize(
    ("sort", "first"),
    [
        (RuleSort.RULE, "alpha"), (RuleSort.CLASS, "alpha"), (RuleSort.EVER, "alpha"), (RuleSort.TYPE, "alpha"),
        (RuleSort.LAYER, "gamma"),
    ],
)  # fmt: skip
def test_sorting_and_the_other_way_round(sort: RuleSort, first: str) -> None:
    view = sorted_by(RuleView(), sort)
    forwards = ids(view)
    assert forwards[0] == first
    back = ids(sorted_by(view, sort))
    assert set(back) == set(forwards)
    assert back != forwards


def test_the_three_lines_about_a_rule_say_where_it_is_and_what_it_matched() -> None:
    rows = {r.use.id: r for r in rule_rows(USES, FRAME, frozenset(), RuleView())}

    def said(id_: str) -> str:
        row = rows[id_]
        return "\n".join(line.text for line in about(row, matched_groups(FRAME, row.key), 100))

    assert "Alpha is game: INTERACTIVE, at once" in said("alpha")
    assert "/rules/vendor.yaml:7 (vendor)" in said("alpha")
    assert "now: Alpha" in said("alpha")
    assert "its behaviour decides" in said("delta")
    assert "1 processes inside of others" in said("delta")
    assert "2 processes since the engine began" in said("beta")
    assert "nor does the log have any" in said("gamma")
    assert len(about(None, (), 80)) == 3


def test_types_and_the_end_of_a_path() -> None:
    assert types_of(USES.rules) == ["game", "indexer"]
    assert tail("/usr/share/games.yaml:41", 10) == "…s.yaml:41"
    assert tail("short", 8) == "short   "


@given(st.text(max_size=300).map(sanitise), st.integers(40, 260))
def test_every_line_has_its_width_whatever_the_names(name: str, width: int) -> None:
    uses = RuleUses((use("x", label=name, type=name, file=name),), 0.0)
    (row,) = rule_rows(uses, None, None, RuleView())
    assert rule_line(row, width, cursor=True).cells <= width
    assert heading(RuleView(), width).cells <= width
    assert all(line.cells <= width for line in about(row, (), width))
    assert cell_len(tail(name, width)) == width


def test_the_recorded_machine_tells_of_its_rules_and_changes_what_its_frame_shows() -> None:
    """What screenshots show on one screen is so on the others."""
    scene = frames()
    shown = scene[-1]
    told = demodetail.rules(shown)
    assert len({use.id for use in told.rules}) == len(told.rules)
    for use in told.rules:
        groups = [g for g in shown.groups if g.group.classification.app == use.id]
        assert use.processes == sum(g.group.metrics.processes for g in groups)
        assert all(g.group.classification.source == RuleSource(use.layer, use.file, use.line) for g in groups)
    assert len({PurePath(use.file).parent for use in told.rules}) == 1
    calm = [g for g in shown.groups if g.decision.target is PriorityClass.BACKGROUND]
    assert {g.mechanism for g in calm} == {f"would be nice {DEFAULT_EFFECTS[PriorityClass.BACKGROUND].nice:+d}"}
    changes = {e.group for frame in scene for e in frame.events if e.kind == DECISION}
    lasted = shown.time - scene[0].time
    assert {g.group.id for g in shown.groups if g.decision.since_s < lasted - 1} == changes
    for g in shown.groups:
        assert not demodetail.detail(shown, g, threads=False).in_force, g.mechanism
