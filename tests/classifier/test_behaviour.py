"""Hogs, steady programs and quiet ones are told apart by what they do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.classifier.behaviour import HOG, QUIET, STEADY, BehaviourLimits, observe, process_codes
from smoothtask.model.tasks import PROCESS_DTYPE, RATES_DTYPE, Array

LIMITS = BehaviourLimits()


def rates(*rows: tuple[float, float, float]) -> Array:
    """(cpu, wait, voluntary switches a second) of each process."""
    table = np.zeros(len(rows), RATES_DTYPE)
    for i, row in enumerate(rows):
        table[i]["cpu"], table[i]["wait"], table[i]["vcsw"] = row
    return table


def watch(
    ticks: int,
    *rows: tuple[float, float, float],
    before: Array | None = None,
    tick_s: float = 1.0,
    cpus: int = 2,
    children: float = 0.0,
    awake: float = 0.0,
) -> Array:
    """Behaviour after some ticks of the same rates; *children*: cores that short-lived ones of each used."""
    codes = np.arange(1, len(rows) + 1, dtype=np.uint64)
    ages = np.full(len(rows), tick_s, np.float32)
    for _ in range(ticks):
        now = rates(*rows)
        now["children"], now["awake"] = children, awake
        before = observe(before, codes, now, ages, tick_s, LIMITS, cpus)
    assert before is not None
    return before


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ((1.0, 0.0, 0.0), HOG),  # a hog alone
        ((0.33, 0.67, 0.0), HOG),  # one of six on two cores
        ((0.05, 0.95, 0.2), HOG),  # a hog at nice 19
        ((0.9, 0.1, 12.0), HOG),  # an encoder that writes a little
        ((0.3, 0.0, 60.0), STEADY),  # a frame loop on an idle machine
        ((0.25, 0.7, 40.0), STEADY),  # the same, starved
        ((0.05, 0.9, 14.0), STEADY),  # hardly a frame gets done
        ((0.55, 17.9, 193.0), HOG),  # 64 threads that compute, on two CPUs
        ((1.2, 4.5, 400.0), STEADY),  # a game of eight threads, starved
        ((0.001, 0.0, 8.0), STEADY),  # an editor with a blinking cursor
        ((0.0, 0.0, 0.1), QUIET),
        ((0.1, 0.1, 1.0), QUIET),  # now and then a burst
    ],
)
def test_kinds(row: tuple[float, float, float], kind: int) -> None:
    """What each does for four seconds says what it is."""
    assert watch(4, row)["kind"][0] == kind


def test_a_hog_is_one_after_its_window_and_not_before() -> None:
    """Two seconds, in ticks of a quarter."""
    assert watch(7, (1.0, 0.0, 0.0), tick_s=0.25)["kind"][0] == QUIET
    assert watch(8, (1.0, 0.0, 0.0), tick_s=0.25)["kind"][0] == HOG


def test_a_short_pause_does_not_acquit_a_hog() -> None:
    """Four calm seconds do."""
    hog = watch(3, (1.0, 0.0, 0.0))
    assert watch(3, (0.0, 0.0, 0.0), before=hog)["kind"][0] == HOG
    assert watch(4, (0.0, 0.0, 0.0), before=hog)["kind"][0] == QUIET


def storm(children: float, ticks: int, tick_s: float) -> list[int]:
    """The kind after each tick of a process whose children used so many cores, and that only waits for them."""
    seen: Array | None = None
    kinds = []
    for _ in range(ticks):
        row = rates((0.05, 0.1, 300.0))
        row["children"] = children
        seen = observe(seen, np.array([1], np.uint64), row, np.full(1, 60.0, np.float32), tick_s, LIMITS)
        kinds.append(int(seen["kind"][0]))
    return kinds


def test_who_starts_one_short_lived_child_after_another_is_a_hog() -> None:
    """Though it sleeps and wakes as a frame loop does."""
    assert storm(0.9, 8, 0.25)[-1] == HOG
    assert storm(0.1, 40, 0.25)[-1] == STEADY


def test_a_long_lived_child_that_ends_accuses_nobody() -> None:
    """Its hours are counted all at once, in a single look, however long that was."""
    assert storm(3600.0, 1, 60.0) == [QUIET]


def test_who_is_lowered_is_not_acquitted_by_what_it_cannot_do() -> None:
    """It gets little, so that its children are few; what it wants tells."""
    forks = watch(3, (0.05, 0.5, 900.0), children=0.4)
    assert watch(20, (0.01, 0.8, 200.0), children=0.05, before=forks)["kind"][0] == HOG
    assert watch(5, (0.01, 0.0, 20.0), children=0.05, before=forks)["kind"][0] == STEADY


def test_threads_that_hardly_sleep_make_a_hog() -> None:
    """Though another one writes now and then, and they get little; not beside a frame loop's own thread."""
    assert watch(3, (0.15, 1.85, 12.0), awake=1.98)["kind"][0] == HOG
    assert watch(3, (0.15, 1.85, 12.0))["kind"][0] == STEADY
    assert watch(3, (1.3, 0.0, 60.0), awake=1.0)["kind"][0] == STEADY
    assert watch(3, (0.3, 1.2, 14.0), awake=1.0)["kind"][0] == STEADY


def test_looks_that_show_nothing_acquit_nobody_who_waits() -> None:
    """A storm whose children end now and then; who waits for nothing is innocent again."""
    seen: Array | None = None
    for turn in range(16):
        seen = watch(1, (0.02, 0.5, 400.0), before=seen, tick_s=0.25, children=0.15 if turn % 4 else 0.0)
    assert seen is not None
    assert seen["kind"][0] == HOG
    seen = None
    for turn in range(16):
        seen = watch(1, (0.3, 0.0, 400.0), before=seen, tick_s=0.25, children=0.3 if turn % 4 else 0.0)
    assert seen is not None
    assert seen["kind"][0] != HOG


def test_a_frame_loop_after_a_long_burst_is_acquitted_however_it_fares() -> None:
    """A game that has loaded its level: it sleeps and wakes again, starved or not."""
    loading = watch(3, (1.0, 0.0, 0.0))
    for row in ((0.3, 0.0, 60.0), (0.15, 0.85, 20.0), (0.05, 0.9, 14.0)):
        assert watch(4, row, before=loading)["kind"][0] == STEADY


@given(
    st.floats(0, 1, width=32),
    st.floats(0, 1, width=32),
    st.floats(12, 1000, width=32),
    st.lists(st.sampled_from([(1.0, 0.0, 0.0), (0.2, 8.0, 0.0), (0.5, 20.0, 100.0)]), max_size=3),
)
def test_one_thread_that_sleeps_often_enough_is_no_hog(
    wanted: float, got: float, sleeps: float, past: list[tuple[float, float, float]]
) -> None:
    """Whatever it did before, and however little of what it wants it gets."""
    before = None
    for row in past:
        before = watch(3, row, before=before)
    row = (min(wanted * got, 0.029 * sleeps), wanted * (1 - got), sleeps)
    assert watch(4, row, before=before)["kind"][0] == STEADY


def test_a_storm_that_gets_little_is_seen() -> None:
    """Many of them at once: each has a tenth of a core, and waits for more."""
    assert watch(3, (0.02, 0.6, 500.0), children=0.15)["kind"][0] == HOG
    assert watch(3, (0.02, 0.1, 500.0), children=0.15)["kind"][0] == STEADY
    assert watch(3, (0.12, 0.6, 50.0), children=0.15)["kind"][0] == STEADY  # an editor and its linter


def test_a_crowd_is_one_where_there_are_too_few_cpus() -> None:
    """The same threads have room on a larger machine."""
    row = (6.0, 4.0, 900.0)
    assert watch(3, row, cpus=2)["kind"][0] == HOG
    assert watch(3, row, cpus=16)["kind"][0] == STEADY


def test_memory_follows_the_process_and_not_the_row() -> None:
    """When a row is inserted before it."""
    hog = watch(3, (1.0, 0.0, 0.0))
    codes = np.array([7, 1], np.uint64)
    after = observe(hog, codes, rates((0.0, 0.0, 0.0), (1.0, 0.0, 0.0)), np.zeros(2, np.float32), 1.0, LIMITS)
    assert after["kind"].tolist() == [QUIET, HOG]
    assert after["hog_s"][1] == 4


def test_a_process_is_its_pid_and_its_start() -> None:
    """The same pid started later is another code."""
    table = np.zeros(2, PROCESS_DTYPE)
    table["pid"], table["start_ticks"] = [5, 5], [100, 101]
    assert len(set(process_codes(table).tolist())) == 2


@given(
    st.lists(
        st.tuples(st.floats(0, 64, width=32), st.floats(0, 500, width=32), st.floats(0, 1e5, width=32)),
        min_size=1,
        max_size=20,
    ),
    st.floats(0, 10, width=32),
)
def test_any_rates_make_some_kind(rows: list[tuple[float, float, float]], tick_s: float) -> None:
    """No division by zero, no NaN, no time that runs backwards."""
    state = watch(3, *rows, tick_s=tick_s)
    assert set(state["kind"].tolist()) <= {QUIET, STEADY, HOG}
    for name in ("hog_s", "calm_s", "steady_s", "kind_s"):
        assert np.isfinite(state[name]).all()
        assert (state[name] >= 0).all()
