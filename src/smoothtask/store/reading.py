"""Opens a snapshot log for reading, beside a daemon that writes it: SQLModel sessions on a read-only connection."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine, NullPool, create_engine
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from smoothtask.store.schema import APPLICATION_ID, VERSION

TIMEOUT_S = 5.0


class StoreError(Exception):
    """A log cannot be read, or not be written as asked; the message is a sentence for a person."""


@contextlib.contextmanager
def open_for_reading(path: Path) -> Iterator[Session]:
    """A session on the log at *path*. What is read in it is one consistent state, however the daemon goes on.

    Raises StoreError when there is none, it is not ours, of another version, unreadable or damaged: at once, or
    where the damage is met.
    """
    engine = _engine(path)
    try:
        with Session(engine) as session:
            _check(session, path)
            yield session
    except (DBAPIError, sqlite3.Error) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise StoreError(f"{path} cannot be read: {reason}") from error
    finally:
        engine.dispose()


def _engine(path: Path) -> Engine:
    if not path.is_file():
        raise StoreError(f"there is no snapshot log at {path}")
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, timeout=TIMEOUT_S, check_same_thread=False)

    return create_engine("sqlite://", creator=connect, poolclass=NullPool)


def _check(session: Session, path: Path) -> None:
    connection = session.connection()
    connection.exec_driver_sql("BEGIN")
    application = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if application != APPLICATION_ID:
        raise StoreError(f"{path} is not a snapshot log of SmoothTask")
    if version != VERSION:
        raise StoreError(f"{path} is of version {version}, this SmoothTask reads {VERSION}")
