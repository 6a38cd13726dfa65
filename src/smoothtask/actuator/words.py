"""What is in effect for a group, in words (pure)."""

from collections.abc import Sequence

from smoothtask.actuator.ledger import Entry
from smoothtask.model.change import IoPrio, SchedAttr
from smoothtask.model.classes import IoClass

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
