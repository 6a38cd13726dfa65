"""Threads and processes as numpy tables: one row each, counters as the kernel keeps them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smoothtask.model.process import ProcKey as ProcKey  # noqa: PLC0414 - of a row of these tables

USER_HZ = 100
"""Ticks a second of every clock in /proc (sysconf(_SC_CLK_TCK); 100 on every Linux ABI that Debian ships)."""

KTHREAD = 1
"""Bit of `flags`: a kernel thread."""
FOREIGN_PID_NAMESPACE = 2
"""Bit of `flags`: the process lives in another pid namespace than we do."""


# All counters are cumulative, as the kernel counts. `*_ns` are nanoseconds.
THREAD_DTYPE = np.dtype(
    [
        ("tgid", "<i4"),
        ("tid", "<i4"),
        ("start_ticks", "<u8"),  # of the thread itself
        ("run_ns", "<u8"),  # time on a CPU
        ("wait_ns", "<u8"),  # time runnable, waiting for a CPU
        ("nvcsw", "<u8"),  # voluntary switches: it slept
        ("nivcsw", "<u8"),  # involuntary: it was pushed off
        ("slice_ns", "<u8"),  # EEVDF slice where the kernel shows it, else 0
        ("nice", "i1"),
        ("policy", "u1"),  # SCHED_OTHER 0, FIFO 1, RR 2, BATCH 3, IDLE 5, DEADLINE 6, EXT 7
        ("state", "S1"),
        ("flags", "u1"),
        ("comm", "S16"),
    ],
)
"""One row a live thread."""

PROCESS_DTYPE = np.dtype(
    [
        ("pid", "<i4"),
        ("ppid", "<i4"),
        ("start_ticks", "<u8"),
        ("uid", "<u4"),  # effective
        ("threads", "<u4"),
        ("sid", "<i4"),  # session id, which is what autogroups follow
        ("pgid", "<i4"),
        ("tty_nr", "<i4"),
        (
            "cgroup_id",
            "<u8",
        ),  # kernfs id of the cgroup v2 directory (its inode number), 0 when unknown
        ("run_ns", "<u8"),  # live threads plus those that exited
        ("wait_ns", "<u8"),  # live threads only: the kernel drops it with the thread
        ("children_ns", "<u8"),  # CPU time of children that ended and were waited for, and of theirs (times(2))
        ("nvcsw", "<u8"),
        ("nivcsw", "<u8"),
        ("read_bytes", "<u8"),
        ("write_bytes", "<u8"),
        ("rss_bytes", "<u8"),
        ("nice", "i1"),  # of the leader
        ("policy", "u1"),  # of the leader
        ("state", "S1"),
        ("flags", "u1"),
        ("comm", "S16"),
    ],
)
"""One row a process (tgid)."""

RATES_DTYPE = np.dtype(
    [
        ("cpu", "<f4"),  # cores in use: 1.0 is one whole core
        ("wait", "<f4"),  # threads runnable but waiting, on average
        ("children", "<f4"),  # cores that children had used which ended, when they were waited for
        ("awake", "<f4"),  # of `cpu` and `wait`, what is of threads that hardly slept; one thread: 0, vcsw tells
        ("vcsw", "<f4"),  # voluntary switches a second
        ("ivcsw", "<f4"),
        ("read_bps", "<f4"),
        ("write_bps", "<f4"),
    ],
)
"""One row a process, aligned with the process table; zeros for one that is new."""

Array = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class TaskTable:
    """One pass over every task. Both arrays are read-only by agreement."""

    threads: Array
    """THREAD_DTYPE, sorted by (tgid, tid)."""
    processes: Array
    """PROCESS_DTYPE, sorted by pid."""
    mono_ns: int
    """CLOCK_MONOTONIC of the pass."""
    source: str
    """`bpf` or `procfs`."""

    def keys(self) -> list[ProcKey]:
        """The identity of each process, in row order."""
        pids = self.processes["pid"].tolist()
        return list(map(ProcKey, pids, self.processes["start_ticks"].tolist()))
