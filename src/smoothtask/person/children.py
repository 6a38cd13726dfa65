"""The daemon's side of the sessions: one child for each user with a desktop, its lines, its restarts.

All that a user's desktop offers belongs to that user, whichever session it is of: so one child watches them all. What
it says is true of that user's processes only (`policy.attention` holds it to that).
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from smoothtask.model.person import SessionView, Sound, Source, SourceHealth, Window
from smoothtask.person.endpoints import Endpoint, Kind, read_endpoints
from smoothtask.person.environs import displays, read_environs
from smoothtask.person.hearing import parse_line
from smoothtask.person.lines import LIMIT_BYTES
from smoothtask.person.merge import windows_of
from smoothtask.person.watcher import (
    GoneReport,
    IdleReport,
    LostError,
    Report,
    SoundReport,
    SourceReport,
    WindowsReport,
)

LOOK_S: Final = 5.0
ENVIRONS_S, NOBODY_S = 60.0, 15.0
"""How often processes are asked whose screen a server of root's is; and while it is nobody's."""
SESSIONS_AT_MOST: Final = 16
SOURCES_AT_MOST: Final = 16
FIRST_ORDINARY_UID: Final = 1000
"""login.defs(5), UID_MIN: below are services and login screens, where nobody works."""
FIRST_PAUSE_S, LAST_PAUSE_S = 1.0, 60.0
STEADY_S: Final = 60.0
"""A child that lived so long starts again soon."""
READ_BYTES: Final = 1 << 16
BURST, LINES_PER_S = 200.0, 50.0
"""More lines than this are no desktop's."""
LINE_BYTES: Final = 1 << 14
"""A longer one counts as several."""
END_S: Final = 2.0
"""How long is waited at our own end for theirs, and as long again for those that are killed then."""
NOTHING: Final = {
    "windows": ("no X server and no compositor that can be asked", "log in to a desktop as this user"),
    "sound": ("neither PipeWire nor PulseAudio runs", "start one in this user's session"),
}
"""What is said of a kind of source that this user has none of, and what to do."""


class Readers(Protocol):
    """The daemon's loop, as far as it is needed here."""

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        """Call *callback* whenever *fd* can be read."""
        ...

    def remove_reader(self, fd: int) -> None:
        """No longer."""
        ...


@dataclass(slots=True)
class _Session:
    """One user's child, running or not, and what it said."""

    uid: int
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    start_at_s: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    buffer: bytes = b""
    lines: float = BURST
    counted_s: float = 0.0
    trouble: Source | None = None
    """Why it does not run."""
    windows: dict[str, tuple[Window, ...]] = field(default_factory=dict)
    sounds: dict[str, Sound] = field(default_factory=dict)
    idles: dict[str, IdleReport] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)

    def take(self, report: Report) -> None:
        """Keep what it says; a source that does not work says nothing."""
        name = report.source.name if isinstance(report, SourceReport) else report.source
        known = {*self.windows, *self.sounds, *self.idles, *self.sources}
        if name not in known and len(known) >= SOURCES_AT_MOST:
            raise LostError(f"it claims more than {SOURCES_AT_MOST} sources")
        match report:
            case WindowsReport():
                self.windows[name] = report.windows
            case SoundReport():
                self.sounds[name] = report.sound
            case IdleReport():
                self.idles[name] = report
            case SourceReport():
                self.sources[name] = report.source
                if report.source.health is not SourceHealth.WORKING:
                    self.forget(name)
            case GoneReport():
                self.sources.pop(name, None)
                self.forget(name)

    def forget(self, name: str) -> None:
        """What this source said is true no longer."""
        for said in (self.windows, self.sounds, self.idles):
            said.pop(name, None)

    def forget_all(self) -> None:
        """It is gone, and with it what it knew."""
        self.buffer = b""
        for said in (self.windows, self.sounds, self.idles, self.sources):
            said.clear()

    def urgent(self) -> tuple[object, ...]:
        """What is worth a tick at once when it changes: the focus, and who is heard."""
        focused = [w.key for ws in self.windows.values() for w in ws if w.focused]
        running = [s.key for sound in self.sounds.values() for s in sound.streams if s.running]
        return (*focused, "|", *running)

    def view(self, active: bool, wanted: Iterable[str]) -> SessionView:
        """As the policy sees it; *wanted*: the kinds of sources that it should have."""
        idle = min(self.idles.values(), key=lambda i: i.idle_s - i.mono_s, default=None)
        sources = (*self.sources.values(), *self._nothing(wanted)) if self.trouble is None else (self.trouble,)
        return SessionView(
            uid=self.uid,
            session=f"user {self.uid}",
            windows=windows_of(self.windows),
            sound=_best(self.sounds),
            idle_s=None if idle is None else idle.idle_s,
            idle_at_mono_s=0.0 if idle is None else idle.mono_s,
            sources=sources,
            active=active,
        )

    def _nothing(self, wanted: Iterable[str]) -> Iterable[Source]:
        for kind in wanted:
            if not any(name.startswith(kind) for name in self.sources):
                text, remedy = NOTHING[kind]
                yield Source(kind, SourceHealth.ABSENT, f"{text} (uid {self.uid})", remedy)


@dataclass(slots=True)
class Children:
    """Every session's child."""

    readers: Readers
    windows: bool
    sound: bool
    only_uid: int | None = None
    """Of one user's daemon: that user's session alone."""
    hasten: Callable[[], None] = lambda: None
    """The person turned to something else."""
    endpoints: Callable[[], frozenset[Endpoint]] = read_endpoints
    _sessions: dict[int, _Session] = field(default_factory=dict)
    _look_at_s: float = 0.0
    _guests: tuple[frozenset[str], float, frozenset[int]] = (frozenset(), 0.0, frozenset())
    """Displays of servers that run as root, when they were looked at, and who uses them."""
    _killed: list[tuple[int, subprocess.Popen[bytes]]] = field(default_factory=list)
    """(uid, process) that were killed and have not ended yet."""

    @property
    def pids(self) -> frozenset[int]:
        """Of the children: they are part of us."""
        return frozenset(s.process.pid for s in self._sessions.values() if s.process is not None)

    def look(self, now_s: float) -> None:
        """Follow sessions that come and go, and start again what died; called at every tick."""
        self._killed = [(uid, process) for uid, process in self._killed if process.poll() is None]
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_S
            self._follow(self._users(now_s))
        for session in self._sessions.values():
            if session.process is None and now_s >= session.start_at_s:
                self._start(session, now_s)

    def views(self, is_active: Callable[[int], bool] = lambda _uid: True) -> tuple[SessionView, ...]:
        """What all sessions say now."""
        return tuple(s.view(is_active(s.uid), self._kinds()) for s in self._sessions.values())

    def close(self) -> None:
        """Have them all end: one whose lines nobody reads any more takes along what it left with its desktop."""
        processes = []
        for session in self._sessions.values():
            if session.process is not None:
                processes.append(session.process)
                self._let_go(session)
        self._sessions.clear()
        _end_all([*processes, *(process for _, process in self._killed)])
        self._killed.clear()

    def _kinds(self) -> list[str]:
        return [name for name, on in (("windows", self.windows), ("sound", self.sound)) if on]

    def _users(self, now_s: float) -> frozenset[int]:
        """Whose desktop runs here."""
        found = self.endpoints()
        rooted = frozenset(e for e in found if e.kind is Kind.X11 and e.uid == 0)
        wanted = {e.uid for e in found - rooted if self._is_wanted(e)}
        if self.windows and rooted:
            wanted |= self._users_of(frozenset(e.display for e in rooted), now_s)
        if self.only_uid is not None:
            wanted &= {self.only_uid}
        return frozenset(sorted(filter(_is_a_persons, wanted))[:SESSIONS_AT_MOST])

    def _is_wanted(self, endpoint: Endpoint) -> bool:
        return self.sound if endpoint.kind in {Kind.PIPEWIRE, Kind.PULSE} else self.windows

    def _users_of(self, screens: frozenset[str], now_s: float) -> frozenset[int]:
        """Who has programs on X servers that run as root: those whose processes say so."""
        known, looked_s, users = self._guests
        if known != screens or now_s - looked_s > (ENVIRONS_S if users else NOBODY_S):
            owners = {s.st_uid for e in os.scandir("/proc") if e.name.isdigit() and (s := _stat(e.path)) is not None}
            users = frozenset(u for u in owners if _is_a_persons(u) and displays(read_environs(u)) & screens)
            self._guests = (screens, now_s, users)
        return users

    def _follow(self, users: Iterable[int]) -> None:
        users = frozenset(users)
        for uid in self._sessions.keys() - users:
            self._end(self._sessions.pop(uid))
        for uid in sorted(users - self._sessions.keys()):
            self._sessions[uid] = _Session(uid)

    def _start(self, session: _Session, now_s: float) -> None:
        if any(uid == session.uid for uid, _ in self._killed):
            self._later(session, now_s, "the one before has not ended yet")
            return
        try:
            session.process = subprocess.Popen(
                # -P: nothing is imported from the current directory, which may be anybody's.
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "smoothtask.person.child",
                    str(session.uid),
                    str(os.getpid()),
                    *self._kinds(),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "1"},
                start_new_session=True,  # no terminal: a Ctrl-C is not for it, and it types into none (TIOCSTI)
            )
        except OSError as error:
            self._later(session, now_s, error.strerror or str(error))
            return
        session.started_s = session.counted_s = now_s
        session.lines, session.trouble = BURST, None
        fd = _output(session.process)
        os.set_blocking(fd, False)
        self.readers.add_reader(fd, lambda: self._read(session))

    def _read(self, session: _Session) -> None:
        if session.process is None:
            return
        before, now_s = session.urgent(), time.monotonic()
        try:
            self._hear(session, os.read(_output(session.process), READ_BYTES), now_s)
        except BlockingIOError:
            return
        except (LostError, OSError) as error:
            self._end(session)
            self._later(session, now_s, str(error))
        if session.urgent() != before:
            self.hasten()

    def _hear(self, session: _Session, data: bytes, now_s: float) -> None:
        """Raises LostError when it has ended, says too much, or nonsense."""
        if not data:
            raise LostError("it ended")
        *lines, session.buffer = (session.buffer + data).split(b"\n")
        if len(session.buffer) > LIMIT_BYTES or any(len(line) > LIMIT_BYTES for line in lines):
            raise LostError(f"it said a line of more than {LIMIT_BYTES} bytes")
        session.lines = min(BURST, session.lines + (now_s - session.counted_s) * LINES_PER_S)
        session.lines -= max(1, len(lines)) + len(data) // LINE_BYTES
        session.counted_s = now_s
        if session.lines < 0:
            raise LostError(f"it says more than {LINES_PER_S:g} things a second")
        for line in lines:
            session.take(parse_line(line, now_s))

    def _end(self, session: _Session) -> None:
        if session.process is not None:
            session.process.kill()
            if session.process.poll() is None:  # not waited for: a folder of the user's may hold it up for ever
                self._killed.append((session.uid, session.process))
            self._let_go(session)
        refused = session.sources.get("session")
        session.forget_all()
        session.trouble = refused

    def _let_go(self, session: _Session) -> None:
        """Hear it no longer."""
        if session.process is not None and session.process.stdout is not None:
            self.readers.remove_reader(session.process.stdout.fileno())
            session.process.stdout.close()
        session.process = None

    def _later(self, session: _Session, now_s: float, why: str) -> None:
        if now_s - session.started_s > STEADY_S:
            session.pause_s = FIRST_PAUSE_S
        session.start_at_s = now_s + session.pause_s
        text = f"the watcher of uid {session.uid}: {why}; next try in {session.pause_s:g} s"
        if session.trouble is None:
            session.trouble = Source("session", SourceHealth.REFUSED, text)
        session.pause_s = min(2 * session.pause_s, LAST_PAUSE_S)


def _end_all(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """Wait until they have ended by themselves, then until they are killed; neither for ever."""
    left = [*processes]
    for kill in (False, True):
        end_s = time.monotonic() + END_S
        for process in left:
            if kill:
                process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, end_s - time.monotonic()))
        left = [process for process in left if process.returncode is None]


def _is_a_persons(uid: int) -> bool:
    return uid == 0 or uid >= FIRST_ORDINARY_UID


def _output(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout is not None  # noqa: S101 (asked for at its start)
    return process.stdout.fileno()


def _stat(path: str) -> os.stat_result | None:
    try:
        return Path(path).stat()
    except OSError:  # it has ended
        return None


def _best(sounds: dict[str, Sound]) -> Sound | None:
    """PipeWire says more than PulseAudio where both are there."""
    return next((sounds[name] for name in sorted(sounds)), None)
