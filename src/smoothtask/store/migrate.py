"""Logs of older versions, brought up to date as copies: to learn from, never to go on recording into."""

import contextlib
import hashlib
import sqlite3
from pathlib import Path
from urllib.parse import quote

from smoothtask.store.frames import RecordError
from smoothtask.store.schema import APPLICATION_ID, VERSION

STEPS: dict[int, tuple[str, ...]] = {
    # Nothing was known of the person, and no moment was judged.
    1: (
        *(f"ALTER TABLE snapshot ADD COLUMN {column}" for column in (
            "person_active BOOLEAN", "since_input_s FLOAT", "xruns INTEGER", "missing_cycles INTEGER", "dsp_load FLOAT",
            "responsiveness_score FLOAT", "audio_stability_score FLOAT",
            "bad_responsiveness BOOLEAN NOT NULL DEFAULT 0", "bad_reasons VARCHAR NOT NULL DEFAULT '[]'",
        )),
        *(f"ALTER TABLE app_group ADD COLUMN {column} BOOLEAN NOT NULL DEFAULT 0" for column in (
            "focused", "visible", "minimised", "fullscreen", "playing", "capturing",
        )),
        *(f"ALTER TABLE app_group ADD COLUMN {column} FLOAT" for column in (
            "unfocused_s", "xrun_s", "typed_s", "score",
        )),
    ),
    # Nothing deeper was measured.
    2: (
        *(f"ALTER TABLE {table} ADD COLUMN {column}" for table in ("snapshot", "app_group") for column in (
            "run_queue_p50_ms FLOAT", "run_queue_p99_ms FLOAT", "run_queue_waits INTEGER", "disk_p50_ms FLOAT",
            "disk_p99_ms FLOAT", "disk_requests INTEGER",
        )),
        *(f"ALTER TABLE {table} ADD COLUMN {column}" for table in ("snapshot", "app_group", "process") for column in (
            "sent_bytes_per_s FLOAT", "received_bytes_per_s FLOAT", "connections INTEGER", "watts FLOAT",
        )),
    ),
    # No model had a say, and what the rules would have had was not told apart.
    3: (
        "ALTER TABLE snapshot ADD COLUMN model VARCHAR",
        "ALTER TABLE decision ADD COLUMN rules_class VARCHAR",
        "ALTER TABLE decision ADD COLUMN model_score FLOAT",
    ),
    # Pressure of an application's own cgroup was shown, and forgotten.
    4: tuple(f"ALTER TABLE app_group ADD COLUMN psi_{what}_some_pct FLOAT" for what in ("cpu", "io", "memory")),
}  # fmt: skip
"""Version → what makes the next one of it."""


def up_to_date(path: Path, folder: Path) -> Path:
    """*path* itself, or a copy of it in *folder* with the tables of today when it is of an older version.

    Raises RecordError when there is no way from its version to ours.
    """
    try:
        if not path.is_file():
            raise RecordError(f"there is no snapshot log at {path}: nothing has been recorded yet")
        with contextlib.closing(_opened(path)) as db:
            application, version = (db.execute(f"PRAGMA {n}").fetchone()[0] for n in ("application_id", "user_version"))
            if application != APPLICATION_ID or version >= VERSION:
                return path  # a reader says what is wrong with it
            if not set(range(version, VERSION)) <= STEPS.keys():
                raise RecordError(f"{path} is of version {version}, and this SmoothTask reads {VERSION}")
            folder.mkdir(parents=True, exist_ok=True)
            copy = folder / f"{hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:12]}.db"
            with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as made:
                db.backup(made)
                _climb(made, version)
            return copy
    except (sqlite3.Error, OSError) as error:
        raise RecordError(f"{path} cannot be read: {error}") from error


def _climb(db: sqlite3.Connection, version: int) -> None:
    for step in range(version, VERSION):
        for statement in STEPS[step]:
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {VERSION}")


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=5.0)
