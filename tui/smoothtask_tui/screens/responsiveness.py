"""What somebody waited for in the last minutes, what was decided then, and who made them wait."""

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult, RenderResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from smoothtask.model.frame import Mode
from smoothtask_tui import culprits
from smoothtask_tui.actions import show_key
from smoothtask_tui.culpritlines import culprit_lines, first_shown, lines_each
from smoothtask_tui.export import Record
from smoothtask_tui.line import Line, Span
from smoothtask_tui.palette import DARK, PALETTES
from smoothtask_tui.plots import draw, plots_of
from smoothtask_tui.scene import Scene
from smoothtask_tui.widgets.drawn import Drawn
from smoothtask_tui.widgets.header import Header

REDRAW_S = 2.0
"""plotext costs 60 to 90 ms a picture: it draws at most so often, and only while this screen is shown."""
PLOT_LINES = 11
"""A picture is no lower, where there are several."""
PICTURES = 4
"""That `plots_of` has."""
SPANS_S = (60.0, 120.0, 300.0, 600.0)

KEYS: tuple[tuple[str, str, str], ...] = (
    ("plus,equals_sign", "span(-1)", "shorter time"),
    ("minus", "span(1)", "longer time"),
    ("left,right", "", "other plot"),
    ("0", "picture(-1)", "all plots"),
    ("up,k", "cursor(-1)", "worse culprit"),
    ("down,j", "cursor(1)", "next culprit"),
    ("enter", "go", "go to it"),
)
"""Keys, action, and what the line at the bottom and the help call it."""


class CulpritChosen(Message):
    """A person wants to see *group* on the groups screen."""

    def __init__(self, group: str) -> None:
        self.group = group
        super().__init__()


class Plots(Widget):
    """As many pictures as there is room for, one above the other; or the one that was chosen."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(id="plots")
        self.scene = scene
        self.span_s = SPANS_S[1]
        self.first = -1
        """Which picture fills the place; −1: as many as fit."""

    @property
    def fitting(self) -> int:
        """How many plots there is room for."""
        return max(1, min(PICTURES, self.size.height // PLOT_LINES))

    def render(self) -> RenderResult:
        """Drawn on refresh alone: `refresh` is called by a timer and by keys."""
        points = list(self.scene.history.points)
        width, height = self.size
        if len(points) < 2 or height < 8 or width < 30:
            return Text("  plots need a few ticks, and at least 30 × 8 cells", no_wrap=True)
        palette = PALETTES.get(self.app.theme, DARK)
        plots = plots_of(points, palette)
        count = self.fitting if self.first < 0 else 1
        shown = plots[:count] if self.first < 0 else plots[self.first : self.first + 1]
        heights = [height // count + (i < height % count) for i in range(count)]
        said = list(self.scene.history.events)
        newest = self.scene.newest
        acting = newest is None or newest.mode in {Mode.RULES_ONLY, Mode.HYBRID}
        pictures = (
            draw(p, points, said, (width, h), palette, self.span_s, acting=acting)
            for p, h in zip(shown, heights, strict=True)
        )
        text = Text.from_ansi("\n".join(pictures))
        text.no_wrap = True
        return text


class Culprits(Drawn):
    """Who made others wait, ranked."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(id="culprits", ground="panel")
        self.scene = scene
        self.at = 0
        self.ranked: list[culprits.Culprit] = []

    def update_span(self, span_s: float) -> None:
        """Rank those of the last *span_s* seconds; the cursor stays with its group."""
        here = self.chosen
        points = self.scene.history.points
        since = points[-1].time - span_s if points else 0.0
        self.ranked = culprits.ranked(self.scene.history.blames, since)
        ids = [c.group for c in self.ranked]
        self.at = ids.index(here) if here in ids else min(self.at, max(0, len(ids) - 1))
        self.redraw(span_s)

    @property
    def chosen(self) -> str | None:
        """The group under the cursor."""
        return self.ranked[self.at].group if self.at < len(self.ranked) else None

    def redraw(self, span_s: float) -> None:
        """Draw what was ranked."""
        if self.size.height:
            self.show(culprit_lines(self.ranked, self.scene.frame, span_s, self.at, self.size))

    def on_click(self, event: events.Click) -> None:
        """A click on one goes to it, as Enter does."""
        each = lines_each(self.size.height)
        at = first_shown(self.at, self.size.height) + (event.y - 1) // each
        if event.y > 0 and at < len(self.ranked):
            self.post_message(CulpritChosen(self.ranked[at].group))


class ResponsivenessScreen(Screen[None]):
    """The header goes on above; plots and culprits below."""

    view_name = "responsiveness"
    follows_frames: ClassVar[bool] = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,g,tab,shift+tab,q,f10", "dismiss", show=False),
        Binding("f1,h,question_mark", "app.help", show=False),
        Binding("left", "picture_step(-1)", show=False),
        Binding("right", "picture_step(1)", show=False),
        *(Binding(keys, action, word, show=False) for keys, action, word in KEYS if action),
        *(Binding(str(i), f"picture({i - 1})", show=False) for i in range(1, 5)),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (130, "-wide")]  # noqa: RUF012 - Textual's way
    VERTICAL_BREAKPOINTS = [(0, "-short"), (34, "-tall")]  # noqa: RUF012

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.scene = scene
        self.header, self.plots, self.culprits = Header(), Plots(scene), Culprits(scene)

    def compose(self) -> ComposeResult:
        """Header, plots, culprits, one line of keys."""
        yield self.header
        with Container(id="body"):
            yield self.plots
            yield self.culprits
        yield Drawn(id="keys", ground="bar")

    def on_mount(self) -> None:
        """Only this timer draws plots."""
        self.set_interval(REDRAW_S, self._redraw)
        self.call_after_refresh(self._redraw)
        self.draw()

    def on_screen_resume(self) -> None:
        """Back from the help."""
        self.call_after_refresh(self._redraw)

    def _redraw(self) -> None:
        if not self.is_current:
            return
        self.plots.refresh()
        self.culprits.update_span(self.plots.span_s)
        self.query_one("#keys", Drawn).show([_key_line(self.size.width)])

    def draw(self, *, tick: bool = False) -> None:
        """The header, at each frame."""
        del tick
        if self.is_mounted:
            self.header.update_scene(self.scene)

    def on_resize(self) -> None:
        """The header's height depends on the terminal's."""
        self.draw()
        self.call_after_refresh(self._redraw)

    def records(self) -> list[Record]:
        """What was measured, a tick a line."""
        return [
            {"time": p.time, "waiting": p.contended, "psi_cpu_pct": p.psi_cpu, "psi_io_pct": p.psi_io,
             "psi_memory_pct": p.psi_memory, "latency_p50_ms": p.p50_ms, "latency_p95_ms": p.p95_ms,
             "latency_p99_ms": p.p99_ms, "latency_max_ms": p.max_ms, "sound_breaks": p.breaks,
             "responsiveness_pct": p.score_pct}
            for p in self.scene.history.points
        ]  # fmt: skip

    def action_span(self, step: int) -> None:
        """A longer or a shorter time."""
        at = SPANS_S.index(self.plots.span_s) + step
        self.plots.span_s = SPANS_S[max(0, min(len(SPANS_S) - 1, at))]
        self._redraw()

    def action_picture(self, which: int) -> None:
        """One picture alone, or (−1) as many as fit."""
        self.plots.first = which
        self.plots.refresh()

    def action_picture_step(self, step: int) -> None:
        """The next one alone, or the first that did not fit."""
        at = self.plots.first if self.plots.first >= 0 else self.plots.fitting - 1 if step > 0 else 0
        self.action_picture((at + step) % PICTURES)

    def action_cursor(self, step: int) -> None:
        """Another culprit."""
        self.culprits.at = max(0, min(len(self.culprits.ranked) - 1, self.culprits.at + step))
        self.culprits.redraw(self.plots.span_s)

    def action_go(self) -> None:
        """To the culprit under the cursor, on the groups screen."""
        if self.culprits.chosen is not None:
            self.post_message(CulpritChosen(self.culprits.chosen))


def _key_line(width: int) -> Line:
    spans: list[Span] = []
    for keys, _, word in (("escape", "", "back"), ("f1", "", "help"), *KEYS):
        names = keys.split(",")
        key = "← →" if keys == "left,right" else show_key(names[0])
        more = [Span(key, "key"), Span(f" {word}  ", "text")]
        if Line((*spans, *more)).cells > width:
            break
        spans += more
    return Line(tuple(spans), "bar")
