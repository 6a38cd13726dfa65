"""Parts are of time and of sessions: nothing is tested on that was next to what was trained on."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from smoothtask_trainer.splits import EMBARGO_S, GAP_S, Part, plan

RUNS = st.lists(st.lists(st.floats(0.5, 900.0), min_size=1, max_size=60), min_size=1, max_size=6)


def moments_of(steps: list[list[float]]) -> list[tuple[str, float]]:
    """Runs, one after the other, each with its moments in order."""
    at, found = 1e9, []
    for n, run in enumerate(steps):
        for step in run:
            at += step
            found.append((f"run{n}", at))
        at += GAP_S
    return found


@settings(max_examples=100, deadline=None)
@given(RUNS)
def test_the_newest_are_tested_and_stretches_are_whole(steps: list[list[float]]) -> None:
    moments = moments_of(steps)
    made = plan(moments)
    assert sum(s.moments for s in made.stretches) == len(moments)
    assert made.stretches[0].part is Part.TRAIN
    order = [s.part for s in made.stretches]
    assert order == sorted(order, key=list(Part).index)
    longest = max(1, len(moments) // 10)
    assert all(s.moments <= longest for s in made.stretches)


@settings(max_examples=100, deadline=None)
@given(RUNS)
def test_a_moment_has_one_place_or_is_next_to_another_part(steps: list[list[float]]) -> None:
    moments = moments_of(steps)
    made = plan(moments)
    for run, time_s in moments:
        place = made.place(run, time_s)
        if place is not None:
            stretch, part = place
            assert made.stretches[stretch].part is part
            continue
        near = [s for s in made.stretches if s.run == run and 0 < time_s - s.end_s < EMBARGO_S]
        (own,) = [s for s in made.stretches if s.run == run and s.begin_s <= time_s <= s.end_s]
        assert any(s.part is not own.part for s in near)


def test_a_long_recording_is_cut_in_time() -> None:
    made = plan([("a", 1e9 + n) for n in range(1000)])
    shares = Counter[Part]()
    for s in made.stretches:
        shares[s.part] += s.moments
    assert (shares[Part.TRAIN], shares[Part.VALIDATE], shares[Part.TEST]) == (600, 200, 200)
    assert made.place("a", 1e9 + 801) is None  # the validation ended a moment before
    assert made.place("a", 1e9 + 850) == (8, Part.TEST)
    assert made.place("b", 1e9) is None


def test_named_recordings_are_for_the_test_alone() -> None:
    moments = [(run, 1e9 + 100 * n + at) for n, run in enumerate("abc") for at in range(50)]
    made = plan(moments, lambda run: run == "b")
    assert {s.run for s in made.stretches if s.part is Part.TEST} == {"b"}
    assert {s.part for s in made.stretches if s.run == "b"} == {Part.TEST}
    assert {s.part for s in made.stretches} == set(Part)


def test_a_night_between_makes_two_sessions() -> None:
    made = plan([("a", 1e9), ("a", 1e9 + GAP_S + 1)])
    assert [s.moments for s in made.stretches] == [1, 1]
