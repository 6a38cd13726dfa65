"""Braille graphs of the last minutes with moments of contention marked: drawn lines, cheap enough for each tick."""

from smoothtask_tui import fmt, graph
from smoothtask_tui.detaillines import title
from smoothtask_tui.history import History, newest
from smoothtask_tui.line import Line, Span, line
from smoothtask_tui.scene import Scene
from smoothtask_tui.widgets.drawn import Drawn

AXIS = 6
"""Cells for the numbers at the left."""


def graph_lines(history: History, width: int, height: int) -> list[Line]:
    """Latency above pressure, in *height* lines with one strip between them that marks contention."""
    each = max(2, (height - 3) // 2)
    columns = max(2, width - AXIS - 1)
    contended = newest([1.0 if p.contended else 0.0 for p in history.points], columns * 2)
    marks = "".join("▲" if (contended[i] or contended[i + 1]) else "·" for i in range(0, columns * 2, 2))
    latency = history.series("p99_ms")
    pressure = history.series("psi_cpu")
    return [
        title(f"wake-up latency p99, ms{_last(latency, 'ms')}", width),
        *_plot(latency, each, columns, 5.0, "graph0"),
        line((fmt.fit("waits", AXIS - 1, right=True) + " ", "faint"), *_marked(marks)),
        title(f"cpu pressure, % of time{_last(pressure, '%')}", width),
        *_plot(pressure, each, columns, 20.0, "graph1"),
    ]


def _last(values: list[float | None], unit: str) -> str:
    value = values[-1] if values else None
    return "" if value is None else f" · now {fmt.milliseconds(value)} {unit}"


def _plot(values: list[float | None], height: int, columns: int, least: float, role: str) -> list[Line]:
    points = newest(values, columns * 2)
    top = graph.nice_top(points, least)
    lines = []
    for i, text in enumerate(graph.area(points, height, top)):
        number = f"{top:g}" if i == 0 else "0" if i == height - 1 else ""
        lines.append(line((fmt.fit(number, AXIS - 2, right=True) + " ▏", "faint"), (text, role)))
    return lines


def _marked(marks: str) -> list[Span]:
    """Runs of contention in their own colour."""
    spans: list[Span] = []
    for mark in marks:
        role = "bad" if mark == "▲" else "faint"
        if spans and spans[-1].role == role:
            spans[-1] = Span(spans[-1].text + mark, role)
        else:
            spans.append(Span(mark, role))
    return spans


class GraphPanel(Drawn):
    """The graphs of the right column."""

    def update_scene(self, scene: Scene) -> None:
        """Draw *scene*, when shown."""
        if self.display and self.size.height:
            self.show(graph_lines(scene.history, self.size.width, self.size.height), dimmed=bool(scene.lost))
