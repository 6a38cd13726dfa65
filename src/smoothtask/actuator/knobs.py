"""How each knob is read and written; what became of a write is read back, and errors are told in one language."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from smoothtask.actuator.ledger import DEFAULT_WEIGHT, UNSET
from smoothtask.kernel.sched import Autogroup
from smoothtask.kernel.systemd import ManagerError, NoSuchUnitError
from smoothtask.model.change import (
    AnyTarget,
    Caps,
    Change,
    ControllersTarget,
    HomeTarget,
    IoPrio,
    Knob,
    Outcome,
    SchedAttr,
    Status,
    Target,
    UnitTarget,
    Value,
)
from smoothtask.model.ours import TREE


class Kernel(Protocol):
    """Threads and sessions: `kernel.sched`, or a double in tests."""

    def get_sched(self, tid: int, /) -> SchedAttr: ...
    def set_sched(self, tid: int, attr: SchedAttr, /) -> None: ...
    def get_ioprio(self, tid: int, /) -> IoPrio: ...
    def set_ioprio(self, tid: int, prio: IoPrio, /) -> None: ...
    def get_sid(self, pid: int, /) -> int | None: ...
    def get_autogroup(self, pid: int, /) -> Autogroup | None: ...
    def set_autogroup(self, pid: int, nice: int, /) -> None: ...
    def start_ticks(self, pid: int, tid: int | None = None, /) -> int | None: ...
    def cpu_task_group(self, pid: int, /) -> str | None: ...


class Cgroups(Protocol):
    """The unified hierarchy: `kernel.cgroup2`, or a double in tests."""

    def mounted(self) -> bool: ...
    def of_process(self, pid: int, /) -> str | None: ...
    def weight(self, path: str, name: str = ..., /) -> int | None: ...
    def read(self, path: str, name: str, /) -> str | None: ...
    def write(self, path: str, name: str, text: str, /) -> None: ...
    def cgroup_id(self, path: str, /) -> int | None: ...
    def controllers(self, path: str, /) -> frozenset[str]: ...
    def enabled(self, path: str, /) -> frozenset[str]: ...
    def switch(self, path: str, changes: Sequence[str], /) -> None: ...
    def pids(self, path: str, /) -> frozenset[int]: ...
    def move(self, pid: int, path: str, /) -> None: ...
    def empty_into(self, path: str, home: str, /) -> int: ...
    def make(self, path: str, /) -> None: ...
    def remove(self, path: str, /) -> None: ...


class UnitManagers(Protocol):
    """systemd: `kernel.systemd.Managers`, or a double in tests."""

    def booted(self) -> bool: ...
    def is_there(self, uid: int, /) -> bool: ...
    def properties(self, uid: int, unit: str, names: Sequence[str], /) -> dict[str, Any]: ...
    def set_properties(self, uid: int, unit: str, values: Mapping[str, Any], /) -> None: ...
    def start_scope(self, uid: int, unit: str, values: Mapping[str, Any], /) -> None: ...
    def attach(self, uid: int, unit: str, pids: Sequence[int], /) -> None: ...
    def patient(self) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, slots=True)
class Machine:
    """Everything that is ever read and written."""

    threads: Kernel
    cgroups: Cgroups
    managers: UnitManagers


def same(machine: Machine, target: AnyTarget) -> bool:
    """Whether *target* is who it was."""
    match target:
        case Target():
            return machine.threads.start_ticks(target.pid, target.tid) == target.tid_start_ticks
        case UnitTarget():
            # A manager that is silent, or dead while its units run on, is no reason to forget them.
            return machine.managers.is_there(target.manager) or machine.cgroups.cgroup_id(target.cgroup) is not None
        case HomeTarget():  # one of ours that was never made may have left the tree
            return not target.unit or machine.cgroups.cgroup_id(target.cgroup) is not None
        case ControllersTarget():
            return machine.cgroups.cgroup_id(target.cgroup) == target.cgroup_id


def _same_session(machine: Machine, target: Target) -> bool:
    """Whether its process is who it was, and no setsid(2) took it to another autogroup."""
    if machine.threads.start_ticks(target.pid) != target.start_ticks:
        return False
    group = machine.threads.get_autogroup(target.pid)
    return group is not None and group.id == target.tid


def read(machine: Machine, knob: Knob, target: AnyTarget) -> Value | None:
    """The value as it is now; `None` when there is none. Raises OSError, ManagerError."""
    match target:
        case Target(tid=tid) if knob is Knob.SCHED:
            return machine.threads.get_sched(tid)
        case Target(tid=tid) if knob is Knob.IOPRIO:
            return machine.threads.get_ioprio(tid)
        case Target():
            group = machine.threads.get_autogroup(target.pid)
            return None if group is None else group.nice
        case UnitTarget():
            return property_of(machine, target)
        case HomeTarget():
            return target.cgroup
        case ControllersTarget():
            on = set(target.added.split()) <= machine.cgroups.enabled(target.cgroup)
            return target.added if on else ""


def write(machine: Machine, change: Change) -> None:
    """Write the new value. Raises OSError, ValueError, ManagerError."""
    target, new = change.target, change.new
    match target:
        case Target() if isinstance(new, SchedAttr):
            machine.threads.set_sched(target.tid, new)
        case Target() if isinstance(new, IoPrio):
            machine.threads.set_ioprio(target.tid, new)
        case Target() if isinstance(new, int):
            machine.threads.set_autogroup(target.pid, new)
        case UnitTarget():
            _write_unit(machine, target, new)
        case HomeTarget() if new == target.origin:
            _bring_home(machine, target)
        case ControllersTarget():
            sign = "+" if new else "-"
            if not new:
                machine.cgroups.remove(TREE)  # or it would hold them
            machine.cgroups.switch(target.cgroup, [sign + name for name in target.added.split()])
        case _:
            raise ValueError(f"{new!r} is no value of {change.knob}")


def _write_unit(machine: Machine, target: UnitTarget, new: Value) -> None:
    if new == UNSET and target.name.endswith("Weight"):
        # A manager that stops caring for a weight leaves the kernel's as it was: first the default, then unset.
        machine.managers.set_properties(target.manager, target.unit, {target.name: DEFAULT_WEIGHT})
    machine.managers.set_properties(target.manager, target.unit, {target.name: to_dbus(new)})


def property_of(machine: Machine, target: UnitTarget) -> Value:
    """The unit's property as its manager has it. Raises ManagerError."""
    return from_dbus(machine.managers.properties(target.manager, target.unit, [target.name])[target.name])


def from_dbus(value: object) -> Value:
    """A number, or caps of disks. Raises ManagerError for anything else."""
    if isinstance(value, int):
        return value
    try:
        if isinstance(value, tuple):
            return Caps(tuple((str(disk), int(bps)) for disk, bps in value))
    except (TypeError, ValueError) as error:
        raise ManagerError(f"a property is {value!r}") from error
    raise ManagerError(f"a property is {value!r}")


def to_dbus(value: Value) -> object:
    """The other way."""
    return [tuple(cap) for cap in value.disks] if isinstance(value, Caps) else value


def _bring_home(machine: Machine, target: HomeTarget) -> None:
    """Everybody in the cgroup that we made goes back to where they came from."""
    home: str | None = target.origin
    if machine.cgroups.cgroup_id(target.origin) != target.origin_id:
        home = None if target.unit else "/"
    if home is None:
        if machine.cgroups.pids(target.cgroup):
            _neutralise(machine, target)
            raise FileNotFoundError(2, f"{target.origin} is gone: its processes stay in {target.unit}")
        return
    machine.cgroups.empty_into(target.cgroup, home)
    if not target.unit:
        machine.cgroups.remove(target.cgroup)
        with contextlib.suppress(OSError):  # others live there
            machine.cgroups.remove(TREE)


def _neutralise(machine: Machine, target: HomeTarget) -> None:
    """Whoever must stay in a scope of ours is lowered no more."""
    values = {"CPUWeight": DEFAULT_WEIGHT, "CPUQuotaPerSecUSec": UNSET, "MemoryHigh": UNSET}
    caps: dict[str, object] = {"IOReadBandwidthMax": [], "IOWriteBandwidthMax": []}
    if machine.cgroups.weight(target.cgroup, "io.weight") is not None:
        values["IOWeight"] = DEFAULT_WEIGHT
    machine.managers.set_properties(target.manager, target.unit, {**values, **caps})


def attempt(
    machine: Machine, change: Change, act: Callable[[], None] | None = None, *, known: bool = False
) -> tuple[Outcome, Value | None]:
    """Write one value and read it back; `None`: it could not be read, or was not written.

    *known*: the target was the right one at the write just before. *act* writes in place of `write`.
    """
    try:
        if not (known or act):
            session = change.knob is Knob.AUTOGROUP
            if not (_same_session(machine, change.thread) if session else same(machine, change.target)):
                return Outcome(change, Status.GONE), None
        if act is None:
            write(machine, change)
        else:
            act()
        now = change.new if change.knob is Knob.HOME else read(machine, change.knob, change.target)
    except (ProcessLookupError, FileNotFoundError, NoSuchUnitError) as error:
        return Outcome(change, Status.GONE, str(error)), None
    except PermissionError as error:
        return Outcome(change, Status.DENIED, error.strerror or "not permitted"), None
    except (OSError, ValueError, ManagerError) as error:
        return Outcome(change, Status.FAILED, getattr(error, "strerror", None) or str(error)), None
    if now is not None and now != change.new:
        return Outcome(change, Status.FAILED, f"the kernel made {now} of {change.new}"), now
    return Outcome(change, Status.APPLIED), change.new
