"""What is in effect for a group, in words (pure)."""

from collections.abc import Sequence

from smoothtask.actuator.ledger import Entry
from smoothtask.model.change import IoPrio, SchedAttr
from smoothtask.model.classes import IoClass

_IO_NAMES = {IoClass.NONE: "none", IoClass.BEST_EFFORT: "best-effort", IoClass.IDLE: "idle"}


def describe(entries: Sequence[Entry]) -> str:
    """Such as `autogroup +5, nice +19, slice 0.7 ms, ionice idle · 6 threads`."""
    autogroups = sorted({e.new for e in entries if isinstance(e.new, int)})
    scheds = [e.new for e in entries if isinstance(e.new, SchedAttr)]
    nices = sorted({s.nice for s in scheds if s.nice})
    slices = sorted({s.slice_ns for s in scheds if s.slice_ns})
    ios = sorted({e.new for e in entries if isinstance(e.new, IoPrio)})
    words = [f"autogroup {n:+d}" for n in autogroups]
    words += [f"nice {n:+d}" for n in nices]
    words += [f"slice {ns / 1e6:g} ms" for ns in slices]
    words += [f"ionice {_io(i)}" for i in ios]
    threads = len({(e.target.tid, e.target.tid_start_ticks) for e in entries if not isinstance(e.new, int)})
    counted = f" · {threads} thread{'s' if threads != 1 else ''}" if threads else ""
    return ", ".join(words) + counted if words else "-"


def _io(prio: IoPrio) -> str:
    name = _IO_NAMES.get(IoClass(prio.io_class), "real-time")
    return f"{name} {prio.level}" if prio.io_class == IoClass.BEST_EFFORT else name
