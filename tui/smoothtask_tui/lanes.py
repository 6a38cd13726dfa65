"""What each group did in the last minutes: CPU, waiting and class at every tick, in small arrays (pure)."""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from smoothtask.model.classes import PriorityClass
from smoothtask.model.frame import Frame

KEPT_S = 900.0
TRIM = 256
"""Points beyond the oldest to keep that are dropped in one go."""


@dataclass(slots=True)
class Lane:
    """One group's past, oldest first; an application counts its parts."""

    times: "array[float]" = field(default_factory=lambda: array("d"))
    """Unix time."""
    cpu: "array[float]" = field(default_factory=lambda: array("f"))
    wait: "array[float]" = field(default_factory=lambda: array("f"))
    targets: "array[int]" = field(default_factory=lambda: array("b"))

    def add(self, time: float, cpu: float, wait: float, target: PriorityClass) -> None:
        """One more tick; one of the same time takes the place of the last."""
        if self.times and self.times[-1] == time:
            for values in (self.times, self.cpu, self.wait, self.targets):
                values.pop()
        self.times.append(time)
        self.cpu.append(cpu)
        self.wait.append(wait)
        self.targets.append(target)
        self._trim(time)

    def prepend(self, before: "Lane") -> None:
        """What was known of it before the first tick here."""
        end = bisect_left(before.times, self.times[0]) if self.times else len(before.times)
        self.times = before.times[:end] + self.times
        self.cpu = before.cpu[:end] + self.cpu
        self.wait = before.wait[:end] + self.wait
        self.targets = before.targets[:end] + self.targets

    def _trim(self, time: float) -> None:
        old = bisect_left(self.times, time - KEPT_S)
        if old >= TRIM:
            for values in (self.times, self.cpu, self.wait, self.targets):
                del values[:old]


def add_frame(lanes: dict[str, Lane], frame: Frame) -> None:
    """Take in *frame*; groups that are gone are forgotten."""
    cpu: dict[str, float] = {}
    wait: dict[str, float] = {}
    for g in frame.groups:
        for group in (g.group.id, *((g.group.parent,) if g.group.parent else ())):
            cpu[group] = cpu.get(group, 0.0) + g.group.metrics.cpu
            wait[group] = wait.get(group, 0.0) + g.group.metrics.wait
    living = {g.group.id for g in frame.groups}
    for gone in lanes.keys() - living:
        del lanes[gone]
    for g in frame.groups:
        lane = lanes.get(g.group.id)
        if lane is None:
            lane = lanes[g.group.id] = Lane()
        lane.add(frame.time, cpu[g.group.id], wait[g.group.id], g.decision.target)


def sampled(
    times: Sequence[float], values: Sequence[float], now: float, span_s: float, bins: int
) -> list[float | None]:
    """*values* on an even axis of *bins* that ends at *now*: the greatest of each bin, the last one held over gaps.

    `None` before the first value.
    """
    found: list[float | None] = [None] * bins
    held: float | None = None
    at = bisect_left(times, now - span_s)
    if at:
        held = values[at - 1]
    width = span_s / bins
    for i in range(bins):
        end = now - span_s + (i + 1) * width
        top: float | None = None
        while at < len(times) and (times[at] <= end or i == bins - 1):
            top = values[at] if top is None else max(top, values[at])
            held = values[at]
            at += 1
        found[i] = held if top is None else top
    return found


def class_lane(lane: Lane, now: float, span_s: float, cells: int) -> list[PriorityClass | None]:
    """The class at the end of each of *cells* pieces of the last *span_s* seconds; `None` before the first tick."""
    found: list[PriorityClass | None] = []
    for i in range(cells):
        at = bisect_left(lane.times, now - span_s + (i + 1) * span_s / cells + 1e-6)
        found.append(PriorityClass(lane.targets[at - 1]) if at else None)
    return found
