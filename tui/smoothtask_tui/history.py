"""What the last minutes looked like: one value a tick for each graph (pure; fed by frames)."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from smoothtask.model.frame import Frame
from smoothtask_tui.lanes import Lane, add_frame

SPAN_S = 600.0
"""How far back the graphs reach."""
MAX_POINTS = 2400
TREND_POINTS = 40


@dataclass(frozen=True, slots=True)
class Point:
    """One tick of the machine; `None` where nothing was measured."""

    time: float
    cpu_pct: float
    psi_cpu: float | None
    psi_io: float | None
    psi_memory: float | None
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    contended: bool


def point(frame: Frame) -> Point:
    """What a frame adds to the graphs."""
    system = frame.system
    cores = system.cpu_pct
    latency = system.latency
    return Point(
        time=frame.time,
        cpu_pct=sum(cores) / len(cores) if cores else 0.0,
        psi_cpu=system.cpu_some_pct,
        psi_io=system.io_some_pct,
        psi_memory=system.memory_some_pct,
        p50_ms=latency.p50_ms if latency else None,
        p99_ms=latency.p99_ms if latency else None,
        max_ms=latency.max_ms if latency else None,
        contended=frame.contention.active,
    )


@dataclass(slots=True)
class History:
    """Points of the machine and the CPU use of each group, oldest first."""

    points: deque[Point] = field(default_factory=lambda: deque(maxlen=MAX_POINTS))
    trends: dict[str, deque[float]] = field(default_factory=dict)
    lanes: dict[str, Lane] = field(default_factory=dict)
    """Group → its past, longer and with its class."""

    def add(self, frame: Frame) -> None:
        """Take in *frame*; groups that are gone are forgotten. One of the same time takes its place."""
        again = bool(self.points) and self.points[-1].time == frame.time
        if again:
            self.points.pop()
        self.points.append(point(frame))
        add_frame(self.lanes, frame)
        while self.points and self.points[0].time < frame.time - SPAN_S:
            self.points.popleft()
        use: dict[str, float] = {}
        for g in frame.groups:
            use[g.group.id] = use.get(g.group.id, 0.0) + g.group.metrics.cpu
            if g.group.parent:
                use[g.group.parent] = use.get(g.group.parent, 0.0) + g.group.metrics.cpu
        for gone in self.trends.keys() - use.keys():
            del self.trends[gone]
        for group, cpu in use.items():
            trend = self.trends.setdefault(group, deque(maxlen=TREND_POINTS))
            if again and trend:
                trend.pop()
            trend.append(cpu)

    def series(self, name: str) -> list[float | None]:
        """One field of every point."""
        return [getattr(p, name) for p in self.points]


def newest(values: Iterable[float | None], count: int) -> list[float | None]:
    """The last *count* values, padded on the left with None."""
    kept = list(values)[-count:] if count > 0 else []
    return [None] * (count - len(kept)) + kept
