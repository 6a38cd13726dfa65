"""Every thread in one pass: a BPF task iterator, loaded through libbpf.so.1 (bpf/tasks.bpf.c).

Needs root (CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN), Linux >= 5.8 with BTF, and the first pid namespace.
"""

import ctypes
import os
import platform
from importlib.resources import files
from typing import Final

import numpy as np
import numpy.typing as npt

from smoothtask.model.tasks import PROCESS_DTYPE, THREAD_DTYPE, Array, TaskTable

# `struct record` of bpf/tasks.bpf.c.
RECORD_DTYPE: Final = np.dtype(
    [
        ("thread", THREAD_DTYPE),
        *((name, "<i4") for name in ("ppid", "sid", "pgid", "tty_nr")),
        ("uid", "<u4"),
        *((name, "<u8") for name in ("read_bytes", "write_bytes")),
        *((name, "<u8") for name in ("dead_run_ns", "dead_nvcsw", "dead_nivcsw")),
        *((name, "<u8") for name in ("dead_read_bytes", "dead_write_bytes", "rss_pages", "cgroup_id")),
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
FIRST_PID_NAMESPACE: Final = "pid:[4026531836]"  # PROC_PID_INIT_INO, include/linux/proc_ns.h
OBJECT: Final = "bpf/tasks.bpf.o"
_CHUNK_BYTES: Final = 1 << 20


class TasksUnavailable(Exception):  # noqa: N818 (a state of the machine, not a mistake)
    """This way to read tasks cannot be used here; the message says why."""


class BpfTasks:
    """The iterator, loaded and attached. Raises TasksUnavailable."""

    name = "bpf"

    def __init__(self) -> None:
        _check_machine()
        self._bpf = _libbpf()
        self._object = self._link = None
        try:
            self._object, self._link = self._load()
        except TasksUnavailable:
            self.close()
            raise
        self._buffer = bytearray(_CHUNK_BYTES)

    def read(self, mono_ns: int) -> TaskTable:
        """One pass, stamped *mono_ns* (CLOCK_MONOTONIC)."""
        return table_of(self._records(), mono_ns)

    def close(self) -> None:
        """Unload; idempotent."""
        if self._link:
            self._bpf.bpf_link__destroy(self._link)
        if self._object:
            self._bpf.bpf_object__close(self._object)
        self._object = self._link = None

    def _load(self) -> tuple[int, int]:
        data = files("smoothtask.kernel").joinpath(OBJECT).read_bytes()
        opened = self._bpf.bpf_object__open_mem(data, len(data), None)
        if not opened:
            raise TasksUnavailable(f"the BPF object cannot be opened: {os.strerror(ctypes.get_errno())}")
        self._object = opened
        if self._bpf.bpf_object__load(opened) != 0:
            raise TasksUnavailable(f"the kernel refuses the BPF program: {_load_error(ctypes.get_errno())}")
        program = self._bpf.bpf_object__next_program(opened, None)
        link = self._bpf.bpf_program__attach_iter(program, None)
        if not link:
            raise TasksUnavailable(f"no BPF task iterator: {os.strerror(ctypes.get_errno())}")
        return opened, link

    def _records(self) -> Array:
        fd = self._bpf.bpf_iter_create(self._bpf.bpf_link__fd(self._link))
        if fd < 0:
            raise OSError(ctypes.get_errno(), "bpf_iter_create")
        used = 0
        try:
            while True:
                if len(self._buffer) - used < _CHUNK_BYTES // 4:
                    self._buffer.extend(bytes(_CHUNK_BYTES))
                with memoryview(self._buffer) as view:
                    got = os.readv(fd, [view[used:]])
                if not got:
                    break
                used += got
        finally:
            os.close(fd)
        # A view: it is gone before the buffer is used for the next pass.
        return np.frombuffer(self._buffer, RECORD_DTYPE, used // RECORD_DTYPE.itemsize)


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
    for name in ("ppid", "sid", "pgid", "tty_nr", "uid", "cgroup_id"):
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


def _check_machine() -> None:
    if os.geteuid() != 0:
        raise TasksUnavailable("BPF needs root")
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        raise TasksUnavailable("this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)")
    if os.readlink("/proc/self/ns/pid") != FIRST_PID_NAMESPACE:
        raise TasksUnavailable("BPF counts pids of the first pid namespace, and this is another (a container)")
    if platform.machine() not in {"x86_64", "aarch64"}:
        raise TasksUnavailable(f"the BPF object was tried on x86_64 and aarch64 only, not on {platform.machine()}")


def _load_error(code: int) -> str:
    hint = {1: " (lockdown or a missing capability)", 22: " (a kernel before 5.8?)"}.get(code, "")
    return f"{os.strerror(code)}{hint}"


def _libbpf() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libbpf.so.1", use_errno=True)
    except OSError as error:
        raise TasksUnavailable("libbpf.so.1 is not installed (Debian: apt-get install libbpf1)") from error
    pointer = ctypes.c_void_p
    for name, arguments, result in (
        ("bpf_object__open_mem", [ctypes.c_char_p, ctypes.c_size_t, pointer], pointer),
        ("bpf_object__load", [pointer], ctypes.c_int),
        ("bpf_object__next_program", [pointer, pointer], pointer),
        ("bpf_program__attach_iter", [pointer, pointer], pointer),
        ("bpf_link__fd", [pointer], ctypes.c_int),
        ("bpf_link__destroy", [pointer], ctypes.c_int),
        ("bpf_object__close", [pointer], None),
        ("bpf_iter_create", [ctypes.c_int], ctypes.c_int),
        ("libbpf_set_print", [pointer], pointer),
    ):
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, result
    library.libbpf_set_print(None)  # its warnings would be written over the dashboard
    return library
