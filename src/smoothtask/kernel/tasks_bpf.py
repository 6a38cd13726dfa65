"""Every thread in one pass: a BPF task iterator, loaded through libbpf.so.1 (bpf/tasks.bpf.c).

Needs root (CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN), Linux >= 5.8 with BTF, and the first pid namespace.
"""

import os
from collections.abc import Collection
from typing import Final

import numpy as np
import numpy.typing as npt

from smoothtask.kernel.libbpf import BpfObject, BpfUnavailable
from smoothtask.model.arrays import is_in
from smoothtask.model.tasks import PROCESS_DTYPE, THREAD_DTYPE, Array, TaskTable

# `struct record` of bpf/tasks.bpf.c.
RECORD_DTYPE: Final = np.dtype(
    [
        ("thread", THREAD_DTYPE),
        *((name, "<i4") for name in ("ppid", "sid", "pgid", "tty_nr")),
        ("uid", "<u4"),
        *((name, "<u8") for name in ("read_bytes", "write_bytes")),
        *((name, "<u8") for name in ("dead_run_ns", "dead_nvcsw", "dead_nivcsw")),
        *((name, "<u8") for name in ("dead_read_bytes", "dead_write_bytes", "children_ns", "rss_pages", "cgroup_id")),
    ],
)
# The same: what belongs to the thread as plain bytes, which numpy copies many times faster than structures.
_THREADS_DTYPE: Final = np.dtype(
    {
        "names": ["thread"],
        "formats": [f"V{THREAD_DTYPE.itemsize}"],
        "offsets": [0],
        "itemsize": RECORD_DTYPE.itemsize,
    }
)
_SUMS: Final = (
    ("run_ns", "dead_run_ns"),
    ("nvcsw", "dead_nvcsw"),
    ("nivcsw", "dead_nivcsw"),
    ("read_bytes", "dead_read_bytes"),
    ("write_bytes", "dead_write_bytes"),
)
_OF_THREADS: Final = frozenset({"run_ns", "nvcsw", "nivcsw"})
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class BpfTasks:
    """The iterator, loaded and attached. Raises BpfUnavailable."""

    name = "bpf"

    def __init__(self) -> None:
        self._object = BpfObject("tasks")
        try:
            self._tasks = self._object.iterator("tasks")
        except BpfUnavailable:
            self._object.close()
            raise

    def read(self, mono_ns: int) -> TaskTable:
        """One pass, stamped *mono_ns* (CLOCK_MONOTONIC)."""
        return table_of(self._tasks.read(RECORD_DTYPE), mono_ns)

    def some(self, pids: Collection[int], mono_ns: int) -> TaskTable:  # noqa: ARG002 (as the other source has it)
        """Everybody: a pass of the iterator costs less than the files of a few processes."""
        return self.read(mono_ns)

    def close(self) -> None:
        """Unload; idempotent."""
        self._tasks.close()
        self._object.close()


def table_of(records: Array, mono_ns: int) -> TaskTable:
    """Roll threads up to processes: live threads plus what exited threads left in the signal_struct."""
    order = _order(records)
    threads = records.view(_THREADS_DTYPE)["thread"].take(order).view(THREAD_DTYPE)
    tgids = threads["tgid"]
    leaders = _rows(records, order[threads["tid"] == tgids])
    processes = np.zeros(len(leaders), PROCESS_DTYPE)
    if not len(leaders):
        return TaskTable(threads, processes, mono_ns, BpfTasks.name)
    firsts = np.flatnonzero(np.diff(tgids, prepend=-1))
    of_leaders = np.ascontiguousarray(leaders["thread"])
    for name in ("ppid", "sid", "pgid", "tty_nr", "uid", "cgroup_id", "children_ns"):
        processes[name] = leaders[name]
    for name in ("start_ticks", "nice", "policy", "state", "flags", "comm"):
        processes[name] = of_leaders[name]
    processes["pid"] = of_leaders["tgid"]
    processes["threads"] = np.diff(firsts, append=len(threads))
    processes["rss_bytes"] = leaders["rss_pages"] * np.uint64(PAGE_BYTES)
    processes["wait_ns"] = np.add.reduceat(threads["wait_ns"], firsts)
    for live, dead in _SUMS:
        counter = threads[live] if live in _OF_THREADS else records[live].take(order)
        processes[live] = np.add.reduceat(counter, firsts) + leaders[dead]
    return TaskTable(threads, processes, mono_ns, BpfTasks.name)


def _rows(records: Array, which: npt.NDArray[np.intp]) -> Array:
    """Some records, copied as plain words: numpy copies structures many times slower."""
    words = records.view("<u8").reshape(len(records), RECORD_DTYPE.itemsize // 8)
    taken: Array = words.take(which, axis=0).view(RECORD_DTYPE).ravel()
    return taken


def _order(records: Array) -> npt.NDArray[np.intp]:
    """Where the records are, by process and thread.

    Threads whose leader was reaped between two reads of one pass are left out.
    """
    keys = records["thread"]["tgid"].astype(np.int64) << 32 | records["thread"]["tid"]
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    tgids = keys >> 32
    leaders = tgids[tgids == keys & 0xFFFFFFFF]
    if len(leaders) == np.count_nonzero(np.diff(tgids, prepend=-1)):
        return order
    return order[is_in(tgids, leaders)]
