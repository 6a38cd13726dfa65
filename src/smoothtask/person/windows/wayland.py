"""Windows and idle time of any Wayland compositor that offers them to ordinary clients.

zwlr_foreign_toplevel_manager_v1 tells of focus; ext_foreign_toplevel_list_v1 only that windows are there. Neither tells
whose they are: see `peers`. Idle time comes by ext_idle_notifier_v1 or org_kde_kwin_idle.
"""

import os
import select
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smoothtask.model.person import Source, SourceHealth, Window
from smoothtask.model.text import sanitise
from smoothtask.person.watcher import IdleReport, LostError, Sink, SourceReport, WindowsReport
from smoothtask.person.windows.limits import MAX_WINDOWS, NAME_LIMIT, TITLE_LIMIT
from smoothtask.person.windows.peers import Client, owners, read_clients
from smoothtask.person.windows.wayland_wire import Arguments, Connection, Event, text, words

NAME: Final = "windows: wayland"
IDLE_NAME: Final = "input: wayland"
TIMEOUT_S: Final = 2.0
IDLE_AFTER_S: Final = 5.0
"""The compositor says so when there was no input for so long …"""
BEAT_S: Final = 10.0
"""… and until then, somebody is there: said this often."""
PEERS_PAUSE_S: Final = 0.5
"""Between two looks at who is connected, which take some milliseconds each."""
_DISPLAY: Final = 1
_SYNC, _GET_REGISTRY, _BIND = 0, 1, 0
_WLR, _EXT = "zwlr_foreign_toplevel_manager_v1", "ext_foreign_toplevel_list_v1"
_IDLE, _KDE_IDLE, _SEAT = "ext_idle_notifier_v1", "org_kde_kwin_idle", "wl_seat"
_VERSIONS: Final = {_WLR: 3, _EXT: 1, _IDLE: 2, _KDE_IDLE: 1, _SEAT: 1}
_WLR_EVENTS: Final = ("title", "app_id", "", "", "state", "done", "closed", "")
_EXT_EVENTS: Final = ("closed", "done", "title", "app_id", "")
_WLR_DESTROY, _EXT_DESTROY = 7, 0
_MINIMISED, _ACTIVATED, _FULLSCREEN = 1, 2, 3

Peers = Callable[[], tuple[Client, ...]]


def open_wayland(path: Path, sink: Sink, windows: bool = True, timeout_s: float = TIMEOUT_S) -> "WaylandWatcher":
    """Connect and report what is offered; *windows*: or only the idle time. Raises OSError or LostError."""
    connection = Connection(path, timeout_s)
    try:
        return WaylandWatcher(connection, sink, windows, timeout_s, lambda: read_clients(str(path), os.geteuid()))
    except BaseException:
        connection.close()
        raise


@dataclass(slots=True)
class _Toplevel:
    app_id: str = ""
    title: str = ""
    states: frozenset[int] = frozenset()


class WaylandWatcher:
    """See `smoothtask.person.watcher.Watcher`."""

    name = NAME

    def __init__(self, connection: Connection, sink: Sink, windows: bool, timeout_s: float, peers: Peers) -> None:
        self._wire = connection
        self._sink = sink
        self._peers = peers
        self._globals: dict[str, tuple[int, int]] = {}
        self._manager: tuple[int, str] | None = None
        """Our number for it, and which of the two it is."""
        self._toplevels: dict[int, _Toplevel] = {}
        self._owners: dict[str, tuple[int, float]] = {}
        self._counts: Counter[str] = Counter()
        """App id → windows, when it was asked last whose they are."""
        self._peers_at_s = 0.0
        """Not before, it is asked again."""
        self._notification: int | None = None
        self._beat_at_s: float | None = None
        self._changed = False
        self._reported: tuple[Window, ...] | None = None
        self._registry = connection.new_id()
        connection.send(_DISPLAY, _GET_REGISTRY, words(self._registry))
        self._settle(timeout_s)
        if windows:
            self._watch_windows()
        self._watch_input()
        self._settle(timeout_s)
        self._report(time.monotonic())
        self._tell(windows)

    def filenos(self) -> tuple[int, ...]:
        """The connection."""
        return (self._wire.fileno(),)

    def ready(self, now_s: float) -> None:
        """Take in events, and report what they changed."""
        for event in self._wire.events():
            self._take(event, now_s)
        if self._changed:
            self._report(now_s)

    def wake_at_s(self) -> float | None:
        """To say that somebody is still there, and to ask who is connected."""
        peers_at_s = self._peers_at_s if self._app_ids() != self._counts else None
        return min((at for at in (self._beat_at_s, peers_at_s) if at is not None), default=None)

    def wake(self, now_s: float) -> None:
        """See `wake_at_s`."""
        if self._app_ids() != self._counts and now_s >= self._peers_at_s:
            self._report(now_s)
        if self._beat_at_s is not None and now_s >= self._beat_at_s:
            self._beat_at_s = now_s + BEAT_S
            self._sink(IdleReport(IDLE_NAME, 0.0, now_s))

    def close(self) -> None:
        """Close the connection."""
        self._wire.close()

    def _settle(self, timeout_s: float) -> None:
        """Until everything asked so far is answered."""
        callback = self._wire.new_id()
        self._wire.send(_DISPLAY, _SYNC, words(callback))
        deadline_s = time.monotonic() + timeout_s
        while True:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not select.select([self._wire.fileno()], [], [], left_s)[0]:
                raise LostError(f"the compositor did not answer in {timeout_s:g} s")
            events = self._wire.events()
            for event in events:
                self._take(event, time.monotonic())
            if any(event.object_id == callback for event in events):
                return

    def _bind(self, interface: str) -> int:
        name, version = self._globals[interface]
        ours = self._wire.new_id()
        arguments = words(name) + text(interface) + words(min(version, _VERSIONS[interface]), ours)
        self._wire.send(self._registry, _BIND, arguments)
        return ours

    def _watch_windows(self) -> None:
        interface = next((i for i in (_WLR, _EXT) if i in self._globals), None)
        if interface is not None:
            self._manager = (self._bind(interface), interface)

    def _watch_input(self) -> None:
        """By the notification that inhibitors (a film) do not hold back, where there is one."""
        if _SEAT not in self._globals or not {_IDLE, _KDE_IDLE} & self._globals.keys():
            return
        seat, after_ms = self._bind(_SEAT), int(IDLE_AFTER_S * 1000)
        if _IDLE in self._globals:
            notifier, self._notification = self._bind(_IDLE), self._wire.new_id()
            request = 2 if self._globals[_IDLE][1] >= 2 else 1
            self._wire.send(notifier, request, words(self._notification, after_ms, seat))
        else:
            notifier, self._notification = self._bind(_KDE_IDLE), self._wire.new_id()
            self._wire.send(notifier, 0, words(self._notification, seat, after_ms))
        self._beat_at_s = time.monotonic()

    def _take(self, event: Event, now_s: float) -> None:
        said = Arguments(event.body)
        if event.object_id == _DISPLAY and event.opcode == 0:
            said.word()  # the object, and what was wrong with it
            said.word()
            raise LostError(f"the compositor says: {sanitise(said.string(), 100)}")
        if event.object_id == self._registry:
            self._on_registry(event.opcode, said)
        elif self._manager is not None and event.object_id == self._manager[0]:
            self._on_manager(event.opcode, said)
        elif event.object_id in self._toplevels:
            self._on_toplevel(event, said)
        elif event.object_id == self._notification:
            self._on_idle(event.opcode == 0, now_s)

    def _on_registry(self, opcode: int, said: Arguments) -> None:
        if opcode == 0:
            name, interface, version = said.word(), said.string(), said.word()
            if interface in _VERSIONS:
                self._globals.setdefault(interface, (name, version))

    def _on_manager(self, opcode: int, said: Arguments) -> None:
        if opcode != 0:
            raise LostError("the compositor tells of windows no longer")
        if len(self._toplevels) < MAX_WINDOWS:
            self._toplevels[said.word()] = _Toplevel()

    def _on_toplevel(self, event: Event, said: Arguments) -> None:
        window = self._toplevels[event.object_id]
        is_wlr = self._manager is not None and self._manager[1] == _WLR
        names = _WLR_EVENTS if is_wlr else _EXT_EVENTS
        match names[event.opcode] if event.opcode < len(names) else "":
            case "title":
                window.title = sanitise(said.string(), TITLE_LIMIT)
            case "app_id":
                window.app_id = sanitise(said.string(), NAME_LIMIT)
            case "state":
                array = said.array()
                window.states = frozenset(array[at] for at in range(0, len(array) - 3, 4))
            case "done":
                self._changed = True
            case "closed":
                del self._toplevels[event.object_id]
                self._wire.send(event.object_id, _WLR_DESTROY if is_wlr else _EXT_DESTROY)
                self._changed = True
            case _:
                pass

    def _on_idle(self, idle: bool, now_s: float) -> None:
        self._beat_at_s = None if idle else now_s + BEAT_S
        self._sink(IdleReport(IDLE_NAME, IDLE_AFTER_S if idle else 0.0, now_s))

    def _app_ids(self) -> "Counter[str]":
        return Counter(t.app_id for t in self._toplevels.values() if t.app_id)

    def _report(self, now_s: float) -> None:
        """Whose windows they are is asked anew when one has come or gone; until then nobody knows of its app id."""
        self._changed = False
        if self._manager is None:
            return
        counts = self._app_ids()
        if counts != self._counts and now_s >= self._peers_at_s:
            self._owners, self._counts = owners(counts, self._peers()), counts
            self._peers_at_s = now_s + PEERS_PAUSE_S
        self._owners = {app: owner for app, owner in self._owners.items() if counts[app] == self._counts[app]}
        windows = tuple(self._window(number, said) for number, said in self._toplevels.items())
        if windows != self._reported:
            self._reported = windows
            self._sink(WindowsReport(NAME, windows))

    def _window(self, number: int, said: _Toplevel) -> Window:
        pid, confidence = self._owners.get(said.app_id, (0, 0.0))
        minimised = _MINIMISED in said.states
        return Window(
            key=f"wayland:{number:x}",
            pid=pid or None,
            confidence=confidence,
            app_id=said.app_id,
            focused=_ACTIVATED in said.states,
            visible=not minimised,
            minimised=minimised,
            fullscreen=_FULLSCREEN in said.states,
            title=said.title,
        )

    def _tell(self, windows: bool) -> None:
        if windows:
            self._sink(SourceReport(_source_of(self._manager)))
        if self._notification is not None:
            self._sink(SourceReport(Source(IDLE_NAME, SourceHealth.WORKING, "the last input, as the compositor says")))


def _source_of(manager: tuple[int, str] | None) -> Source:
    if manager is None:
        text = "this compositor tells ordinary programs of no windows"
        return Source(NAME, SourceHealth.ABSENT, text, "nothing, unless it can be told to offer foreign-toplevel")
    if manager[1] == _EXT:
        text = "which windows are there, and not which has the focus"
        return Source(NAME, SourceHealth.WORKING, text, "nothing, unless it can be told to offer wlr-foreign-toplevel")
    return Source(NAME, SourceHealth.WORKING, "windows and focus; whose they are is guessed by who is connected")
