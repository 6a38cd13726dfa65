"""The report as files: JSON, a page with drawings, PNGs."""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from smoothtask.bench.document import Block, Code, Figure, Heading, Paragraph, Points, Table, to_html, to_markdown
from smoothtask.bench.results import Outcome, Report, to_json
from smoothtask.bench.scenarios import IDLE, OFF, ON
from smoothtask.bench.show import HEAD, METHOD, as_rows, bars, check_rows, number, with_interval
from smoothtask.bench.stats import Change, Estimate

TITLE = "SmoothTask on this machine"
PAGE_CELLS = 80
CHANGES = (
    "load",
    "what it is",
    "frames missed",
    "frame p99",
    "sound broken",
    "key p95",
    "start",
    "done a second, off → on",
    "lost",
)


def write(folder: Path, report: Report) -> list[Path]:
    """report.json, report.md and report.html, and PNGs where matplotlib is installed. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        drawings, pictures = _drawn(report.outcomes)
    except ModuleNotFoundError:  # said by whoever asked for it: `missing_for_drawings`
        drawings, pictures = {}, {}
    files = {
        "report.json": json.dumps(to_json(report), indent=1, ensure_ascii=False).encode() + b"\n",
        "report.md": to_markdown(TITLE, blocks(report, {})).encode(),
        "report.html": to_html(TITLE, blocks(report, drawings)).encode(),
        **pictures,
    }
    written = []
    for name, data in files.items():
        (folder / name).write_bytes(data)
        written.append(folder / name)
    return written


def missing_for_drawings() -> str | None:
    """What to install for the drawings; `None` when it is there."""
    from importlib.util import find_spec  # noqa: PLC0415

    if find_spec("matplotlib") is not None:
        return None
    return f"no PNGs, and bars of text in the page: `{sys.executable} -m pip install matplotlib` draws both"


def blocks(report: Report, drawings: dict[str, str]) -> list[Block]:
    """The page; without *drawings* (caption → SVG) with bars of text."""
    shown = [o for o in report.outcomes if o.arms]
    page: list[Block] = [Paragraph(report.verdict, note=True), Paragraph(report.how)]
    page += [Paragraph(note) for note in report.notes]
    if drawings:
        page += [Figure(svg, caption) for caption, svg in drawings.items()]
    elif text := bars(shown, PAGE_CELLS):
        page += [Code(text)]
    page += [Heading("Each load"), Table(HEAD, as_rows(shown))]
    page += [Heading("On against off"), Table(CHANGES, [_changes(o) for o in shown])]
    page += [Heading("What is promised"), Table(("load", "figure", "measured", "promised", ""), check_rows(shown))]
    skipped = [f"{o.name}: {o.skipped}" for o in report.outcomes if o.skipped]
    if skipped:
        page += [Heading("Not run"), Points(skipped)]
    page += [Heading("The machine"), Table(("", ""), list(report.machine.items())), Heading("How"), Paragraph(METHOD)]
    return page


def _change(found: Change | None, unit: str) -> str:
    return "–" if found is None else _shown(found, unit, signed=True)


def _shown(estimate: Estimate, unit: str, *, signed: bool = False) -> str:
    return "–" if math.isnan(estimate.value) else with_interval(estimate, unit, signed=signed)


def _changes(outcome: Outcome) -> tuple[str, ...]:
    return (
        outcome.name,
        outcome.text,
        _change(outcome.missed_change, "points"),
        _change(outcome.frame_change, "ms"),
        _change(outcome.sound_change, "points"),
        _change(outcome.key_change, "ms"),
        _change(outcome.start_change, "ms"),
        _done(outcome),
        "–" if outcome.lost_pct is None else _shown(outcome.lost_pct, "%"),
    )


def _done(outcome: Outcome) -> str:
    """`build 3.04 → 6.79 (+123 %), …`."""
    if set(outcome.arms) != {OFF, ON}:
        return "–"
    off, on = (outcome.arms[arm].work for arm in (OFF, ON))
    said = [f"{role} {number(off[role])} → {number(on[role])} ({_pct(outcome.work_change.get(role))})" for role in off]
    return ", ".join(said) or "–"


def _pct(found: Change | None) -> str:
    return "–" if found is None or math.isnan(found.value) else f"{found.value:+.0f} %"


def _drawn(outcomes: Sequence[Outcome]) -> tuple[dict[str, str], dict[str, bytes]]:
    """Caption → SVG, and file name → PNG. Raises ModuleNotFoundError."""
    from smoothtask.bench import plots  # noqa: PLC0415 - matplotlib, late

    shown = [o for o in outcomes if o.arms]
    pictures = {
        "missed": ("Missed frames with SmoothTask and without", plots.missed(shown)),
        "frame-times": (f"Frame times; {IDLE.name} is what the others are compared with", plots.frame_times(shown)),
    }
    height = plots.height_of(shown)
    svgs = {caption: plots.drawn(draw, 8, height) for caption, draw in pictures.values()}
    return svgs, {f"{name}.png": plots.drawn_png(draw, 8, height) for name, (_, draw) in pictures.items()}
