"""Frame + what the person looks at → the rows of the group list (pure).

Rule 1: the cursor is a group's id, never a place; the order held after a cursor key is a list of ids.
Rule 2: an application's row counts its parts; a part's row counts itself.
Rule 3: parts stand below their application, processes below their part, in the same order of sorting.
Rule 4: a process's row has an id of its own, with its start time, and a thread's one below that; what is ordered
  there is about its group.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Stage
from smoothtask.model.frame import Frame, GroupFrame, GroupPressure, Mark, ProcessFrame
from smoothtask.model.group import GroupMetrics
from smoothtask.model.meters import NO_METERS, Meters
from smoothtask_tui.meters import network_bps, queue_value, together
from smoothtask_tui.query import SHOWN_AS, parse_query
from smoothtask_tui.threads import ThreadUse
from smoothtask_tui.twins import told_apart

if TYPE_CHECKING:
    from smoothtask.model.detail import ThreadFrame

POLICIES = {1: "FIFO", 2: "RR", 3: "BATCH", 5: "IDLE", 6: "DEADLINE", 7: "EXT"}
"""Of sched(7), but for the usual one."""
HOLD_TICKS = 5
"""Ticks for which the order stays after a cursor key."""


class SortKey(StrEnum):
    """What the list is sorted by; the value is the column's title."""

    CPU = "CPU%"
    WAIT = "WAIT%"
    IO = "IO/s"
    MEMORY = "MEM"
    NAME = "NAME"
    CLASS = "CLASS"
    TIME = "FOR"
    PROCESSES = "PROC"
    QUEUE = "QUEUE"
    DISK = "DISK"
    NETWORK = "NET/s"
    WATTS = "WATTS"
    PRESSURE = "PSI%"


ASCENDING = frozenset({SortKey.NAME})
"""Keys that begin with the smallest; the others begin with the biggest."""

BY_WORDS: dict[Stage, str] = {
    Stage.PROTECTION: "protected",
    Stage.PIN: "pin",
    Stage.OVERRIDE: SHOWN_AS[Stage.OVERRIDE],
    Stage.RULE: "rule",
    Stage.BEHAVIOUR: "behaviour",
    Stage.RANKER: SHOWN_AS[Stage.RANKER],
    Stage.LEARNT: "learnt",
    Stage.DEFAULT: "-",
    Stage.GUARDRAIL: "guardrail",
    Stage.HYSTERESIS: "hold",
}


@dataclass(frozen=True, slots=True)
class View:
    """What the person has chosen to look at."""

    sort: SortKey = SortKey.CPU
    reverse: bool = False
    filter: str = ""
    folded: frozenset[str] = frozenset()
    """Applications whose parts are hidden."""
    opened: frozenset[str] = frozenset()
    """Groups whose processes are shown, and rows of processes whose threads are."""
    marked: frozenset[str] = frozenset()
    """Groups that the next order is about, all of them at once; none: the one under the cursor."""
    columns: tuple[str, ...] = ()
    """Titles of the columns from left to right; empty: as many as fit."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list."""

    id: str
    group: str
    """The group that orders on this row are about: itself, or the one that its process is in."""
    depth: int
    fold: str
    """`▾` open, `▸` folded, blank without parts."""
    label: str
    target: PriorityClass
    wanted: PriorityClass
    by: str
    metrics: GroupMetrics
    mechanism: str
    since_s: float
    marks: frozenset[Mark]
    restraint: bool
    type: str
    pressure: GroupPressure | None = None
    others: bool = False
    """Somebody else's, and not for whoever looks to order about."""
    meters: Meters = NO_METERS
    trend: tuple[float, ...] = ()
    marked: bool = False
    process: ProcessFrame | None = None
    """Set on a process's row, and on its threads'."""
    thread: "ThreadFrame | None" = None

    @property
    def kind(self) -> str:
        """What the row is about."""
        if self.thread is not None:
            return "thread"
        return "process" if self.process is not None else "part" if self.depth else "application"


@dataclass(frozen=True, slots=True)
class Listing:
    """What the list shows."""

    rows: tuple[Row, ...] = ()
    total: int = 0
    """Applications and parts, hidden or not, those too many for the frame too."""
    ids: frozenset[str] = field(default=frozenset())
    """Of the whole frame: whoever is not in here has exited."""

    def index(self, group: str | None) -> int | None:
        """The place of *group*, when it is shown."""
        return next((i for i, row in enumerate(self.rows) if row.id == group), None)


def build(
    frame: Frame,
    view: View,
    held: Sequence[str] = (),
    trends: Mapping[str, Sequence[float]] | None = None,
    processes_of: Callable[[str], Sequence[ProcessFrame]] = lambda _: (),
    user_of: Callable[[int], str] = str,
    threads_of: Callable[[ProcessFrame], Sequence[ThreadUse]] = lambda _: (),
    guest: int | None = None,
) -> Listing:
    """The rows to show.

    *held*: ids in the order to keep (Rule 1); ids not in it come last.
    *guest*: the uid of one who may order about their own groups alone.
    """
    parts: dict[str, list[GroupFrame]] = {}
    tops: list[GroupFrame] = []
    ids = frozenset(g.group.id for g in frame.groups)
    for g in frame.groups:
        if g.group.parent in ids:
            parts.setdefault(str(g.group.parent), []).append(g)
        else:
            tops.append(g)
    tops = [
        replace(g, meters=together(f.meters for f in (g, *parts[g.group.id]))) if g.group.id in parts else g
        for g in tops
    ]
    totals = {
        g.group.id: total([g.group.metrics, *(p.group.metrics for p in parts.get(g.group.id, ()))])
        for g in frame.groups
    }
    query = parse_query(view.filter, user_of)
    place = {group: i for i, group in enumerate(held)}
    names = told_apart(frame)
    rows: list[Row] = []

    def add(g: GroupFrame, depth: int, fold: str) -> None:
        row = _row(g, names, depth, fold, totals, trends, marked=g.group.id in view.marked)
        row = row if guest is None or guest == g.group.uid else replace(row, others=True)
        rows.append(row)
        if g.group.id in view.opened:
            below_it = [process_row(p, row) for p in processes_of(g.group.id)]
            below_it.sort(key=lambda r: _process_value(r, view), reverse=is_descending(view))
            below_it.sort(key=lambda r: place.get(r.id, len(place)))
            for process in below_it:
                is_open = process.id in view.opened and process.process is not None
                rows.append(replace(process, fold="▾") if is_open else process)
                if is_open and process.process is not None:
                    rows.extend(_thread_rows(process, threads_of(process.process), view, place))

    for top in _sorted(tops, view, totals, place):
        own = query.matches(top, totals[top.group.id])
        below = parts.get(top.group.id, [])
        shown = below if own else [p for p in below if query.matches(p, totals[p.group.id])]
        if not (own or shown):
            continue
        folded = top.group.id in view.folded
        fold = " " if not below else "▸" if folded else "▾"
        add(top, 0, fold)
        if not folded:
            for part in _sorted(shown, view, totals, place):
                add(part, 1, " ")
    return Listing(tuple(rows), len(frame.groups) + frame.left_out, ids)


def process_id(p: ProcessFrame) -> str:
    """The id of a process's row."""
    return f"{p.group}#{p.pid}.{p.start_ticks}"


def find(listing: Listing, text: str, at: int) -> str | None:
    """The id of the first row from *at* on, going round, whose name has *text* in it."""
    wanted, rows = text.casefold(), listing.rows
    places = (i % len(rows) for i in range(at, at + len(rows)))
    return next((rows[i].id for i in places if wanted in rows[i].label.casefold()), None)


def process_row(p: ProcessFrame, of: Row) -> Row:
    """The row of a process of the group whose row is *of*."""
    return replace(
        of,
        id=process_id(p),
        depth=of.depth + 1,
        fold="▸" if p.threads > 1 else " ",
        label=f"{p.pid} {p.command or p.name}",
        metrics=GroupMetrics(1, p.threads, p.cpu, p.wait, 0.0, 0.0, p.read_bps, p.write_bps, p.rss_bytes),
        mechanism=f"nice {p.nice:+d}" if p.nice else "-",
        pressure=None,
        meters=Meters(None, None, p.sent_bps, p.received_bps, p.connections, p.watts),
        marks=frozenset(),
        trend=(),
        marked=False,
        process=p,
    )


def _thread_rows(of: Row, threads: Sequence[ThreadUse], view: View, place: Mapping[str, int]) -> list[Row]:
    below_it = [thread_row(use, of) for use in threads]
    below_it.sort(key=lambda r: _process_value(r, view), reverse=is_descending(view))
    below_it.sort(key=lambda r: place.get(r.id, len(place)))
    return below_it


def thread_row(use: ThreadUse, of: Row) -> Row:
    """The row of a thread of the process whose row is *of*."""
    t = use.thread
    set_ = [f"nice {t.nice:+d}"] if t.nice else []
    set_ += [POLICIES[t.policy]] if t.policy in POLICIES else []
    return replace(
        of,
        id=f"{of.id}.{t.tid}",
        depth=of.depth + 1,
        fold=" ",
        label=f"{t.tid} {t.name}",
        metrics=GroupMetrics(0, 1, use.cpu, use.wait, 0.0, 0.0, 0.0, 0.0, 0),
        mechanism=", ".join(set_) or "-",
        thread=t,
    )


def total(metrics: Iterable[GroupMetrics]) -> GroupMetrics:
    """The sum of several groups' use."""
    listed = list(metrics)
    if len(listed) == 1:
        return listed[0]
    return GroupMetrics(
        processes=sum(m.processes for m in listed),
        threads=sum(m.threads for m in listed),
        cpu=sum(m.cpu for m in listed),
        wait=sum(m.wait for m in listed),
        vcsw=sum(m.vcsw for m in listed),
        ivcsw=sum(m.ivcsw for m in listed),
        read_bps=sum(m.read_bps for m in listed),
        write_bps=sum(m.write_bps for m in listed),
        rss_bytes=sum(m.rss_bytes for m in listed),
    )


def toggled(view: View, group: str, *, open_: bool | None = None) -> View:
    """*view* with *group* folded or unfolded; `open_=None` turns it round."""
    fold = group not in view.folded if open_ is None else not open_
    return replace(view, folded=view.folded | {group} if fold else view.folded - {group})


def deeper(view: View, row: Row) -> View:
    """One level more below *row*: first its parts, then its processes, below a process its threads."""
    if row.process is not None:
        return replace(view, opened=view.opened | {row.id}) if row.thread is None else view
    if row.fold == "▸":
        return toggled(view, row.group, open_=True)
    return replace(view, opened=view.opened | {row.group})


def shallower(view: View, row: Row) -> View:
    """One level less below *row*: first its threads or processes, then its parts."""
    if row.process is not None and (of := process_id(row.process)) in view.opened:
        return replace(view, opened=view.opened - {of})
    if row.group in view.opened:
        return replace(view, opened=view.opened - {row.group})
    return toggled(view, row.group.partition("/")[0], open_=False)


def marked(view: View, group: str) -> View:
    """*view* with *group* marked, or not any more."""
    return replace(view, marked=view.marked ^ {group})


def all_toggled(view: View, frame: Frame) -> View:
    """Fold every application that has parts or, when all are folded, none."""
    parents = frozenset(g.group.parent for g in frame.groups if g.group.parent)
    return replace(view, folded=frozenset() if parents <= view.folded else view.folded | parents)


def sorted_by(view: View, key: SortKey) -> View:
    """*view* sorted by *key*; the same key again turns the order round."""
    if view.sort is key:
        return replace(view, reverse=not view.reverse)
    return replace(view, sort=key, reverse=False)


def stepped(target: PriorityClass, step: int) -> PriorityClass | None:
    """The class *step* above (below, when negative); None beyond the ends."""
    value = target + step
    return PriorityClass(value) if PriorityClass.IDLE <= value <= PriorityClass.LATENCY_CRITICAL else None


def _sorted(
    groups: list[GroupFrame], view: View, totals: Mapping[str, GroupMetrics], place: Mapping[str, int]
) -> list[GroupFrame]:
    ordered = sorted(groups, key=lambda g: (g.group.label.casefold(), g.group.id))
    ordered.sort(key=lambda g: _sort_value(g, totals[g.group.id], view.sort), reverse=is_descending(view))
    if place:
        ordered.sort(key=lambda g: place.get(g.group.id, len(place)))
    return ordered


def is_descending(view: View) -> bool:
    """Whether the biggest comes first."""
    return (view.sort not in ASCENDING) != view.reverse


def _process_value(row: Row, view: View) -> float | str:
    """By what processes of one group differ; where they do not (class, time), by CPU."""
    match view.sort:
        case SortKey.NAME:
            return row.label.casefold()
        case SortKey.WAIT:
            return row.metrics.wait
        case SortKey.IO:
            return row.metrics.read_bps + row.metrics.write_bps
        case SortKey.MEMORY:
            return row.metrics.rss_bytes
        case SortKey.NETWORK:
            return network_bps(row.meters) or 0.0
        case SortKey.WATTS:
            return row.meters.watts or 0.0
        case _:
            return row.metrics.cpu


def _sort_value(g: GroupFrame, m: GroupMetrics, key: SortKey) -> float | str:
    match key:
        case SortKey.CPU:
            return m.cpu
        case SortKey.WAIT:
            return m.wait
        case SortKey.IO:
            return m.read_bps + m.write_bps
        case SortKey.MEMORY:
            return m.rss_bytes
        case SortKey.NAME:
            return g.group.label.casefold()
        case SortKey.CLASS:
            return float(g.decision.target)
        case SortKey.TIME:
            return g.decision.since_s
        case SortKey.PROCESSES:
            return m.processes
        case SortKey.QUEUE:
            return queue_value(g.meters, m)
        case SortKey.DISK:
            return g.meters.block_io.p99_ms if g.meters.block_io else 0.0
        case SortKey.NETWORK:
            return network_bps(g.meters) or 0.0
        case SortKey.WATTS:
            return g.meters.watts or 0.0
        case SortKey.PRESSURE:
            worst = g.pressure.worst if g.pressure is not None else None
            return worst[1] if worst is not None else -1.0


def _row(
    g: GroupFrame,
    names: Mapping[str, str],
    depth: int,
    fold: str,
    totals: Mapping[str, GroupMetrics],
    trends: Mapping[str, Sequence[float]] | None,
    *,
    marked: bool,
) -> Row:
    return Row(
        id=g.group.id,
        group=g.group.id,
        depth=depth,
        fold=fold,
        label=names.get(g.group.id, g.group.label),
        target=g.decision.target,
        wanted=g.decision.wanted,
        by=BY_WORDS[g.decision.decided_by],
        metrics=totals[g.group.id],
        mechanism=g.mechanism,
        since_s=g.decision.since_s,
        marks=g.marks,
        restraint=g.decision.restraint,
        type=g.group.classification.type,
        pressure=g.pressure,
        meters=g.meters,
        trend=tuple(trends.get(g.group.id, ())) if trends else (),
        marked=marked,
    )
