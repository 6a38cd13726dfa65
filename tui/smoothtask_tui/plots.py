"""Plots of the last minutes as text with ANSI colours, contention and decisions marked on the same time axis.

plotext costs 60 to 90 ms a picture: it is imported here alone and late, and whoever calls draws seldom.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor
from typing import Any, cast

from rich.color import Color

from smoothtask.model.frame import Event
from smoothtask_tui.graph import nice_top
from smoothtask_tui.history import Point
from smoothtask_tui.palette import Palette

Series = tuple[str, Sequence[float | None], str]
"""Name, a value for each point, colour."""
AXIS_CELLS = 7
"""Numbers and frame."""
FRAME_LINES = 4
"""Title, frame and times."""
QUARTERS = (1, 2, 3, 4)
"""Of the axis: 0 would share its line with what stands below."""
MARKS = ("o", "+", "*")
"""On the curves of a picture with several, and in its legend: colour alone tells nothing apart."""
MARK_CELLS = 9
"""From one mark of a curve to its next."""
DECISION = "class"
"""The kind of events that stand on the axis: what a person orders or labels is not what was decided."""


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture before it is drawn."""

    title: str
    series: tuple[Series, ...]
    least: float
    """The axis reaches at least so far."""
    breaks: tuple[float, ...] = ()
    """Unix times at which sound broke up."""


def plots_of(points: Sequence[Point], palette: Palette) -> tuple[Plot, ...]:
    """The four pictures, the most telling first."""

    def values(name: str) -> list[float | None]:
        return [getattr(p, name) for p in points]

    one, two, three = palette.graph
    breaks = tuple(p.time for p in points if p.breaks)
    known = [p.breaks for p in points if p.breaks is not None]
    sound = f"sound broke up {sum(known)} times (x)" if known else "no sound server is known"
    return (
        Plot(
            "wake-up latency, ms",
            (("p50", values("p50_ms"), one), ("p95", values("p95_ms"), three), ("p99", values("p99_ms"), palette.warn)),
            5.0,
        ),
        Plot(
            "pressure, % of the time (PSI some)",
            (("cpu", values("psi_cpu"), one), ("io", values("psi_io"), two), ("memory", values("psi_memory"), three)),
            5.0,
        ),
        Plot(f"latest wake-up, ms · {sound}", (("max", values("max_ms"), palette.bad),), 20.0, breaks),
        Plot("responsiveness, 100 is as good as it gets", (("score", values("score_pct"), palette.good),), 100.0),
    )


def spells(points: Sequence[Point], now: float) -> list[tuple[float, float]]:
    """Times of contention as (start, end), in seconds before *now* (negative)."""
    found: list[tuple[float, float]] = []
    start: float | None = None
    for p in points:
        if p.contended and start is None:
            start = p.time
        elif not p.contended and start is not None:
            found.append((start - now, p.time - now))
            start = None
    if start is not None:
        found.append((start - now, 0.0))
    return found


def plot_colour(colour: str) -> tuple[int, int, int] | int | str:
    """As plotext wants it: `#5cc8ff` → (92, 200, 255); one of the terminal's own colours → its number."""
    if colour.startswith("#"):
        return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
    number = Color.parse(colour).number
    return "default" if number is None else number


def draw(
    plot: Plot,
    points: Sequence[Point],
    events: Iterable[Event],
    size: tuple[int, int],
    palette: Palette,
    span_s: float,
    *,
    acting: bool = True,
) -> str:
    """One picture of *size* cells, of the last *span_s* seconds. *acting*: what was decided was also done."""
    import plotext  # noqa: PLC0415 - 64 ms, and only two screens need it

    plt = cast("Any", plotext)
    plt.clear_figure()
    plt.limitsize(False, False)  # else the size of the real terminal is the limit
    plt.plotsize(*size)
    plt.canvas_color(plot_colour(palette.ground))
    plt.axes_color(plot_colour(palette.ground))
    plt.ticks_color(plot_colour(palette.dim))
    plt.title(plot.title)
    now = points[-1].time
    # Nothing outside of the picture: plotext would draw each cell of the way there.
    shown = [i for i, p in enumerate(points) if now - span_s <= p.time <= now]
    times = [points[i].time - now for i in shown]
    listed = [(name, [values[i] for i in shown], colour) for name, values, colour in plot.series]
    top = nice_top([v for _, values, _ in listed for v in values if v is not None] or [1.0], plot.least)
    # Contention and decisions have strips of their own under the curves.
    line_ = top / max(2, size[1] - FRAME_LINES - 3)
    waits, decided = -1.25 * line_, -2.5 * line_
    for start, end in spells([points[i] for i in shown], now):
        plt.plot([start, end], [waits, waits], color=plot_colour(palette.bad), marker="▲")
    at = [e.time - now for e in events if e.kind == DECISION and now - span_s <= e.time <= now]
    if at:
        plt.scatter(at, [decided] * len(at), color=plot_colour(palette.accent), marker="◆")
    curves = [(name, _known(times, values), plot_colour(colour)) for name, values, colour in listed]
    alone = len(curves) == 1
    for name, known, colour in curves:
        if known:
            plt.plot(*zip(*known, strict=True), color=colour, marker="braille", label=name if alone else None)
    cell_s = span_s / max(1, size[0] - AXIS_CELLS)
    for i, (name, known, colour) in enumerate(curves if not alone else ()):
        marked = marked_points(known, MARK_CELLS * cell_s, i / len(curves))
        if marked:
            plt.scatter(*zip(*marked, strict=True), color=colour, marker=MARKS[i], label=name)
    broke = [t - now for t in plot.breaks if now - span_s <= t <= now]
    if broke:
        plt.scatter(broke, [top * 0.95] * len(broke), color=plot_colour(palette.bad), marker="x")
    plt.ylim(decided, top)
    words = ("done" if acting else "decided", "waits")
    plt.yticks([decided, waits, *(top * i / 4 for i in QUARTERS)], [*words, *(f"{top * i / 4:g}" for i in QUARTERS)])
    plt.xlim(-span_s, 0)
    ticks = [-span_s * i / 4 for i in range(5)]
    plt.xticks(ticks, [_ago(t) for t in ticks])
    return str(plt.build()).rstrip("\n")


def _known(times: Sequence[float], values: Sequence[float | None]) -> list[tuple[float, float]]:
    return [(t, v) for t, v in zip(times, values, strict=True) if v is not None]


def marked_points(known: Sequence[tuple[float, float]], every_s: float, shift: float) -> list[tuple[float, float]]:
    """The points of a curve that carry its mark: one every *every_s* seconds, begun *shift* of that later.

    Curves with different shifts are marked in different places, even where they lie on each other. With times counted
    from now the marks stay where they are, and the curve passes below them.

    >>> marked_points([(0.0, 5.0), (1.0, 6.0), (2.0, 7.0), (3.0, 8.0)], 2.0, 0.5)
    [(1.0, 6.0), (3.0, 8.0)]
    """
    found = []
    last = None
    for time, value in known:
        piece = floor(time / every_s - shift)
        if last is not None and piece != last:
            found.append((time, value))
        last = piece
    return found or list(known[-1:])


def _ago(seconds: float) -> str:
    if not seconds:
        return "now"
    return f"{seconds / 60:g} min" if seconds <= -60 else f"{seconds:g} s"
