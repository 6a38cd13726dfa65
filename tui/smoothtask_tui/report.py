"""Everything known of one group, as lines of a screen that scrolls (pure)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from itertools import zip_longest

from smoothtask.model.classes import PriorityClass
from smoothtask.model.detail import ClassChange, GroupDetail, InForce, Supposition
from smoothtask.model.frame import GroupFrame, ProcessFrame
from smoothtask.model.group import AppGroup, GroupMetrics
from smoothtask_tui import fmt, graph
from smoothtask_tui.detaillines import (
    INDENT,
    facts,
    labelled,
    process_heading,
    process_line,
    reason_lines,
    title,
)
from smoothtask_tui.lanes import Lane, class_lane, sampled
from smoothtask_tui.line import BLANK, Line, Span, line
from smoothtask_tui.rows import BY_WORDS, POLICIES
from smoothtask_tui.threads import ThreadUse

WIDE = 130
"""Cells from which plots and processes stand beside the reasons."""
GAP = 2
AXIS = 7
"""Cells for the numbers at the left of a plot."""
STANDSTILL = "paused or in dry-run: the same class, and nothing changed for it"
SPANS_S = (60.0, 300.0, 900.0)


@dataclass(frozen=True, slots=True)
class Report:
    """What there is to tell."""

    group: GroupFrame
    metrics: GroupMetrics
    """With its parts."""
    now: float
    """Unix time of the newest frame."""
    zone: tzinfo | None
    detail: GroupDetail | None = None
    missing: str = ""
    """Why there is no detail."""
    processes: tuple[ProcessFrame, ...] = ()
    lane: Lane = field(default_factory=Lane)
    waits: tuple[tuple[float, bool], ...] = ()
    """Unix time and whether somebody waited, for each tick."""
    span_s: float = SPANS_S[1]
    with_threads: bool = False
    threads: tuple[ThreadUse, ...] = ()
    gone: bool = False
    """It has exited: this is what was known last."""

    def clock(self, time: float) -> str:
        """*time* as people write it; with its day when that is another one."""
        then, today = datetime.fromtimestamp(time, self.zone), datetime.fromtimestamp(self.now, self.zone)
        return then.strftime("%H:%M:%S" if then.date() == today.date() else "%b %d %H:%M")


def report_lines(r: Report, width: int) -> list[Line]:
    """The whole report; two columns where there is room for them."""
    if width < WIDE:
        parts = (_why, _what_if, _plots, _in_force, _past, _facts, _processes, _threads)
        return [line for part in parts for line in part(r, width)]
    left_width = (width - GAP) * 11 // 20
    left = [line for part in (_why, _what_if, _in_force, _past) for line in part(r, left_width)]
    right_width = width - GAP - left_width
    right = [*_plots(r, right_width, 6)]
    right += [line for part in (_facts, _processes, _threads) for line in part(r, right_width)]
    return [_beside(a, b, left_width) for a, b in zip_longest(left, right, fillvalue=BLANK)]


def _beside(left: Line, right: Line, width: int) -> Line:
    if not right.spans:
        return left
    return Line((*left.spans, Span(" " * max(0, width - left.cells + GAP)), *right.spans))


def head(r: Report, width: int) -> Line:
    """Name, class, who decided and what effect it has, in one line."""
    g, d = r.group, r.group.decision
    shape, letter, word = fmt.CLASS_MARKS[d.target]
    by = BY_WORDS[d.decided_by].replace("-", "nobody")
    effect = "nothing in effect" if g.mechanism == "-" else g.mechanism
    state = f" {shape} {letter} {word} by {by} for {fmt.duration(d.since_s)} "
    if r.gone:
        state = " has exited: this is what was known last "
    name = fmt.shorten(g.group.label, max(8, width - fmt.cells(state) - 2))
    rest = max(0, width - fmt.cells(name) - fmt.cells(state) - 4)
    role = "warn" if r.gone else f"class{int(d.target)}"
    return line((f" {name} ", "accent!"), (state, role), (fmt.shorten(effect, rest) if rest > 7 else "", "dim"),
                ground="panel")  # fmt: skip


# --- the sections -------------------------------------------------------------------------------------------


def _why(r: Report, width: int) -> Iterator[Line]:
    d = r.group.decision
    yield title("why", width)
    for i, reason in enumerate(d.reasons):
        yield from reason_lines("  why       " if i == 0 else INDENT, reason, width)
    if d.wanted is not d.target:
        yield line(("  wanted    ", "dim"), (f"{d.wanted.name}, held back for now", "warn"))
    source = r.group.group.classification.source
    rule = f"{source}  ({source.layer})" if source else "none knows it: A makes one"
    yield from labelled("rule", rule, width)
    now_only = " (only while somebody waits)" if d.restraint else ""
    yield from labelled("in effect", ("nothing" if r.group.mechanism == "-" else r.group.mechanism) + now_only, width)
    if r.group.effect:
        yield from labelled("counts", r.group.effect, width)
    yield BLANK


def _what_if(r: Report, width: int) -> Iterator[Line]:
    def lines(s: Supposition) -> Iterator[Line]:
        return _supposed(r, s, width)

    yield from _section(r, "what if", width, lambda d: d.what_if, lines, "nothing to suppose", closing=STANDSTILL)


def _supposed(r: Report, s: Supposition, width: int) -> Iterator[Line]:
    shape, letter, word = fmt.CLASS_MARKS[s.target]
    same = s.target is r.group.decision.target
    role = "dim" if same else f"class{int(s.target)}"
    what = fmt.fit(f"  {s.what}", min(30, max(12, width - 20)))
    if fmt.cells(s.what) + 2 > fmt.cells(what):
        yield line((f"  {fmt.shorten(s.what, width - 2)}", "text"))
        what = " " * fmt.cells(what)
    verdict = f" {shape} {letter} {word}{' as now' if same else ''}"
    yield line((what, "text"), (verdict, role))
    for text in fmt.wrap(s.text, width - 6) if s.text else ():
        yield line("      ", (text, "dim"))


def _in_force(r: Report, width: int) -> Iterator[Line]:
    def lines(c: InForce) -> Iterator[Line]:
        yield line((f"  {r.clock(c.at)}  ", "dim"), (fmt.shorten(c.what, max(8, width - 14)), "strong"))
        for text in fmt.wrap(f"{c.old} → {c.new}", width - 12):
            yield line(INDENT, text)
        for text in fmt.wrap(f"because {c.why}", width - 12):
            yield line(INDENT, (text, "dim"))

    dry = "the ledger holds nothing: it is only said, not done"
    none = "nothing is changed for it" if r.group.mechanism == "-" else dry
    yield from _section(r, "changed for it, and put back at exit (the ledger)", width,
                        lambda d: d.in_force, lines, none, lambda d: d.more_in_force)  # fmt: skip


def _past(r: Report, width: int) -> Iterator[Line]:
    def lines(c: ClassChange) -> Iterator[Line]:
        old, new = fmt.CLASS_MARKS[c.old], fmt.CLASS_MARKS[c.new]
        yield line(
            (f"  {r.clock(c.time)}  ", "dim"), (f"{old[0]} {old[1]}", f"class{int(c.old)}"), (" → ", "dim"),
            (f"{new[0]} {new[1]} {c.new.name}", f"class{int(c.new)}"),
        )  # fmt: skip
        for text in fmt.wrap(c.text, width - 12):
            yield line(INDENT, (text, "dim"))

    yield from _section(r, "past decisions, newest first", width, lambda d: tuple(reversed(d.past)), lines,
                        "its class has not changed since the engine began")  # fmt: skip


def _section(
    r: Report,
    name: str,
    width: int,
    of: Callable[[GroupDetail], Sequence[object]],
    lines: Callable[..., Iterator[Line]],
    none: str,
    more: Callable[[GroupDetail], int] = lambda _: 0,
    closing: str = "",
) -> Iterator[Line]:
    yield title(name, width)
    if r.detail is None:
        yield line((f"  {fmt.shorten(r.missing or 'asking the engine …', max(8, width - 2))}", "dim"))
    elif not of(r.detail):
        yield line((f"  {fmt.shorten(none, max(8, width - 2))}", "dim"))
    else:
        for each in of(r.detail):
            yield from lines(each)
        if more(r.detail):
            yield line((f"  and {more(r.detail)} more", "dim"))
        for text in fmt.wrap(closing, width - 4) if closing else ():
            yield line("  ", (text, "dim"))
    yield BLANK


def _plots(r: Report, width: int, height: int = 3) -> Iterator[Line]:
    cells = max(4, width - AXIS - 2)
    yield title(f"the last {fmt.duration(r.span_s)}  (+ - shows more or less)", width)
    for name, values, least, role in (
        ("CPU %, 100 is one core", r.lane.cpu, 10.0, "graph0"),
        ("waits %, 100 is one thread", r.lane.wait, 10.0, "graph1"),
    ):
        points = sampled(r.lane.times, values, r.now, r.span_s, cells * 2)
        shown = [None if v is None else v * 100 for v in points]
        top = graph.nice_top(shown, least)
        now = f"now {fmt.percent(values[-1])}" if values else "not seen yet"
        yield line(" " * AXIS, (fmt.shorten(f"{name}: {now}", cells), "dim"))
        drawn = graph.area(shown, height, top)
        for i, text in enumerate(drawn):
            number = f"{top:g}" if i == 0 else "0" if i == len(drawn) - 1 else ""
            yield line((fmt.fit(number, AXIS - 2, right=True) + " ▏", "faint"), (text, role))
    yield _lane_line(class_lane(r.lane, r.now, r.span_s, cells))
    waits = sampled([t for t, _ in r.waits], [float(w) for _, w in r.waits], r.now, r.span_s, cells)
    yield line((fmt.fit("waits", AXIS - 1, right=True) + " ", "faint"),
               *_runs([("▲", "bad") if w else ("·", "faint") for w in waits]))  # fmt: skip
    left = f"-{fmt.duration(r.span_s)}"
    yield line(" " * AXIS, (left + " " * max(1, cells - len(left) - 3) + "now", "faint"))
    yield BLANK


def _lane_line(classes: Sequence[PriorityClass | None]) -> Line:
    """The class over time: a letter where it begins, and a stroke for as long as it lasts."""
    cells: list[tuple[str, str]] = []
    before: PriorityClass | None = None
    for target in classes:
        if target is None:
            cells.append((" ", "faint"))
        else:
            letter = fmt.CLASS_MARKS[target][1] if target is not before else "━"
            cells.append((letter, f"class{int(target)}"))
        before = target
    return line((fmt.fit("class", AXIS - 1, right=True) + " ", "faint"), *_runs(cells))


def _runs(cells: Sequence[tuple[str, str]]) -> list[Span]:
    """Neighbours of one role as one span."""
    spans: list[Span] = []
    for text, role in cells:
        if spans and spans[-1].role == role:
            spans[-1] = Span(spans[-1].text + text, role)
        else:
            spans.append(Span(text, role))
    return spans


def _facts(r: Report, width: int) -> Iterator[Line]:
    yield title("what it is, does and uses", width)
    told_above = {"in effect", "counts", "rule"}
    for name, text in facts(r.group, r.metrics):
        if name not in told_above:
            yield from labelled(name, text, width)
    group = r.group.group
    for name, values in (
        ("units", [u.name if u.manager < 0 else f"{u.name} (of uid {u.manager})" for u in group.units]),
        ("cgroups", list(group.cgroups)),
        ("attention", _attention(group)),
    ):
        if values:
            yield from labelled(name, ", ".join(values), width)
    if r.detail is not None and not r.detail.is_whole:
        yield from labelled("not told", "its threads, and by what a rule could know it: it is somebody else's", width)
    yield BLANK


def _attention(group: AppGroup) -> list[str]:
    a = group.attention
    words = {
        "has the focus": a.focused, "is on the screen": a.visible, "all windows hidden": a.minimised,
        "fills the screen": a.fullscreen, "plays sound": a.playing, "records sound": a.capturing,
    }  # fmt: skip
    said = [word for word, holds in words.items() if holds]
    if a.unfocused_s is not None and not a.focused:
        said.append(f"had the focus {fmt.duration(a.unfocused_s)} ago")
    if a.typed_s is not None:
        said.append(f"typed into {fmt.duration(a.typed_s)} ago")
    return said


def _processes(r: Report, width: int) -> Iterator[Line]:
    count = len(r.processes) + (r.detail.more_processes if r.detail is not None else 0)
    yield title(f"processes: {count}", width)
    yield process_heading(r.processes)
    yield from (process_line(p, width) for p in r.processes)
    if r.detail is not None and r.detail.more_processes:
        yield line((f"  and {r.detail.more_processes} more", "dim"))
    yield BLANK


def _threads(r: Report, width: int) -> Iterator[Line]:
    if not r.with_threads:
        yield line(("  t", "key"), (" shows its threads", "dim"))
        return
    more = r.detail.more_threads if r.detail is not None else 0
    yield title(f"threads: {len(r.threads) + more}  (t hides them)", width)
    if r.detail is not None and not r.detail.is_whole:
        yield line(("  somebody else's: not told", "dim"))
        return
    yield line((f"  {'TID':>7} {'CPU%':>5} {'WAIT%':>5} {'NI':>3} {'POLICY':8} S  NAME", "head"))
    for use in sorted(r.threads, key=lambda use: (-(use.cpu + use.wait), use.thread.tid)):
        yield _thread_line(use, width)
    if more:
        yield line((f"  and {more} more", "dim"))


def _thread_line(use: ThreadUse, width: int) -> Line:
    t = use.thread
    policy = POLICIES.get(t.policy, "-")
    numbers = f" {fmt.percent(use.cpu):>5} {fmt.percent(use.wait):>5} {t.nice:>3} {policy:8} {t.state}  "
    name = fmt.fit(t.name, max(0, width - 10 - len(numbers)))
    return Line((Span(f"  {t.tid:>7}", "accent"), Span(numbers), Span(name, "dim")))
