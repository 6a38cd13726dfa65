"""The small interface of everything that watches: a descriptor to wait for, a moment to wake at, reports.

Watchers run in one epoll loop, in the daemon (input) or in a session's child (windows, sound). None blocks: what
must be asked is asked with a bounded wait at `start`, and what comes later comes as events.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from smoothtask.model.person import Sound, Source, Window


@dataclass(frozen=True, slots=True)
class WindowsReport:
    """All windows that one source knows, whole: sent when anything in it changed."""

    source: str
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class SoundReport:
    """All that one sound server says, whole."""

    source: str
    sound: Sound


@dataclass(frozen=True, slots=True)
class IdleReport:
    """Seconds since the last input, at the moment *mono_s* (CLOCK_MONOTONIC)."""

    source: str
    idle_s: float
    mono_s: float


@dataclass(frozen=True, slots=True)
class SourceReport:
    """How a source fares now."""

    source: Source


@dataclass(frozen=True, slots=True)
class GoneReport:
    """There is no such source any more, and nothing to say of it."""

    source: str


Report = WindowsReport | SoundReport | IdleReport | SourceReport | GoneReport
Sink = Callable[[Report], None]


class LostError(Exception):
    """The server that a watcher talked to is gone, or said what cannot be understood: close it, try again later."""


class Watcher(Protocol):
    """One source. Its constructor (or `open_…` function) connects, and raises OSError or LostError if it cannot."""

    name: str
    """As `Source.name`."""

    def filenos(self) -> tuple[int, ...]:
        """Descriptors to wait for (EPOLLIN); may change after `ready` or `wake`."""
        ...

    def ready(self, now_s: float) -> None:
        """Some of them can be read. Raises LostError when the other end is gone."""
        ...

    def wake_at_s(self) -> float | None:
        """CLOCK_MONOTONIC moment at which `wake` is wanted."""
        ...

    def wake(self, now_s: float) -> None:
        """That moment has come."""
        ...

    def close(self) -> None:
        """Let go of everything; may be called twice."""
        ...
