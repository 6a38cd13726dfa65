"""The past of each group: added up, bounded, and put on an even axis."""

from hypothesis import given
from hypothesis import strategies as st

from smoothtask.model.classes import PriorityClass
from smoothtask_tui.lanes import KEPT_S, TRIM, Lane, add_frame, class_lane, sampled
from tui.fakes import frame, group

IDLE, NORMAL = PriorityClass.IDLE, PriorityClass.NORMAL


def test_an_application_counts_its_parts_and_goes_when_it_exits() -> None:
    """A frame of the same time replaces the one before."""
    lanes: dict[str, Lane] = {}
    for _ in range(2):
        add_frame(lanes, frame(group("a", cpu=0.5), group("a/x", cpu=0.25, parent="a", wait=2.0), group("b", cpu=0.1)))
    assert list(lanes["a"].cpu) == [0.75]
    assert list(lanes["a"].wait) == [2.0]
    assert list(lanes["a/x"].cpu) == [0.25]
    add_frame(lanes, frame(group("b"), seq=2))
    assert set(lanes) == {"b"}
    assert len(lanes["b"].times) == 2


def test_a_lane_does_not_grow_for_ever() -> None:
    """Four ticks a second for hours."""
    lane = Lane()
    for i in range(int(KEPT_S) * 12):
        lane.add(i / 4, 1.0, 0.0, IDLE)
    assert len(lane.times) <= KEPT_S * 4 + TRIM + 1
    assert len(lane.times) == len(lane.cpu) == len(lane.wait) == len(lane.targets)


def test_what_was_recorded_comes_before_what_was_seen() -> None:
    """Nothing twice, and nothing out of its order."""
    lane, recorded = Lane(), Lane()
    lane.add(10.0, 1.0, 0.0, IDLE)
    for at in (8.0, 9.0, 10.0, 11.0):
        recorded.add(at, 0.5, 0.0, NORMAL)
    lane.prepend(recorded)
    assert list(lane.times) == [8.0, 9.0, 10.0]
    assert list(lane.cpu) == [0.5, 0.5, 1.0]
    assert list(lane.targets) == [NORMAL, NORMAL, IDLE]
    empty = Lane()
    empty.prepend(recorded)
    assert list(empty.times) == [8.0, 9.0, 10.0, 11.0]


def test_gaps_hold_the_last_value_and_peaks_are_kept() -> None:
    """Nothing is known before the first tick."""
    assert sampled([5.0, 5.5, 9.0], [1.0, 3.0, 2.0], 10.0, 10.0, 10) == [None] * 4 + [1.0, 3.0, 3.0, 3.0, 2.0, 2.0]
    assert sampled([1.0], [7.0], 100.0, 10.0, 2) == [7.0, 7.0]
    assert sampled([], [], 100.0, 10.0, 2) == [None, None]


def test_the_class_lane_shows_the_class_of_each_piece() -> None:
    """The newest at the right end."""
    lane = Lane()
    lane.add(5.0, 0, 0, NORMAL)
    lane.add(8.0, 0, 0, IDLE)
    assert class_lane(lane, 10.0, 10.0, 5) == [None, None, NORMAL, IDLE, IDLE]


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=50), st.floats(1, 500), st.integers(1, 40))
def test_every_axis_has_its_bins_and_invents_nothing(times: list[float], span: float, bins: int) -> None:
    """Every value shown is one that was there; the last is the newest or the peak beside it."""
    ordered = sorted(times)
    values = [t * 2 for t in ordered]
    found = sampled(ordered, values, ordered[-1], span, bins)
    assert len(found) == bins
    assert {v for v in found if v is not None} <= set(values)
    assert found[-1] == values[-1]
