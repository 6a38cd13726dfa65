"""The statistics: what they say of known numbers, and that they hold for any."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smoothtask.bench.stats import (
    Rows,
    bootstrap,
    chunks,
    difference,
    frame_times,
    missed_pct,
    p99_ms,
    parse_rows,
    ratio_of_means,
    spread,
    within,
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


@given(TOOK)
def test_chunks_lose_nothing(took):
    there = rows(*took)
    pieces = chunks(there)
    assert np.array_equal(np.concatenate(pieces), there)
    assert all(piece[-1, 0] - piece[0, 0] <= 0.5 + 1e-6 for piece in pieces)


@given(TOOK, st.floats(99, 110), st.floats(0, 10))
def test_a_window_holds_what_was_due_in_it(took, begin_s, seconds):
    there = rows(*took)
    found = within(there, begin_s, begin_s + seconds)
    assert len(found) == sum(begin_s <= due < begin_s + seconds for due in there[:, 0])


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_spread_is_in_order(values):
    found = spread(np.array(values))
    assert found is not None
    assert found.p50 <= found.p99 <= found.p99_9 <= found.max == max(values)
    assert spread(np.array([])) is None


@settings(max_examples=20)
@given(st.lists(TOOK, min_size=2, max_size=10), st.integers(0, 99))
def test_an_interval_is_within_what_was_seen(blocks, seed):
    pieces = [rows(*b) for b in blocks]
    found = bootstrap(pieces, p99_ms, seed, resamples=50)
    every = np.concatenate(pieces)[:, 1]
    assert every.min() <= found.low <= found.high <= every.max()
    assert found == bootstrap(pieces, p99_ms, seed, resamples=50)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    chance, held = random.Random(1), 0
    for seed in range(200):
        pieces = [rows(*(40.0 if chance.random() < 0.2 else 5.0 for _ in range(30))) for _ in range(12)]
        found = bootstrap(pieces, missed_pct, seed, resamples=200)
        held += found.low <= 100 * 0.6 / 1.4 <= found.high  # a late one takes three periods, and misses them
    assert 0.85 < held / 200 < 0.99


def test_a_difference_that_is_there_is_found_and_none_where_there_is_none():
    chance = random.Random(2)

    def pieces(share: float) -> list[Rows]:
        return [rows(*(40.0 if chance.random() < share else 5.0 for _ in range(30))) for _ in range(8)]

    assert difference(pieces(0.01), pieces(0.5), missed_pct, 1).high < 0
    same = difference(pieces(0.2), pieces(0.2), missed_pct, 1)
    assert same.low <= 0 <= same.high


def test_little_proves_nothing():
    assert math.isnan(bootstrap([], missed_pct, 1).value)
    assert bootstrap([rows(5, 5)], missed_pct, 1).high == math.inf
    assert math.isnan(difference([], [rows(5)], missed_pct, 1).value)
    assert difference([rows(5)], [rows(5)], missed_pct, 1).low == -math.inf
    assert math.isnan(ratio_of_means([1.0], [0.0], 1).value)
    assert ratio_of_means([1.0], [2.0], 1).high == math.inf


@given(st.lists(st.floats(0.1, 1e6), min_size=2, max_size=9), st.lists(st.floats(0.1, 1e6), min_size=2, max_size=9))
def test_a_ratio_lies_in_its_interval(one, other):
    found = ratio_of_means(one, other, 1, resamples=50)
    assert min(one) / max(other) * 0.99 <= found.low <= found.high <= max(one) / min(other) * 1.01
