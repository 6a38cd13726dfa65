"""Other programs that set priorities here, and what SmoothTask leaves to them. Text is sanitised."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import reduce


class OwnerKind(StrEnum):
    """A program that sets priorities as we do."""

    ANANICY = "ananicy"
    """Ananicy, ananicy-cpp and ananicy-rs."""
    SYSTEM76 = "system76-scheduler"
    URESOURCED = "uresourced"
    TUNED = "tuned"
    """Only with a profile that sets priorities (its plugin `scheduler` with groups)."""
    GAMEMODE = "gamemode"
    SCHED_EXT = "sched_ext"
    SMOOTHTASK = "smoothtask"


@dataclass(frozen=True, slots=True, order=True)
class Owner:
    """One that was found."""

    kind: OwnerKind
    name: str
    """As it was found: `ananicy-cpp`, or the name of the sched_ext scheduler."""
    uid: int = 0
    """Whose it is: one that is not root's owns at most things of that user."""
    pid: int | None = None
    """For people only; it may have ended since."""
    detail: str = ""
    groups: tuple[str, ...] = ()
    """The groups that it has taken charge of, where it does so group by group."""


@dataclass(frozen=True, slots=True)
class Left:
    """Why a kind of knob is left alone, each; `None` where it is ours."""

    threads: str | None = None
    """Nice, policy and slice of threads (sched_setattr(2))."""
    ionice: str | None = None
    """IO priority of threads (ioprio_set(2))."""
    autogroups: str | None = None
    """Nice of sessions (sched(7), /proc/PID/autogroup)."""
    units_cpu: str | None = None
    """cpu.weight and cpu.max of cgroups, set directly or through systemd."""
    units_io: str | None = None
    """io.weight and io.max of cgroups, set directly or through systemd."""

    def __or__(self, other: "Left") -> "Left":
        """What is left by either; two reasons for the same are both told."""
        return Left(*(_both(getattr(self, f.name), getattr(other, f.name)) for f in fields(Left)))

    def __bool__(self) -> bool:
        return any(getattr(self, f.name) is not None for f in fields(Left))


@dataclass(frozen=True, slots=True)
class LeftTo:
    """Everything that is left to others. `of` tells what holds for one group."""

    everywhere: Left = Left()
    by_uid: Mapping[int, Left] = field(default_factory=dict)
    """Also for the groups of these users."""
    groups: Mapping[str, Left] = field(default_factory=dict)
    """Also for these groups."""

    def of(self, group: str, uid: int) -> Left:
        """What is left of *group*, whose root process belongs to *uid*; a subgroup is left as its parent is."""
        found = (self.by_uid.get(uid), self.groups.get(group), self.groups.get(group.partition("/")[0]))
        return reduce(lambda a, b: a | b, (left for left in found if left is not None), self.everywhere)

    def __bool__(self) -> bool:
        return bool(self.everywhere) or bool(self.by_uid) or bool(self.groups)


NOTHING_LEFT = LeftTo()


def _both(one: str | None, other: str | None) -> str | None:
    if one is None or other is None or one == other:
        return one if other is None else other
    return "; ".join(dict.fromkeys((*one.split("; "), *other.split("; "))))
