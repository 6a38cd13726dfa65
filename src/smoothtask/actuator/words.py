"""What is in effect for a group, in words (pure)."""

from collections.abc import Sequence

from smoothtask.actuator.ledger import UNSET, Entry
from smoothtask.model.change import (
    Caps,
    ControllersTarget,
    HomeTarget,
    IoPrio,
    Knob,
    SchedAttr,
    Target,
    UnitTarget,
    Value,
)
from smoothtask.model.classes import IoClass
from smoothtask.model.detail import InForce
from smoothtask.model.tasks import USER_HZ
from smoothtask.model.text import sanitise

_IO_NAMES = {IoClass.NONE: "none", IoClass.BEST_EFFORT: "best-effort", IoClass.IDLE: "idle"}


def of_threads(entries: Sequence[Entry]) -> str:
    """Such as `nice +19, slice 0.7 ms, ionice idle · 6 threads`; empty when nothing is in effect."""
    scheds = [e.new for e in entries if isinstance(e.new, SchedAttr)]
    nices = sorted({s.nice for s in scheds if s.nice})
    slices = sorted({s.slice_ns for s in scheds if s.slice_ns})
    ios = sorted({e.new for e in entries if isinstance(e.new, IoPrio)})
    words = [f"nice {n:+d}" for n in nices]
    words += [f"slice {ns / 1e6:g} ms" for ns in slices]
    words += [f"ionice {_io(i)}" for i in ios]
    threads = len({e.target.who for e in entries})
    counted = f" · {threads} thread{'s' if threads != 1 else ''}" if threads else ""
    return ", ".join(words) + counted if words else ""


def kept_values(entries: Sequence[Entry], now_s: float, now_ticks: int) -> tuple[InForce, ...]:
    """What the ledger would put back, alike ones in one; *now_s* (Unix time) is *now_ticks* after boot."""
    alike: dict[tuple[Knob, tuple[int | str, ...], Value, Value, str], list[Entry]] = {}
    for e in entries:
        whose = () if isinstance(e.target, Target) else e.target.who
        alike.setdefault((e.knob, whose, e.old, e.new, e.why), []).append(e)
    kept = []
    for some in alike.values():
        first, newest = some[0], max(e.at_ticks for e in some)
        what, old, new = _changed(first, len(some))
        at = now_s - (now_ticks - newest) / USER_HZ
        kept.append(InForce(what, sanitise(old), sanitise(new), at, sanitise(first.why)))
    return tuple(sorted(kept, key=lambda k: (-k.at, k.what)))


def _changed(e: Entry, count: int) -> tuple[str, str, str]:
    """What a change is about, the old value and the new one."""
    threads = f"{count} threads" if count != 1 else f"thread {e.target.tid}" if isinstance(e.target, Target) else ""
    match e.target, e.old, e.new:
        case Target(), SchedAttr() as old, SchedAttr() as new:
            return f"scheduling of {threads}", _sched(old), _sched(new)
        case Target(), IoPrio() as old, IoPrio() as new:
            return f"IO priority of {threads}", f"ionice {_io(old)}", f"ionice {_io(new)}"
        case Target(pid=pid), old, new:
            return f"autogroup of the session of process {pid}", f"nice {old:+}", f"nice {new:+}"
        case UnitTarget(unit=unit, name=name), old, new:
            return sanitise(f"{name} of {unit}"), _property(old), _property(new)
        case HomeTarget(origin=origin, cgroup=cgroup), _, _:
            return "cgroup of its processes", origin, cgroup
        case ControllersTarget(cgroup=cgroup, added=added), _, _:
            return sanitise(f"controllers below {cgroup}"), f"without {added}", f"with {added}"
        case _:
            return str(e.knob), str(e.old), str(e.new)


def _sched(attr: SchedAttr) -> str:
    words = [f"nice {attr.nice:+d}" if attr.nice else "nice 0"]
    words += [f"slice {attr.slice_ns / 1e6:g} ms"] if attr.slice_ns else []
    return ", ".join([*words, *(["not inherited by children"] if attr.reset_on_fork else [])])


def _property(value: Value) -> str:
    if isinstance(value, Caps):
        return ", ".join(f"{disk} {limit} B/s" for disk, limit in value.disks) or "not set"
    return "not set" if value == UNSET else str(value)


def nice_counts(task_group: str | None, autogroups: bool) -> str:
    """Against whom nice counts. *task_group*: where the scheduler weighs the group (`kernel.sched.cpu_task_group`)."""
    if task_group is None:
        return ""
    if task_group != "/":
        return f"nice counts among the processes of {task_group} alone; it has no effect across cgroups"
    return "nice counts inside its session; sessions are weighed as one" if autogroups else "nice counts everywhere"


def _io(prio: IoPrio) -> str:
    name = _IO_NAMES.get(IoClass(prio.io_class), "real-time")
    return f"{name} {prio.level}" if prio.io_class == IoClass.BEST_EFFORT else name
