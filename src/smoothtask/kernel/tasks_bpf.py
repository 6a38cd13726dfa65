"""Every thread in one pass: a BPF task iterator, loaded through libbpf.so.1 (bpf/tasks.bpf.c).

Needs root (CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN), Linux >= 5.8 with BTF, and the first pid namespace.
"""

import os
from typing import Final

import numpy as np
import numpy.typing as npt

from smoothtask.kernel.libbpf import BpfObject, BpfUnavailable
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

    def close(self) -> None:
        """Unload; idempotent."""
        self._tasks.close()
        self._object.close()


def table_of(records: Array, mono_ns: int) -> TaskTable:
    """Roll threads up to processes: live threads plus what exited threads left in the signal_struct."""
    records = _in_order(records)
    threads = np.ascontiguousarray(records["thread"])
    tgids = threads["tgid"]
    leaders = _rows(records, np.flatnonzero(threads["tid"] == tgids))
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
    processes["threads"] = np.diff(firsts, append=len(records))
    processes["rss_bytes"] = leaders["rss_pages"] * np.uint64(PAGE_BYTES)
    processes["wait_ns"] = np.add.reduceat(threads["wait_ns"], firsts)
    for live, dead in _SUMS:
        counter = threads[live] if live in _OF_THREADS else records[live]
        processes[live] = np.add.reduceat(counter, firsts) + leaders[dead]
    return TaskTable(threads, processes, mono_ns, BpfTasks.name)


def _rows(records: Array, which: npt.NDArray[np.intp]) -> Array:
    """Some records, copied as plain words: numpy copies structures many times slower."""
    words = records.view("<u8").reshape(len(records), RECORD_DTYPE.itemsize // 8)
    taken: Array = words.take(which, axis=0).view(RECORD_DTYPE).ravel()
    return taken


def _in_order(records: Array) -> Array:
    """Sorted by process and thread. Threads whose leader was reaped between two reads of one pass are left out."""
    keys = records["thread"]["tgid"].astype(np.int64) << 32 | records["thread"]["tid"]
    if not np.all(keys[1:] > keys[:-1]):
        order = np.argsort(keys, kind="stable")
        records, keys = _rows(records, order), keys[order]
    firsts = np.flatnonzero(np.diff(keys >> 32, prepend=-1))
    # A leader has the lowest tid of its process, unless pids have wrapped around: then it is looked for.
    if np.all(keys[firsts] >> 32 == keys[firsts] & 0xFFFFFFFF):
        return records
    is_leader = keys >> 32 == keys & 0xFFFFFFFF
    return records[np.isin(keys >> 32, keys[is_leader] >> 32)]
