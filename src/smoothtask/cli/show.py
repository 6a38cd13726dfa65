"""Values → plain text for a terminal or a pipe (pure but for `print_*`)."""

import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from smoothtask.model.amounts import size_text
from smoothtask.model.frame import Frame, GroupFrame
from smoothtask.model.text import sanitise

GAP = "  "
MINIMUM = 8
"""No column is squeezed below this."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], width: int | None) -> list[str]:
    """Aligned columns; the last one is cut to *width* (`None`: nothing is cut)."""
    cells = [[sanitise(c, 1000) for c in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    lines = []
    for row in (head, *cells):
        fixed = GAP.join(c.ljust(w) for c, w in zip(row[:-1], widths, strict=False))
        last = row[-1]
        if width is not None:
            room = max(MINIMUM, width - len(fixed) - len(GAP))
            last = last if len(last) <= room else last[: room - 1] + "…"
        lines.append(f"{fixed}{GAP}{last}".rstrip())
    return lines


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on standard output: cut to a terminal's width, whole in a pipe."""
    is_terminal = sys.stdout.isatty()
    lines = table(head, rows, shutil.get_terminal_size().columns if is_terminal else None)
    if is_terminal and not os.environ.get("NO_COLOR"):
        lines[0] = f"\x1b[1m{lines[0]}\x1b[0m"
    print(*lines, sep="\n")


def group_rows(groups: Iterable[GroupFrame]) -> list[tuple[str, ...]]:
    """A row of `smoothtask groups` for each."""
    rows: list[tuple[str, ...]] = []
    for shown in groups:
        m = shown.group.metrics
        rows.append(
            (
                "  " * (shown.group.parent is not None) + shown.group.label[:32],
                shown.decision.target.name,
                f"{100 * m.cpu:.0f}%",
                f"{m.wait:.1f}",
                size_text(m.rss_bytes),
                str(m.processes),
                shown.mechanism,
                shown.decision.text,
            )
        )
    return rows


GROUP_HEAD = ("GROUP", "CLASS", "CPU", "WAIT", "MEMORY", "PROCS", "IN EFFECT", "WHY")


def is_busy(shown: GroupFrame) -> bool:
    """Whether a group does something, or has something done to it."""
    m = shown.group.metrics
    return m.cpu + m.wait >= 0.005 or bool(shown.marks) or shown.decision.target.name != "NORMAL"


def in_order(groups: Sequence[GroupFrame]) -> list[GroupFrame]:
    """The busiest application first, its parts below it."""
    parts: dict[str, list[GroupFrame]] = {}
    for shown in groups:
        if shown.group.parent is not None:
            parts.setdefault(shown.group.parent, []).append(shown)

    def weight(shown: GroupFrame) -> float:
        family = [shown, *parts.get(shown.group.id, ())]
        return -sum((f.group.metrics.cpu + f.group.metrics.wait for f in family), 0.0)

    ordered = []
    for outer in sorted((g for g in groups if g.group.parent is None), key=weight):
        ordered += [outer, *sorted(parts.get(outer.group.id, ()), key=weight)]
    return ordered


def status_lines(frame: Frame, where: str) -> list[str]:
    """What `smoothtask status` prints."""
    system, cost = frame.system, frame.cost
    mode = f"{frame.mode}{f' ({frame.mode_reason})' if frame.mode_reason else ''}"
    waiting = "; ".join(frame.contention.reasons) if frame.contention.active else "nobody waits"
    latency = system.latency
    moved = [g for g in frame.groups if g.mechanism != "-"]
    cores = len(system.cpu_pct)
    used_bytes = system.mem_total_bytes - system.mem_available_bytes
    itself = f"{cost.cpu_pct:.2f} % of one core, {size_text(cost.rss_bytes)}"
    lines = [
        f"engine      {where}, {mode}",
        f"contention  {waiting}",
        f"cpu         {sum(system.cpu_pct) / max(1, cores):.0f} % of {cores} cores, load {system.load[0]:.2f}",
        f"memory      {size_text(used_bytes)} of {size_text(system.mem_total_bytes)}",
        "wake-ups    not measured"
        if latency is None
        else f"wake-ups    p50 {latency.p50_ms:.2f} ms, p99 {latency.p99_ms:.2f} ms, max {latency.max_ms:.1f} ms late",
        f"groups      {len(frame.groups) + frame.left_out}, {len(moved)} changed; {system.processes} processes",
        f"itself      {itself}, a tick every {cost.interval_s:.2g} s",
    ]
    lines += [f"{name:<11} {how}" for name, how in frame.sources.items()]
    lines += _person_lines(frame)
    return [sanitise(line, 1000) for line in lines]


def _person_lines(frame: Frame) -> list[str]:
    """Whether somebody is there, and who tells so."""
    person = frame.person
    if person.active is None:
        there = "nothing here tells whether somebody is there"
    else:
        there = "at work" if person.active else "away"
    if person.since_input_s is not None:
        there += f", last input {person.since_input_s:.0f} s ago ({person.input_source})"
    sources = [f"{f'  {s.name}':<22}{s.health}: {s.text}" for s in frame.person_sources]
    return [f"person      {there}", *sources]


def explain_lines(data: Mapping[str, Any]) -> list[str]:
    """What `smoothtask explain` prints, from the engine's answer."""
    head = [
        f"{data.get('label')}  {data.get('group')}",
        f"class       {data.get('class')}"
        + (f" (wanted {data['wanted']})" if data.get("wanted") != data.get("class") else "")
        + f", for {data.get('since_s')} s, decided by {data.get('decided_by')}",
        f"is          {data.get('app')}, {data.get('type')}: {data.get('evidence')}"
        + (f" ({data['rule']})" if data.get("rule") else ""),
        f"does        {data.get('behaviour')}, for {data.get('behaviour_s')} s",
        f"in effect   {data.get('mechanism')}",
        *([f"            {data['effect']}"] if data.get("effect") else []),
        "because",
    ]
    reasons = [
        f"  {r.get('stage')}: {r.get('text')} [{r.get('rule')}]" + (f" {r['source']}" if r.get("source") else "")
        for r in data.get("reasons", ())
    ]
    return [sanitise(line, 1000) for line in head + reasons + _ranking_lines(data.get("ranking"))]


def _ranking_lines(ranking: Mapping[str, Any] | None) -> list[str]:
    """What the model makes of it, and the features that mattered."""
    if not ranking:
        return []
    head = (
        f"model       {ranking['model']} scores it {ranking['score']:.3f} ({ranking['class']}); "
        f"before anything is known {ranking['usual']:.3f}"
    )
    return [head, *(_feature_line(f) for f in ranking["features"])]


def _feature_line(f: Mapping[str, Any]) -> str:
    value = "not known" if f["value"] is None else f"{f['value']:.4g} {f['unit']}".rstrip()
    return f"  {f['adds']:+.3f}  {f['text']}: {value} [{f['name']}]"


def process_rows(data: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The processes of an explained group."""
    return [
        (
            str(p.get("pid")),
            f"{100 * p.get('cpu', 0):.0f}%",
            f"{p.get('wait', 0):.1f}",
            str(p.get("nice")),
            size_text(p.get("rss_bytes", 0)),
            str(p.get("command")),
        )
        for p in data.get("processes", ())
    ]


PROCESS_HEAD = ("PID", "CPU", "WAIT", "NICE", "MEMORY", "COMMAND")
