"""Drawings for the report, as SVG without a declaration."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from smoothtask.bench.plots import drawn
from smoothtask.model.text import sanitise

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABEL = 40
"""Characters of a name beside a bar."""


def timeline(times_s: Sequence[float], values: Sequence[float | None], bad: Sequence[bool], unit: str) -> str:
    """*values* over time since the first, with the bad moments marked."""

    def draw(axes: "Axes") -> None:
        minutes = [(t - times_s[0]) / 60 for t in times_s] if times_s else []
        numbers = [float("nan") if v is None else v for v in values]
        axes.plot(minutes, numbers, linewidth=0.8, color="#356")
        marked = [(m, v) for m, v, b in zip(minutes, numbers, bad, strict=True) if b]
        axes.plot([m for m, _ in marked], [v for _, v in marked], ".", markersize=3, color="#c30", label="bad")
        axes.set_xlabel("minutes")
        axes.set_ylabel(unit)
        if marked:
            axes.legend()

    return drawn(draw, 9, 2.6)


def bars(names: Sequence[str], values: Sequence[float], unit: str) -> str:
    """One bar a name, the first on top."""

    def draw(axes: "Axes") -> None:
        places = range(len(names))
        axes.barh(list(places), list(values), color="#469")
        axes.set_yticks(list(places), [sanitise(n, LABEL) for n in names])
        axes.invert_yaxis()
        axes.set_xlabel(unit)

    return drawn(draw, 7, 0.8 + 0.26 * len(names))


def pairs(names: Sequence[str], before: Sequence[float], after: Sequence[float], unit: str) -> str:
    """Two bars a name."""

    def draw(axes: "Axes") -> None:
        places = range(len(names))
        axes.barh([p - 0.2 for p in places], list(before), height=0.38, color="#aab", label="now")
        axes.barh([p + 0.2 for p in places], list(after), height=0.38, color="#469", label="then")
        axes.set_yticks(list(places), [sanitise(n, LABEL) for n in names])
        axes.invert_yaxis()
        axes.set_xlabel(unit)
        axes.legend()

    return drawn(draw, 7, 1.0 + 0.4 * len(names))


def matrix(names: Sequence[str], counts: Sequence[Sequence[int]], rows: str, columns: str) -> str:
    """Counts of one class against another."""

    def draw(axes: "Axes") -> None:
        axes.imshow([list(map(float, row)) for row in counts], cmap="Blues")
        dark = 0.6 * max((count for row in counts for count in row), default=0)
        for y, row in enumerate(counts):
            for x, count in enumerate(row):
                axes.text(x, y, str(count), ha="center", va="center", color="white" if count > dark else "black")
        axes.set_xticks(range(len(names)), list(names), rotation=30, ha="right")
        axes.set_yticks(range(len(names)), list(names))
        axes.set_xlabel(columns)
        axes.set_ylabel(rows)

    return drawn(draw, 5.5, 4)
