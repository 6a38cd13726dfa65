"""The five priority classes and what each means to the kernel."""

from dataclasses import dataclass
from enum import IntEnum


class PriorityClass(IntEnum):
    """How long a group may be kept waiting: the higher, the shorter."""

    IDLE = 0
    BACKGROUND = 1
    NORMAL = 2
    INTERACTIVE = 3
    LATENCY_CRITICAL = 4


class IoClass(IntEnum):
    """ioprio classes; the numbers are the kernel's (include/uapi/linux/ioprio.h)."""

    NONE = 0
    REALTIME = 1
    BEST_EFFORT = 2
    IDLE = 3


@dataclass(frozen=True, slots=True)
class ClassEffect:
    """What a class asks of the kernel. `None` leaves a value as it was found."""

    nice: int | None
    """−10 … 19."""
    autogroup_nice: int | None
    io_class: IoClass | None
    io_level: int
    """0 (first) … 7 (last), for best-effort."""
    slice_ns: int | None
    """EEVDF slice, 100,000 … 100,000,000 ns, honoured since Linux 6.12."""
    cpu_weight: int
    """cpu.weight, 1 … 10,000 (cgroups(7)): shares among siblings."""
    io_weight: int = 100
    """io.weight, the same for disks that BFQ or io.cost schedules."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a rule or a pin asks for beyond a class; `None`: no limit. They need a cgroup of the group's own."""

    cpu_pct: float | None = None
    """Of one CPU, as systemd's CPUQuota=: 150 is one and a half."""
    cpu_idle: bool = False
    """Only what nobody else wants (cpu.idle)."""
    memory_high_bytes: int | None = None
    """Above this it is slowed and reclaimed, never killed (memory.high)."""
    io_read_bps: int | None = None
    io_write_bps: int | None = None

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return self is not NO_LIMITS and self != NO_LIMITS


NO_LIMITS = Limits()
NICE_FLOOR = -10
"""No thread is ever raised above this (a guardrail)."""
NICE_CEILING = 19

DEFAULT_EFFECTS: dict[PriorityClass, ClassEffect] = {
    PriorityClass.LATENCY_CRITICAL: ClassEffect(-7, -7, IoClass.BEST_EFFORT, 1, 400_000, 300, 300),
    PriorityClass.INTERACTIVE: ClassEffect(-4, -4, IoClass.BEST_EFFORT, 2, 700_000, 150, 200),
    PriorityClass.NORMAL: ClassEffect(None, None, None, 4, None, 100, 100),
    PriorityClass.BACKGROUND: ClassEffect(10, 10, IoClass.BEST_EFFORT, 6, None, 50, 50),
    PriorityClass.IDLE: ClassEffect(19, 19, IoClass.IDLE, 7, None, 25, 10),
}
