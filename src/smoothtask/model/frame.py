"""Everything one tick found and decided: what clients show and the log stores. Text is sanitised."""

from dataclasses import dataclass, field
from enum import StrEnum

from smoothtask.model.decision import Contention, Decision
from smoothtask.model.group import AppGroup
from smoothtask.model.meters import NO_METERS, Meters
from smoothtask.model.person import NOBODY_KNOWN, PersonMetrics, Source
from smoothtask.model.rights import OWNERS_ONLY, Rights
from smoothtask.model.system import SystemMetrics


class Mode(StrEnum):
    """What becomes of decisions."""

    RULES_ONLY = "rules-only"
    HYBRID = "hybrid"
    """A model orders what the rules leave open."""
    DRY_RUN = "dry-run"
    """Decide and log; apply nothing (`--observe`, or no privilege to apply)."""
    PAUSED = "paused"
    """Every change undone, nothing applied until resumed."""


class Mark(StrEnum):
    """Flags of a group worth a column."""

    PINNED = "pinned"
    OVERRIDDEN = "overridden"
    LABELLED = "labelled"
    PROTECTED = "protected"
    FOCUSED = "focused"
    PLAYING = "playing"
    CAPTURING = "capturing"
    USER_OWNED = "user-owned"
    """A person or another tool changed its priority behind our back; it is left alone."""


@dataclass(frozen=True, slots=True)
class GroupPressure:
    """Share of the last interval in which some task of a group waited (PSI of its own cgroup); `None`: not known."""

    cpu_pct: float | None = None
    io_pct: float | None = None
    memory_pct: float | None = None

    @property
    def worst(self) -> tuple[str, float] | None:
        """The resource that it waits for most, and how much."""
        known = [
            (n, v) for n, v in (("cpu", self.cpu_pct), ("io", self.io_pct), ("mem", self.memory_pct)) if v is not None
        ]
        return max(known, key=lambda item: item[1], default=None)


@dataclass(frozen=True, slots=True)
class GroupFrame:
    """One group with its decision and what was done."""

    group: AppGroup
    decision: Decision
    mechanism: str
    """What is in effect, such as `nice +19, ionice idle on 6 threads`; `-` when nothing is."""
    marks: frozenset[Mark] = frozenset()
    effect: str = ""
    """Why that mechanism, and against whom it counts."""
    score: float | None = None
    """How well it is served, 0 … 1: the share of what it wants that it gets; `None`: it wants nothing."""
    pressure: GroupPressure | None = None
    """Only of what has a cgroup of its own, and while somebody looks or waits."""
    meters: Meters = NO_METERS


@dataclass(frozen=True, slots=True)
class ProcessFrame:
    """One process worth showing: busy, or in a group whose class is not NORMAL."""

    pid: int
    start_ticks: int
    ppid: int
    uid: int
    group: str
    name: str
    command: str
    threads: int
    nice: int
    cpu: float
    wait: float
    read_bps: float
    write_bps: float
    rss_bytes: int
    sent_bps: float | None = None
    """Of these four see `Meters`."""
    received_bps: float | None = None
    connections: int | None = None
    watts: float | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something a person may want to know happened: a class change, a conflict, a source that failed."""

    time: float
    """Unix time."""
    kind: str
    """class, person, conflict, system, error; rules: what is wrong in somebody's own rule files."""
    text: str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class SelfCost:
    """What SmoothTask itself costs."""

    cpu_pct: float
    """Of one core, over the last minute."""
    tick_cpu_ms: float
    rss_bytes: int
    interval_s: float
    """Until the next tick, as planned."""


@dataclass(frozen=True, slots=True)
class Scores:
    """How the machine does for the person in front of it, 0 … 1: 1 is as good as it gets."""

    responsiveness: float | None = None
    audio_stability: float | None = None
    """`None` while nothing is heard."""
    bad: bool = False
    """Somebody would notice."""
    reasons: tuple[str, ...] = ()
    """What is bad, in words."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One tick, whole."""

    seq: int
    time: float
    """Unix time."""
    mono_s: float
    mode: Mode
    mode_reason: str
    """Why nothing is applied, when nothing is; else empty."""
    system: SystemMetrics
    contention: Contention
    groups: tuple[GroupFrame, ...]
    """Parents before their subgroups."""
    processes: tuple[ProcessFrame, ...]
    """Candidates only: at most 400, the busiest first."""
    events: tuple[Event, ...]
    """The newest 50, oldest first."""
    cost: SelfCost
    sources: dict[str, str] = field(default_factory=dict)
    """Source → how it works here: `tasks: bpf`, `events: proc connector`, `probe: off (…)`."""
    undo_depth: int = 0
    """How many of the person's actions can be undone."""
    person: PersonMetrics = NOBODY_KNOWN
    scores: Scores = Scores()
    rights: Rights = OWNERS_ONLY
    """Who may order what."""
    person_sources: tuple[Source, ...] = ()
    """Each source of knowledge about the person, and how it fares."""
    meters: Meters = NO_METERS
    """Of the whole machine."""
    model: str | None = None
    """The id of the model whose scores are in the decisions; `None`: the rules decided alone."""
    left_out: int = 0
    """Quiet groups that are not in here, since there are too many to send."""
