"""Forgets the oldest snapshots by age and size, a few milliseconds at a time; what is labelled stays longer."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

MIB = 1 << 20
DAY_S = 86400.0
MIN_BYTES = 10_000_000
"""The session in use is forgotten only after its end: it may take 5 MiB on a very busy machine."""
FASTER = 24.0
"""How much faster than time itself a wall clock that is ahead is followed: a day an hour."""
_BATCH = 1
"""Snapshots deleted between two looks at the clock: some 300 rows."""
_ROWS = 300
_PAGES = 32
_DETAILS = ("process", "decision", "app_group")
_SHARED = ("program", "reason_chain", "group_profile")


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept."""

    max_age_days: float = 30.0
    max_bytes: int = 500 * MIB
    """Of the database file; its -wal beside it adds a few MiB."""
    label_age_days: float = 365.0
    """Labels and the snapshots they are about, whatever the size; never less than `max_age_days`."""

    def __post_init__(self) -> None:
        if not (self.max_age_days > 0 and self.label_age_days > 0 and self.max_bytes >= MIN_BYTES):
            raise ValueError(f"expected days above 0 and max_bytes ≥ {MIN_BYTES}, got {self}")


class Calendar:
    """What day it is, for who forgets by age: a wall clock that is set wrong, for once or for long, costs little.

    Time is believed to pass `FASTER` than it does at most. So a clock that is years ahead for a minute ages nothing by
    more than half an hour, and who was off for a month forgets the month within two days.
    """

    def __init__(self, begin_s: float, mono_s: float) -> None:
        self._believed_s = begin_s
        self._mono_s = mono_s

    @classmethod
    def of(cls, connection: sqlite3.Connection, mono_s: float) -> "Calendar":
        """For a log that is opened: from its newest snapshot on. Raises sqlite3.Error.

        What follows a gap of more than a day is believed when it has lasted for a day itself.
        """
        (newest_s,) = connection.execute("SELECT time_s FROM snapshot ORDER BY id DESC LIMIT 1").fetchone() or (None,)
        if newest_s is None:
            return cls(float("inf"), mono_s)
        begun = [row[0] for row in connection.execute("SELECT started_s FROM session ORDER BY id DESC")]
        for later_s, earlier_s in pairwise(begun):
            if later_s - earlier_s > DAY_S:
                lasted_s = newest_s - later_s
                return cls(newest_s if lasted_s > DAY_S else earlier_s + DAY_S, mono_s)
        return cls(newest_s, mono_s)

    def believe(self, wall_s: float, mono_s: float) -> float:
        """The Unix time to judge ages by, when the clocks say *wall_s* and *mono_s* (which only grows)."""
        self._believed_s = min(wall_s, self._believed_s + FASTER * (mono_s - self._mono_s))
        self._mono_s = mono_s
        return self._believed_s


def used_bytes(connection: sqlite3.Connection) -> int:
    """Size of the database without its free pages."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * size)


def step(
    connection: sqlite3.Connection,
    retention: Retention,
    now_s: float,
    session_id: int,
    clock: Callable[[], float],
    budget_s: float = 0.003,
) -> bool:
    """Do about *budget_s* of what is due; True when more is left. The session *session_id* is in use.

    *now_s*: Unix time; *clock*: seconds that only grow. Call it outside a transaction. Raises sqlite3.Error.
    """
    deadline = clock() + budget_s
    oldest_s = now_s - retention.max_age_days * DAY_S
    oldest_label_s = now_s - max(retention.label_age_days, retention.max_age_days) * DAY_S
    connection.execute("BEGIN IMMEDIATE")
    _forget_labels(connection, oldest_label_s)
    left = True
    while left and clock() < deadline:
        limit_s = float("inf") if used_bytes(connection) > retention.max_bytes else oldest_s
        left = _forget_snapshots(connection, limit_s) or _forget_session(connection, session_id)
    connection.execute("COMMIT")
    return _shrink(connection) or left


def _forget_labels(connection: sqlite3.Connection, limit_s: float) -> None:
    connection.execute("DELETE FROM label WHERE time_s < ?", (limit_s,))


def _forget_snapshots(connection: sqlite3.Connection, limit_s: float) -> bool:
    """Delete the oldest few that are older than *limit_s* and bear no label; whether there were any."""
    rows = connection.execute(
        "SELECT id FROM snapshot WHERE time_s < ? AND id NOT IN (SELECT snapshot_id FROM label) "
        "ORDER BY time_s LIMIT ?",
        (limit_s, _BATCH),
    ).fetchall()
    for table in _DETAILS:
        connection.executemany(f"DELETE FROM {table} WHERE snapshot_id = ?", rows)  # noqa: S608 - our own names
    connection.executemany("DELETE FROM snapshot WHERE id = ?", rows)
    return bool(rows)


def _forget_session(connection: sqlite3.Connection, current: int) -> bool:
    """Delete some rows of a session that no snapshot is left of; whether there were any."""
    row = connection.execute(
        "SELECT id FROM session WHERE id <> ? AND NOT EXISTS (SELECT 1 FROM snapshot WHERE session_id = session.id)",
        (current,),
    ).fetchone()
    if row is None:
        return False
    for table in _SHARED:
        sql = f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE session_id = ? LIMIT {_ROWS})"  # noqa: S608
        if connection.execute(sql, row).rowcount:
            return True
    connection.execute("DELETE FROM session WHERE id = ?", row)
    return True


def _shrink(connection: sqlite3.Connection) -> bool:
    """Give a few free pages back to the file system; whether more are left."""
    # A script: `execute` would take one of its steps, and a step frees one page.
    connection.executescript(f"PRAGMA incremental_vacuum({_PAGES})")
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    return bool(free > _PAGES)
