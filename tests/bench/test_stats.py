"""The statistics: what they say of known numbers, and that they hold for any."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.bench.stats import (
    Rows,
    change,
    frame_times,
    mean_ms,
    mean_of,
    missed_pct,
    parse_rows,
    percentile_ms,
    ratio_change,
    share_change,
    share_of,
    spread,
    surely,
    t_quantile,
    within,
    within_t,
)

PERIOD_S = 1 / 60


def rows(*took_ms: float, begin_s: float = 100.0) -> Rows:
    """Frames of 60 a second; what is late takes the periods that it runs into."""
    listed, due = [], begin_s
    for took in took_ms:
        periods = 1 + int(took / 1000 / PERIOD_S)
        listed.append((due, took, periods, periods if periods > 1 else 0))
        due += periods * PERIOD_S
    return np.array(listed, float).reshape(-1, 4)


TOOK = st.lists(st.floats(0.1, 500), min_size=1, max_size=200)


def test_a_frame_that_runs_into_others_misses_them_too():
    assert missed_pct(rows(5, 5, 5, 5)) == 0
    assert missed_pct(rows(5, 40, 5)) == pytest.approx(100 * 3 / 5)  # its own, two more, and two in time
    assert math.isnan(missed_pct(rows()))


def test_frame_times_are_from_one_that_is_done_to_the_next():
    times = frame_times(rows(5, 10, 5))
    assert times[:, 1] == pytest.approx([1000 * PERIOD_S + 5, 1000 * PERIOD_S - 5])


@given(TOOK)
def test_what_was_missed_is_a_share(took):
    assert 0 <= missed_pct(rows(*took)) <= 100


@given(TOOK)
def test_rows_come_back_from_bytes(took):
    there = rows(*took)
    assert np.array_equal(parse_rows(there.tobytes()), there)


@given(st.binary(max_size=200))
def test_other_lengths_are_refused(data):
    if len(data) % 32:
        with pytest.raises(ValueError, match=r"."):
            parse_rows(data)
    else:
        assert parse_rows(data).shape == (len(data) // 32, 4)


@given(TOOK, st.floats(99, 110), st.floats(0, 10))
def test_a_window_holds_what_was_due_in_it(took, begin_s, seconds):
    there = rows(*took)
    found = within(there, begin_s, begin_s + seconds)
    due = [row for row in there.tolist() if begin_s <= row[0] < begin_s + seconds]
    through = [row for row in there.tolist() if row[0] < begin_s and row[0] + row[1] / 1000 >= begin_s + seconds]
    assert found.tolist() == (due or through)
    assert due or len(found) <= 1


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_spread_is_in_order(values):
    found = spread(np.array(values))
    assert found is not None
    assert found.p50 <= found.p99 <= found.max == max(values)
    assert found.p99_9 is None
    assert spread(np.array([])) is None


def test_a_thousandth_is_told_of_a_thousand():
    assert spread(np.arange(999.0)).p99_9 is None
    assert spread(np.arange(1000.0)).p99_9 == pytest.approx(998.0, abs=0.1)


def test_quantiles_are_those_of_the_tables():
    known = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 10: 2.228, 30: 2.042}
    assert {n: round(t_quantile(n), 3) for n in known} == known
    assert within_t(3.365, 5) == pytest.approx(0.98, abs=1e-4)
    assert within_t(0, 4) == 0


@given(st.floats(0, 100), st.integers(1, 60))
def test_the_distribution_grows_to_one(t, freedom):
    assert 0 <= within_t(t, freedom) <= within_t(t + 1, freedom) + 1e-12 <= 1 + 2e-12


BLOCK_FRAMES = 108
SPREADS = (0.0, 3.0, 6.0, 10.0)


def block(chance: np.random.Generator, pct: float, spread_points: float, frames: int = BLOCK_FRAMES) -> Rows:
    """Frames that miss independently, by a share that differs from block to block."""
    share = np.clip(chance.normal(pct, spread_points), 0, 100) / 100
    found = np.zeros((frames, 4))
    found[:, 0], found[:, 1], found[:, 2] = 100 + np.arange(frames) * PERIOD_S, 5.0, 1
    found[:, 3] = chance.random(frames) < share
    return found


@pytest.mark.parametrize("rounds", [3, 4, 6])
@pytest.mark.parametrize("points", SPREADS)
@pytest.mark.parametrize("pct", [2.0, 30.0])
def test_of_what_changes_nothing_it_is_seldom_said_that_it_does(rounds, points, pct):
    """However much blocks differ, and whatever the share."""
    chance, wrong, tries = np.random.default_rng(1), 0, 1000
    for _ in range(tries):
        on, off = ([block(chance, pct, points) for _ in range(rounds)] for _ in range(2))
        found = share_change(on, off)
        wrong += not found.low <= 0 <= found.high
    assert wrong / tries <= 0.06


@pytest.mark.parametrize("points", SPREADS)
def test_the_interval_of_a_share_covers_it(points):
    chance, held, tries = np.random.default_rng(2), 0, 1000
    for _ in range(tries):
        found = share_of([block(chance, 50.0, points) for _ in range(4)])
        held += found.low <= 50 <= found.high
    assert held / tries >= 0.94


@pytest.mark.parametrize("spread_pct", [1.0, 10.0, 30.0])
def test_the_interval_of_work_covers_it(spread_pct):
    """Two loads, the second of which gets a tenth less done; rounds differ, and so do blocks."""
    chance, held, tries = np.random.default_rng(3), 0, 1000
    for _ in range(tries):
        rounds = np.clip(chance.normal(1, spread_pct / 100, 4), 0.1, None)
        off = [100 * rounds * chance.normal(1, 0.02, 4), 7 * rounds * chance.normal(1, 0.02, 4)]
        on = [100 * rounds * chance.normal(1, 0.02, 4), 6.3 * rounds * chance.normal(1, 0.02, 4)]
        found = ratio_change(on, off, [1.0, 1.0])
        held += found.low <= -5 <= found.high
    assert 0.93 <= held / tries <= 0.99


def test_a_change_that_is_there_is_found():
    chance = np.random.default_rng(4)
    on, off = ([block(chance, pct, 3.0) for _ in range(4)] for pct in (1.0, 50.0))
    found = share_change(on, off)
    assert found.high < -30
    assert found.p < 0.01


def test_nothing_missed_is_not_never_missed():
    """An upper bound of about four in so many."""
    quiet = [rows(*[5.0] * 100) for _ in range(4)]
    found = share_of(quiet)
    assert (found.value, found.low) == (0, 0)
    assert 0.75 < found.high < 1.0
    same = share_change(quiet, quiet)
    assert same.value == 0
    assert -1.0 < same.low < -0.75
    assert 0.75 < same.high < 1.0
    assert same.p == 1


def test_few_rounds_say_little():
    assert math.isnan(mean_of([]).value)
    assert math.isnan(share_of([]).value)
    assert mean_of([3.0]).high == math.inf
    one = change([3.0], [1.0])
    assert (one.value, one.low, one.high) == (2.0, -math.inf, math.inf)
    assert math.isnan(one.p)
    assert (share_of([rows(5, 5)]).low, share_of([rows(5, 5)]).high) == (0, 100)
    two = change([5.0, 5.2], [1.0, 1.1])
    assert two.low < 3.5
    assert two.high > 4.6
    assert change([5.0, 5.2, 5.1, 5.0], [1.0, 1.1, 1.0, 1.0]).low > 3.9


def test_a_round_in_which_nothing_was_measured_is_left_out_and_of_none_nothing_is_known():
    assert change([1.0, math.nan, 3.0], [1.0, 1.0, 2.0]) == change([1.0, 3.0], [1.0, 2.0])
    assert change([math.nan, 3.0], [1.0, 2.0]).high == math.inf
    assert math.isnan(change([math.nan], [1.0]).value)
    assert share_of([rows(5, 50), rows()]) == share_of([rows(5, 50)])
    assert math.isnan(share_of([rows(), rows()]).value)
    assert math.isnan(share_change([rows(), rows()], [rows(5), rows(5)]).value)
    assert math.isnan(percentile_ms(rows(), 99))
    assert math.isnan(mean_ms(rows()))


def test_a_ratio_needs_something_to_divide_by():
    assert math.isnan(ratio_change([[1.0, 1.0]], [[0.0, 0.0]]).value)
    assert math.isnan(ratio_change([], []).value)
    assert math.isnan(ratio_change([[1.0]], [[1.0]], [0.0]).value)
    assert ratio_change([[1.0]], [[2.0]]).high == math.inf
    alike = ratio_change([[0.0, 50.0]], [[0.0, 100.0]])  # a round in which nothing was done
    assert alike.value == pytest.approx(-50)
    assert alike.low == pytest.approx(alike.high)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=9), st.floats(-1e3, 1e3))
def test_rounds_that_differ_alike_leave_no_doubt(off, more):
    found = change([one + more for one in off], off)
    assert found.low <= found.value <= found.high
    assert found.value == pytest.approx(more, abs=1e-6)


def test_of_many_changes_those_are_sure_that_are_sure_together():
    assert surely([]) == []
    assert surely([0.04]) == [True]
    assert surely([0.04, 0.04]) == [False, False]
    assert surely([0.5, 0.02, 0.001]) == [False, True, True]
    assert surely([0.02, math.nan]) == [True, False]  # of two
    assert surely([math.nan]) == [False]


def test_by_chance_alone_hardly_ever_one_of_many_is_sure():
    chance, wrong, tries = np.random.default_rng(5), 0, 500
    for _ in range(tries):
        found = [share_change(*([block(chance, 30.0, 6.0) for _ in range(4)] for _ in range(2))) for _ in range(8)]
        wrong += any(surely([one.p for one in found]))
    assert wrong / tries <= 0.06


@pytest.mark.parametrize(("rounds", "held_pct"), [(4, 79), (6, 86)])
def test_why_intervals_are_no_bootstrap(rounds: int, held_pct: int) -> None:
    """Percentiles of resampled means, of rounds that scatter normally around 0: they hold it too rarely."""
    random = np.random.default_rng(1)
    held = 0
    for _ in range(2000):
        numbers = random.normal(size=rounds)
        means = numbers[random.integers(0, rounds, (500, rounds))].mean(axis=1)
        low, high = np.percentile(means, (2.5, 97.5))
        held += int(low <= 0 <= high)
    assert held / 20 == pytest.approx(held_pct, abs=3)
