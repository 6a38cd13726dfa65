"""Curves of one picture are told apart without colours."""

import re

import pytest

from smoothtask.model.frame import Event
from smoothtask_tui import plots
from smoothtask_tui.demo import WAITING, frame_at
from smoothtask_tui.history import History, point
from smoothtask_tui.palette import DARK, MONO, PALETTES, SIXTEEN
from smoothtask_tui.plots import MARKS, draw, marked_points, plots_of


def pictures(palette, size=(80, 14)):
    history = History()
    for tick in range(WAITING.stop + 30):
        history.add(frame_at(tick))
    points, events = list(history.points), list(history.events)
    for plot in plots_of(points, palette):
        drawn = draw(plot, points, events, size, palette, 60.0)
        yield plot, re.sub(r"\x1b\[[0-9;]*m", "", drawn).splitlines()


@pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES)
def test_each_of_several_curves_has_marks_of_its_own_and_the_legend_tells_them(palette):
    for plot, lines in pictures(palette):
        inside = [row[6:] for row in lines]
        if len(plot.series) == 1:
            assert not any(f"{mark}{mark} " in row for mark in MARKS for row in inside)
            continue
        for mark, (name, _, _) in zip(MARKS, plot.series, strict=True):
            (legend,) = [row for row in inside if f"{mark}{mark} {name}" in row]
            below = "".join(row.replace(f"{mark}{mark} {name}", "") for row in inside if row != lines[0][6:])
            assert below.count(mark) >= 3, (plot.title, name)
            assert legend in inside


@pytest.mark.parametrize("acting", [True, False])
def test_what_a_person_said_is_no_decision_and_where_nothing_is_applied_nothing_is_done(acting):
    points = [point(frame_at(tick)) for tick in range(30)]
    now = points[-1].time
    for kind, marked in (("person", False), ("class", True)):
        drawn = draw(
            plots_of(points, DARK)[0], points, [Event(now - 5, kind, "x")], (80, 14), DARK, 60.0, acting=acting
        )
        assert ("◆" in drawn) is marked
        assert ("done" in drawn, "decided" in drawn) == (acting, not acting)


def test_curves_on_each_other_are_marked_in_different_places():
    known = [(float(t), 1.0) for t in range(-60, 1)]
    marked = [{t for t, _ in marked_points(known, 6.0, i / 3)} for i in range(3)]
    assert all(len(m) >= 9 for m in marked)
    assert not marked[0] & marked[1]
    assert not marked[0] & marked[2]
    assert not marked[1] & marked[2]
    assert marked_points([], 6.0, 0.0) == []
    assert marked_points([(0.0, 1.0)], 6.0, 0.0) == [(0.0, 1.0)]


def test_there_is_a_mark_for_every_curve():
    for palette in (DARK, SIXTEEN, MONO):
        for plot in plots_of([], palette):
            assert len(plot.series) in {1, len(plots.MARKS)}
