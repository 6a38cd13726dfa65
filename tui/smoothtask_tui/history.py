"""What the last minutes looked like: a value a tick for each graph, charges and events (pure; fed by frames)."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from smoothtask.model.frame import Event, Frame
from smoothtask_tui.culprits import Blame, blame
from smoothtask_tui.lanes import Lane, add_frame

SPAN_S = 600.0
"""How far back the graphs reach."""
MAX_POINTS = 2400
MAX_EVENTS = 500
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
    p95_ms: float | None = None
    breaks: int | None = None
    """How often sound broke up since the tick before; `None`: no sound server is known."""
    score_pct: float | None = None
    """Responsiveness, 0 … 100."""


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
        p95_ms=latency.p95_ms if latency else None,
        breaks=frame.person.sound_breaks if frame.person.xruns is not None else None,
        score_pct=None if frame.scores.responsiveness is None else 100 * frame.scores.responsiveness,
    )


@dataclass(slots=True)
class History:
    """Points of the machine and the CPU use of each group, oldest first."""

    points: deque[Point] = field(default_factory=lambda: deque(maxlen=MAX_POINTS))
    trends: dict[str, deque[float]] = field(default_factory=dict)
    blames: deque[Blame] = field(default_factory=lambda: deque(maxlen=MAX_POINTS))
    """Moments in which somebody waited, and who is charged with it."""
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))
    """Each event once, oldest first: a frame repeats those before it."""
    lanes: dict[str, Lane] = field(default_factory=dict)
    """Group → its past, longer and with its class."""
    _told: Event | None = None
    """The newest event that was taken in: which others are new is a question of order, not of time."""

    def add(self, frame: Frame) -> None:
        """Take in *frame*; groups that are gone are forgotten. One of the same time takes its place."""
        if self.points and self.points[-1].time > frame.time:  # the clock was set back: there is no common axis
            self.points.clear()
            self.blames.clear()
            self.events.clear()
            self.lanes.clear()
            self.trends.clear()
        again = bool(self.points) and self.points[-1].time == frame.time
        span_s = frame.time - self.points[-1].time if self.points and not again else 0.0
        if again:
            self.points.pop()
        self.points.append(point(frame))
        charged = blame(frame, span_s)
        if charged is not None:
            self.blames.append(charged)
        self._tell(frame.events)
        add_frame(self.lanes, frame)
        while self.points and self.points[0].time < frame.time - SPAN_S:
            self.points.popleft()
        while self.blames and self.blames[0].time < frame.time - SPAN_S:
            self.blames.popleft()
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

    def _tell(self, events: tuple[Event, ...]) -> None:
        """Take in those after the newest that is known; all, when it is no longer among them."""
        known = next((i for i in range(len(events) - 1, -1, -1) if events[i] == self._told), -1)
        self.events.extend(events[known + 1 :])
        if events:
            self._told = events[-1]

    def series(self, name: str) -> list[float | None]:
        """One field of every point."""
        return [getattr(p, name) for p in self.points]


def newest(values: Iterable[float | None], count: int) -> list[float | None]:
    """The last *count* values, padded on the left with None."""
    kept = list(values)[-count:] if count > 0 else []
    return [None] * (count - len(kept)) + kept
