"""The axis of the recorded moments: worst latency a cell, contention, labels, and where one stands."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from textual import events
from textual.message import Message

from smoothtask_tui import fmt, graph
from smoothtask_tui.headlines import HOT_MS, WARM_MS
from smoothtask_tui.line import Line, Span, line, spread
from smoothtask_tui.past import Moment, cell_of, cells
from smoothtask_tui.widgets.drawn import Drawn
from smoothtask_tui.widgets.header import LOCAL_ZONE

TOP_MS = 30.0
"""A full block."""


class MomentChosen(Message):
    """A person clicked the axis at the moment at *place*."""

    def __init__(self, place: int) -> None:
        self.place = place
        super().__init__()


class Timeline(Drawn):
    """Four lines: what is shown, latency, contention and labels, the place."""

    def __init__(self) -> None:
        super().__init__(id="timeline", ground="panel")
        self.moments: Sequence[Moment] = ()

    def update_moments(self, moments: Sequence[Moment], at: int, progress: str) -> None:
        """Draw *moments* with the one at *at* chosen."""
        self.moments = moments
        self.show(timeline_lines(moments, at, progress, self.size.width))

    def on_click(self, event: events.Click) -> None:
        """Go there."""
        self._choose(event)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Scrub while a button is held."""
        if event.button:
            self._choose(event)

    def _choose(self, event: events.MouseEvent) -> None:
        if self.moments and event.y > 0:
            x = max(0, min(self.size.width - 1, event.x))
            self.post_message(MomentChosen(x * len(self.moments) // self.size.width))


def timeline_lines(moments: Sequence[Moment], at: int, progress: str, width: int) -> list[Line]:
    """The four lines for *width* cells."""
    badge = (" History ", "accent!")
    if not moments or width < 1:
        return [line(badge, ("  nothing is recorded yet", "dim"), ground="panel")]
    now = moments[at]
    clock = datetime.fromtimestamp(now.time, LOCAL_ZONE).strftime("  %Y-%m-%d %H:%M:%S")
    state = ("  ▲ somebody waits", "alert") if now.bad else ("  ✓ smooth", "good")
    left = line(badge, (clock, "strong"), state, (f"  {at + 1} of {len(moments)}", "dim"), ground="panel")
    spans: list[Span] = []
    marks: list[Span] = []
    for first, last in cells(moments, width):
        here = moments[first:last]
        worst = max((m.p99_ms for m in here if m.p99_ms is not None), default=None)
        role = "bad" if (worst or 0.0) >= HOT_MS else "warn" if (worst or 0.0) >= WARM_MS else "graph0"
        spans.append(Span(graph.spark([worst], TOP_MS), role))
        labelled, bad = any(m.labels for m in here), any(m.contended for m in here)
        marks.append(Span("L", "accent") if labelled else Span("▲", "bad") if bad else Span("·", "faint"))
    x = cell_of(at, len(moments), width)
    place = line(
        (" " * x, "faint"), ("┃", "accent"), (fmt.shorten(f" {now.cause}", width - x - 1), "dim"), ground="panel"
    )
    ends = spread(left, line((f"{progress} ", "accent")), width)
    return [ends, _runs(spans), _runs(marks), place]


def _runs(spans: Sequence[Span]) -> Line:
    """*spans* with neighbours of one role joined."""
    joined = (Span("".join(s.text for s in run), role) for role, run in groupby(spans, key=lambda s: s.role))
    return Line(tuple(joined), "panel")
