"""Applications: the unit of every decision."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from smoothtask.model.classes import NO_LIMITS, Limits, PriorityClass
from smoothtask.model.person import NO_ATTENTION, Attention


class Membership(NamedTuple):
    """Where one process belongs. `subgroup` is a full id too, and starts with `group` + `/`."""

    group: str
    subgroup: str | None = None

    @property
    def id(self) -> str:
        """The group that decisions about this process are made for."""
        return self.subgroup or self.group


@dataclass(frozen=True, slots=True, order=True)
class UnitRef:
    """A systemd unit that holds nothing but one application."""

    manager: int
    """The uid whose manager it is; −1: the system's."""
    name: str
    cgroup: str
    """As in /proc/PID/cgroup."""


class ProcessType(StrEnum):
    """What kind of process a group is made of."""

    GUI = "gui"
    CLI = "cli"
    DAEMON = "daemon"
    SERVICE = "service"
    BATCH = "batch"
    MAINTENANCE = "maintenance"
    AUDIO_CLIENT = "audio_client"


@dataclass(frozen=True, slots=True)
class RuleSource:
    """Where a rule stands, for people to go and read it."""

    layer: str
    """ananicy, vendor, distro, user, runtime or personal."""
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Classification:
    """What an application is, and which rule says so."""

    app: str
    """Stable key of the application: `firefox`; for what no rule knows `exe:/usr/bin/foo` or `name:foo`."""
    label: str
    type: str
    """A type of `types.yaml`: browser, ide, game, …; `unknown` without a rule."""
    tags: frozenset[str]
    process_type: ProcessType
    target: PriorityClass | None
    """The class the rule asks for; `None` leaves it to behaviour."""
    certain: bool
    """Whether the class may be followed at once (a standing measure) or only under contention."""
    protected: bool
    source: RuleSource | None
    evidence: str
    """In words: what matched, such as `exe /usr/lib/firefox/firefox`."""
    after_s: float = 0.0
    """`target` holds once the process has lived this long (a build's grace)."""
    part: str | None = None
    """The role under which such processes form a subgroup of the application around them: build, renderer."""
    starts_others: bool = False
    """A login, shell, terminal, launcher, ssh: what it starts inherits what is done to it."""
    limits: Limits = NO_LIMITS
    """What its rule asks for while it is BACKGROUND or IDLE."""


@dataclass(frozen=True, slots=True)
class GroupMetrics:
    """A group's use of the machine since the tick before; rates are per second."""

    processes: int
    threads: int
    cpu: float
    """Cores in use."""
    wait: float
    """Threads runnable but waiting, on average: 1.0 is one thread always in the queue."""
    vcsw: float
    ivcsw: float
    read_bps: float
    write_bps: float
    rss_bytes: int
    children: float = 0.0
    """Cores that short-lived children used: counted when they have ended, and nowhere else."""


class Behaviour(StrEnum):
    """What a group does, whatever its name."""

    QUIET = "quiet"
    STEADY = "steady"
    """Sleeps and wakes often in short bursts: somebody may be waiting for each of them."""
    HOG = "hog"
    """Runs or wants to run all the time and hardly ever sleeps."""


@dataclass(frozen=True, slots=True)
class AppGroup:
    """An application, or a part of one that is decided apart (`parent` is set then)."""

    id: str
    """Derived from unit name, container id, or root pid and start time: stable while the group lives."""
    parent: str | None
    label: str
    root_pid: int
    uid: int
    classification: Classification
    metrics: GroupMetrics
    behaviour: Behaviour
    behaviour_s: float
    """How long it has behaved so, seconds."""
    started_s: float
    """Age of its oldest process, seconds."""
    unit: str | None = None
    tty: str | None = None
    starts_others: bool = False
    """Whether any member does (`Classification.starts_others`)."""
    units: tuple[UnitRef, ...] = ()
    """The units that hold it and nothing else; none for a part."""
    cgroups: tuple[str, ...] = ()
    """Where its processes are (or came from, when we moved them): at most 4."""
    attention: Attention = NO_ATTENTION
