"""Scheduling values of threads and sessions: read and written through their system calls.

Source: sched_setattr(2), include/uapi/linux/sched/types.h, ioprio_set(2), sched(7), cgroups(7).
"""

import ctypes
import os
import platform
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final, NamedTuple

from smoothtask.model.change import IoPrio, SchedAttr
from smoothtask.model.classes import NICE_CEILING, NICE_FLOOR

SCHED_OTHER: Final = 0
SCHED_BATCH: Final = 3
SCHED_IDLE: Final = 5
FAIR_POLICIES: Final = frozenset({SCHED_OTHER, SCHED_BATCH})
_WRITABLE_POLICIES: Final = frozenset({SCHED_OTHER, SCHED_BATCH, SCHED_IDLE})

_RESET_ON_FORK: Final = 0x01
# struct sched_attr, first version: size, policy, flags, nice, priority, runtime, deadline, period
_ATTR: Final = struct.Struct("=IIQiIQQQ")
_Buffer = ctypes.c_char * _ATTR.size
_IOPRIO_WHO_PROCESS: Final = 1
_IOPRIO_CLASS_SHIFT: Final = 13

# setattr, getattr, ioprio_set, ioprio_get: arch/x86/entry/syscalls/syscall_64.tbl, asm-generic/unistd.h
_NUMBERS: Final = {"x86_64": (314, 315, 251, 252), "aarch64": (274, 275, 30, 31)}


class Autogroup(NamedTuple):
    """What /proc/PID/autogroup says."""

    id: int
    nice: int


class SchedUnavailable(Exception):  # noqa: N818 (a state of the machine, not a mistake)
    """This architecture's system call numbers are not known here."""


@dataclass(frozen=True, slots=True)
class _Calls:
    """The system calls, each with its own types: ctypes converts faster what it knows beforehand."""

    set_attr: Callable[..., int]
    get_attr: Callable[..., int]
    set_ioprio: Callable[..., int]
    get_ioprio: Callable[..., int]


@cache
def _calls() -> _Calls:
    numbers = _NUMBERS.get(platform.machine())
    if numbers is None:
        raise SchedUnavailable(f"no system call numbers for {platform.machine()}")
    libc = ctypes.CDLL(None, use_errno=True)
    shapes: tuple[tuple[type[ctypes._SimpleCData[Any]], ...], ...] = (
        (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint),
        (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint),
        (ctypes.c_int, ctypes.c_int, ctypes.c_int),
        (ctypes.c_int, ctypes.c_int),
    )
    made = []
    for number, shape in zip(numbers, shapes, strict=True):
        call = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_long, *shape, use_errno=True)(("syscall", libc))
        made.append(partial(call, number))
    return _Calls(*made)


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def get_sched(tid: int) -> SchedAttr:
    """Values of one thread; the default slice reads as 0. Raises ProcessLookupError when it is gone."""
    attr = _raw_sched(tid)
    if attr.policy in FAIR_POLICIES and attr.slice_ns != default_slice_ns():
        return attr
    return SchedAttr(attr.policy, attr.nice, 0, attr.reset_on_fork)


def _raw_sched(tid: int) -> SchedAttr:
    buffer = _Buffer()
    _checked(_calls().get_attr(tid, buffer, _ATTR.size, 0))
    _, policy, flags, nice, _, runtime, _, _ = _ATTR.unpack(buffer.raw)
    return SchedAttr(policy, nice, runtime, bool(flags & _RESET_ON_FORK))


def set_sched(tid: int, attr: SchedAttr) -> None:
    """Write policy, nice, slice (0: the default) and reset-on-fork of one thread.

    Raises ValueError for a real-time policy or a nice beyond −10 … 19, whoever asks; PermissionError,
    ProcessLookupError as the kernel says.
    """
    if attr.policy not in _WRITABLE_POLICIES:
        raise ValueError(f"policy {attr.policy} is never set")
    if not NICE_FLOOR <= attr.nice <= NICE_CEILING:
        raise ValueError(f"nice {attr.nice} is beyond {NICE_FLOOR} … {NICE_CEILING}")
    flags = _RESET_ON_FORK if attr.reset_on_fork else 0
    data = _ATTR.pack(_ATTR.size, attr.policy, flags, attr.nice, 0, attr.slice_ns, 0, 0)
    _checked(_calls().set_attr(tid, data, 0))


@cache
def default_slice_ns() -> int:
    """The slice of a thread that has none of its own: what a fresh child has. 0 before Linux 6.12."""
    return _of_a_child(lambda: _raw_sched(0).slice_ns)


@cache
def slices_supported() -> bool:
    """Whether the kernel takes a fair thread's slice (6.12 and later): tried on a child, and read back."""

    def attempt() -> int:
        wanted = 1_500_000
        attr = _raw_sched(0)
        set_sched(0, attr._replace(policy=SCHED_OTHER, nice=max(attr.nice, 0), slice_ns=wanted))
        return int(_raw_sched(0).slice_ns == wanted)

    return bool(_of_a_child(attempt))


@cache
def raising_allowed() -> bool:
    """Whether what was lowered may be raised again (CAP_SYS_NICE, which root may lack): tried on a child."""

    def attempt() -> int:
        set_sched(0, SchedAttr(SCHED_OTHER, NICE_CEILING, 0, reset_on_fork=True))
        set_sched(0, SchedAttr(SCHED_OTHER, 0, 0, reset_on_fork=False))
        return 1

    return bool(_of_a_child(attempt))


def _of_a_child(measure: Callable[[], int]) -> int:
    """*measure* in a child that has the default values and does nothing else; 0 when it fails there."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reader)
            set_sched(0, SchedAttr(SCHED_OTHER, max(_raw_sched(0).nice, 0), 0, reset_on_fork=False))
            os.write(writer, str(measure()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    return int(answer or b"0")


def get_ioprio(tid: int) -> IoPrio:
    """IO class and level of one thread; class 0 when none was ever set."""
    value = _checked(_calls().get_ioprio(_IOPRIO_WHO_PROCESS, tid))
    return IoPrio(value >> _IOPRIO_CLASS_SHIFT, value & 0x7)


def set_ioprio(tid: int, prio: IoPrio) -> None:
    """Write it. Raises ValueError for the real-time class."""
    if prio.io_class == 1:
        raise ValueError("the real-time IO class is never set")
    value = prio.io_class << _IOPRIO_CLASS_SHIFT | prio.level
    _checked(_calls().set_ioprio(_IOPRIO_WHO_PROCESS, tid, value))


def get_sid(pid: int) -> int | None:
    """The session of a process; `None` when it is gone."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def get_autogroup(pid: int, proc_root: str = "/proc") -> Autogroup | None:
    """The autogroup of a process's session; `None` where there is none (CONFIG_SCHED_AUTOGROUP=n)."""
    try:
        with open(f"{proc_root}/{pid}/autogroup", "rb", buffering=0) as file:
            return parse_autogroup(file.read())
    except (FileNotFoundError, ProcessLookupError):
        return None


def parse_autogroup(data: bytes) -> Autogroup | None:
    """`/autogroup-25 nice 0` → (25, 0)."""
    name, _, nice = data.decode("ascii", "replace").strip().partition(" nice ")
    prefix, _, number = name.rpartition("-")
    return Autogroup(int(number), int(nice)) if prefix == "/autogroup" and nice else None


def set_autogroup(pid: int, nice: int, proc_root: str = "/proc") -> None:
    """Write the nice of *pid*'s whole session against other sessions."""
    if not NICE_FLOOR <= nice <= NICE_CEILING:
        raise ValueError(f"nice {nice} is beyond {NICE_FLOOR} … {NICE_CEILING}")
    with open(f"{proc_root}/{pid}/autogroup", "wb", buffering=0) as file:
        file.write(str(nice).encode())


def autogroups_enabled(proc_root: str = "/proc") -> bool:
    """Whether sessions are scheduled as groups (kernel.sched_autogroup_enabled)."""
    try:
        with open(f"{proc_root}/sys/kernel/sched_autogroup_enabled", "rb", buffering=0) as file:
            return file.read().strip() == b"1"
    except FileNotFoundError:
        return False


def start_ticks(pid: int, tid: int | None = None, proc_root: str = "/proc") -> int | None:
    """Start time of a process, or of one of its threads; `None` when it is gone."""
    path = f"{proc_root}/{pid}/stat" if tid is None else f"{proc_root}/{pid}/task/{tid}/stat"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # open() costs twice as much, and this runs for every thread
    except (FileNotFoundError, ProcessLookupError):
        return None
    try:
        data = os.read(fd, 4096)
    except ProcessLookupError:
        return None
    finally:
        os.close(fd)
    return int(data[data.rindex(b")") + 2 :].split()[19])


def cpu_task_group(pid: int, proc_root: str = "/proc", cgroup_root: str = "/sys/fs/cgroup") -> str | None:
    """The cgroup in which the scheduler weighs *pid* against others: `/` is the root, where autogroups count.

    On cgroup v2 that is the nearest cgroup up the tree with the cpu controller enabled (it has a cpu.weight).
    """
    try:
        with open(f"{proc_root}/{pid}/cgroup", "rb", buffering=0) as file:
            lines = file.read(65536).split(b"\n")
    except (FileNotFoundError, ProcessLookupError):
        return None
    path = "/"
    for line in lines:
        _, _, rest = line.partition(b":")
        controllers, separator, where = rest.partition(b":")
        if b"cpu" in controllers.split(b","):
            return where.decode("utf-8", "surrogateescape")  # cgroup v1
        if separator and not controllers:
            path = where.decode("utf-8", "surrogateescape")
    while path != "/":
        if os.path.exists(f"{cgroup_root}{path}/cpu.weight"):
            return path
        path = path.rpartition("/")[0] or "/"
    return path


def boot_id(proc_root: str = "/proc") -> str:
    """A name of this boot."""
    with open(f"{proc_root}/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
