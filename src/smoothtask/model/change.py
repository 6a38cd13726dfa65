"""One change to the system, and the record that undoes it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Knob(StrEnum):
    """A value that SmoothTask may write."""

    SCHED = "sched"
    """nice, policy, slice and reset-on-fork of one thread (sched_setattr(2))."""
    IOPRIO = "ioprio"
    """IO class and level of one thread (ioprio_set(2))."""
    AUTOGROUP = "autogroup"
    """/proc/PID/autogroup of a session (sched(7))."""
    UNIT = "unit"
    """A property of a systemd unit, at run time (systemd.resource-control(5))."""
    HOME = "home"
    """The cgroup that a group's processes are in (cgroup.procs, cgroups(7))."""
    CONTROLLERS = "controllers"
    """The controllers that a cgroup's children have (cgroup.subtree_control, cgroups(7))."""


class SchedAttr(NamedTuple):
    """sched_getattr(2), the part that a fair task has."""

    policy: int
    nice: int
    slice_ns: int
    """0: the kernel's default, or a kernel that has no custom slices."""
    reset_on_fork: bool


class IoPrio(NamedTuple):
    """ioprio_get(2): class 0 … 3, level 0 … 7."""

    io_class: int
    level: int


class Caps(NamedTuple):
    """Bytes a second by disk: a device node for systemd, `major:minor` for the kernel."""

    disks: tuple[tuple[str, int], ...] = ()


Value = SchedAttr | IoPrio | int | str | Caps
"""An `int` is an autogroup's nice or a unit's number, a `str` a cgroup's path or its controllers."""


class Target(NamedTuple):
    """A thread of a process, each with its start time.

    For AUTOGROUP the pid is one of its processes, `tid` the autogroup's number and `tid_start_ticks` 0.
    """

    pid: int
    start_ticks: int
    tid: int
    tid_start_ticks: int

    @property
    def who(self) -> tuple[int | str, ...]:
        """What the value belongs to."""
        return self.tid, self.tid_start_ticks


class UnitTarget(NamedTuple):
    """A property of a unit of one of systemd's managers."""

    manager: int
    """The uid whose manager it is; −1: the system's."""
    unit: str
    name: str
    """As systemd calls the property: CPUWeight."""
    cgroup: str

    @property
    def who(self) -> tuple[int | str, ...]:
        """What the value belongs to."""
        return self.manager, self.unit, self.name


class HomeTarget(NamedTuple):
    """A cgroup that we made for a group, and where its processes came from."""

    cgroup: str
    origin: str
    origin_id: int
    """Number of the cgroup that they came from: one that was made anew is not theirs."""
    manager: int
    """The uid whose manager keeps the scope; −1: none, the cgroup is ours."""
    unit: str
    """The scope; empty for a cgroup of ours."""

    @property
    def who(self) -> tuple[int | str, ...]:
        """What the value belongs to."""
        return (self.cgroup,)


class ControllersTarget(NamedTuple):
    """A cgroup whose children got more controllers."""

    cgroup: str
    cgroup_id: int
    added: str
    """What was off before, such as `cpu io`; the value is this, or empty."""

    @property
    def who(self) -> tuple[int | str, ...]:
        """What the value belongs to."""
        return self.cgroup, self.cgroup_id


AnyTarget = Target | UnitTarget | HomeTarget | ControllersTarget


class Change(NamedTuple):
    """One write: what, where, from, to, for whom and why."""

    knob: Knob
    target: AnyTarget
    old: Value
    new: Value
    group: str
    why: str

    @property
    def thread(self) -> Target:
        """The target of a change to a thread or a session. Raises TypeError for any other."""
        if not isinstance(self.target, Target):
            raise TypeError(f"{self.knob} is not about a thread")
        return self.target


class Status(StrEnum):
    """What became of a change."""

    APPLIED = "applied"
    DRY_RUN = "dry-run"
    GONE = "gone"
    """The process left, or its pid is another's by now: news, not an error."""
    CHANGED = "changed"
    """Somebody else changed the value since; it is theirs."""
    DENIED = "denied"
    FAILED = "failed"


class Outcome(NamedTuple):
    """A change and what became of it."""

    change: Change
    status: Status
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Acted:
    """What became of one tick's decisions."""

    mechanisms: dict[str, str] = field(default_factory=dict)
    """Group → what is in effect there, in words."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Group → why that mechanism, and against whom it counts."""
    user_owned: frozenset[str] = frozenset()
    """Groups in which a person or another tool has set priorities: those are left alone."""
    events: tuple[str, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
