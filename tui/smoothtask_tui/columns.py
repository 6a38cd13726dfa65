"""Rows → lines: which columns fit, and what stands in them (pure)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from smoothtask.model.frame import Mark
from smoothtask_tui import fmt, graph
from smoothtask_tui.history import newest
from smoothtask_tui.line import Line, Span
from smoothtask_tui.meters import network_bps, queue_text
from smoothtask_tui.rows import Row, SortKey, View, is_descending

MARK_LETTERS: dict[Mark, str] = {
    Mark.FOCUSED: "F",
    Mark.PLAYING: "S",
    Mark.CAPTURING: "M",
    Mark.PINNED: "P",
    Mark.OVERRIDDEN: "O",
    Mark.LABELLED: "L",
    Mark.PROTECTED: "#",
    Mark.USER_OWNED: "U",
}
"""The letters of the marks column, explained by the help screen."""

OTHERS = "✗"
"""Before them, on what whoever looks may not order about."""

HOT_SHARE = 0.8
"""Of one core: from here on CPU% stands out."""
WAITING_SHARE = 0.3
"""Of one thread: from here on WAIT% stands out."""
LATE_MS = 20.0
"""In the run queue: from here on QUEUE stands out."""
PRESSED_PCT = 20.0
"""Of the time: from here on PSI% stands out."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: *cell* makes its text and role from a row."""

    title: str
    width: int
    cell: Callable[[Row, int], Span]
    right: bool = False
    sort: SortKey | None = None


def _name(row: Row, width: int) -> Span:
    # A process that has threads to show says so.
    lead = " " * (row.depth - 1) + ("└" if row.fold == " " else row.fold) if row.depth else row.fold
    mark = "*" if row.marked else " "
    return Span(fmt.fit(lead + mark + row.label, width), "part" if row.depth else "name")


def _class(row: Row, width: int) -> Span:
    if row.process is not None:
        return Span(" " * width)
    shape, letter, word = fmt.CLASS_MARKS[row.target]
    change = "" if row.wanted == row.target else "↑" if row.wanted > row.target else "↓"
    return Span(fmt.fit(f"{shape}{letter} {word}{change}", width), f"class{int(row.target)}")


def _by(row: Row, width: int) -> Span:
    if row.process is not None:
        return Span(fmt.fit(f"uid {row.process.uid}", width), "faint")
    return Span(fmt.fit(row.by, width), "accent" if row.by in {"pin", "you"} else "dim")


def _share(value: float, limit: float, width: int) -> Span:
    role = "faint" if value < 0.0005 else "hot" if value >= limit else "text"
    return Span(fmt.fit(fmt.percent(value), width, right=True), role)


def _cpu(row: Row, width: int) -> Span:
    return _share(row.metrics.cpu, HOT_SHARE, width)


def _wait(row: Row, width: int) -> Span:
    return _share(row.metrics.wait, WAITING_SHARE, width)


def _pressure(row: Row, width: int) -> Span:
    """The worst of the three, with its letter: c, i or m."""
    worst = row.pressure.worst if row.pressure is not None else None
    if worst is None:
        return Span(" " * width)
    name, value = worst
    role = "faint" if value < 0.05 else "hot" if value >= PRESSED_PCT else "text"
    return Span(fmt.fit(f"{value:.0f}{name[0]}", width, right=True), role)


def _io(row: Row, width: int) -> Span:
    if row.thread is not None:  # the kernel counts it for processes
        return Span(" " * width)
    bps = row.metrics.read_bps + row.metrics.write_bps
    return Span(fmt.fit(fmt.quantity(bps), width, right=True), "faint" if bps < 1 else "text")


def _memory(row: Row, width: int) -> Span:
    shown = "" if row.thread is not None else fmt.quantity(row.metrics.rss_bytes)
    return Span(fmt.fit(shown, width, right=True), "text")


def _processes(row: Row, width: int) -> Span:
    shown = "" if row.thread is not None else f"{row.metrics.processes}/{row.metrics.threads}"
    return Span(fmt.fit(shown, width, right=True), "dim")


def _time(row: Row, width: int) -> Span:
    shown = "" if row.process is not None else fmt.duration(row.since_s)
    return Span(fmt.fit(shown, width, right=True), "dim")


def _marks(row: Row, width: int) -> Span:
    letters = "".join(letter for mark, letter in MARK_LETTERS.items() if mark in row.marks)
    letters = OTHERS + letters if row.others else letters
    return Span(fmt.fit(letters, width), "accent")


def _mechanism(row: Row, width: int) -> Span:
    quiet = row.mechanism == "-"
    return Span(fmt.fit(row.mechanism, width), "faint" if quiet else "text")


def short_effect(mechanism: str) -> str:
    """The first thing that counts of *mechanism*, in at most 8 cells; in brackets what only would be done.

    >>> short_effect("nice +19, ionice idle · 6 threads"), short_effect("would be CPUWeight 25"), short_effect("-")
    ('ni +19', '(w 25)', '-')
    """
    plain = mechanism.removeprefix("would be ")
    shapes = ((r"nice ([+-]?\d+)", "ni"), (r"autogroup ([+-]?\d+)", "ag"), (r"CPUWeight (\d+)", "w"))
    matches = ((re.search(pattern, plain), word) for pattern, word in shapes)
    found = next((f"{word} {match[1]}" for match, word in matches if match), fmt.shorten(plain, 6))
    return found if plain == mechanism else f"({found})"


def _effect(row: Row, width: int) -> Span:
    return Span(fmt.fit(short_effect(row.mechanism), width), "faint" if row.mechanism == "-" else "text")


def _type(row: Row, width: int) -> Span:
    return Span(fmt.fit("" if row.process is not None else row.type, width), "dim")


def _trend(row: Row, width: int) -> Span:
    values = newest(row.trend, width)
    return Span(graph.spark(values, max(0.05, 1.15 * max(row.trend, default=0.0))), f"class{int(row.target)}")


def _queue(row: Row, width: int) -> Span:
    text = "" if row.process is not None else queue_text(row.meters, row.metrics)
    role = "hot" if row.meters.run_queue and row.meters.run_queue.p99_ms >= LATE_MS else "text"
    return _measure(text, role, width)


def _disk(row: Row, width: int) -> Span:
    found = row.meters.block_io
    return _measure("" if row.process is not None else fmt.milliseconds(found.p99_ms) if found else "-", "text", width)


def _network(row: Row, width: int) -> Span:
    bps = network_bps(row.meters)
    return _measure("-" if bps is None else fmt.quantity(bps), "text", width)


def _connections(row: Row, width: int) -> Span:
    count = row.meters.connections
    return _measure("-" if count is None else str(count), "text", width)


def _watts(row: Row, width: int) -> Span:
    watts = row.meters.watts
    return _measure("-" if watts is None else f"{watts:.1f}", "text", width)


def _measure(text: str, role: str, width: int) -> Span:
    """A figure that may be absent, or nothing."""
    shown = "" if text == "-" else text
    return Span(fmt.fit(text, width, right=True), role if shown not in {"", "0", "0.0"} else "faint")


NAME = Column("APPLICATION", 16, _name, sort=SortKey.NAME)
MECHANISM = Column("IN EFFECT", 24, _mechanism)
EFFECT = Column("EFFECT", 8, _effect)
"""The same in few cells, in place of the trend where there is no room for both: every row says what is done."""
TREND = Column("TREND", 8, _trend)
NAME_COMFORT = 22
"""Cells of names at which the mechanism gets what is left over."""

ASKED_FOR = 99
"""Rank of a column that is shown only to those who choose it."""
# The order on the screen; the number says how early a column gets its place when there is too little.
_COLUMNS: tuple[tuple[int, Column], ...] = (
    (0, NAME),
    (1, Column("CLASS", 12, _class, sort=SortKey.CLASS)),
    (3, Column("BY", 9, _by)),
    (5, Column("MRK", 3, _marks)),
    (2, Column("CPU%", 5, _cpu, right=True, sort=SortKey.CPU)),
    (2, Column("WAIT%", 5, _wait, right=True, sort=SortKey.WAIT)),
    (9, Column("PSI%", 4, _pressure, right=True, sort=SortKey.PRESSURE)),
    (12, Column("QUEUE", 5, _queue, right=True, sort=SortKey.QUEUE)),
    (6, Column("IO/s", 5, _io, right=True, sort=SortKey.IO)),
    (13, Column("DISK", 5, _disk, right=True, sort=SortKey.DISK)),
    (14, Column("NET/s", 5, _network, right=True, sort=SortKey.NETWORK)),
    (ASKED_FOR, Column("CONN", 4, _connections, right=True)),
    (4, Column("MEM", 5, _memory, right=True, sort=SortKey.MEMORY)),
    (ASKED_FOR, Column("WATTS", 5, _watts, right=True, sort=SortKey.WATTS)),
    (8, Column("PROC/THR", 8, _processes, right=True, sort=SortKey.PROCESSES)),
    (10, Column("FOR", 5, _time, right=True, sort=SortKey.TIME)),
    (11, MECHANISM),
    (7, TREND),
    (ASKED_FOR, EFFECT),
    (ASKED_FOR, Column("TYPE", 12, _type)),
)
TITLES = tuple(c.title for _, c in _COLUMNS)
"""What can be chosen."""

Layout = tuple[tuple[Column, int], ...]
"""Columns from left to right, each with its width in cells."""


def layout(width: int, titles: Sequence[str] = ()) -> Layout:
    """The columns that fit into *width* cells; the name and the mechanism share what is left over.

    *titles*: what a person chose, from left to right: the last ones give way. The name is always there.
    """
    free = width - 1  # one cell is the cursor's
    chosen: list[Column] = []
    by_title = {c.title: c for _, c in _COLUMNS}
    listed = [by_title[t] for t in titles] or [c for _, c in _COLUMNS]
    if NAME not in listed:
        listed.insert(0, NAME)
    wanted = sorted(_COLUMNS, key=lambda c: c[0]) if not titles else [(0, NAME), *((1, c) for c in listed)]
    for rank, column in wanted:
        if column in chosen or rank == ASKED_FOR:
            continue
        if column.width + 1 <= free or column is NAME:
            chosen.append(column)
            free -= column.width + 1
        else:
            break
    if not titles and MECHANISM not in chosen and TREND in chosen:
        chosen[chosen.index(TREND)] = EFFECT
    free = max(0, free + 1)  # no blank after the last column
    for_name = min(free, NAME_COMFORT - NAME.width) if MECHANISM in chosen else free
    for_mechanism = free - for_name
    more = {NAME: for_name, MECHANISM: for_mechanism}
    return tuple((c, c.width + more.get(c, 0)) for c in listed if c in chosen)


def arrow_of(view: View) -> str:
    """Down where the biggest comes first, up where the smallest does."""
    return "▼" if is_descending(view) else "▲"


def heading(columns: Layout, view: View) -> Line:
    """The line above the rows; the column that sorts carries an arrow."""
    spans = [Span(" ", "head")]
    for column, width in columns:
        sorts = column.sort is view.sort
        arrow = arrow_of(view) if sorts else ""
        title = column.title if len(column.title) + len(arrow) <= width else column.title[: width - len(arrow)]
        spans += [
            Span(fmt.fit(title + arrow, width, right=column.right), "headsort" if sorts else "head"),
            Span(" ", "head"),
        ]
    return Line(tuple(spans[:-1]), "bar")


def row_line(row: Row, columns: Layout, *, cursor: bool) -> Line:
    """One row; the cursor shows by a mark as well as by its ground."""
    spans = [Span("▌" if cursor else " ", "accent")]
    for column, width in columns:
        spans += [column.cell(row, width), Span(" ")]
    return Line(tuple(spans[:-1]), "cursor" if cursor else "ground")


def column_at(columns: Layout, x: int) -> Column | None:
    """The column drawn at cell *x*."""
    left = 1
    for column, width in columns:
        if left <= x <= left + width:
            return column
        left += width + 1
    return None
