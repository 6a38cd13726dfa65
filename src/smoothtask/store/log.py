"""Records frames: decides which, and writes them with sqlite3 alone. Whatever goes wrong, the loop goes on.

Recording stops with one sentence to `on_problem`: for good when the file is not ours to write (damaged, read-only,
of a newer version), for a minute at a time when that may pass (disk full, locked by another program).
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from smoothtask.model.classes import PriorityClass
from smoothtask.model.frame import Frame, GroupFrame
from smoothtask.store import retention as keeping
from smoothtask.store import schema as schemas
from smoothtask.store.allowance import Allowance
from smoothtask.store.anonymise import Anonymiser, Plain, load_salt
from smoothtask.store.database import DAMAGE, UnusableError, move_aside, open_for_recording, primary_code
from smoothtask.store.retention import Retention
from smoothtask.store.rows import SHARED_TABLES, TABLES, RowBuilder, Rows, as_json

SAMPLE_EVERY = 10
"""Without contention and change, one frame in ten is recorded."""
COMPLETE_EVERY = 100
"""One snapshot in a hundred has every group, so that a reader never has to look further back."""
SESSION_SNAPSHOTS = 250
"""What a session shares is forgotten only as a whole."""
COMMIT_AFTER_S = 3.0
"""A crash loses what was recorded since the last commit: this and one tick."""
REST_S = 60.0
"""How long recording rests after a problem that may pass."""
PRUNE_EVERY_S = 60.0

_PASSING = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_BUSY: "another program has locked it",
    sqlite3.SQLITE_LOCKED: "another program has locked it",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
}
# What an append can meet: the database, its disk, and text or numbers that SQLite cannot hold.
_FAILURES = (sqlite3.Error, OSError, OverflowError, UnicodeError)


Removed = tuple[int | float | str | None, ...]
"""A row of the table `label`."""


@dataclass(slots=True)
class _State:
    """Where recording stands."""

    connection: sqlite3.Connection
    builder: RowBuilder
    snapshot_id: int
    """Of the newest snapshot."""
    allowance: Allowance
    calendar: keeping.Calendar
    in_session: int = 0
    since_complete: int = COMPLETE_EVERY
    unrecorded: int = 0
    seq: int | None = None
    """Of the frame recorded last, its Unix time, and which of its groups have rows."""
    time_s: float = float("inf")
    groups: set[str] = field(default_factory=set)
    targets: dict[str, PriorityClass] = field(default_factory=dict)
    begun_s: float | None = None
    """When the open transaction began."""
    next_prune_s: float = 0.0


class SnapshotLog:
    """The snapshot log at *path*; *clock* is monotonic. Used by one thread at a time; raises nothing but to who undoes.

    *salt_path*: the installation's salt (not read unless *anonymise*); *on_problem* gets a sentence when recording
    stops, and when an unusable file was moved aside; *version*: of SmoothTask, recorded with each session.
    """

    def __init__(
        self,
        path: Path,
        *,
        salt_path: Path,
        anonymise: bool = True,
        retention: Retention | None = None,
        on_problem: Callable[[str], None],
        version: str = "unknown",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.problem: str | None = None
        """Why nothing is recorded now."""
        self.recorded = 0
        """Snapshots since the start."""
        self._retention = retention or Retention()
        self._on_problem = on_problem
        self._version = version
        self._run_id = 0
        self._clock = clock
        self._rest_until_s = float("-inf")
        self._told: str | None = None
        self._state: _State | None = None
        try:
            self._schema = schemas.load()
            connection = open_for_recording(path, self._schema, on_problem)
            privacy = Anonymiser(load_salt(salt_path)) if anonymise else Plain()
            self._state = _State(
                connection,
                RowBuilder(privacy, _newest(connection, "session"), _next_ids(connection)),
                _newest(connection, "snapshot"),
                Allowance(clock()),
                keeping.Calendar.of(connection, clock()),
            )
        except UnusableError as error:
            self._stop(str(error))
        except OSError as error:
            self._stop(f"recording is off: {error.filename or path}: {error.strerror or error}")
        except (sqlite3.Error, ValueError) as error:  # ValueError: the salt
            self._stop(f"recording to {path} is off: {error}")

    @property
    def status(self) -> str:
        """For people: `on, 120 snapshots since the start`, or why not."""
        return f"off: {self.problem}" if self.problem else f"on, {self.recorded} snapshots since the start"

    def offer(self, frame: Frame) -> bool:
        """Record *frame* when it is worth it; whether it was."""
        state = self._ready()
        if state is None:
            return False
        with self._guarded():
            state.allowance.refill(self._clock())
            today_s = state.calendar.believe(frame.time, self._clock())
            cause = _cause(state, frame)
            if cause is None:
                state.unrecorded += 1
            else:
                self._record(state, frame, cause)
            if state.begun_s is not None and self._clock() - state.begun_s >= COMMIT_AFTER_S:
                self._commit(state)
                self._prune(state, today_s)
            return cause is not None
        return False

    def add_label(
        self,
        frame: Frame,
        uid: int,
        *,
        group: GroupFrame | None = None,
        target: PriorityClass | None = None,
        verdict: Literal["laggy", "fine"] | None = None,
        source: Literal["label", "pin", "override"] = "label",
    ) -> int | None:
        """Record what *uid* said of *frame*, and the frame whole; the label's id, or `None` when recording is off.

        Either *group* should have been *target*, or the moment was *verdict*. It is on disk when this returns. Raises
        ValueError for anything else.
        """
        if (group is None) != (target is None) or (group is None) == (verdict is None):
            raise ValueError("expected a group and a class, or a verdict")
        state = self._state  # a person's word is tried even while recording rests
        if state is None:
            return None
        with self._guarded():
            if state.seq == frame.seq:
                self._complete(state, frame)
            else:
                self._record(state, frame, "label", complete=True)
            profile = None if group is None else state.builder.profile_id(group.group.id)
            if group is not None and profile is None:
                return None
            row = (
                None,
                frame.time,
                state.snapshot_id,
                profile,
                None if target is None else target.name,
                verdict,
                uid,
                source,
            )
            label = state.connection.execute(self._schema.inserts["label"], row).lastrowid
            self._commit(state)
            return label
        return None

    def remove_label(self, label: int) -> Removed | None:
        """Take back exactly that label; what was there and is gone from the disk, for `put_back_label`.

        `None`: there is none, or this log has ended. Raises OSError when it cannot be written now.
        """
        state = self._state
        if state is None:
            return None
        with self._guarded():
            self._begin(state)
            removed: Removed | None = state.connection.execute(
                "DELETE FROM label WHERE id = ? RETURNING *", (label,)
            ).fetchone()
            self._commit(state)
            return removed
        raise OSError(self.problem)

    def put_back_label(self, removed: Removed) -> bool:
        """Undo `remove_label`, under the same id; whether it is there again.

        It is not when its snapshot is gone by now, or this log has ended. Raises OSError when it cannot be written now.
        """
        state = self._state
        if state is None:
            return False
        with self._guarded():
            self._begin(state)
            kept = state.connection.execute("SELECT 1 FROM snapshot WHERE id = ?", (removed[2],)).fetchone()
            if kept is not None:
                state.connection.execute(self._schema.inserts["label"], removed)
            self._commit(state)
            return kept is not None
        raise OSError(self.problem)

    def flush(self) -> None:
        """Make everything recorded so far durable."""
        if self._state is not None:
            with self._guarded():
                self._commit(self._state)

    def close(self) -> None:
        """Commit and close; idempotent."""
        self.flush()
        if self._state is not None:
            with contextlib.suppress(sqlite3.Error):
                self._state.connection.close()
            self._state = None
        self.problem = self.problem or "closed"

    # -- recording

    def _ready(self) -> _State | None:
        return self._state if self._clock() >= self._rest_until_s else None

    def _record(self, state: _State, frame: Frame, cause: str, complete: bool = False) -> None:
        self._begin(state)
        leapt = frame.time - state.time_s > keeping.DAY_S  # see `Calendar.of`
        if state.in_session == 0 or state.in_session >= SESSION_SNAPSHOTS or leapt:
            self._new_session(state, frame)
        complete = complete or state.since_complete >= COMPLETE_EVERY
        snapshot_id = state.snapshot_id + 1
        rows = state.builder.snapshot(frame, snapshot_id, cause, complete)
        self._insert(state, rows)
        state.snapshot_id, state.seq, state.groups = snapshot_id, frame.seq, rows.groups
        state.time_s = frame.time
        state.in_session += 1
        state.since_complete = 1 if complete else state.since_complete + 1
        state.unrecorded = 0
        state.targets = {g.group.id: g.decision.target for g in frame.groups}
        self.recorded += 1

    def _complete(self, state: _State, frame: Frame) -> None:
        """Add the groups that the snapshot of *frame*, the newest one, lacks."""
        self._begin(state)
        rows = state.builder.rest(frame, state.snapshot_id, state.groups)
        self._insert(state, rows)
        state.groups |= rows.groups
        state.connection.execute("UPDATE snapshot SET complete = 1 WHERE id = ?", (state.snapshot_id,))

    def _insert(self, state: _State, rows: Rows) -> None:
        for table in TABLES:
            if rows.of[table]:
                state.connection.executemany(self._schema.inserts[table], rows.of[table])
                state.allowance.take(len(rows.of[table]))

    def _new_session(self, state: _State, frame: Frame) -> None:
        privacy = state.builder.privacy
        session_id = state.builder.session_id + 1
        self._run_id = self._run_id or session_id
        sources = {source: privacy.sentence(how, ()) for source, how in frame.sources.items()}
        row = (
            session_id,
            self._run_id,
            frame.time,
            self._version,
            privacy.anonymises,
            len(frame.system.cpu_pct),
            as_json(sources),
        )
        state.connection.execute(self._schema.inserts["session"], row)
        state.builder = RowBuilder(privacy, session_id, _next_ids(state.connection))
        state.in_session, state.since_complete = 0, COMPLETE_EVERY

    def _begin(self, state: _State) -> None:
        if state.begun_s is None:
            state.connection.execute("BEGIN IMMEDIATE")
            state.begun_s = self._clock()

    def _commit(self, state: _State) -> None:
        if state.begun_s is not None:
            state.connection.execute("COMMIT")
            state.begun_s = None
            self.problem = self._told = None
            self._rest_until_s = float("-inf")

    def _prune(self, state: _State, now_s: float) -> None:
        """After a commit: forget a little of what is due."""
        if self._clock() < state.next_prune_s:
            return
        session = state.builder.session_id
        if not keeping.step(state.connection, self._retention, now_s, session, self._clock):
            state.next_prune_s = self._clock() + PRUNE_EVERY_S

    # -- problems

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turns what goes wrong into a problem: a `with` that fails ends, and the code after it runs."""
        try:
            yield
        except _FAILURES as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        state = self._state
        if state is None:
            return
        code = primary_code(error)
        with contextlib.suppress(sqlite3.Error):  # SQLite has often rolled back itself
            state.connection.execute("ROLLBACK")
        # What the transaction held is gone: everything shared is written again, in a session of its own.
        state.begun_s, state.in_session, state.seq = None, 0, None
        if code in DAMAGE:
            state.connection.close()
            self._stop(f"{self.path} is damaged ({error}): recording stops until the next start; {self._aside()}")
        elif code in _PASSING or isinstance(error, UnicodeError | OverflowError):
            why = _PASSING.get(code, f"a value cannot be stored ({error})")
            self._stop(f"recording to {self.path} stops: {why}; tried again every minute", final=False)
        else:
            state.connection.close()
            self._stop(f"recording to {self.path} stops: {error}")

    def _stop(self, problem: str, final: bool = True) -> None:
        self.problem = problem
        if final:
            self._state = None
        else:
            self._rest_until_s = self._clock() + REST_S
        if self._told != problem:
            self._told = problem
            self._on_problem(problem)

    def _aside(self) -> str:
        """Move the damaged file away, in words."""
        try:
            return f"it is kept as {move_aside(self.path, 'damaged')}"
        except OSError as error:
            return f"it stays where it is ({error.strerror})"


def _cause(state: _State, frame: Frame) -> str | None:
    """Why *frame* is worth recording; `None` when it is not."""
    if state.seq is None:
        return "first"
    if state.allowance.overdrawn:
        return None
    if frame.contention.active and not state.allowance.spent:
        return "contention"
    before = state.targets
    if any(g.decision.target is not before.get(g.group.id, PriorityClass.NORMAL) for g in frame.groups):
        return "change"
    return "sample" if state.unrecorded >= SAMPLE_EVERY - 1 else None


def _newest(connection: sqlite3.Connection, table: str) -> int:
    """The highest id of *table*; 0 when it is empty."""
    (newest,) = connection.execute(f"SELECT max(id) FROM {table}").fetchone()  # noqa: S608 - our own names
    return newest or 0


def _next_ids(connection: sqlite3.Connection) -> dict[str, int]:
    return {table: _newest(connection, table) + 1 for table in SHARED_TABLES}
