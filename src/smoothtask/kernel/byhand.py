"""What a person does to a process by hand: signals and nice values, with that person's own rights.

The kernel checks who may do it; nothing here is done by root for somebody else. A process is the one with a pid
*and* a start time: pidfd_open(2) holds on to it, so that nobody else can be hit in between.
"""

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping

from smoothtask.kernel.sched import start_ticks
from smoothtask.model.classes import NICE_CEILING, NICE_FLOOR
from smoothtask.model.process import ProcKey


def send_signal(key: ProcKey, number: signal.Signals) -> None:
    """Send it. Raises ProcessLookupError when the process is gone, PermissionError when it is not the caller's."""
    with _held(key) as fd:
        signal.pidfd_send_signal(fd, number)


def renice(key: ProcKey, nice: int) -> dict[int, int]:
    """Give every thread of a process this nice value; what each (by tid) had before.

    Raises ProcessLookupError, PermissionError, and ValueError for a value below −10 or above 19.
    """
    if not NICE_FLOOR <= nice <= NICE_CEILING:
        raise ValueError(f"expected a nice value from {NICE_FLOOR} to {NICE_CEILING}, got {nice}")
    before: dict[int, int] = {}
    with _held(key):
        for tid in _threads(key.pid):
            with contextlib.suppress(ProcessLookupError):  # a thread that ended meanwhile
                had = os.getpriority(os.PRIO_PROCESS, tid)
                os.setpriority(os.PRIO_PROCESS, tid, nice)
                before[tid] = had
    if not before:
        raise ProcessLookupError(f"process {key.pid} is gone")
    return before


def renice_back(key: ProcKey, before: Mapping[int, int], now: int) -> int:
    """Give each thread that still has the nice value *now* the one that it had *before*; how many those were.

    Raises ProcessLookupError when the process is gone, PermissionError when only root may raise it again.
    """
    with _held(key):
        living = set(_threads(key.pid)) & before.keys()
        kept = [tid for tid in living if os.getpriority(os.PRIO_PROCESS, tid) == now]
        for tid in kept:
            os.setpriority(os.PRIO_PROCESS, tid, before[tid])
    return len(kept)


@contextlib.contextmanager
def _held(key: ProcKey) -> Iterator[int]:
    fd = os.pidfd_open(key.pid)
    try:
        if start_ticks(key.pid) != key.start_ticks:
            raise ProcessLookupError(f"process {key.pid} is another one now")
        yield fd
    finally:
        os.close(fd)


def _threads(pid: int) -> list[int]:
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except FileNotFoundError:
        return []
