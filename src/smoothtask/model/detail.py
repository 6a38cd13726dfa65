"""What the frame does not tell of one group, and of the rules: answers to `detail` and `rules`. Text is sanitised."""

from dataclasses import dataclass

from smoothtask.model.classes import PriorityClass
from smoothtask.model.frame import ProcessFrame


@dataclass(frozen=True, slots=True)
class InForce:
    """Values of one kind that were changed for a group and are in force: what the ledger would put back."""

    what: str
    """Such as `nice and slice of 6 threads`."""
    old: str
    new: str
    at: float
    """Unix time of the newest of them."""
    why: str


@dataclass(frozen=True, slots=True)
class ClassChange:
    """A group went from one class to another."""

    time: float
    """Unix time."""
    old: PriorityClass
    new: PriorityClass
    text: str
    """The chain of reasons."""


@dataclass(frozen=True, slots=True)
class Supposition:
    """What would be decided if something were otherwise."""

    what: str
    """Such as `if somebody waited`."""
    target: PriorityClass
    text: str
    """The chain of reasons; empty for a pin that nothing speaks against."""


@dataclass(frozen=True, slots=True)
class ThreadFrame:
    """One thread; times are cumulative."""

    pid: int
    tid: int
    name: str
    nice: int
    policy: int
    """SCHED_OTHER 0, FIFO 1, RR 2, BATCH 3, IDLE 5, DEADLINE 6, EXT 7 (sched(7))."""
    state: str
    """A letter as in proc(5)."""
    run_ns: int
    wait_ns: int


@dataclass(frozen=True, slots=True)
class Clues:
    """By what a rule can know a group's first process; empty where there is none."""

    exe: str = ""
    name: str = ""
    unit: str = ""
    flatpak: str = ""
    snap: str = ""
    wine: str = ""
    script: str = ""
    """What an interpreter runs."""


@dataclass(frozen=True, slots=True)
class GroupDetail:
    """Everything known of one group beyond its `GroupFrame`."""

    group: str
    is_whole: bool
    """False for somebody else's group: threads and clues are left out."""
    mono_s: float
    """When the counters of the threads were read."""
    in_force: tuple[InForce, ...] = ()
    more_in_force: int = 0
    """Kinds of changes that are left out."""
    past: tuple[ClassChange, ...] = ()
    """The newest class changes, oldest first."""
    what_if: tuple[Supposition, ...] = ()
    processes: tuple[ProcessFrame, ...] = ()
    more_processes: int = 0
    threads: tuple[ThreadFrame, ...] = ()
    more_threads: int = 0
    clues: Clues = Clues()


@dataclass(frozen=True, slots=True)
class RuleUse:
    """A rule in force, and what it has matched."""

    id: str
    label: str
    type: str
    target: PriorityClass | None
    """The class it asks for; `None` leaves it to behaviour."""
    certain: bool
    protected: bool
    layer: str
    file: str
    line: int
    processes: int
    """How many it matches now."""
    matched: int
    """Processes that it has matched since the engine began."""


@dataclass(frozen=True, slots=True)
class RuleUses:
    """Rules that hold for whoever asks."""

    rules: tuple[RuleUse, ...]
    since: float
    """Unix time from which matches are counted."""
    left_out: int = 0
    """Rules beyond the limit."""
