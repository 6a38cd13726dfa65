"""Rows of the snapshot log → the values they were made of: sqlite3 alone, for the history screen and the trainer.

What the tables do not keep is missing from the values: limits of a rule, units and cgroups, the terminal's name
(`a terminal` says that there was one), temperatures, PSI totals. Text is sanitised again: a file may be anybody's.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Contention, Decision, Reason, Stage
from smoothtask.model.frame import Event, Frame, GroupFrame, GroupPressure, Mark, Mode, ProcessFrame, Scores, SelfCost
from smoothtask.model.group import AppGroup, Behaviour, Classification, GroupMetrics, ProcessType, RuleSource
from smoothtask.model.meters import Delays, Meters
from smoothtask.model.person import Attention, PersonMetrics
from smoothtask.model.system import LatencyStats, Pressure, Psi, PsiLine, SystemMetrics
from smoothtask.model.text import sanitise
from smoothtask.store.schema import APPLICATION_ID, VERSION

WAIT_S = 5.0
"""How long a reader or a label waits for a daemon that is writing: it commits every 3 s."""

GROUPS = """
SELECT p.*, a.*, d.*, p.protected AS rule_protected, d.protected AS decision_protected, r.reasons FROM app_group a
JOIN group_profile p ON p.id = a.group_profile_id
JOIN decision d ON d.snapshot_id = a.snapshot_id AND d.group_profile_id = a.group_profile_id
JOIN reason_chain r ON r.id = d.reason_chain_id
WHERE a.snapshot_id BETWEEN ? AND ? ORDER BY a.snapshot_id, p.parent_group_id IS NOT NULL, p.id
"""


class RecordError(Exception):
    """The log cannot be read or labelled; a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Said:
    """A person's word about one snapshot."""

    group: str | None
    """`None`: about the moment."""
    target: PriorityClass | None
    verdict: str | None
    source: str
    """label, pin or override."""


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """One snapshot, whole (without its processes), and where it stands in the log."""

    snapshot: int
    run: int
    """The same for all that one process recorded."""
    frame: Frame
    fresh: frozenset[str]
    """Groups with a row of this very snapshot; that of the others is older, and they did nothing since."""
    said: tuple[Said, ...]
    anonymised: bool


@contextlib.contextmanager
def opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """The log at *path*, for *mode* `ro` or `rw`, in autocommit. Raises RecordError, whatever goes wrong."""
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


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """The log at *path* in one consistent state, however the daemon goes on. Raises RecordError."""
    with opened(path, "ro") as db:
        db.execute("BEGIN")
        yield db


def read_frames(path: Path, since: float | None = None) -> Iterator[RecordedFrame]:
    """Every snapshot of the log at *path* (from Unix time *since* on), oldest first. Raises RecordError.

    Streams: memory does not grow with the log, and groups without a new row share theirs.
    """
    with reading(path) as db:
        sessions = {r["id"]: r for r in db.execute("SELECT id, run_id, anonymised FROM session")}
        said = _labels(db)
        session, newest = None, dict[int, GroupFrame]()  # by profile
        for row in db.execute("SELECT * FROM snapshot ORDER BY id"):
            if row["session_id"] != session:
                session, newest = row["session_id"], {}
            if row["complete"]:  # the snapshots that said who had left may be forgotten by now
                newest = {}
            for profile in json.loads(row["groups_gone"]):
                newest.pop(profile, None)
            now = {g["group_profile_id"]: group_frame(g, set()) for g in db.execute(GROUPS, (row["id"], row["id"]))}
            newest.update(now)
            if since is not None and row["time_s"] < since:
                continue
            words = tuple(said.get(row["id"], ()))
            shown = (newest[p] for p in sorted(newest, key=lambda p: (newest[p].group.parent is not None, p)))
            yield RecordedFrame(
                row["id"], sessions[session]["run_id"], frame_of(row, _labelled(shown, words), (), ()),
                frozenset(g.group.id for g in now.values()), words, bool(sessions[session]["anonymised"]),
            )  # fmt: skip


def _labelled(shown: Iterable[GroupFrame], words: tuple[Said, ...]) -> tuple[GroupFrame, ...]:
    """*shown* with a mark where somebody said something; the others are the same values from snapshot to snapshot."""
    spoken_of = {w.group for w in words if w.group is not None}
    return tuple(replace(g, marks=g.marks | {Mark.LABELLED}) if g.group.id in spoken_of else g for g in shown)


def _labels(db: sqlite3.Connection) -> dict[int, list[Said]]:
    found: dict[int, list[Said]] = {}
    rows = db.execute(
        "SELECT l.*, p.group_id FROM label l LEFT JOIN group_profile p ON p.id = l.group_profile_id ORDER BY l.id"
    )
    for r in rows:
        target = None if r["target_class"] is None else PriorityClass[r["target_class"]]
        found.setdefault(r["snapshot_id"], []).append(Said(r["group_id"], target, r["verdict"], r["source"]))
    return found


def _in_order(group: sqlite3.Row) -> tuple[bool, int]:
    """Parents before their parts."""
    return group["parent_group_id"] is not None, group["group_profile_id"]


def groups_at(db: sqlite3.Connection, row: sqlite3.Row) -> list[sqlite3.Row]:
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
    return sorted(newest.values(), key=_in_order)


def complete(db: sqlite3.Connection, snapshot: int) -> None:
    """Give a snapshot the groups that it leaves out: labelled, it stays when its neighbours are forgotten.

    Not the newest one, which whoever records may complete yet.
    """
    sql = "SELECT * FROM snapshot WHERE id = ? AND NOT complete AND id < (SELECT max(id) FROM snapshot)"
    row = db.execute(sql, (snapshot,)).fetchone()
    if row is None:
        return
    older = [(snapshot, g["snapshot_id"], g["group_profile_id"]) for g in groups_at(db, row)]
    for table in ("app_group", "decision"):
        columns = ", ".join(c["name"] for c in db.execute(f"PRAGMA table_info({table})") if c["name"] != "snapshot_id")
        db.executemany(
            f"INSERT OR IGNORE INTO {table} (snapshot_id, {columns}) SELECT ?, {columns} FROM {table} "  # noqa: S608
            "WHERE snapshot_id = ? AND group_profile_id = ?",
            older,
        )
    db.execute("UPDATE snapshot SET complete = 1 WHERE id = ?", (snapshot,))


def _clean(text: str | None) -> str | None:
    return None if text is None else sanitise(text)


def group_frame(g: sqlite3.Row, labelled: set[str]) -> GroupFrame:
    """The group of a row of `GROUPS`; *labelled*: the ids of those that somebody labelled."""
    source = None
    if g["rule_source"] is not None:
        file, _, line = g["rule_source"].rpartition(":")
        number = int(line) if line.isdecimal() else 0
        source = RuleSource(sanitise(g["rule_layer"] or ""), sanitise(file or line), number)
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
        part=_clean(g["part"]),
        starts_others=bool(g["starts_others"]),
    )
    metrics = GroupMetrics(
        g["processes"], g["threads"], g["cpu_cores"], g["wait_threads"], g["voluntary_switches_per_s"],
        g["involuntary_switches_per_s"], g["read_bytes_per_s"], g["write_bytes_per_s"], g["rss_bytes"],
    )  # fmt: skip
    group = AppGroup(
        sanitise(g["group_id"]), _clean(g["parent_group_id"]), rule.label, g["root_pid"], g["uid"], rule, metrics,
        Behaviour(g["behaviour"]), g["behaviour_s"], g["started_s"],
        unit=_clean(g["unit"]),
        tty="a terminal" if g["has_tty"] else None, starts_others=rule.starts_others,
        attention=Attention(
            bool(g["focused"]), g["unfocused_s"], bool(g["visible"]), bool(g["minimised"]), bool(g["fullscreen"]),
            bool(g["playing"]), bool(g["capturing"]), g["xrun_s"], g["typed_s"],
        ),
    )  # fmt: skip
    marks = {Mark(m) for m in json.loads(g["marks"])} - {Mark.LABELLED}
    if group.id in labelled:
        marks.add(Mark.LABELLED)
    return GroupFrame(
        group, _decision(g), sanitise(g["mechanism"]), frozenset(marks), score=g["score"], pressure=_pressure(g),
        meters=_meters(g),
    )  # fmt: skip


def _pressure(g: sqlite3.Row) -> GroupPressure | None:
    shares = g["psi_cpu_some_pct"], g["psi_io_some_pct"], g["psi_memory_some_pct"]
    return None if shares == (None, None, None) else GroupPressure(*shares)


def _meters(row: sqlite3.Row) -> Meters:
    """Of a row of `snapshot`, or of one of `GROUPS`."""

    def delays(what: str, counted: str) -> Delays | None:
        p50, p99, samples = row[f"{what}_p50_ms"], row[f"{what}_p99_ms"], row[f"{what}_{counted}"]
        return None if p50 is None else Delays(p50, p99, samples)

    return Meters(
        delays("run_queue", "waits"), delays("disk", "requests"),
        row["sent_bytes_per_s"], row["received_bytes_per_s"], row["connections"], row["watts"],
    )  # fmt: skip


def _decision(g: sqlite3.Row) -> Decision:
    reasons = tuple(
        Reason(Stage(r["stage"]), sanitise(r["rule"]), sanitise(r["text"]), r["source"] and sanitise(r["source"]))
        for r in json.loads(g["reasons"])
    )
    return Decision(
        g["group_id"], PriorityClass[g["target_class"]], PriorityClass[g["wanted_class"]], Stage(g["decided_by"]),
        reasons, bool(g["decision_protected"]), bool(g["restraint"]), g["since_s"],
        rules=None if g["rules_class"] is None else PriorityClass[g["rules_class"]], score=g["model_score"],
    )  # fmt: skip


def process_frame(p: sqlite3.Row) -> ProcessFrame:
    """The process of a row with its program's name and command and its group's id."""
    return ProcessFrame(
        p["pid"], p["start_ticks"], p["ppid"], p["uid"], p["group_id"] or "", sanitise(p["name"]),
        sanitise(p["command"]), p["threads"], p["nice"], p["cpu_cores"], p["wait_threads"],
        p["read_bytes_per_s"], p["write_bytes_per_s"], p["rss_bytes"],
        p["sent_bytes_per_s"], p["received_bytes_per_s"], p["connections"], p["watts"],
    )  # fmt: skip


def frame_of(
    row: sqlite3.Row, groups: tuple[GroupFrame, ...], processes: tuple[ProcessFrame, ...], said: Iterable[str]
) -> Frame:
    """The frame of a row of `snapshot`; *said* become its events."""
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
        model=None if row["model"] is None else sanitise(row["model"]),
        person=PersonMetrics(
            None if row["person_active"] is None else bool(row["person_active"]), row["since_input_s"],
            xruns=row["xruns"], missing_cycles=row["missing_cycles"], dsp_load=row["dsp_load"],
        ),
        scores=Scores(
            row["responsiveness_score"], row["audio_stability_score"], bool(row["bad_responsiveness"]),
            tuple(sanitise(r) for r in json.loads(row["bad_reasons"])),
        ),
        meters=_meters(row),
    )  # fmt: skip


def _psi(row: sqlite3.Row, resource: str) -> Psi | None:
    def line(kind: str) -> PsiLine | None:
        short, long = (row[f"psi_{resource}_{kind}_{average}_pct"] for average in ("avg10", "avg60"))
        return None if short is None else PsiLine(short, long or 0.0, 0)

    some = line("some")
    return None if some is None else Psi(some, line("full"))
