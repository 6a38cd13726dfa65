"""Threads as `detail` tells of them: counters of two answers make rates (pure)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from smoothtask.model.detail import ThreadFrame


Counters = Mapping[tuple[int, int], tuple[int, int]]
"""(pid, tid) → nanoseconds run, nanoseconds waited."""


class ThreadUse(NamedTuple):
    """One thread and what it does: cores in use, and the share of time it waited for one."""

    thread: "ThreadFrame"
    cpu: float
    wait: float


@dataclass(frozen=True, slots=True)
class Told:
    """The threads of one group at one moment, and their rates since the moment before."""

    mono_s: float
    counters: Counters
    uses: tuple[ThreadUse, ...] = field(default=())


def told(before: Told | None, mono_s: float, threads: "Iterable[ThreadFrame]") -> Told:
    """What is known now. Without a moment before, and for threads that are new, rates are 0."""
    listed = tuple(threads)
    counters = {(t.pid, t.tid): (t.run_ns, t.wait_ns) for t in listed}
    if before is not None and mono_s <= before.mono_s:  # the same pass over the tasks, told again
        return before
    elapsed_ns = (mono_s - before.mono_s) * 1e9 if before is not None else 0.0

    def use(t: "ThreadFrame") -> ThreadUse:
        old = before.counters.get((t.pid, t.tid)) if before is not None else None
        if old is None:
            return ThreadUse(t, 0.0, 0.0)
        # A counter that went back is another thread with a number used again.
        return ThreadUse(t, max(0, t.run_ns - old[0]) / elapsed_ns, max(0, t.wait_ns - old[1]) / elapsed_ns)

    return Told(mono_s, counters, tuple(use(t) for t in listed))
