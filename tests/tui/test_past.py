"""Recorded moments as values: bad spells, questions of a labelling session, the axis, today's policy."""

from hypothesis import given
from hypothesis import strategies as st

from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Contention, Stage
from smoothtask.policy.parameters import PolicyParameters
from smoothtask_tui.past import Moment, cell_of, cells, differing, neighbour, next_bad, to_label, today
from smoothtask_tui.widgets.timeline import timeline_lines
from tui.fakes import frame, group


def moments(bad: str) -> list[Moment]:
    """`.` is fine, `!` contended, `L` labelled, `c` recorded for a change."""
    return [
        Moment(i, 1e9 + i, "change" if x == "c" else "sample", x == "!", 1.0, None, int(x == "L"))
        for i, x in enumerate(bad)
    ]


def test_bad_moments_are_found_by_where_they_begin():
    listed = moments("..!!..!.")
    assert next_bad(listed, 0, 1) == 2
    assert next_bad(listed, 2, 1) == 6
    assert next_bad(listed, 3, -1) == 2
    assert next_bad(listed, 6, 1) is None
    assert next_bad(listed, 2, -1) is None


def test_late_wake_ups_are_bad_without_contention():
    assert Moment(1, 0.0, "sample", False, 20.0, None, 0).bad
    assert not Moment(1, 0.0, "sample", False, None, None, 0).bad


def test_questions_prefer_bad_beginnings_then_changes_and_skip_the_labelled():
    listed = moments("..!!.c.L..")
    assert to_label(listed, 1) == (2,)
    assert to_label(listed, 2) == (2, 5)
    assert 7 not in to_label(listed, 50)
    assert len(to_label(listed, 50)) == 9


@given(st.text(".!Lc", max_size=300), st.integers(0, 60))
def test_questions_are_distinct_ordered_and_at_most_so_many(bad, count):
    asked = to_label(moments(bad), count)
    assert len(asked) == len(set(asked)) == min(count, bad.count(".") + bad.count("!") + bad.count("c"))
    assert list(asked) == sorted(asked)


@given(st.integers(1, 500), st.integers(1, 200))
def test_each_moment_has_a_cell_that_leads_back_to_it(count, width):
    spans = list(cells(moments("." * count), width))
    assert len(spans) == width
    for at in range(count):
        first, last = spans[cell_of(at, count, width)]
        assert first <= at < last


@given(st.integers(1, 9), st.integers(-50, 50))
def test_neighbours_stay_within_the_ends(count, step):
    assert 0 <= neighbour(moments("." * count), 0, step) < count


@given(st.text(".!Lc", min_size=1, max_size=300), st.integers(30, 200))
def test_the_axis_is_as_wide_as_it_may_be(bad, width):
    for at in (0, len(bad) - 1):
        lines = timeline_lines(moments(bad), at, "labelled 1 of 50", width)
        assert len(lines) == 4
        assert all(line.cells <= max(width, 70) for line in lines)
        assert lines[1].cells == lines[2].cells == width


def test_today_wants_what_the_policy_says_of_the_recorded_values():
    """Pinned then; without the order the default asks for NORMAL."""
    then = frame(group("a", target=PriorityClass.IDLE, stage=Stage.PIN), group("b"))
    now = today(then, PolicyParameters())
    assert now["a"].wanted is PriorityClass.NORMAL
    assert differing(then, now) == ["a"]


def test_today_follows_the_recorded_contention():
    hog = group("h", cpu=4.0)
    calm = frame(hog, contention=Contention(active=False, since_s=9.0, reasons=()))
    assert today(calm, PolicyParameters())["h"].wanted is PriorityClass.NORMAL
