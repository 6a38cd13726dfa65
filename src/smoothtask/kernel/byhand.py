"""What a person does to a process by hand: signals and nice values, with that person's own rights.

The kernel checks who may do it; nothing here is done by root for somebody else. A process is the one with a pid
*and* a start time: pidfd_open(2) holds on to it, so that nobody else can be hit in between.
"""

import contextlib
import os
import resource
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from smoothtask.kernel.sched import start_ticks
from smoothtask.model.classes import NICE_CEILING, NICE_FLOOR
from smoothtask.model.process import ProcKey

NICE_FLOOR_OF_KERNEL = -20


def send_signal(key: ProcKey, number: signal.Signals) -> None:
    """Send it. Raises ProcessLookupError when the process is gone, PermissionError when it is not the caller's."""
    with _held(key) as fd:
        signal.pidfd_send_signal(fd, number)


@dataclass(frozen=True, slots=True)
class Renice:
    """What became of a process's threads."""

    before: Mapping[int, int]
    """Tid → the nice value that it had, of those that were changed: not of those that had it already."""
    refused: int
    """Threads that whoever asked may not change so."""
    may_return: bool
    """Whether the same person may set all of *before* again."""


def renice(key: ProcKey, nice: int) -> Renice:
    """Give every thread of a process this nice value; those that refuse keep theirs.

    Raises ProcessLookupError, PermissionError when every thread refuses, ValueError for a value below −10 or above 19.
    """
    if not NICE_FLOOR <= nice <= NICE_CEILING:
        raise ValueError(f"expected a nice value from {NICE_FLOOR} to {NICE_CEILING}, got {nice}")
    before: dict[int, int] = {}
    refused: list[PermissionError] = []
    already = False
    with _held(key):
        for tid in _threads(key.pid):
            with contextlib.suppress(ProcessLookupError):  # a thread that ended meanwhile
                had = os.getpriority(os.PRIO_PROCESS, tid)
                if had == nice:
                    already = True
                    continue
                try:
                    os.setpriority(os.PRIO_PROCESS, tid, nice)
                except PermissionError as error:
                    refused.append(error)
                else:
                    before[tid] = had
        lowest = min(before.values(), default=nice)
        may_return = lowest >= nice or lowest >= _lowest_allowed(key.pid)
    if refused and not before and not already:
        raise refused[0]
    if not before and not already:
        raise ProcessLookupError(f"process {key.pid} is gone")
    return Renice(before, len(refused), may_return)


def renice_back(key: ProcKey, before: Mapping[int, int], now: int) -> int:
    """Give each thread that still has the nice value *now* the one that it had *before*; how many those were.

    Raises ProcessLookupError when the process is gone, PermissionError when only root may raise one of them again:
    the others are put back even then.
    """
    done = 0
    refused: list[PermissionError] = []
    with _held(key):
        for tid in set(_threads(key.pid)) & before.keys():
            with contextlib.suppress(ProcessLookupError):  # a thread that ended meanwhile
                if os.getpriority(os.PRIO_PROCESS, tid) == now:
                    try:
                        os.setpriority(os.PRIO_PROCESS, tid, before[tid])
                        done += 1
                    except PermissionError as error:
                        refused.append(error)
    if refused:
        raise refused[0]
    return done


def _lowest_allowed(pid: int) -> int:
    """The lowest nice value that the caller may give *pid*: root any, others what the process's own RLIMIT_NICE allows.

    Source: setpriority(2), getrlimit(2).
    """
    if os.geteuid() == 0:
        return NICE_FLOOR_OF_KERNEL
    try:
        soft, _ = resource.prlimit(pid, resource.RLIMIT_NICE)
    except (PermissionError, ProcessLookupError):
        return NICE_CEILING
    return NICE_FLOOR_OF_KERNEL if soft == resource.RLIM_INFINITY else NICE_CEILING + 1 - soft


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
