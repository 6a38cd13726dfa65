"""Opens the database file for recording: makes it, checks it, moves what cannot be used aside. No SQLModel."""

import os
import sqlite3
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from smoothtask.store.schema import APPLICATION_ID, VERSION, Schema

DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
CHECKED_BYTES = 16 << 20
"""Up to this size the whole file is checked when it is opened (about 50 ms); above, its structure alone."""
OPEN_TIMEOUT_S = 1.0
_WAL_BYTES = 2 << 20
_CHECKPOINT_PAGES = 256
"""1 MiB copied at a time: a checkpoint is the longest pause of an append."""
_CACHE_KIB = 1024
_COMPANIONS = ("", "-wal", "-shm")


class UnusableError(Exception):
    """The file is not ours to write; the message is a sentence for a person."""


def primary_code(error: BaseException) -> int:
    """SQLite's result code without its extension (sqlite.org/rescode.html); −1 of other errors."""
    code: int = getattr(error, "sqlite_errorcode", -1)
    return code & 0xFF if code >= 0 else -1


def open_for_recording(path: Path, schema: Schema, say: Callable[[str], None]) -> sqlite3.Connection:
    """A connection in autocommit mode to a database of exactly *schema*, made when there is none.

    A damaged file, or one of an older version, is moved aside and *say* told where. Raises UnusableError for
    what must not be touched (another program's file, a newer version), OSError, sqlite3.Error.
    """
    _prepare(path)
    try:
        return _open(path, schema, say)
    except sqlite3.DatabaseError as error:
        if primary_code(error) not in DAMAGE:
            raise
        say(f"{path} is damaged ({error}): it is kept as {move_aside(path, 'damaged')}, and a new one is begun")
    _prepare(path)
    return _open(path, schema, say)


def move_aside(path: Path, why: str) -> Path:
    """Rename the database with its -wal and -shm to `….WHY-TIME`; returns the new path. Raises OSError."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    aside = path.with_name(f"{path.name}.{why}-{moment}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.{why}-{moment}-{number}")
    for companion in _COMPANIONS:
        source = path.with_name(path.name + companion)
        if source.exists():
            source.rename(aside.with_name(aside.name + companion))
    return aside


def _prepare(path: Path) -> None:
    """Make the folder (0700) and the file (0600) when they are missing; refuse what is not a file of ours."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        raise UnusableError(f"recording is off: {path} is not a regular file of uid {os.geteuid()}")
    if stat.S_IMODE(found.st_mode) != 0o600:
        path.chmod(0o600)


def _open(path: Path, schema: Schema, say: Callable[[str], None]) -> sqlite3.Connection:
    connection = _connect(path)
    try:
        if _is_new(connection):
            _create(connection, schema)
        elif (why := _outdated(connection, schema, path)) is not None:
            connection.close()
            say(f"{path} is {why}: it is kept as {move_aside(path, 'outdated')}, and a new one is begun")
            _prepare(path)
            connection = _connect(path)
            _create(connection, schema)
        _check(connection, path)
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}").fetchone()
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("BEGIN IMMEDIATE")  # finds out now whether it can be written
        connection.execute("ROLLBACK")
        connection.execute("PRAGMA busy_timeout = 0").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=OPEN_TIMEOUT_S, isolation_level=None, check_same_thread=False)


def _is_new(connection: sqlite3.Connection) -> bool:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return _pragma(connection, "application_id") == 0 and tables == 0


def _create(connection: sqlite3.Connection, schema: Schema) -> None:
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before the first table, or it has no effect
    connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("BEGIN IMMEDIATE")
    for statement in schema.creates:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _outdated(connection: sqlite3.Connection, schema: Schema, path: Path) -> str | None:
    """In words, why a database of ours cannot be continued; raises UnusableError when it must not be touched."""
    application, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
    ours = _same_tables(connection, schema)
    if application != APPLICATION_ID:
        if ours:
            return "damaged (its application id is not ours)"
        raise UnusableError(f"recording is off: {path} is another program's database; it is left alone")
    if version > VERSION:
        raise UnusableError(
            f"recording is off: {path} is of version {version}, written by a newer SmoothTask (this one knows "
            f"{VERSION}); it is left alone"
        )
    if version < VERSION:
        return f"of version {version}, which this SmoothTask (version {VERSION}) does not continue"
    return None if ours else f"of version {version} with other tables than this SmoothTask's"


def _same_tables(connection: sqlite3.Connection, schema: Schema) -> bool:
    rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
    return {sql.strip() for (sql,) in rows} == set(schema.creates)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Read enough to notice damage. Raises sqlite3.DatabaseError (SQLITE_CORRUPT) for it."""
    connection.execute("SELECT * FROM snapshot ORDER BY id DESC LIMIT 1").fetchone()
    if path.stat().st_size <= CHECKED_BYTES:
        (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if result != "ok":
            error = sqlite3.DatabaseError(result.splitlines()[-1])
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)
