"""Ranked culprits as lines, with the evidence against each (pure)."""

from collections.abc import Sequence

from smoothtask.model.frame import Frame
from smoothtask_tui import fmt
from smoothtask_tui.columns import short_effect
from smoothtask_tui.culprits import Culprit
from smoothtask_tui.detaillines import title
from smoothtask_tui.line import Line, Span, line

THREE_LINES_FROM = 18
"""Lines of the panel from which each culprit gets three."""
EFFECT_FROM = 100
"""Cells from which a culprit's one line says in short what is done about it; evidence comes first."""
EFFECT_CELLS = 9


def lines_each(height: int) -> int:
    """Lines that each culprit has in a panel of *height*."""
    return 3 if height >= THREE_LINES_FROM else 1


def first_shown(at: int, height: int) -> int:
    """The place of the topmost one in a panel of *height*, when the cursor is at *at*."""
    return max(0, at - max(1, (height - 1) // lines_each(height)) + 1)


def culprit_lines(
    culprits: Sequence[Culprit], frame: Frame | None, span_s: float, at: int, size: tuple[int, int]
) -> list[Line]:
    """The panel of *size* cells; the culprit at *at* is under the cursor."""
    width, height = size
    lines = [title(f"who made others wait, last {fmt.duration(span_s)}", width)]
    if not culprits:
        return [*lines, line(("  ✓ nobody: no one waited", "good"))]
    each = lines_each(height)
    room = max(1, (height - 1) // each)
    top = first_shown(at, height)
    for i, culprit in enumerate(culprits[top : top + room], top):
        lines += _culprit(i, culprit, frame, width, each, cursor=i == at)
    return lines


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f}s" if seconds < 9.95 else fmt.duration(seconds)


def evidence(culprit: Culprit) -> str:
    """Why it is named, in words."""
    said = []
    if culprit.cpu_s > 0:
        victims = ", ".join(f"{name} {_seconds(s)}" for name, s in culprit.victims)
        said.append(f"used {culprit.cores:.1f} CPUs while others waited" + (f" ({victims})" if victims else ""))
    if culprit.disk_s > 0:
        moved = fmt.quantity(culprit.moved_bps)
        said.append(f"moved {moved}/s while somebody waited for a disk ({_seconds(culprit.disk_s)})")
    return "; ".join(said)


def _culprit(i: int, culprit: Culprit, frame: Frame | None, width: int, each: int, *, cursor: bool) -> list[Line]:
    g = next((g for g in frame.groups if g.group.id == culprit.group), None) if frame is not None else None
    shape, letter, _ = fmt.CLASS_MARKS[g.decision.target] if g is not None else ("✗", " ", "")
    role = f"class{int(g.decision.target)}" if g is not None else "faint"
    ground = "cursor" if cursor else "panel"
    head = [
        Span("▌" if cursor else " ", "accent"),
        Span(f"{i + 1:>2} ", "dim"),
        Span(f"{culprit.share * 100:3.0f}% ", "hot" if culprit.share >= 0.3 else "text"),
        Span(f"{shape}{letter} ", role),
    ]
    used = Line(tuple(head)).cells
    if each == 1:
        name = min(22, max(8, width // 3))
        head += [Span(fmt.fit(culprit.label, name) + " ", "name")]
        if width >= EFFECT_FROM:
            head.append(Span(fmt.fit("exited" if g is None else short_effect(g.mechanism), EFFECT_CELLS), "text"))
            used += EFFECT_CELLS
        head.append(Span(fmt.fit(evidence(culprit), max(0, width - used - name - 1)), "dim"))
        return [Line(tuple(head), ground)]
    now = "has exited" if g is None else "nothing is done about it" if g.mechanism == "-" else f"now: {g.mechanism}"
    head.append(Span(fmt.fit(culprit.label, max(0, width - used)), "name"))
    indent = "        "
    texts = [
        evidence(culprit),
        f"caused {_seconds(culprit.caused_s)} of waiting in {_seconds(culprit.during_s)}; {now}",
    ]
    return [
        Line(tuple(head), ground),
        *(Line((Span(indent), Span(fmt.fit(t, max(0, width - len(indent))), "dim")), ground) for t in texts),
    ]
