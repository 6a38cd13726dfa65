"""The snapshot log for the history screen: read and labelled with sqlite3 alone, beside a daemon that writes it.

SQLModel would cost an attached dashboard 30 MiB. Every call opens the file anew and belongs in a worker thread.
A label is one INSERT whose lock lasts well below a millisecond: nothing is synced and no checkpoint is made here.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from smoothtask.config.located import ConfigError
from smoothtask.config.paths import SYSTEM_STATE_DIR, Paths
from smoothtask.config.settings import load_settings
from smoothtask.engine.parameters import parameters_of
from smoothtask.model.classes import PriorityClass
from smoothtask.model.frame import Frame
from smoothtask.model.text import sanitise
from smoothtask.policy.parameters import PolicyParameters
from smoothtask.store.frames import (
    RecordError,
    complete,
    frame_of,
    group_frame,
    groups_at,
    opened,
    process_frame,
    reading,
)
from smoothtask_tui.lanes import Lane
from smoothtask_tui.past import Moment

__all__ = [
    "LATEST",
    "Past",
    "RecordError",
    "add_label",
    "find_log",
    "read_moments",
    "read_parameters",
    "read_past",
    "remove_label",
]

LATEST = 20_000
"""So many moments are offered: at one a second under contention, the last hours."""

MOMENTS = """
SELECT s.id, s.time_s, s.cause, s.contention_active, s.latency_p99_ms, s.cpu_some_pct,
       (SELECT count(*) FROM label l WHERE l.snapshot_id = s.id)
FROM snapshot s ORDER BY s.id DESC LIMIT ?
"""
PROCESSES = """
SELECT p.*, g.group_id, m.name, m.command FROM process p
JOIN program m ON m.id = p.program_id LEFT JOIN group_profile g ON g.id = p.group_profile_id
WHERE p.snapshot_id = ? ORDER BY p.cpu_cores + p.wait_threads DESC
"""
LANE = """
SELECT s.time_s, total(a.cpu_cores), total(a.wait_threads), max(CASE WHEN p.group_id = :group THEN d.target_class END)
FROM snapshot s JOIN app_group a ON a.snapshot_id = s.id JOIN group_profile p ON p.id = a.group_profile_id
JOIN decision d ON d.snapshot_id = s.id AND d.group_profile_id = p.id
WHERE s.time_s >= :since AND :group IN (p.group_id, p.parent_group_id) GROUP BY s.id ORDER BY s.id
"""
MATCHED = "SELECT DISTINCT rule_layer, app FROM group_profile WHERE rule_layer IS NOT NULL"
LABELS = """
SELECT l.verdict, l.target_class, p.group_id, p.label FROM label l
LEFT JOIN group_profile p ON p.id = l.group_profile_id WHERE l.snapshot_id = ? ORDER BY l.id
"""


@dataclass(frozen=True, slots=True)
class Past:
    """One recorded moment, whole."""

    frame: Frame
    labels: tuple[str, ...]
    """What was said of it, in words."""


def find_log(paths: Paths) -> Path:
    """Where the log is: as configured, else the system's when a daemon keeps it there."""
    try:
        settings = load_settings(paths.config_file, required=paths.config_required)
        own = paths.database_at(settings.store.path)
    except (ConfigError, OSError):
        own = paths.database
    system = SYSTEM_STATE_DIR / "snapshots.db"
    try:
        return own if own.exists() or not system.exists() else system
    except OSError:  # a folder that may not be looked into
        return own


def told_log(text: str) -> Path | None:
    """The log that a daemon says it keeps, when it and its folder are root's or ours: a label is written there."""
    path, trusted = Path(text), {0, os.geteuid()}
    try:
        own = text.startswith("/") and {path.lstat().st_uid, path.parent.stat().st_uid} <= trusted
    except OSError:  # a folder that may not be looked into
        return None
    return path if own else None


def read_parameters(paths: Paths) -> PolicyParameters:
    """The policy's as configured; the shipped ones when the configuration may not be read or has errors."""
    try:
        return parameters_of(load_settings(paths.config_file, required=False))
    except (ConfigError, OSError):
        return PolicyParameters()


def read_moments(path: Path) -> tuple[Moment, ...]:
    """The newest moments, oldest first. Raises RecordError."""
    with reading(path) as db:
        rows = db.execute(MOMENTS, (LATEST,)).fetchall()
    return tuple(Moment(i, t, sanitise(cause), bool(c), p99, psi, n) for i, t, cause, c, p99, psi, n in reversed(rows))


def read_matched_rules(path: Path) -> frozenset[tuple[str, str]]:
    """Layer and id of every rule by which a recorded group was known. Raises RecordError."""
    with reading(path) as db:
        return frozenset((sanitise(layer), sanitise(app)) for layer, app in db.execute(MATCHED))


def read_lane(path: Path, group: str, since: float) -> Lane:
    """What was recorded of *group* and its parts from Unix time *since* on. Raises RecordError."""
    lane = Lane()
    target: PriorityClass | None = None
    with reading(path) as db:
        for time, cpu, wait, name in db.execute(LANE, {"group": group, "since": since}):
            target = PriorityClass[name] if name is not None else target
            if target is not None:
                lane.add(time, cpu, wait, target)
    return lane


def read_past(path: Path, snapshot: int) -> Past:
    """The moment with that id as it was. Raises RecordError, also when retention has removed it."""
    with reading(path) as db:
        row = db.execute("SELECT * FROM snapshot WHERE id = ?", (snapshot,)).fetchone()
        if row is None:
            raise RecordError(f"snapshot {snapshot} is no longer kept")
        groups = groups_at(db, row)
        processes = tuple(process_frame(p) for p in db.execute(PROCESSES, (snapshot,)))
        said = [_said(*label) for label in db.execute(LABELS, (snapshot,))]
        labelled = {g for (g,) in db.execute(
            "SELECT p.group_id FROM label l JOIN group_profile p ON p.id = l.group_profile_id WHERE l.snapshot_id = ?",
            (snapshot,),
        )}  # fmt: skip
    shown = tuple(group_frame(g, labelled) for g in groups)
    return Past(frame_of(row, shown, processes, said), tuple(said))


def add_label(
    path: Path,
    snapshot: int,
    uid: int,
    now: float,
    *,
    group: str | None = None,
    target: PriorityClass | None = None,
    verdict: Literal["laggy", "fine"] | None = None,
) -> int:
    """Say of a recorded moment that *group* should have been *target*, or how it felt; the label's id.

    Raises RecordError when the log may not be written, the moment is no longer kept, or the group was not there.
    """
    with _writing(path) as db:
        complete(db, snapshot)
        profile = None if group is None else _profile_of(db, snapshot, group)
        word = None if target is None else target.name
        row = db.execute(
            "INSERT INTO label (time_s, snapshot_id, group_profile_id, target_class, verdict, uid, source) "
            "SELECT ?, id, ?, ?, ?, ?, 'label' FROM snapshot WHERE id = ? RETURNING id",
            (now, profile, word, verdict, uid, snapshot),
        ).fetchone()
    if row is None:
        raise RecordError(f"snapshot {snapshot} is no longer kept")
    return int(row[0])


def remove_label(path: Path, label: int) -> None:
    """Take exactly that label back. Raises RecordError when it is gone already."""
    with _writing(path) as db:
        gone = db.execute("DELETE FROM label WHERE id = ? RETURNING id", (label,)).fetchone()
    if gone is None:
        raise RecordError("that label is gone already")


def _profile_of(db: sqlite3.Connection, snapshot: int, group: str) -> int:
    row = db.execute("SELECT * FROM snapshot WHERE id = ?", (snapshot,)).fetchone()
    found = [] if row is None else [g for g in groups_at(db, row) if g["group_id"] == group]
    if not found:
        raise RecordError("that application is not in this snapshot")
    return int(found[0]["group_profile_id"])


# --- the file --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    with opened(path, "rw") as db:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = NORMAL")  # in WAL mode: a power failure may cost the label, never the log
        db.execute("PRAGMA wal_autocheckpoint = 0").fetchone()
        db.execute("BEGIN IMMEDIATE")
        yield db
        db.execute("COMMIT")


def _said(verdict: str | None, target: str | None, group: str | None, label: str | None) -> str:
    if verdict is not None:
        return f"this was {sanitise(verdict)}"
    return f"{sanitise(label or group or '?')} should be {sanitise(target or '?')}"
