"""Drawings by matplotlib without a screen, imported when something is drawn (a second)."""

import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from smoothtask.bench.results import Outcome
from smoothtask.bench.scenarios import OFF, ON

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Text stays text, names with a dollar sign are no formulae, and the same data give the same file.
STYLE: dict[Any, Any] = {"svg.fonttype": "none", "text.parse_math": False, "svg.hashsalt": "smoothtask", "font.size": 9}
COLOURS = {OFF: "#c66", ON: "#469"}
DOTS_PER_INCH = 120


def drawn(draw: "Callable[[Axes], None]", width: float, height: float) -> str:
    """SVG without a declaration; *width* and *height* in inches."""
    out = io.StringIO()
    _save(draw, width, height, lambda f: f.savefig(out, format="svg", metadata={"Date": None, "Creator": None}))
    return re.sub(r"(?s)^.*?(?=<svg)", "", out.getvalue())


def drawn_png(draw: "Callable[[Axes], None]", width: float, height: float) -> bytes:
    """The same as a PNG."""
    out = io.BytesIO()
    _save(draw, width, height, lambda f: f.savefig(out, format="png", dpi=DOTS_PER_INCH))
    return out.getvalue()


def _save(draw: "Callable[[Axes], None]", width: float, height: float, save: "Callable[[Figure], None]") -> None:
    from matplotlib import rc_context  # noqa: PLC0415 - a second to import
    from matplotlib.figure import Figure  # noqa: PLC0415

    with rc_context(STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a letter that the measuring font lacks; the browser has it
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.add_subplot())
        save(figure)


def missed(outcomes: Sequence[Outcome]) -> "Callable[[Axes], None]":
    """Missed frames of each scenario, off and on, with their intervals."""

    def draw(axes: "Axes") -> None:
        _pairs(axes, outcomes, lambda o, arm: _bar(o.arms[arm].missed))
        axes.set_xlabel("frames missed, %, with 95 % confidence")
        axes.set_xlim(left=0)

    return draw


def frame_times(outcomes: Sequence[Outcome]) -> "Callable[[Axes], None]":
    """The frame times' p99 of each scenario, off and on, with their intervals."""

    def draw(axes: "Axes") -> None:
        _pairs(axes, outcomes, lambda o, arm: _bar(o.arms[arm].frame_p99))
        axes.axvline(1000 / 60, color="#999", linewidth=0.8, linestyle="--", label="60 Hz")
        axes.set_xlabel("frame time p99, ms, with 95 % confidence")
        axes.set_xlim(left=0)

    return draw


def height_of(outcomes: Sequence[Outcome]) -> float:
    """Inches for a pair of bars each."""
    return 1.0 + 0.45 * len(outcomes)


def _bar(estimate: Any) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def _pairs(
    axes: "Axes", outcomes: Sequence[Outcome], bar: Callable[[Outcome, str], tuple[float, float, float]]
) -> None:
    for shift, arm in ((-0.2, OFF), (0.2, ON)):
        shown = [(place, bar(o, arm)) for place, o in enumerate(outcomes) if arm in o.arms]
        if not shown:
            continue
        values = [v for _, (v, _, _) in shown]
        around = [[max(0.0, v - low) for _, (v, low, _) in shown], [max(0.0, high - v) for _, (v, _, high) in shown]]
        around = [[e if e < float("inf") else 0.0 for e in side] for side in around]
        axes.barh(
            [p + shift for p, _ in shown], values, 0.38, xerr=around, color=COLOURS[arm],
            error_kw={"elinewidth": 0.8, "capsize": 2}, label=f"SmoothTask {arm}",
        )  # fmt: skip
    axes.set_yticks(range(len(outcomes)), [o.name for o in outcomes])
    axes.invert_yaxis()
    axes.legend()
