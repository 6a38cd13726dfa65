"""Our BPF objects in the kernel: loaded, attached, their iterators and maps read; libbpf.so.1 through ctypes."""

import ctypes
import os
import platform
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from smoothtask.model.tasks import Array

Words = npt.NDArray[np.uint32]
Bytes = npt.NDArray[np.uint8]

FIRST_PID_NAMESPACE: Final = "pid:[4026531836]"  # PROC_PID_INIT_INO, include/linux/proc_ns.h
_CHUNK_BYTES: Final = 1 << 18
_BATCH: Final = 256
"""Entries of a map that are taken at once."""
_NO_MORE: Final = -2  # -ENOENT: the batch that came with it is the last


class BpfUnavailable(Exception):  # noqa: N818 (a state of the machine, not a mistake)
    """BPF, or this object, cannot be used here; the message says why."""


class BpfObject:
    """`bpf/NAME.bpf.o`, loaded but not attached. Raises BpfUnavailable.

    *programs*: the only ones that are loaded, by name; all of them when empty.
    """

    def __init__(self, name: str, programs: frozenset[str] = frozenset()) -> None:
        check_machine()
        self._bpf = _libbpf()
        self._links: list[int] = []
        data = files("smoothtask.kernel").joinpath(f"bpf/{name}.bpf.o").read_bytes()
        self._object = self._bpf.bpf_object__open_mem(data, len(data), None)
        if not self._object:
            raise BpfUnavailable(f"the BPF object cannot be opened: {os.strerror(ctypes.get_errno())}")
        named = {p: self._name(p) for p in self._each_program()}
        self._programs = {p: n for p, n in named.items() if not programs or n in programs}
        for program in named.keys() - self._programs.keys():
            self._bpf.bpf_program__set_autoload(program, False)
        if self._bpf.bpf_object__load(self._object) != 0:
            code = ctypes.get_errno()
            self.close()
            raise BpfUnavailable(f"the kernel refuses the BPF program: {_load_error(code)}")

    @property
    def attached(self) -> bool:
        """Whether any program runs."""
        return bool(self._links)

    def attach(self, *names: str) -> None:
        """Attach the programs *names*, or all. Raises BpfUnavailable, and has attached none then."""
        for program, name in self._programs.items():
            if names and name not in names:
                continue
            link = self._bpf.bpf_program__attach(program)
            if not link:
                code = ctypes.get_errno()
                self.detach()
                raise BpfUnavailable(f"the BPF program {name} cannot be attached: {os.strerror(code)}")
            self._links.append(link)

    def detach(self) -> None:
        """Stop every program: no link stays. Idempotent; maps keep what they hold."""
        while self._links:
            self._bpf.bpf_link__destroy(self._links.pop())

    def close(self) -> None:
        """Detach and unload; idempotent."""
        self.detach()
        if self._object:
            self._bpf.bpf_object__close(self._object)
        self._object = None

    def iterator(self, name: str) -> "BpfIterator":
        """The iterator program *name*. Raises BpfUnavailable."""
        program = next(p for p, n in self._programs.items() if n == name)
        link = self._bpf.bpf_program__attach_iter(program, None)
        if not link:
            raise BpfUnavailable(f"no BPF iterator {name}: {os.strerror(ctypes.get_errno())}")
        return BpfIterator(self._bpf, link)

    def drain(self, map_name: str, value_bytes: int) -> tuple[Words, Bytes]:
        """Take everything out of a per-CPU hash: its keys, and its values as bytes, (keys, CPUs, *value_bytes*).

        *value_bytes* is a multiple of 8. What is counted while this runs may be lost. Raises OSError.
        """
        fd = self._bpf.bpf_object__find_map_fd_by_name(self._object, map_name.encode())
        keys, values = np.empty(_BATCH, "<u4"), np.empty((_BATCH, _possible_cpus(), value_bytes), "u1")
        taken: list[tuple[Words, Bytes]] = []
        place, count = ctypes.create_string_buffer(8), ctypes.c_uint32()
        given, result = None, 0
        while result == 0:
            count.value = _BATCH
            result = self._bpf.bpf_map_lookup_and_delete_batch(
                fd, given, place, keys.ctypes.data, values.ctypes.data, ctypes.byref(count), None
            )
            if result not in {0, _NO_MORE}:
                raise OSError(-result, f"the BPF map {map_name} cannot be read")
            taken.append((keys[: count.value].copy(), values[: count.value].copy()))
            given = place
        return np.concatenate([k for k, _ in taken]), np.concatenate([v for _, v in taken])

    def costs(self) -> tuple[int, int]:
        """Nanoseconds in our programs and how often they ran, while somebody had `statistics` open."""
        spent_ns = runs = 0
        for program in self._programs:
            text = Path(f"/proc/self/fdinfo/{self._bpf.bpf_program__fd(program)}").read_text()
            found = dict(re.findall(r"(run_time_ns|run_cnt):\s*(\d+)", text))
            spent_ns, runs = spent_ns + int(found.get("run_time_ns", 0)), runs + int(found.get("run_cnt", 0))
        return spent_ns, runs

    def _each_program(self) -> Iterator[int]:
        program = self._bpf.bpf_object__next_program(self._object, None)
        while program:
            yield program
            program = self._bpf.bpf_object__next_program(self._object, program)

    def _name(self, program: int) -> str:
        name: bytes = self._bpf.bpf_program__name(program)
        return name.decode()


class BpfIterator:
    """An attached iterator: each pass calls its program for every task, or file, of the machine."""

    def __init__(self, library: ctypes.CDLL, link: int) -> None:
        self._bpf = library
        self._link: int | None = link
        self._buffer = bytearray()

    def read(self, record: np.dtype[np.void]) -> Array:
        """One pass. The records are a view: they are gone when the next pass begins. Raises OSError."""
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
        return np.frombuffer(self._buffer, record, used // record.itemsize)

    def close(self) -> None:
        """Detach; idempotent."""
        if self._link:
            self._bpf.bpf_link__destroy(self._link)
        self._link = None


def statistics() -> int:
    """A descriptor: while it is open, the kernel counts what BPF programs cost. Raises OSError."""
    fd: int = _libbpf().bpf_enable_stats(0)  # BPF_STATS_RUN_TIME
    if fd < 0:
        raise OSError(-fd, "bpf_enable_stats")
    return fd


def check_machine() -> None:
    """Raise BpfUnavailable where it need not be tried."""
    if os.geteuid() != 0:
        raise BpfUnavailable("BPF needs root")
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        raise BpfUnavailable("this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)")
    if os.readlink("/proc/self/ns/pid") != FIRST_PID_NAMESPACE:
        raise BpfUnavailable("BPF counts pids of the first pid namespace, and this is another (a container)")
    if platform.machine() not in {"x86_64", "aarch64"}:
        raise BpfUnavailable(f"the BPF object was tried on x86_64 and aarch64 only, not on {platform.machine()}")


def _load_error(code: int) -> str:
    hint = {1: " (lockdown or a missing capability)", 22: " (a kernel before 5.8?)"}.get(code, "")
    return f"{os.strerror(code)}{hint}"


def _possible_cpus() -> int:
    count: int = _libbpf().libbpf_num_possible_cpus()
    return count


@cache
def _libbpf() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libbpf.so.1", use_errno=True)
    except OSError as error:
        raise BpfUnavailable("libbpf.so.1 is not installed (Debian: apt-get install libbpf1)") from error
    pointer, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    for name, arguments, result in (
        ("bpf_object__open_mem", [text, ctypes.c_size_t, pointer], pointer),
        ("bpf_object__load", [pointer], number),
        ("bpf_object__next_program", [pointer, pointer], pointer),
        ("bpf_object__find_map_fd_by_name", [pointer, text], number),
        ("bpf_program__name", [pointer], text),
        ("bpf_program__fd", [pointer], number),
        ("bpf_program__set_autoload", [pointer, ctypes.c_bool], number),
        ("bpf_program__attach", [pointer], pointer),
        ("bpf_program__attach_iter", [pointer, pointer], pointer),
        ("bpf_link__fd", [pointer], number),
        ("bpf_link__destroy", [pointer], number),
        ("bpf_object__close", [pointer], None),
        ("bpf_iter_create", [number], number),
        ("bpf_map_lookup_and_delete_batch", [number, *[pointer] * 6], number),
        ("bpf_enable_stats", [number], number),
        ("libbpf_num_possible_cpus", [], number),
        ("libbpf_set_print", [pointer], pointer),
    ):
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, result
    library.libbpf_set_print(None)  # its warnings would be written over the dashboard
    return library
