"""Everything known of one group, as lines (pure)."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from rich.cells import cell_len

from smoothtask.model.decision import Reason
from smoothtask.model.frame import GroupFrame, Mark, ProcessFrame
from smoothtask.model.group import Behaviour, GroupMetrics
from smoothtask_tui import fmt, meters
from smoothtask_tui.line import BLANK, Line, Span, line
from smoothtask_tui.rows import BY_WORDS

MARK_WORDS: dict[Mark, str] = {
    Mark.FOCUSED: "has the focus",
    Mark.PLAYING: "plays sound",
    Mark.CAPTURING: "records sound",
    Mark.PINNED: "pinned",
    Mark.OVERRIDDEN: "overridden",
    Mark.LABELLED: "labelled",
    Mark.PROTECTED: "protected: never touched",
    Mark.USER_OWNED: "its priority was set by hand: left alone",
}
BEHAVIOUR_WORDS: dict[Behaviour, str] = {
    Behaviour.QUIET: "quiet",
    Behaviour.STEADY: "sleeps and wakes often",
    Behaviour.HOG: "runs or wants to run all the time",
}
INDENT = " " * 12
SHOWN_PROCESSES = 4
"""So many have a place even where facts must go."""
GIVE_WAY = ("app", "where", "energy", "network", "rule", "does", "io, mem", "delays", "is a")
"""Facts in the order in which they go."""


def title(text: str, width: int) -> Line:
    """The heading of a panel: a rule across its width."""
    shown = fmt.shorten(text, max(8, width - 6))
    return line(("── ", "faint"), (shown, "title"), (" " + "─" * max(0, width - cell_len(shown) - 4), "faint"))


def detail_lines(
    g: GroupFrame | None,
    metrics: GroupMetrics | None,
    processes: Sequence[ProcessFrame],
    width: int,
    height: int = 1000,
) -> list[Line]:
    """The panel about *g*; *metrics* counts its parts too. In a low panel lesser facts make room for processes."""
    if g is None or metrics is None:
        return [title("details", width), BLANK, line(("  no application under the cursor: press ↓", "dim"))]
    shape, letter, _ = fmt.CLASS_MARKS[g.decision.target]
    role = f"class{int(g.decision.target)}"
    since = f" for {fmt.duration(g.decision.since_s)}, by {BY_WORDS[g.decision.decided_by].replace('-', 'default')}"
    lines = [
        title(g.group.label, width),
        line(("  class     ", "dim"), (f"{shape} {letter} {g.decision.target.name}", role), (since, "text")),
    ]
    if g.decision.wanted is not g.decision.target:
        lines.append(line(("  wanted    ", "dim"), (f"{g.decision.wanted.name}, held back for now", "warn")))
    for i, reason in enumerate(g.decision.reasons):
        lines += reason_lines("  why       " if i == 0 else INDENT, reason, width)
    lines += _that_fit(facts(g, metrics), width, height - len(lines) - 1 - min(len(processes), SHOWN_PROCESSES))
    lines.append(process_heading(processes))
    lines += [process_line(p, width) for p in processes]
    return lines


def reasons_text(g: GroupFrame) -> str:
    """The chain of reasons as text to copy."""
    lines = [f"{g.group.label} ({g.group.id}): {g.decision.target.name} for {fmt.duration(g.decision.since_s)}"]
    lines += [
        f"  {r.stage.value}/{r.rule}: {r.text}" + (f"  [{r.source}]" if r.source else "") for r in g.decision.reasons
    ]
    return "\n".join([*lines, f"  in effect: {g.mechanism}", *([f"  {g.effect}"] if g.effect else [])])


def facts(g: GroupFrame, m: GroupMetrics) -> Iterator[tuple[str, str]]:
    """What is known of *g* besides its reasons: name of the fact, text; *m* counts its parts too."""
    c = g.group.classification
    for_now = " (only while somebody waits)" if g.decision.restraint else ""
    yield "in effect", ("nothing" if g.mechanism == "-" else g.mechanism) + for_now
    if g.effect:
        yield "counts", g.effect
    if g.marks:
        yield "marks", ", ".join(MARK_WORDS[m] for m in MARK_WORDS if m in g.marks)
    tags = ", ".join(sorted(c.tags - {c.type}))
    yield "is a", f"{c.type} ({c.process_type.value}{'; ' + tags if tags else ''}): {c.evidence}"
    if c.source is not None:
        yield "rule", f"{c.source}  ({c.source.layer})"
    yield "does", f"{BEHAVIOUR_WORDS[g.group.behaviour]}, for {fmt.duration(g.group.behaviour_s)}"
    yield (
        "uses",
        (
            f"CPU {fmt.percent(m.cpu)}% (100 % is one core), waits {fmt.percent(m.wait)}%, "
            f"sleeps {m.vcsw:.0f}/s, pushed off {m.ivcsw:.0f}/s"
        ),
    )
    yield (
        "io, mem",
        (
            f"reads {fmt.quantity(m.read_bps)}/s, writes {fmt.quantity(m.write_bps)}/s, "
            f"{fmt.quantity(m.rss_bytes)} resident"
        ),
    )
    if g.pressure is not None and g.pressure.worst is not None:
        p = g.pressure
        pairs = (("a CPU", p.cpu_pct), ("a disk", p.io_pct), ("memory", p.memory_pct))
        yield "pressure", ", ".join(f"{what} {v:.0f} %" for what, v in pairs if v is not None) + " of the time"
    yield from meters.facts(g.meters, m)
    yield "app", c.app
    where = ", ".join(
        text
        for text in (g.group.unit, g.group.tty, f"uid {g.group.uid}", f"started {fmt.duration(g.group.started_s)} ago")
        if text
    )
    yield "where", where


def _that_fit(facts: Iterable[tuple[str, str]], width: int, room: int) -> list[Line]:
    """*facts* as lines, and a blank one at the end, without those that have to give way in *room* lines."""
    shown = [(label, list(labelled(label, text, width))) for label, text in facts]
    for label in GIVE_WAY:
        if sum(len(lines) for _, lines in shown) + 1 <= room:
            return [*chain.from_iterable(lines for _, lines in shown), BLANK]
        shown = [fact for fact in shown if fact[0] != label]
    return list(chain.from_iterable(lines for _, lines in shown))


def reason_lines(lead: str, r: Reason, width: int) -> Iterator[Line]:
    """One link of the chain, and where it comes from."""
    texts = list(fmt.wrap(f"{r.text}", width - len(lead)))
    for i, text in enumerate(texts):
        yield line((lead if i == 0 else INDENT, "dim"), (text, "strong" if lead.strip() else "text"))
    origin = f"{r.stage.value} {r.rule}" + (f" · {r.source}" if r.source else "")
    for text in fmt.wrap(origin, width - len(INDENT)):
        yield line(INDENT, (text, "dim"))


def labelled(label: str, text: str, width: int) -> Iterator[Line]:
    """A fact with its name, on as many lines as it needs."""
    for i, piece in enumerate(fmt.wrap(text, width - len(INDENT))):
        yield line((f"  {label:10}" if i == 0 else INDENT, "dim"), piece)


def process_heading(processes: Sequence[ProcessFrame]) -> Line:
    """The titles above processes, or that there are none."""
    count = f"  {'PID':>7} {'CPU%':>5} {'WAIT%':>5} {'NI':>3} {'THR':>4} {'MEM':>5}  COMMAND"
    return line((count if processes else "  no process of it does anything just now", "head"))


def process_line(p: ProcessFrame, width: int) -> Line:
    """One process."""
    numbers = (
        f" {fmt.percent(p.cpu):>5} {fmt.percent(p.wait):>5} {p.nice:>3} {p.threads:>4} {fmt.quantity(p.rss_bytes):>5}  "
    )
    command = fmt.fit(p.command, max(0, width - 10 - len(numbers)))
    return Line((Span(f"  {p.pid:>7}", "accent"), Span(numbers), Span(command, "dim")))
