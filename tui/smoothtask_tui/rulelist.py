"""Rules and what they match → the rows of the rules screen (pure).

Rule 1: a row is known by layer and id, never by its place.
Rule 2: every word of the filter must hold: `layer:`, `class:`, `type:` and `file:` compare from the beginning, other
  words are looked for in id, label and type; `!` in front turns a word round.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from smoothtask.model.classes import PriorityClass
from smoothtask.model.detail import RuleUse, RuleUses
from smoothtask.model.frame import Frame, GroupFrame
from smoothtask_tui import fmt
from smoothtask_tui.line import Line, Span, line

Key = tuple[str, str]
"""Layer and id."""


class RuleSort(StrEnum):
    """What the list is sorted by; the value is the column's title."""

    GROUPS = "GROUPS"
    EVER = "EVER"
    RULE = "RULE"
    TYPE = "TYPE"
    CLASS = "CLASS"
    LAYER = "LAYER"


SORTS: tuple[tuple[str, RuleSort, str], ...] = (
    ("g", RuleSort.GROUPS, "groups now"),
    ("e", RuleSort.EVER, "matched so far"),
    ("r", RuleSort.RULE, "rule"),
    ("t", RuleSort.TYPE, "type"),
    ("k", RuleSort.CLASS, "class"),
    ("l", RuleSort.LAYER, "layer"),
)
ASCENDING = frozenset({RuleSort.RULE, RuleSort.TYPE, RuleSort.LAYER})


class Which(StrEnum):
    """Which rules are shown."""

    ALL = "all"
    NOW = "that match something now"
    NEVER = "that never matched"


@dataclass(frozen=True, slots=True)
class RuleView:
    """What the person has chosen to look at."""

    sort: RuleSort = RuleSort.GROUPS
    reverse: bool = False
    filter: str = ""
    which: Which = Which.ALL


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule."""

    use: RuleUse
    groups: int
    """Groups that it is the rule of, now."""
    logged: bool | None
    """Whether the snapshot log has a group of it; `None`: not known."""

    @property
    def key(self) -> Key:
        """Rule 1."""
        return self.use.layer, self.use.id

    @property
    def never(self) -> bool:
        """Neither now, nor since the engine began, nor as far as the log goes back."""
        return not (self.groups or self.use.processes or self.use.matched or self.logged)


def rule_rows(uses: RuleUses, frame: Frame | None, logged: frozenset[Key] | None, view: RuleView) -> list[RuleRow]:
    """The rules to show, in their order. *logged*: the rules of groups in the log, when it can be read."""
    count = Counter(key for g in (frame.groups if frame is not None else ()) if (key := rule_of(g)) is not None)
    rows = [
        RuleRow(use, count[use.layer, use.id], None if logged is None else (use.layer, use.id) in logged)
        for use in uses.rules
    ]
    test = _test(view.filter)
    shown = [row for row in rows if _is_shown(row, view.which) and test(row.use)]
    shown.sort(key=lambda row: row.key[::-1])
    shown.sort(key=lambda row: _value(row, view.sort), reverse=(view.sort not in ASCENDING) != view.reverse)
    return shown


def rule_of(g: GroupFrame) -> Key | None:
    """Layer and id of the rule that knows *g*."""
    c = g.group.classification
    return (c.source.layer, c.app) if c.source is not None else None


def sorted_by(view: RuleView, sort: RuleSort) -> RuleView:
    """*view* sorted by *sort*; by the same again: the other way round."""
    return replace(view, sort=sort, reverse=not view.reverse if view.sort is sort else False)


def _is_shown(row: RuleRow, which: Which) -> bool:
    match which:
        case Which.ALL:
            return True
        case Which.NOW:
            return bool(row.groups or row.use.processes)
        case Which.NEVER:
            return row.never


def _value(row: RuleRow, sort: RuleSort) -> tuple[float, ...] | tuple[str, ...]:
    use = row.use
    match sort:
        case RuleSort.GROUPS:
            return row.groups, use.processes, use.matched
        case RuleSort.EVER:
            return use.matched, row.groups
        case RuleSort.RULE:
            return (use.id,)
        case RuleSort.TYPE:
            return use.type, use.id
        case RuleSort.CLASS:
            return (-1.0 if use.target is None else float(use.target),)
        case RuleSort.LAYER:
            return use.layer, use.file, f"{use.line:08}"


FIELDS: Mapping[str, Callable[[RuleUse], str]] = {
    "layer": lambda u: u.layer,
    "class": lambda u: u.target.name if u.target is not None else "none",
    "type": lambda u: u.type,
    "file": lambda u: u.file.rpartition("/")[2],
}


def _test(text: str) -> Callable[[RuleUse], bool]:
    tests = [_word(word) for word in text.casefold().split() if word != "!"]
    return lambda use: all(test(use) for test in tests)


def _word(word: str) -> Callable[[RuleUse], bool]:
    plain = word.removeprefix("!")
    name, colon, value = plain.partition(":")
    field = FIELDS.get(name) if colon else None

    def holds(use: RuleUse) -> bool:
        if field is not None:
            return field(use).casefold().startswith(value)
        return any(plain in text.casefold() for text in (use.id, use.label, use.type))

    return (lambda use: not holds(use)) if plain != word else holds


# --- lines --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """One column; *need*: terminal cells from which it is shown."""

    title: str
    width: int
    cell: Callable[[RuleRow], tuple[str, str]]
    """Text and role."""
    need: int = 0
    right: bool = False


def _class(row: RuleRow) -> tuple[str, str]:
    target = row.use.target
    if row.use.protected:
        return "# protected", "dim"
    if target is None:
        return "- behaviour", "faint"
    shape, letter, word = fmt.CLASS_MARKS[target]
    return f"{shape}{letter} {word}{'' if row.use.certain else '?'}", f"class{int(target)}"


def _count(value: int) -> tuple[str, str]:
    return str(value), "text" if value else "faint"


COLUMNS: tuple[Column, ...] = (
    Column("TYPE", 16, lambda r: (r.use.type, "dim"), need=70),
    Column("CLASS", 12, _class),
    Column("GROUPS", 7, lambda r: _count(r.groups), right=True),
    Column("PROC", 5, lambda r: _count(r.use.processes), need=76, right=True),
    Column("EVER", 6, lambda r: _count(r.use.matched), need=48, right=True),
    Column("LOG", 3, lambda r: ("?" if r.logged is None else "yes" if r.logged else "-", "dim"), need=100),
    Column("LAYER", 8, lambda r: (r.use.layer, "text"), need=58),
)
WHERE_FROM = 100
"""Cells from which file and line have a column."""


def _layout(width: int) -> tuple[int, list[Column], int]:
    """Cells of the rule's name, the columns, and cells for file and line."""
    columns = [c for c in COLUMNS if width >= c.need]
    left = width - 1 - sum(c.width + 1 for c in columns)
    where = max(0, left - 28) if width >= WHERE_FROM else 0
    return max(10, left - (where + 1 if where else 0)), columns, where


def heading(view: RuleView, width: int) -> Line:
    """The titles, that of the sort marked."""
    name, columns, where = _layout(width)
    arrow = "▲" if (view.sort in ASCENDING) != view.reverse else "▼"

    def one(title: str, cells: int, *, right: bool = False) -> Span:
        chosen = title == view.sort.value
        return Span(
            fmt.fit(f"{title}{arrow}" if chosen else title, cells, right=right), "headsort" if chosen else "head"
        )

    spans = [Span(" "), one("RULE", name)]
    for c in columns:
        spans += [Span(" "), one(c.title, c.width, right=c.right)]
    if where:
        spans += [Span(" "), one("FILE:LINE", where)]
    return Line(tuple(spans))


def rule_line(row: RuleRow, width: int, *, cursor: bool) -> Line:
    """One rule."""
    name, columns, where = _layout(width)
    spans = [Span("▌" if cursor else " ", "accent"), Span(fmt.fit(row.use.id, name), "name" if row.groups else "text")]
    for c in columns:
        text, role = c.cell(row)
        spans += [Span(" "), Span(fmt.fit(text, c.width, right=c.right), role)]
    if where:
        spans += [Span(" "), Span(tail(f"{row.use.file}:{row.use.line}", where), "dim")]
    return Line(tuple(spans), "cursor" if cursor else "ground")


def tail(text: str, width: int) -> str:
    """The end of *text* in exactly *width* cells: of a path that matters most."""
    if fmt.cells(text) <= width:
        return fmt.fit(text, width)
    cut = text
    while cut and fmt.cells(cut) > width - 1:
        cut = cut[1:]
    return fmt.fit(fmt.ELLIPSIS + cut, width)


def about(row: RuleRow | None, groups: Sequence[GroupFrame], width: int) -> list[Line]:
    """What is known of the rule under the cursor: three lines."""
    if row is None:
        return [line(("  no rule under the cursor", "dim")), line(), line()]
    use = row.use
    wants = "is never touched" if use.protected else _wants(use.target, certain=use.certain)
    labels = ", ".join(dict.fromkeys(g.group.label for g in groups))
    texts = (
        (f"{use.label} is {use.type}: {wants}", "strong"),
        (f"{use.file}:{use.line} ({use.layer})", "dim"),
        (_matches(row, labels), "text"),
    )
    return [line((f"  {fmt.shorten(text, max(8, width - 2))}", role)) for text, role in texts]


def _matches(row: RuleRow, labels: str) -> str:
    use = row.use
    if labels:
        return f"now: {labels}"
    if use.processes:
        return f"now: no group, but {use.processes} processes inside of others"
    if use.matched:
        return f"not now; {use.matched} processes since the engine began"
    log = {None: "the log cannot be read", True: "the log has some", False: "nor does the log have any"}[row.logged]
    return f"nothing since the engine began; {log}"


def _wants(target: PriorityClass | None, *, certain: bool) -> str:
    if target is None:
        return "its behaviour decides"
    return f"{target.name}, {'at once' if certain else 'only while somebody waits'}"


def matched_groups(frame: Frame | None, key: Key) -> list[GroupFrame]:
    """The groups that the rule knows."""
    return [g for g in (frame.groups if frame is not None else ()) if rule_of(g) == key]


def types_of(uses: Iterable[RuleUse]) -> list[str]:
    """Every type that some rule has."""
    return sorted({use.type for use in uses})
