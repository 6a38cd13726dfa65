"""Which threads need a look: decisions and a task table against what we know (pure, arrays first).

A thread that is in the class it was brought to, with the values it was left with, costs nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from smoothtask.model.arrays import is_in
from smoothtask.model.change import Target
from smoothtask.model.classes import PriorityClass
from smoothtask.model.tasks import Array, TaskTable

UNTOUCHED = -1
"""In place of a class: whatever is ours there is put back, nothing else is looked at."""
CPU_ELSEWHERE, IO_ELSEWHERE, SCHED_ELSEWHERE = 8, 16, 32
"""Added to a class where a cgroup brings that part of it about, or it is left to another program."""
_CLASS = 7
UNKNOWN = -2
"""In place of a class: the process is in no group yet; it is not looked at."""


class Settled(NamedTuple):
    """How a thread was left."""

    wanted: int
    """The class (with what is done elsewhere), or UNTOUCHED, that it was brought to."""
    nice: int
    """As it was then: another value now was set by somebody else."""


class Intent(NamedTuple):
    """A thread to look at, the class it should be in, and its group."""

    target: Target
    wanted: int
    group: str
    sid: int


@dataclass(frozen=True, slots=True)
class View:
    """What the actuator knows, as arrays sorted by code; rebuilt when it changes."""

    codes: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    wanted: npt.NDArray[np.int8] = field(default_factory=lambda: np.empty(0, np.int8))
    nice: npt.NDArray[np.int8] = field(default_factory=lambda: np.empty(0, np.int8))


def view_of(settled: Mapping[int, Settled]) -> View:
    """The arrays of *settled*, a mapping by code."""
    codes = np.array(sorted(settled), np.uint64)
    rows = [settled[code] for code in codes.tolist()]
    return View(codes, np.array([r.wanted for r in rows], np.int8), np.array([r.nice for r in rows], np.int8))


def thread_codes(threads: Array) -> npt.NDArray[np.uint64]:
    """One number a thread, unique while the machine is up."""
    return (threads["start_ticks"].astype(np.uint64) << np.uint64(22)) | threads["tid"].astype(np.uint64)


def code_of(target: Target) -> int:
    """The same of one target."""
    return target.tid_start_ticks << 22 | target.tid


def make_plan(
    table: TaskTable,
    row_groups: Sequence[str],
    wanted: Mapping[str, int],
    view: View,
    lowered_pids: frozenset[int],
    lowered_sids: frozenset[int],
) -> list[Intent]:
    """The threads that are not as they should be.

    *wanted*: group → class or UNTOUCHED; NORMAL counts as UNTOUCHED. *lowered_pids* and *lowered_sids*:
    processes and sessions in which something was lowered, so that what left its group since may have inherited it.
    """
    processes, threads = table.processes, table.threads
    if not len(threads):
        return []
    by_row = np.array([_as_wish(wanted.get(g, UNKNOWN)) for g in row_groups], np.int8)
    row = np.searchsorted(processes["pid"], threads["tgid"])
    row = np.minimum(row, len(processes) - 1)
    wish = np.where(processes["pid"][row] == threads["tgid"], by_row[row], np.int8(UNKNOWN))
    known, settled_wish, settled_nice = _known(view, thread_codes(threads))
    differs = known & ((settled_wish != wish) | (settled_nice != threads["nice"]))
    fresh = ~known & (wish > UNTOUCHED)
    if lowered_sids:
        near = is_in(processes["sid"], np.array([*lowered_sids])) | is_in(processes["ppid"], np.array([*lowered_pids]))
        fresh |= ~known & (threads["nice"] > 0) & near[row]
    look = (wish != UNKNOWN) & (differs | fresh)
    found = np.flatnonzero(look)
    whose = row[found]
    t, p = threads[found], processes[whose]
    columns = (t["tgid"], p["start_ticks"], t["tid"], t["start_ticks"], wish[found], whose, p["sid"])
    return [
        Intent(Target(pid, began, tid, tid_began), code, row_groups[at], sid)
        for pid, began, tid, tid_began, code, at, sid in zip(*(c.tolist() for c in columns), strict=True)
    ]


def _as_wish(target: int) -> int:
    return UNTOUCHED if target >= 0 and target & _CLASS == PriorityClass.NORMAL else target


def _known(
    view: View, codes: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """For each thread: whether it is in *view*, and how it was left."""
    if not len(view.codes):
        zeros = np.zeros(len(codes), np.int8)
        return np.zeros(len(codes), np.bool_), zeros, zeros
    at = np.minimum(np.searchsorted(view.codes, codes), len(view.codes) - 1)
    return view.codes[at] == codes, view.wanted[at], view.nice[at]
