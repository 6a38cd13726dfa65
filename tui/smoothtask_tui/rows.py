"""Frame + what the person looks at → the rows of the group list (pure).

Rule 1: the cursor is a group's id, never a place; the order held after a cursor key is a list of ids.
Rule 2: an application's row counts its parts; a part's row counts itself.
Rule 3: parts stand below their application, in the same order of sorting.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Stage
from smoothtask.model.frame import Frame, GroupFrame, Mark
from smoothtask.model.group import GroupMetrics
from smoothtask_tui.query import parse_query

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


ASCENDING = frozenset({SortKey.NAME})
"""Keys that begin with the smallest; the others begin with the biggest."""

BY_WORDS: dict[Stage, str] = {
    Stage.PROTECTION: "protected",
    Stage.PIN: "pin",
    Stage.OVERRIDE: "you",
    Stage.RULE: "rule",
    Stage.BEHAVIOUR: "behaviour",
    Stage.RANKER: "model",
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


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list."""

    id: str
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
    trend: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """What the list shows."""

    rows: tuple[Row, ...] = ()
    total: int = 0
    """Applications and parts in the frame, hidden or not."""
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
) -> Listing:
    """The rows to show. *held*: ids in the order to keep (Rule 1); ids not in it come last."""
    parts: dict[str, list[GroupFrame]] = {}
    tops: list[GroupFrame] = []
    ids = frozenset(g.group.id for g in frame.groups)
    for g in frame.groups:
        if g.group.parent in ids:
            parts.setdefault(str(g.group.parent), []).append(g)
        else:
            tops.append(g)
    totals = {
        g.group.id: total([g.group.metrics, *(p.group.metrics for p in parts.get(g.group.id, ()))])
        for g in frame.groups
    }
    query = parse_query(view.filter)
    place = {group: i for i, group in enumerate(held)}
    rows: list[Row] = []
    for top in _sorted(tops, view, totals, place):
        own = query.matches(top, totals[top.group.id])
        below = parts.get(top.group.id, [])
        shown = below if own else [p for p in below if query.matches(p, totals[p.group.id])]
        if not (own or shown):
            continue
        folded = top.group.id in view.folded
        fold = " " if not below else "▸" if folded else "▾"
        rows.append(_row(top, 0, fold, totals, trends))
        if not folded:
            rows += [_row(p, 1, " ", totals, trends) for p in _sorted(shown, view, totals, place)]
    return Listing(tuple(rows), len(frame.groups), ids)


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
    descending = (view.sort not in ASCENDING) != view.reverse
    ordered = sorted(groups, key=lambda g: (g.group.label.casefold(), g.group.id))
    ordered.sort(key=lambda g: _sort_value(g, totals[g.group.id], view.sort), reverse=descending)
    if place:
        ordered.sort(key=lambda g: place.get(g.group.id, len(place)))
    return ordered


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


def _row(
    g: GroupFrame,
    depth: int,
    fold: str,
    totals: Mapping[str, GroupMetrics],
    trends: Mapping[str, Sequence[float]] | None,
) -> Row:
    return Row(
        id=g.group.id,
        depth=depth,
        fold=fold,
        label=g.group.label,
        target=g.decision.target,
        wanted=g.decision.wanted,
        by=BY_WORDS[g.decision.decided_by],
        metrics=totals[g.group.id],
        mechanism=g.mechanism,
        since_s=g.decision.since_s,
        marks=g.marks,
        restraint=g.decision.restraint,
        type=g.group.classification.type,
        trend=tuple(trends.get(g.group.id, ())) if trends else (),
    )
