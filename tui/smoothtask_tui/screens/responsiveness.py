"""Plots of the last minutes: latency and pressure, with contention marked on the same time axis.

plotext costs 60 to 90 ms a picture: it is imported here alone and late, and draws at most every two seconds,
only while this screen is shown.
"""

from collections.abc import Sequence
from typing import Any, cast

from rich.text import Text
from textual.app import ComposeResult, RenderResult
from textual.binding import Binding
from textual.screen import Screen
from textual.widget import Widget

from smoothtask_tui.graph import nice_top
from smoothtask_tui.history import Point
from smoothtask_tui.line import line
from smoothtask_tui.palette import DARK, PALETTES, Palette
from smoothtask_tui.scene import Scene
from smoothtask_tui.widgets.drawn import Drawn
from smoothtask_tui.widgets.header import Header

REDRAW_S = 2.0


def rgb(colour: str) -> tuple[int, int, int]:
    """`#5cc8ff` → (92, 200, 255), as plotext wants it."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


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


def draw_plot(
    title: str,
    series: Sequence[tuple[str, Sequence[float | None], str]],
    points: Sequence[Point],
    size: tuple[int, int],
    palette: Palette,
) -> str:
    """One picture of *size* cells as text with ANSI colours. *series*: name, values, colour."""
    import plotext  # noqa: PLC0415 - 64 ms, and only this screen needs it

    plt = cast("Any", plotext)
    plt.clear_figure()
    plt.limitsize(False, False)  # else the size of the real terminal is the limit
    plt.plotsize(*size)
    plt.canvas_color(rgb(palette.ground))
    plt.axes_color(rgb(palette.ground))
    plt.ticks_color(rgb(palette.dim))
    plt.title(title)
    now = points[-1].time
    times = [p.time - now for p in points]
    highest = max((v for _, values, _ in series for v in values if v is not None), default=1.0)
    top = nice_top([highest], 5.0)
    below = -top * 0.12  # contention has a strip of its own under the curves
    for start, end in spells(points, now):
        plt.plot([start, end], [below, below], color=rgb(palette.bad), marker="▲")
    for name, values, colour in series:
        known = [(t, v) for t, v in zip(times, values, strict=True) if v is not None]
        if known:
            plt.plot([t for t, _ in known], [v for _, v in known], color=rgb(colour), marker="braille", label=name)
    plt.ylim(below, top)
    plt.yticks([top * i / 4 for i in range(5)], [f"{top * i / 4:g}" for i in range(5)])
    span = max(30.0, -times[0])
    plt.xlim(-span, 0)
    ticks = [-span * i / 4 for i in range(5)]
    plt.xticks(ticks, [f"{t / 60:.1f} min" if t else "now" for t in ticks])
    return str(plt.build())


class Plots(Widget):
    """Two pictures, one above the other."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(id="plots")
        self.scene = scene

    def render(self) -> RenderResult:
        """Drawn on refresh alone: `refresh` is called by a timer."""
        points = list(self.scene.history.points)
        width, height = self.size
        if len(points) < 2 or height < 8 or width < 30:
            return Text("  plots need a few ticks, and a terminal of at least 30 × 14", no_wrap=True)
        palette = PALETTES.get(self.app.theme, DARK)
        upper = height // 2
        delays = [
            ("p50", [p.p50_ms for p in points], palette.graph[0]),
            ("p99", [p.p99_ms for p in points], palette.warn),
        ]
        pressures = [
            ("cpu", [p.psi_cpu for p in points], palette.graph[0]),
            ("io", [p.psi_io for p in points], palette.graph[1]),
            ("memory", [p.psi_memory for p in points], palette.graph[2]),
        ]
        pictures = (
            draw_plot("wake-up latency, ms   (▲ somebody waits)", delays, points, (width, upper), palette),
            draw_plot("pressure, % of the time (PSI some)", pressures, points, (width, height - upper), palette),
        )
        text = Text.from_ansi("\n".join(p.rstrip("\n") for p in pictures))
        text.no_wrap = True
        return text


class ResponsivenessScreen(Screen[None]):
    """The header goes on above the plots."""

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("escape,g,tab,shift+tab,q,f10", "dismiss", show=False),
        Binding("f1,h,question_mark", "app.help", show=False),
    ]

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.scene = scene

    def compose(self) -> ComposeResult:
        """Header, plots, one line of keys."""
        yield Header()
        yield Plots(self.scene)
        yield Drawn(id="keys", ground="bar")

    def on_mount(self) -> None:
        """Only this timer draws plots."""
        self.set_interval(REDRAW_S, self.query_one(Plots).refresh)
        self.query_one("#keys", Drawn).show([line(("Esc", "key"), " Back  ", ("F1", "key"), " Help")])
        self.draw()

    def draw(self, *, tick: bool = False) -> None:
        """The header, at each frame."""
        del tick
        if self.is_mounted:
            self.query_one(Header).update_scene(self.scene)

    def on_resize(self) -> None:
        """The header's height depends on the terminal's."""
        self.draw()
