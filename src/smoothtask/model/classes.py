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


NICE_FLOOR = -10
"""No thread is ever raised above this (a guardrail)."""
NICE_CEILING = 19

DEFAULT_EFFECTS: dict[PriorityClass, ClassEffect] = {
    PriorityClass.LATENCY_CRITICAL: ClassEffect(-7, -7, IoClass.BEST_EFFORT, 1, 400_000, 300),
    PriorityClass.INTERACTIVE: ClassEffect(-4, -4, IoClass.BEST_EFFORT, 2, 700_000, 150),
    PriorityClass.NORMAL: ClassEffect(None, None, None, 4, None, 100),
    PriorityClass.BACKGROUND: ClassEffect(5, 5, IoClass.BEST_EFFORT, 6, None, 50),
    PriorityClass.IDLE: ClassEffect(19, 19, IoClass.IDLE, 7, None, 25),
}
