"""Two passes over the tasks → what each process did between them (pure)."""

import numpy as np
import numpy.typing as npt

from smoothtask.model.tasks import RATES_DTYPE, USER_HZ, Array, TaskTable

SECOND_NS = 1_000_000_000
YOUNGEST_S = 0.02
"""Below this age a rate over a process's whole life says nothing."""
WANTS = 0.25
"""Cores used or waited for, from which on the threads of a process are looked at."""
SELDOM_PER_S = 5.0
LONG_NS = 10e6
"""A thread that sleeps less often, and computes for longer each time, hardly sleeps: it waits for a lock at most."""

# rate, counter, how many of the counter's unit are one
_COUNTERS = (
    ("cpu", "run_ns", SECOND_NS),
    ("wait", "wait_ns", SECOND_NS),
    ("children", "children_ns", SECOND_NS),
    ("vcsw", "nvcsw", 1),
    ("ivcsw", "nivcsw", 1),
    ("read_bps", "read_bytes", 1),
    ("write_bps", "write_bytes", 1),
)


def process_rates(before: TaskTable | None, now: TaskTable, boot_ns: int | None = None) -> Array:
    """Rates of each process of *now*, aligned with it.

    A counter that went backwards (wait time goes with its thread) gives 0. A process that *before* lacks
    is judged by its whole life, if *boot_ns* (CLOCK_BOOTTIME of *now*) is given and it began since *before*:
    so a hog is seen at the first tick after its start. All others that are new get zeros.
    """
    rates = np.zeros(len(now.processes), RATES_DTYPE)
    if before is None or not len(rates) or not len(before.processes):
        return rates
    elapsed_s = (now.mono_ns - before.mono_ns) / SECOND_NS
    if elapsed_s <= 0:
        return rates
    at, known = _rows_of(before.processes, now.processes)
    span_s = np.full(len(rates), elapsed_s)
    born = np.zeros(len(rates), np.bool_)
    if boot_ns is not None:
        age_s = boot_ns / SECOND_NS - now.processes["start_ticks"] / USER_HZ
        born = ~known & (age_s <= elapsed_s + 2 / USER_HZ) & (age_s >= YOUNGEST_S)
        span_s[born] = age_s[born]
    for rate, counter, unit in _COUNTERS:
        value = now.processes[counter].astype(np.float64)
        old = np.where(known, before.processes[counter][at].astype(np.float64), 0.0)
        rates[rate] = np.where(known | born, np.maximum(value - old, 0.0) / unit / span_s, 0.0)
    busy = known & (now.processes["threads"] > 1) & (rates["cpu"] + rates["wait"] >= WANTS)
    if busy.any():
        pids = now.processes["pid"][busy]
        both = zip(_threads_of(before, pids), _threads_of(now, pids), strict=True)
        rates["awake"][busy] = [_awake(was, is_, elapsed_s) for was, is_ in both]
    return rates


def _threads_of(table: TaskTable, pids: npt.NDArray[np.int32]) -> list[Array]:
    """The threads of each process: they stand together."""
    tgids = np.ascontiguousarray(table.threads["tgid"])
    ends = zip(np.searchsorted(tgids, pids).tolist(), np.searchsorted(tgids, pids, "right").tolist(), strict=True)
    return [table.threads[first:end] for first, end in ends]


def _awake(before: Array, now: Array, elapsed_s: float) -> float:
    """Cores that those threads use or wait for which hardly slept in between."""
    _, old, new = np.intersect1d(before["tid"], now["tid"], assume_unique=True, return_indices=True)
    was, is_ = before[old], now[new]
    run_ns, wait_ns, sleeps = (
        np.maximum(is_[name].astype(np.float64) - was[name], 0.0) for name in ("run_ns", "wait_ns", "nvcsw")
    )
    awake = (was["start_ticks"] == is_["start_ticks"]) & (sleeps < SELDOM_PER_S * elapsed_s)
    awake &= run_ns >= LONG_NS * sleeps
    return float((run_ns + wait_ns)[awake].sum()) / SECOND_NS / elapsed_s


def _rows_of(before: Array, now: Array) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """For each row of *now* the row of *before* with the same identity, and whether there is one."""
    if not len(before):
        return np.zeros(len(now), np.intp), np.zeros(len(now), np.bool_)
    at = np.minimum(np.searchsorted(before["pid"], now["pid"]), len(before) - 1)
    same = (before["pid"][at] == now["pid"]) & (before["start_ticks"][at] == now["start_ticks"])
    return at, same
