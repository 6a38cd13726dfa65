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
class PersonLimits:
    """What counts as a person's attention; all in seconds."""

    active_s: float = 60.0
    """Somebody is there for so long after the last input."""
    focus_memory_s: float = 10.0
    """What lost the focus keeps its class so long: alt-tabbing changes nothing."""
    typed_s: float = 15.0
    """A terminal is worked in for so long after the last key."""
    terminal_grace_s: float = 15.0
    """A build in such a terminal is left alone for so much longer than elsewhere."""
    xrun_s: float = 10.0
    """What broke up is treated with care for so long."""
    confidence: float = 0.6
    """A claim whose process it is must be at least so sure."""


@dataclass(frozen=True, slots=True)
class BadLimits:
    """From when on a person notices."""

    latency_p99_ms: float = 20.0
    wait_share: float = 0.3
    """Of what a group wants that a person waits for, the share that it does not get."""
    sound_breaks: int = 1
    """In one tick."""
    score: float = 0.5
    """A responsiveness score below this is bad."""


@dataclass(frozen=True, slots=True)
class PolicyParameters:
    """All of it."""

    contention: ContentionLimits = field(default_factory=ContentionLimits)
    hysteresis: Hysteresis = field(default_factory=Hysteresis)
    protected_apps: frozenset[str] = frozenset()
    person: PersonLimits = field(default_factory=PersonLimits)
    bad: BadLimits = field(default_factory=BadLimits)
