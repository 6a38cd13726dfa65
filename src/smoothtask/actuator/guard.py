"""The invariant: nothing that a person waits for is below its class because of us (pure)."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from smoothtask.actuator.ledger import Entry
from smoothtask.actuator.plan import code_of, thread_codes
from smoothtask.model.arrays import is_in
from smoothtask.model.change import IoPrio, SchedAttr
from smoothtask.model.classes import IoClass
from smoothtask.model.tasks import TaskTable

SCHED_IDLE = 5


def lowered_codes(entries: Iterable[Entry]) -> npt.NDArray[np.uint64]:
    """The threads that are lower than they were found, by our doing."""
    codes = {code_of(t) for e in entries if (t := e.thread) is not None and _is_lowered(e)}
    return np.fromiter(codes, np.uint64, len(codes))


def leaks(
    table: TaskTable, row_groups: Sequence[str], guarded: frozenset[str], lowered: npt.NDArray[np.uint64]
) -> list[int]:
    """The codes of lowered threads that belong to a *guarded* group by now."""
    if not len(lowered) or not guarded or not len(table.threads) or not len(table.processes):
        return []
    codes = thread_codes(table.threads)
    candidates = np.flatnonzero(is_in(codes, lowered))
    pids = table.processes["pid"]
    rows = np.minimum(np.searchsorted(pids, table.threads["tgid"][candidates]), len(pids) - 1)
    known = pids[rows] == table.threads["tgid"][candidates]  # or its process left a moment ago
    return [
        int(code)
        for code, row in zip(codes[candidates][known], rows[known].tolist(), strict=True)
        if row_groups[row] in guarded
    ]


def _is_lowered(entry: Entry) -> bool:
    match entry.new, entry.old:
        case SchedAttr() as new, SchedAttr() as old:
            return new.nice > max(old.nice, 0) or (new.policy == SCHED_IDLE and old.policy != SCHED_IDLE)
        case IoPrio() as new, IoPrio() as old:
            return new.io_class == IoClass.IDLE and old.io_class != IoClass.IDLE
        case _:
            return False
