"""The report in a terminal: a table, bars by plotext, the verdict (pure but for `bars`)."""

import math
import shutil
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, cast

from smoothtask.bench.results import Arm, Check, Outcome, Report
from smoothtask.bench.scenarios import OFF, ON
from smoothtask.bench.stats import Estimate, Spread

METHOD = (
    "Each load runs on while SmoothTask is switched on and off in blocks, in an order drawn by lot in each round; "
    "the first part of each block is not counted. Missed frames: of 60 a second those that were not done within their "
    "16.7 ms, and those that ran out meanwhile. Frame time: from one frame that is done to the next. Key: from when it "
    "was due to the screen of a terminal. Sound: of 200 periods a second those that were not filled in time. Start: a "
    "small program, until it is ready. Changes are on less off of the same round; intervals hold 95 %: Student's t "
    "over rounds, and for shares never narrower than so many independent periods allow. What the verdict calls sure "
    "holds all together (Holm). CPU left: what the probes, others on the machine and a hypervisor leave to the loads "
    "and to SmoothTask, whose own CPU thus counts as lost. Throughput is counted by the loads; lost is what they get "
    "less done for each CPU that is left, or, where they do not use it up, what they get less done at all. Several "
    "loads at once are weighed by the CPU that they use without SmoothTask."
)
HEAD = (
    "LOAD",
    "",
    "MISSED",
    "FRAME p50/p99/p99.9/max ms",
    "KEY p50/p99 ms",
    "SOUND",
    "START p50/max ms",
    "W",
    "CPU LEFT",
    "OWN CPU",
    "WORK/s",
)
NARROW = (0, 1, 2, 3, 4, 5)
"""Columns of `HEAD` that 80 cells have room for, with a shorter head."""
WIDE_CELLS = 120
PLOT_CELLS = 100
FEWEST_CELLS = 40


def lines(report: Report, cells: int) -> list[str]:
    """All of it, for a terminal of *cells* columns."""
    shown = [o for o in report.outcomes if o.arms]
    said = [*_aligned(HEAD, as_rows(shown), cells), ""]
    said += [f"{o.name}: not run ({o.skipped})" for o in report.outcomes if o.skipped]
    checks = check_rows(shown)
    if checks:
        said += [*_aligned(("LOAD", "FIGURE", "MEASURED", "PROMISED", ""), checks, cells), ""]
    for text in (*report.notes, report.how, report.verdict):
        said += textwrap.wrap(text, cells)
    return said


def as_rows(outcomes: Iterable[Outcome]) -> list[tuple[str, ...]]:
    """A row an arm."""
    return [(o.name, arm, *_cells(o.arms[arm])) for o in outcomes for arm in (OFF, ON) if arm in o.arms]


def check_rows(outcomes: Iterable[Outcome]) -> list[tuple[str, ...]]:
    """A row a promise."""
    return [(o.name, c.name, f"{c.value:.3g}{c.unit}", promise(c), _word(c)) for o in outcomes for c in o.checks]


def promise(check: Check) -> str:
    """`≤ 2 %`."""
    return f"≤ {check.limit:g}{check.unit}"


def with_interval(estimate: Estimate, unit: str, *, signed: bool = False) -> str:
    """`-70.3 points (-75.0 to -66.1)`; NaN is not told."""
    sign = "+" if signed else ""
    value = f"{estimate.value:{sign}.1f} {unit}"
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return f"{value} (too few rounds to say)"
    return f"{value} ({estimate.low:{sign}.1f} to {estimate.high:{sign}.1f})"


def number(value: float) -> str:
    """Three digits, or as many as it has before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def bars(outcomes: Sequence[Outcome], cells: int, *, coloured: bool = False) -> str:
    """Missed frames off and on, drawn; empty where nothing was switched. What is not known is left out."""
    import plotext  # noqa: PLC0415 - 64 ms

    both = [o for o in outcomes if all(a in o.arms and math.isfinite(o.arms[a].missed.value) for a in (OFF, ON))]
    if not both:
        return ""
    plt = cast("Any", plotext)
    plt.clear_figure()
    values = [[o.arms[arm].missed.value for o in both] for arm in (OFF, ON)]
    plt.simple_multiple_bar([o.name for o in both], values, width=min(cells, PLOT_CELLS), labels=["off", "on"],
                            colors=["red", "blue"], title="frames missed, %: off, and below it on")  # fmt: skip
    drawn = str(plt.build())
    return drawn if coloured else str(plt.uncolorize(drawn))


def terminal_cells() -> int:
    """Columns of the terminal; 120 in a pipe, and never so few that nothing can be read."""
    return max(FEWEST_CELLS, shutil.get_terminal_size((WIDE_CELLS, 40)).columns)


def _cells(arm: Arm) -> tuple[str, ...]:
    typing, start = arm.probes.get("typing"), arm.probes.get("start")
    return (
        f"{arm.missed.value:.1f} %",
        _numbers(arm.frame, ("p50", "p99", "p99_9", "max")),
        _numbers(typing, ("p50", "p99")),
        f"{arm.broken.value:.1f} %",
        _numbers(start, ("p50", "max")),
        "–" if arm.watts is None else f"{arm.watts:.1f}",
        f"{arm.left_cores:.2f}",
        f"{arm.own_cores:.2f}",
        ", ".join(f"{role} {number(done)}" for role, done in arm.work.items()) or "–",
    )


def _numbers(found: Spread | None, names: Sequence[str]) -> str:
    """`–` for one that so few do not tell."""
    if found is None:
        return "–"
    values = [getattr(found, name) for name in names]
    return "/".join("–" if value is None else f"{value:.1f}" for value in values)


def _word(check: Check) -> str:
    return "ok" if check.holds else "MISSED"


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]], cells: int) -> list[str]:
    """Columns; where *cells* are few those that tell least are left out."""
    keep = [i for i in range(len(head)) if len(head) < len(HEAD) or cells >= WIDE_CELLS or i in NARROW]
    table = [[row[i] for i in keep] for row in (head, *rows)]
    if len(keep) < len(head):
        table[0] = [cell.removeprefix("FRAME ") for cell in table[0]]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True))[:cells].rstrip() for row in table]
