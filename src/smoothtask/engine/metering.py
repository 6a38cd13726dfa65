"""What the meters counted by process → the deeper measures of each group, of processes, and of the machine.

Rule 1: whoever has exited since counts for its nearest ancestor that lives: a build is its short-lived compilers.
Rule 2: delays are of the last 10 s, so that a percentile has something to be made of; rates are since the tick before.
Rule 3: a meter that does not run says `None`, never 0; one that runs says 0 of a group that did nothing.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from smoothtask.model.meters import NO_METERS, Delays, Meters
from smoothtask.model.readings import BUCKETS, Connections, Counted, Readings
from smoothtask.model.tasks import Array

WINDOW_S = 10.0
ANCESTORS = 16
MACHINE = ""
"""The machine among groups."""

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
GroupOf = Callable[[int], str | None]
"""Pid → its group; `None` of one that is not there any more."""

# Within a power of two all are taken to be at its middle, by ratio; the first is taken to be half of its end.
_MIDDLES_MS = 1.024e-3 * 2.0 ** (np.arange(BUCKETS) - 0.5)
_MIDDLES_MS[0] = 1.024e-3 / 2


def delays_of(counts: Integers) -> Delays | None:
    """The distribution that a histogram tells; `None` of an empty one."""
    total = int(counts.sum())
    if not total:
        return None
    ranks = [-(-total * percent // 100) for percent in (50, 99)]
    p50, p99 = _MIDDLES_MS[np.searchsorted(np.cumsum(counts), ranks)].tolist()
    return Delays(p50, p99, total)


@dataclass(slots=True)
class Window:
    """Histograms by group over the last 10 s."""

    _sums: dict[str, Integers] = field(default_factory=dict)
    _added: deque[tuple[float, dict[str, Integers]]] = field(default_factory=deque)

    def add(self, now_s: float, counts: dict[str, Integers]) -> None:
        """Add what was counted by *now_s*, and drop what is too old."""
        counts = {group: row for group, row in counts.items() if row.any()}
        self._added.append((now_s, counts))
        for group, row in counts.items():
            known = self._sums.get(group)
            self._sums[group] = row.copy() if known is None else known + row
        while now_s - self._added[0][0] >= WINDOW_S:
            for group, row in self._added.popleft()[1].items():
                rest = self._sums[group] - row
                if rest.any():
                    self._sums[group] = rest
                else:
                    del self._sums[group]

    def clear(self) -> None:
        """Forget all: the meter does not run."""
        self._sums.clear()
        self._added.clear()

    def delays(self) -> dict[str, Delays]:
        """The distribution of each group that waited at all."""
        return {group: found for group, row in self._sums.items() if (found := delays_of(row)) is not None}


@dataclass(frozen=True, slots=True)
class ByRow:
    """Aligned with the process table; `None`: not measured."""

    sent_bps: Floats | None = None
    received_bps: Floats | None = None
    connections: Integers | None = None
    watts: Floats | None = None


NOT_MEASURED = ByRow()


@dataclass(frozen=True, slots=True)
class Metered:
    """The deeper measures at one tick."""

    groups: Mapping[str, Meters] = field(default_factory=dict)
    """Of groups that have any; all others have `others`."""
    others: Meters = NO_METERS
    machine: Meters = NO_METERS
    rows: ByRow = NOT_MEASURED

    def of(self, group: str) -> Meters:
        """Of one group."""
        return self.groups.get(group, self.others)


NOT_METERED = Metered()


class Metering:
    """Remembers the windows of delays."""

    def __init__(self) -> None:
        self._run_queue, self._block_io = Window(), Window()

    def turn(
        self,
        readings: Readings,
        processes: Array,
        cpu: npt.NDArray[np.float32],
        row_groups: Sequence[str],
        elapsed_s: float,
        now_s: float,
    ) -> Metered:
        """The measures of one tick. *cpu*: cores in use by each row of *processes*; *row_groups*: its group."""
        pids = processes["pid"].astype(np.int64)
        group_of = dict(zip(pids.tolist(), row_groups, strict=True)).get
        measured = _Measured(
            _windowed(self._run_queue, readings.run_queue, group_of, now_s),
            _windowed(self._block_io, readings.block_io, group_of, now_s),
        )
        rows = NOT_MEASURED
        if readings.traffic is not None and elapsed_s > 0:
            traffic = by_group(readings.traffic, group_of)
            measured.sent = {g: float(row[0]) / elapsed_s for g, row in traffic.items()}
            measured.received = {g: float(row[1]) / elapsed_s for g, row in traffic.items()}
            at, there = _rows_of(pids, readings.traffic.pids)
            both = np.zeros((len(pids), 2))
            both[at[there]] = readings.traffic.values[there] / elapsed_s
            rows = replace(rows, sent_bps=both[:, 0], received_bps=both[:, 1])
        if readings.connections is not None:
            measured.connections, counts = _connections(readings.connections, pids, group_of)
            rows = replace(rows, connections=counts)
        if readings.joules is not None and elapsed_s > 0:
            total = readings.joules / elapsed_s
            watts = total * cpu.astype(np.float64) / max(float(cpu.sum()), 1e-9)
            names = {g: n for n, g in enumerate(dict.fromkeys(row_groups))}
            of_row = np.array([names[g] for g in row_groups], np.intp)
            measured.watts = dict(zip(names, np.bincount(of_row, watts).tolist(), strict=True))
            measured.watts[MACHINE] = total
            rows = replace(rows, watts=watts)
        return Metered({g: measured.of(g) for g in measured.groups()}, measured.of(None), measured.of(MACHINE), rows)


@dataclass(slots=True)
class _Measured:
    """Each measure by group; `None`: not measured."""

    run_queue: dict[str, Delays]
    block_io: dict[str, Delays]
    sent: dict[str, float] | None = None
    received: dict[str, float] | None = None
    connections: dict[str, int] | None = None
    watts: dict[str, float] | None = None

    def groups(self) -> set[str]:
        known = (self.run_queue, self.block_io, self.sent, self.received, self.connections, self.watts)
        return {g for measure in known if measure for g in measure} - {MACHINE}

    def of(self, group: str | None) -> Meters:
        """Of *group*; `None`: of one that nothing was counted of."""
        name = "?" if group is None else group
        return Meters(
            self.run_queue.get(name),
            self.block_io.get(name),
            None if self.sent is None else self.sent.get(name, 0.0),
            None if self.received is None else self.received.get(name, 0.0),
            None if self.connections is None else self.connections.get(name, 0),
            None if self.watts is None else self.watts.get(name, 0.0),
        )


def by_group(counted: Counted, group_of: GroupOf) -> dict[str, Integers]:
    """What was counted, summed by group, with the sum of all under `MACHINE` (Rule 1)."""
    parents = dict(zip(counted.pids.tolist(), counted.parents.tolist(), strict=True))
    sums: dict[str, Integers] = {MACHINE: counted.values.sum(axis=0)}
    for pid, row in zip(counted.pids.tolist(), counted.values, strict=True):
        group = _group_of_ancestor(pid, parents, group_of)
        if group:
            known = sums.get(group)
            sums[group] = row if known is None else known + row
    return sums


def _group_of_ancestor(pid: int, parents: Mapping[int, int], group_of: GroupOf) -> str | None:
    """The group of *pid*, or of the nearest ancestor that is known."""
    for _ in range(ANCESTORS):
        group = group_of(pid)
        if group is not None or pid not in parents:
            return group
        pid = parents[pid]
    return None


def _windowed(window: Window, counted: Counted | None, group_of: GroupOf, now_s: float) -> dict[str, Delays]:
    if counted is None:
        window.clear()
        return {}
    window.add(now_s, by_group(counted, group_of))
    return window.delays()


def _connections(found: Connections, pids: Integers, group_of: GroupOf) -> tuple[dict[str, int], Integers]:
    """Connections of each group, one that its processes share counted once; and of each row."""
    distinct = {
        (group_of(pid) or "?", inode) for pid, inode in zip(found.pids.tolist(), found.inodes.tolist(), strict=True)
    }
    counts = Counter(group for group, _ in distinct)
    counts[MACHINE] = len({inode for _, inode in distinct})
    own = {*zip(found.pids.tolist(), found.inodes.tolist(), strict=True)}
    at, there = _rows_of(pids, np.array([pid for pid, _ in own], np.int64))
    return dict(counts), np.bincount(at[there], minlength=len(pids))


def _rows_of(pids: Integers, wanted: Integers) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """Where each of *wanted* is in *pids*, which are sorted, and whether it is."""
    if not len(pids):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
    at = np.minimum(np.searchsorted(pids, wanted), len(pids) - 1)
    return at, pids[at] == wanted
