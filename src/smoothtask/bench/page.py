"""The report as files: JSON, a page with drawings, PNGs."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

from smoothtask.bench.document import Block, Figure, Heading, Paragraph, Points, Table, to_html, to_markdown
from smoothtask.bench.results import Outcome, Report, to_json
from smoothtask.bench.scenarios import IDLE
from smoothtask.bench.show import HEAD, METHOD, as_rows, check_rows, with_interval
from smoothtask.bench.stats import Estimate

TITLE = "SmoothTask on this machine"


def write(folder: Path, report: Report) -> list[Path]:
    """report.json and report.md, and where matplotlib is installed report.html and PNGs. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "report.json": json.dumps(to_json(report), indent=1, ensure_ascii=False).encode() + b"\n",
        "report.md": to_markdown(TITLE, blocks(report, {})).encode(),
    }
    try:
        drawings, pictures = _drawn(report.outcomes)
    except ModuleNotFoundError:
        pass  # said by whoever asked for it: `missing_for_drawings`
    else:
        files |= pictures
        files["report.html"] = to_html(TITLE, blocks(report, drawings)).encode()
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
    return "without drawings: `pip install matplotlib` brings report.html and the PNGs"


def blocks(report: Report, drawings: dict[str, str]) -> list[Block]:
    """The page."""
    shown = [o for o in report.outcomes if o.arms]
    page: list[Block] = [Paragraph(report.verdict, note=True), Paragraph(report.how)]
    page += [Paragraph(note) for note in report.notes]
    page += [Figure(svg, caption) for caption, svg in drawings.items()]
    page += [Heading("Each load"), Table(HEAD, as_rows(shown))]
    changes = [
        (o.name, o.text, _change(o.missed_change, "points"), _change(o.frame_change, "ms"), _lost(o)) for o in shown
    ]
    page += [
        Heading("On against off"),
        Table(("load", "what it is", "frames missed", "frame p99", "background"), changes),
    ]
    page += [Heading("What is promised"), Table(("load", "figure", "measured", "promised", ""), check_rows(shown))]
    skipped = [f"{o.name}: {o.skipped}" for o in report.outcomes if o.skipped]
    if skipped:
        page += [Heading("Not run"), Points(skipped)]
    page += [Heading("The machine"), Table(("", ""), list(report.machine.items())), Heading("How"), Paragraph(METHOD)]
    return page


def _change(estimate: Estimate | None, unit: str) -> str:
    return "–" if estimate is None or math.isnan(estimate.value) else with_interval(estimate, unit, signed=True)


def _lost(outcome: Outcome) -> str:
    lost = outcome.lost_pct
    return "–" if lost is None or math.isnan(lost.value) else f"{with_interval(lost, '%')} lost"


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
