"""Every threshold of the policy, with its unit."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ContentionLimits:
    """What counts as somebody waiting."""

    cpu_some_pct: float = 10.0
    io_some_pct: float = 20.0
    memory_some_pct: float = 5.0
    latency_p99_ms: float = 20.0
    group_wait: float = 0.2
    """Threads of one group that does not hog, waiting for a CPU on average."""
    hold_s: float = 5.0
    """Contention lasts this long after its last sign."""


@dataclass(frozen=True, slots=True)
class Hysteresis:
    """How sure a change must be that is not certain by itself."""

    snapshots: int = 3
    """Consecutive ticks that want the same class."""
    min_class_s: float = 5.0
    """A class is kept at least this long."""


@dataclass(frozen=True, slots=True)
class PolicyParameters:
    """All of it."""

    contention: ContentionLimits = field(default_factory=ContentionLimits)
    hysteresis: Hysteresis = field(default_factory=Hysteresis)
    protected_apps: frozenset[str] = frozenset()
