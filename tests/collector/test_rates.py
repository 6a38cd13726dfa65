"""Rates between two passes: never negative, never of a stranger."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.collector.rates import SECOND_NS, process_rates
from smoothtask.model.tasks import PROCESS_DTYPE, THREAD_DTYPE, TaskTable

COUNTERS = ("run_ns", "wait_ns", "nvcsw", "nivcsw", "read_bytes", "write_bytes")


def table(mono_s: float, *rows: tuple[int, int, int]) -> TaskTable:
    """Processes of (pid, start_ticks, value of every counter)."""
    processes = np.zeros(len(rows), PROCESS_DTYPE)
    for at, (pid, start, value) in enumerate(sorted(rows)):
        processes[at]["pid"], processes[at]["start_ticks"] = pid, start
        for name in COUNTERS:
            processes[at][name] = value
    return TaskTable(np.zeros(0, THREAD_DTYPE), processes, int(mono_s * SECOND_NS), "test")


def test_a_rate_is_the_difference_over_the_time() -> None:
    rates = process_rates(table(1, (5, 1, 0)), table(3, (5, 1, SECOND_NS)))
    assert rates["cpu"].tolist() == [0.5]
    assert rates["wait"].tolist() == [0.5]
    assert rates["vcsw"].tolist() == rates["write_bps"].tolist() == [5e8]


def test_a_pid_used_again_is_another_process() -> None:
    rates = process_rates(table(1, (5, 1, 0)), table(2, (5, 2, SECOND_NS)))
    assert not rates["cpu"].any()


def test_a_hog_is_seen_at_the_first_tick_after_its_start() -> None:
    now = table(2, (5, 150, SECOND_NS // 2))  # 1.5 s after boot; it is 2 s after boot
    before = table(1, (1, 0, 0))
    assert process_rates(before, now, boot_ns=2 * SECOND_NS)["cpu"].tolist() == [1.0]
    assert process_rates(before, now)["cpu"].tolist() == [0.0]


def test_an_old_process_that_was_not_seen_before_gets_zero() -> None:
    now = table(101, (5, 100, 50 * SECOND_NS))
    assert process_rates(table(100, (1, 0, 0)), now, boot_ns=101 * SECOND_NS)["cpu"].tolist() == [0.0]


def test_no_pass_before_and_no_time_between_are_zeros() -> None:
    now = table(1, (5, 1, 9))
    assert not process_rates(None, now)["cpu"].any()
    assert not process_rates(table(1, (5, 1, 0)), now)["cpu"].any()


ROWS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2), st.integers(0, 2**62)), unique_by=lambda r: r[0])


@given(before=ROWS, now=ROWS)
def test_never_negative_and_always_finite(before: list[tuple[int, int, int]], now: list[tuple[int, int, int]]) -> None:
    rates = process_rates(table(1, *before), table(2, *now), boot_ns=2 * SECOND_NS)
    assert len(rates) == len(now)
    old = {(pid, start): value for pid, start, value in before}
    for row, (pid, start, value) in zip(rates, sorted(now), strict=True):
        assert all(np.isfinite(row[name]) and row[name] >= 0 for name in rates.dtype.names or ())
        if (pid, start) in old:
            gained = max(0, value - old[pid, start])
            assert np.isclose(row["vcsw"], gained, rtol=1e-5, atol=2**10)


def threads(mono_s: float, *rows: tuple[int, float, float, int], start: int = 1) -> TaskTable:
    """Process 5 with threads of (tid, seconds on a CPU, seconds waiting, sleeps), between two others of one each."""
    three = table(mono_s, (4, 1, 0), (5, start, 0), (6, 1, 0))
    found = np.zeros(len(rows) + 2, THREAD_DTYPE)
    found["start_ticks"] = start
    found["tgid"], found["tid"] = [4, *[5] * len(rows), 6], [4, *[row[0] for row in rows], 6]
    for at, (_, run_s, wait_s, sleeps) in enumerate(rows, 1):
        found[at]["run_ns"], found[at]["wait_ns"] = run_s * SECOND_NS, wait_s * SECOND_NS
        found[at]["nvcsw"] = sleeps
    for name in ("run_ns", "wait_ns", "nvcsw"):
        three.processes[name][1] = found[name][1:-1].sum()
    three.processes["threads"][1] = len(rows)
    return replace(three, threads=found)


def test_threads_that_hardly_slept_are_told_from_those_that_did() -> None:
    before = threads(1, (5, 0.1, 0.0, 7), (8, 3.0, 4.0, 2), (9, 3.0, 4.0, 2), (11, 0.0, 0.0, 0), (12, 0.0, 0.0, 0))
    now = threads(
        3,
        (5, 0.3, 0.0, 19),  # slept six times a second
        (8, 3.5, 5.5, 2),  # not once
        (9, 3.25, 5.75, 5),  # waited for a lock
        (10, 1.0, 1.0, 0),  # was not there
        (11, 0.02, 1.9, 9),  # a frame loop of which hardly a frame gets done
        (12, 0.0, 2.0, 0),  # gets nothing at all
    )
    assert process_rates(before, now)["awake"].tolist() == [0, 3.0, 0]
    assert process_rates(before, threads(3, (5, 0.3, 0.0, 7)))["awake"].tolist() == [0, 0, 0]  # one thread


@given(
    st.lists(st.tuples(st.integers(5, 12), *[st.integers(0, 9)] * 3), min_size=1, unique_by=lambda r: r[0]),
    st.lists(st.tuples(st.integers(5, 12), *[st.integers(0, 9)] * 3), min_size=1, unique_by=lambda r: r[0]),
    st.integers(1, 2),
)
def test_what_is_awake_is_never_negative_or_of_a_stranger(
    old: list[tuple[int, int, int, int]], new: list[tuple[int, int, int, int]], start: int
) -> None:
    rates = process_rates(threads(1, *sorted(old)), threads(2, *sorted(new), start=start))
    assert (rates["awake"] >= 0).all()
    assert not rates["awake"][[0, 2]].any()
    if start == 2:
        assert not rates["awake"].any()
