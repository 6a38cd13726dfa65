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


Value = SchedAttr | IoPrio | int
"""An `int` is an autogroup's nice."""


class Target(NamedTuple):
    """A thread of a process, each with its start time.

    For AUTOGROUP the pid is one of its processes, `tid` the autogroup's number and `tid_start_ticks` 0.
    """

    pid: int
    start_ticks: int
    tid: int
    tid_start_ticks: int


@dataclass(frozen=True, slots=True)
class Change:
    """One write: what, where, from, to, for whom and why."""

    knob: Knob
    target: Target
    old: Value
    new: Value
    group: str
    why: str


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


@dataclass(frozen=True, slots=True)
class Outcome:
    """A change and what became of it."""

    change: Change
    status: Status
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Acted:
    """What became of one tick's decisions."""

    mechanisms: dict[str, str] = field(default_factory=dict)
    """Group → what is in effect there, in words."""
    user_owned: frozenset[str] = frozenset()
    """Groups in which a person or another tool has set priorities: those are left alone."""
    events: tuple[str, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
