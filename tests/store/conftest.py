"""What tests of the store share: a folder with a log in it, and a clock that the test turns."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from smoothtask.store.log import SnapshotLog


@dataclass
class Clock:
    """Monotonic seconds, turned by hand."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Place:
    """A state directory and what was said about it."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    problems: list[str] = field(default_factory=list)
    logs: list[SnapshotLog] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.folder / "snapshots.db"

    def log(self, **more: Any) -> SnapshotLog:
        """A log in this place."""
        values: dict[str, Any] = {"salt_path": self.folder / "salt", "anonymise": False, **more}
        log = SnapshotLog(self.path, on_problem=self.problems.append, clock=self.clock, **values)
        self.logs.append(log)
        return log

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a reader of the file sees."""
        reader = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
        try:
            return reader.execute(sql, values).fetchall()
        finally:
            reader.close()

    def value(self, sql: str, *values: Any) -> Any:
        """The one value that *sql* selects."""
        ((value,),) = self.rows(sql, *values)
        return value


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A fresh state directory."""
    place = Place(tmp_path / "state")
    yield place
    for log in place.logs:
        log.close()


@pytest.fixture
def is_sound(place: Place) -> Callable[[], bool]:
    """Whether the file is whole and every reference leads somewhere."""

    def check() -> bool:
        return place.rows("PRAGMA integrity_check") == [("ok",)] and place.rows("PRAGMA foreign_key_check") == []

    return check
