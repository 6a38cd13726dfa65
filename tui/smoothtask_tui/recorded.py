"""The snapshot log for the history screen: read and labelled with sqlite3 alone, beside a daemon that writes it.

SQLModel would cost an attached dashboard 30 MiB. Every call opens the file anew and belongs in a worker thread.
A label is one INSERT whose lock lasts well below a millisecond: nothing is synced and no checkpoint is made here.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from smoothtask.config.located import ConfigError
from smoothtask.config.paths import SYSTEM_STATE_DIR, Paths
from smoothtask.config.settings import load_settings
from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Contention, Decision, Reason, Stage
from smoothtask.model.frame import Event, Frame, GroupFrame, Mark, Mode, ProcessFrame, Scores, SelfCost
from smoothtask.model.group import AppGroup, Behaviour, Classification, GroupMetrics, ProcessType, RuleSource
from smoothtask.model.person import Attention, PersonMetrics
from smoothtask.model.system import LatencyStats, Pressure, Psi, PsiLine, SystemMetrics
from smoothtask.model.text import sanitise
from smoothtask.store.schema import APPLICATION_ID, VERSION
from smoothtask_tui.past import Moment

WAIT_S = 5.0
"""How long a label waits for a daemon that is writing: it commits every 3 s."""
LATEST = 20_000
"""So many moments are offered: at one a second under contention, the last hours."""

MOMENTS = """
SELECT s.id, s.time_s, s.cause, s.contention_active, s.latency_p99_ms, s.cpu_some_pct,
       (SELECT count(*) FROM label l WHERE l.snapshot_id = s.id)
FROM snapshot s ORDER BY s.id DESC LIMIT ?
"""
GROUPS = """
SELECT p.*, a.*, d.*, p.protected AS rule_protected, d.protected AS decision_protected, r.reasons FROM app_group a
JOIN group_profile p ON p.id = a.group_profile_id
JOIN decision d ON d.snapshot_id = a.snapshot_id AND d.group_profile_id = a.group_profile_id
JOIN reason_chain r ON r.id = d.reason_chain_id
WHERE a.snapshot_id BETWEEN ? AND ? ORDER BY a.snapshot_id, p.parent_group_id IS NOT NULL, p.id
"""
PROCESSES = """
SELECT p.*, g.group_id, m.name, m.command FROM process p
JOIN program m ON m.id = p.program_id LEFT JOIN group_profile g ON g.id = p.group_profile_id
WHERE p.snapshot_id = ? ORDER BY p.cpu_cores + p.wait_threads DESC
"""
LABELS = """
SELECT l.verdict, l.target_class, p.group_id, p.label FROM label l
LEFT JOIN group_profile p ON p.id = l.group_profile_id WHERE l.snapshot_id = ? ORDER BY l.id
"""


class RecordError(Exception):
    """The log cannot be read or labelled; a sentence for a person."""


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


def read_moments(path: Path) -> tuple[Moment, ...]:
    """The newest moments, oldest first. Raises RecordError."""
    with _reading(path) as db:
        rows = db.execute(MOMENTS, (LATEST,)).fetchall()
    return tuple(Moment(i, t, sanitise(cause), bool(c), p99, psi, n) for i, t, cause, c, p99, psi, n in reversed(rows))


def read_past(path: Path, snapshot: int) -> Past:
    """The moment with that id as it was. Raises RecordError, also when retention has removed it."""
    with _reading(path) as db:
        row = db.execute("SELECT * FROM snapshot WHERE id = ?", (snapshot,)).fetchone()
        if row is None:
            raise RecordError(f"snapshot {snapshot} is no longer kept")
        groups = _groups(db, row)
        processes = tuple(_process(p) for p in db.execute(PROCESSES, (snapshot,)))
        said = [_said(*label) for label in db.execute(LABELS, (snapshot,))]
        labelled = {g for (g,) in db.execute(
            "SELECT p.group_id FROM label l JOIN group_profile p ON p.id = l.group_profile_id WHERE l.snapshot_id = ?",
            (snapshot,),
        )}  # fmt: skip
    shown = tuple(_group(g, labelled) for g in groups)
    return Past(_frame(row, shown, processes, said), tuple(said))


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
    found = [] if row is None else [g for g in _groups(db, row) if g["group_id"] == group]
    if not found:
        raise RecordError("that application is not in this snapshot")
    return int(found[0]["group_profile_id"])


# --- the file --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    with _opened(path, "ro") as db:
        db.execute("BEGIN")  # one consistent state, however the daemon goes on
        yield db


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    with _opened(path, "rw") as db:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = NORMAL")  # in WAL mode: a power failure may cost the label, never the log
        db.execute("PRAGMA wal_autocheckpoint = 0").fetchone()
        db.execute("BEGIN IMMEDIATE")
        yield db
        db.execute("COMMIT")


@contextlib.contextmanager
def _opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    try:
        if not path.is_file():
            raise RecordError(f"there is no snapshot log at {path}: nothing has been recorded yet")
        uri = f"file:{quote(str(path.absolute()))}?mode={mode}"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=WAIT_S, isolation_level=None)) as db:
            db.row_factory = sqlite3.Row
            if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                raise RecordError(f"{path} is not a snapshot log of SmoothTask")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version != VERSION:
                raise RecordError(f"{path} is of version {version}, this SmoothTask reads {VERSION}")
            yield db
    except (sqlite3.Error, OSError) as error:
        done = "read" if mode == "ro" else "labelled"
        raise RecordError(f"{path} cannot be {done}: {error} (root's log can be {done} by root alone)") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{path} holds what cannot be understood: {error}") from error


# --- rows → values ---------------------------------------------------------------------------------


def _groups(db: sqlite3.Connection, row: sqlite3.Row) -> list[sqlite3.Row]:
    """The newest row of each group that lives at the snapshot *row*, parents first.

    A snapshot that is not complete leaves out groups that did nothing: their last row still holds.
    """
    session, last = row["session_id"], row["id"]
    base = db.execute(
        "SELECT max(id) FROM snapshot WHERE session_id = ? AND complete AND id <= ?", (session, last)
    ).fetchone()[0]
    first = last if base is None else base
    newest: dict[int, sqlite3.Row] = {}
    gone_at = {
        i: json.loads(gone)
        for i, gone in db.execute("SELECT id, groups_gone FROM snapshot WHERE id > ? AND id <= ?", (first, last))
    }
    by_snapshot: dict[int, list[sqlite3.Row]] = {}
    for group in db.execute(GROUPS, (first, last)):
        by_snapshot.setdefault(group["snapshot_id"], []).append(group)
    for snapshot in sorted({*gone_at, *by_snapshot}):
        for profile in gone_at.get(snapshot, ()):
            newest.pop(profile, None)
        newest.update({g["group_profile_id"]: g for g in by_snapshot.get(snapshot, ())})
    return sorted(newest.values(), key=lambda g: (g["parent_group_id"] is not None, g["group_profile_id"]))


def _group(g: sqlite3.Row, labelled: set[str]) -> GroupFrame:
    source = None
    if g["rule_source"] is not None:
        file, _, line = g["rule_source"].rpartition(":")
        number = int(line) if line.isdecimal() else 0
        source = RuleSource(g["rule_layer"] or "", sanitise(file or line), number)
    rule = Classification(
        app=sanitise(g["app"]),
        label=sanitise(g["label"]),
        type=sanitise(g["type"]),
        tags=frozenset(sanitise(t) for t in json.loads(g["tags"])),
        process_type=ProcessType(g["process_type"]),
        target=None if g["rule_class"] is None else PriorityClass[g["rule_class"]],
        certain=bool(g["rule_certain"]),
        protected=bool(g["rule_protected"]),
        source=source,
        evidence=sanitise(g["evidence"]),
        after_s=g["rule_after_s"],
        part=g["part"],
        starts_others=bool(g["starts_others"]),
    )
    metrics = GroupMetrics(
        g["processes"], g["threads"], g["cpu_cores"], g["wait_threads"], g["voluntary_switches_per_s"],
        g["involuntary_switches_per_s"], g["read_bytes_per_s"], g["write_bytes_per_s"], g["rss_bytes"],
    )  # fmt: skip
    group = AppGroup(
        g["group_id"], g["parent_group_id"], rule.label, g["root_pid"], g["uid"], rule, metrics,
        Behaviour(g["behaviour"]), g["behaviour_s"], g["started_s"],
        unit=None if g["unit"] is None else sanitise(g["unit"]),
        tty="a terminal" if g["has_tty"] else None, starts_others=rule.starts_others,
        attention=Attention(
            bool(g["focused"]), g["unfocused_s"], bool(g["visible"]), bool(g["minimised"]), bool(g["fullscreen"]),
            bool(g["playing"]), bool(g["capturing"]), g["xrun_s"], g["typed_s"],
        ),
    )  # fmt: skip
    marks = {Mark(m) for m in json.loads(g["marks"])} - {Mark.LABELLED}
    if group.id in labelled:
        marks.add(Mark.LABELLED)
    return GroupFrame(group, _decision(g), sanitise(g["mechanism"]), frozenset(marks), score=g["score"])


def _decision(g: sqlite3.Row) -> Decision:
    reasons = tuple(
        Reason(Stage(r["stage"]), sanitise(r["rule"]), sanitise(r["text"]), r["source"] and sanitise(r["source"]))
        for r in json.loads(g["reasons"])
    )
    return Decision(
        g["group_id"], PriorityClass[g["target_class"]], PriorityClass[g["wanted_class"]], Stage(g["decided_by"]),
        reasons, bool(g["decision_protected"]), bool(g["restraint"]), g["since_s"],
    )  # fmt: skip


def _process(p: sqlite3.Row) -> ProcessFrame:
    return ProcessFrame(
        p["pid"], p["start_ticks"], p["ppid"], p["uid"], p["group_id"] or "", sanitise(p["name"]),
        sanitise(p["command"]), p["threads"], p["nice"], p["cpu_cores"], p["wait_threads"],
        p["read_bytes_per_s"], p["write_bytes_per_s"], p["rss_bytes"],
    )  # fmt: skip


def _said(verdict: str | None, target: str | None, group: str | None, label: str | None) -> str:
    if verdict is not None:
        return f"this was {sanitise(verdict)}"
    return f"{sanitise(label or group or '?')} should be {sanitise(target or '?')}"


def _frame(
    row: sqlite3.Row, groups: tuple[GroupFrame, ...], processes: tuple[ProcessFrame, ...], said: list[str]
) -> Frame:
    latency = None
    if row["latency_p50_ms"] is not None:
        latency = LatencyStats(*(row[f"latency_{n}"] for n in (
            "p50_ms", "p95_ms", "p99_ms", "max_ms", "samples", "window_s")))  # fmt: skip
    system = SystemMetrics(
        tuple(json.loads(row["cpu_pct_by_core"])), row["mem_total_bytes"], row["mem_available_bytes"],
        row["swap_total_bytes"], row["swap_used_bytes"], (row["load_1m"], row["load_5m"], row["load_15m"]),
        Pressure(_psi(row, "cpu"), _psi(row, "io"), _psi(row, "memory")),
        row["cpu_some_pct"], row["io_some_pct"], row["memory_some_pct"], (), latency,
        row["processes_total"], row["threads_total"],
    )  # fmt: skip
    reasons = tuple(sanitise(r) for r in json.loads(row["contention_reasons"]))
    return Frame(
        row["seq"], row["time_s"], row["mono_s"], Mode(row["mode"]), sanitise(row["mode_reason"]), system,
        Contention(bool(row["contention_active"]), row["contention_since_s"], reasons), groups, processes,
        tuple(Event(row["time_s"], "person", s) for s in said),
        SelfCost(row["self_cpu_pct"], row["self_tick_cpu_ms"], row["self_rss_bytes"], row["interval_s"]),
        person=PersonMetrics(
            None if row["person_active"] is None else bool(row["person_active"]), row["since_input_s"],
            xruns=row["xruns"], missing_cycles=row["missing_cycles"], dsp_load=row["dsp_load"],
        ),
        scores=Scores(
            row["responsiveness_score"], row["audio_stability_score"], bool(row["bad_responsiveness"]),
            tuple(sanitise(r) for r in json.loads(row["bad_reasons"])),
        ),
    )  # fmt: skip


def _psi(row: sqlite3.Row, resource: str) -> Psi | None:
    def line(kind: str) -> PsiLine | None:
        short, long = (row[f"psi_{resource}_{kind}_{average}_pct"] for average in ("avg10", "avg60"))
        return None if short is None else PsiLine(short, long or 0.0, 0)

    some = line("some")
    return None if some is None else Psi(some, line("full"))
