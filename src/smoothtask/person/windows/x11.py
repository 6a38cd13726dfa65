"""The windows of an X server, told by its window manager (EWMH), or by the server alone when there is none.

A window's pid comes from the server (X-Resource 1.2), which has it from the kernel; what a client claims
(_NET_WM_PID) counts for little, and only where the server cannot tell. Everything comes by events.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from Xlib import X
from Xlib.protocol import request

from smoothtask.model.person import Source, SourceHealth, Window
from smoothtask.person.watcher import IdleReport, Sink, SourceReport, WindowsReport
from smoothtask.person.windows.limits import MAX_WINDOWS, NAME_LIMIT
from smoothtask.person.windows.x11_idle import IdleCounter, open_idle
from smoothtask.person.windows.x11_questions import (
    STATE_NAMES,
    TITLE_NAMES,
    Questions,
    State,
    app_id,
    cards,
    text_of,
    title_of,
)
from smoothtask.person.windows.x11_wire import TIMEOUT_S, Connection, Event, said

TITLE_PAUSE_S: Final = 1.0
"""Titles that change all the time are read once in this time."""
_ROUNDS: Final = 16
"""Of events in one call of `ready`: a flood must not hold up the other watchers."""
_DEPTH: Final = 16
_VIEWABLE: Final = 2


@dataclass(slots=True)
class _Known:
    """One window, as the server describes it."""

    pid: int | None
    confidence: float
    app_id: str
    title: str
    state: State


@dataclass(slots=True)
class _Todo:
    """What some events have made stale."""

    manager: bool = False
    list: bool = False
    focus: bool = False
    desktop: bool = False
    states: set[int] = field(default_factory=set)


def open_x11(display: str, xauthority: Path | None, sink: Sink, timeout_s: float = TIMEOUT_S) -> "X11Watcher":
    """Connect to a local display that is known to be live (see `x11_servers.is_live`), and report what is there.

    Raises OSError (PermissionError: it refuses us) or LostError, within a few times *timeout_s*.
    """
    connection = Connection(display, xauthority, timeout_s)
    try:
        return X11Watcher(connection, sink)
    except BaseException:
        connection.close()
        raise


class X11Watcher:
    """See `smoothtask.person.watcher.Watcher`."""

    def __init__(self, connection: Connection, sink: Sink) -> None:
        self.name = f"windows: x11 :{connection.number}"
        self._idle_name = f"input: x11 :{connection.number}"
        self._x = connection
        self._sink = sink
        self._q = Questions(connection)
        self._xwayland = _is_xwayland(connection.server_pid)
        self._idle = None if self._xwayland else open_idle(connection)
        self._manager: int | None = None
        """The window that says that a window manager runs; `None`: none does."""
        self._known: dict[int, _Known] = {}
        self._tops: dict[int, int] = {}
        """Without a manager: child of the root window → the client in it."""
        self._active: int | None = None
        self._desktop: int | None = None
        self._stale_titles: set[int] = set()
        self._titles_at_s: float | None = None
        self._reported: tuple[Window, ...] | None = None
        self._tell_sources()
        self._follow(_Todo(manager=True, desktop=True))
        self._report()
        if self._idle is not None:
            self._idle.wake_at_s = 0.0

    def filenos(self) -> tuple[int, ...]:
        """The connection."""
        return (self._x.fileno(),)

    def ready(self, now_s: float) -> None:
        """Take in events and report what they changed."""
        for _ in range(_ROUNDS):
            events = self._x.events()
            if not events:
                break
            self._follow(self._sort(events, now_s))
            self._report()

    def wake_at_s(self) -> float | None:
        """For titles, for the idle time, and for events that came along with an answer."""
        if self._x.has_events:
            return 0.0
        idle_at_s = None if self._idle is None else self._idle.wake_at_s
        return min((at for at in (self._titles_at_s, idle_at_s) if at is not None), default=None)

    def wake(self, now_s: float) -> None:
        """Read what is due."""
        if self._titles_at_s is not None and now_s >= self._titles_at_s:
            self._read_titles()
        if self._idle is not None and self._idle.wake_at_s is not None and now_s >= self._idle.wake_at_s:
            self._tell_idle(self._idle, now_s)
        self.ready(now_s)

    def close(self) -> None:
        """Close the connection."""
        self._x.close()

    # What is stale.

    def _sort(self, events: Iterable[Event], now_s: float) -> _Todo:
        todo = _Todo()
        for event in events:
            kind = event[0] & 0x7F
            if kind == X.PropertyNotify:
                window, atom = struct.unpack_from("=II", event, 4)
                self._sort_property(todo, window, self._q.names.get(atom), now_s)
            elif kind == X.DestroyNotify and struct.unpack_from("=I", event, 8)[0] == self._manager:
                todo.manager = True
            elif kind in {X.MapNotify, X.UnmapNotify, X.ReparentNotify, X.DestroyNotify}:
                todo.list |= self._manager is None
            elif kind in {X.FocusIn, X.FocusOut, X.EnterNotify}:
                todo.focus |= self._manager is None
            elif self._idle is not None and self._idle.is_mine(event):
                self._tell_idle(self._idle, now_s)
        return todo

    def _sort_property(self, todo: _Todo, window: int, name: str | None, now_s: float) -> None:
        if window == self._x.root:
            todo.manager |= name == "_NET_SUPPORTING_WM_CHECK"
            todo.list |= name == "_NET_CLIENT_LIST"
            todo.focus |= name == "_NET_ACTIVE_WINDOW"
            todo.desktop |= name == "_NET_CURRENT_DESKTOP"
        elif name in STATE_NAMES:
            todo.states.add(window)
        elif name in TITLE_NAMES:
            self._stale_titles.add(window)
            if self._titles_at_s is None:
                self._titles_at_s = now_s + TITLE_PAUSE_S

    def _follow(self, todo: _Todo) -> None:
        """Ask anew what is stale."""
        if todo.manager:
            self._find_manager()
        if todo.manager or todo.list:
            self._list()
        if todo.desktop:
            current = self._q.cards_now(self._x.root, "_NET_CURRENT_DESKTOP")
            self._desktop = current[0] if current else None
        self._refresh(todo.states & self._known.keys())
        if todo.manager or todo.list or todo.focus:
            self._active = self._focus()

    def _find_manager(self) -> None:
        """Whoever manages windows names a window of its own, which goes when it goes (EWMH)."""
        named = self._q.cards_now(self._x.root, "_NET_SUPPORTING_WM_CHECK")
        self._manager = None
        if named:
            self._q.select(named[0], X.StructureNotifyMask)
            if self._q.cards_now(named[0], "_NET_SUPPORTING_WM_CHECK") == named[:1]:
                self._manager = named[0]
        tree = 0 if self._manager else X.SubstructureNotifyMask
        self._q.select(self._x.root, X.PropertyChangeMask | tree)
        self._known.clear()  # what is wanted of each window is another now

    def _list(self) -> None:
        """Which windows there are."""
        listed = self._managed()
        if listed is None:
            self._tops = self._unmanaged()
            listed = list(self._tops.values())
        wanted = dict.fromkeys(listed[:MAX_WINDOWS])
        for window in self._known.keys() - wanted.keys():
            del self._known[window]
        self._meet([w for w in wanted if w not in self._known])
        self._known = {w: self._known[w] for w in wanted if w in self._known}
        self._stale_titles &= self._known.keys()

    def _managed(self) -> list[int] | None:
        """What the manager lists; `None`: nobody does."""
        if self._manager is None:
            return None
        for name in ("_NET_CLIENT_LIST", "_NET_CLIENT_LIST_STACKING"):
            asked = self._q.property(self._x.root, name, MAX_WINDOWS)
            self._x.settle()
            if said(asked) is not None and said(asked)["property_type"]:
                return cards(asked)
        return None

    def _unmanaged(self) -> dict[int, int]:
        """The windows on the screen where no EWMH manager runs; one in a frame is known by its WM_STATE (ICCCM)."""
        tree = self._q.ask(request.QueryTree, window=self._x.root)
        self._x.settle()
        asked = {}
        for top in said(tree)["children"][:MAX_WINDOWS] if said(tree) else ():
            attributes = self._q.ask(request.GetWindowAttributes, window=top)
            asked[top] = attributes, self._q.ask(request.QueryTree, window=top), self._q.property(top, "WM_STATE", 1)
        self._x.settle()
        tops = {}
        framed = []
        for top, (attributes, inside, state) in asked.items():
            seen = said(attributes)
            if seen is None or seen["map_state"] != _VIEWABLE:
                continue
            if not seen["override_redirect"] or cards(state):
                tops[top] = top
            if said(inside) and not cards(state):
                framed += [
                    (top, child, self._q.property(child, "WM_STATE", 1)) for child in said(inside)["children"][:8]
                ]
        self._x.settle()
        tops.update((top, child) for top, child, state in framed if cards(state))
        return tops

    def _meet(self, windows: Sequence[int]) -> None:
        """Learn what does not change of windows that are new, and wait for what does."""
        mask = X.PropertyChangeMask
        if self._manager is None:
            mask |= X.FocusChangeMask | X.EnterWindowMask
        asked = {}
        for window in windows:
            self._q.select(window, mask)
            owner = self._q.ask_owner(window)
            asked[window] = owner, self._q.property(window, "WM_CLASS", NAME_LIMIT), self._q.ask_title(window)
        states = self._q.ask_states(windows)
        self._x.settle()
        for window, (owner, app, title) in asked.items():
            if said(app) is None:
                continue  # it has vanished since
            pid, confidence = self._q.owner(owner)
            state = self._q.state(states[window])
            self._known[window] = _Known(pid, confidence, app_id(text_of(app)), title_of(title), state)

    def _refresh(self, windows: Iterable[int]) -> None:
        asked = self._q.ask_states(windows)
        if not asked:
            return
        self._x.settle()
        for window, answers in asked.items():
            self._known[window].state = self._q.state(answers)

    def _read_titles(self) -> None:
        self._titles_at_s = None
        asked = {window: self._q.ask_title(window) for window in self._stale_titles & self._known.keys()}
        self._stale_titles.clear()
        self._x.settle()
        for window, answers in asked.items():
            self._known[window].title = title_of(answers)
        self._report()

    # Who has the focus.

    def _focus(self) -> int | None:
        if self._manager is not None:
            active = self._q.cards_now(self._x.root, "_NET_ACTIVE_WINDOW")
            return active[0] if active and active[0] in self._known else None
        asked = self._q.ask(request.GetInputFocus)
        pointer = self._q.ask(request.QueryPointer, window=self._x.root)
        self._x.settle()
        window = said(asked)["focus"] if said(asked) else 0
        if window == X.PointerRoot:
            window = said(pointer)["child"] if said(pointer) else 0
        return self._client_around(window)

    def _client_around(self, window: int) -> int | None:
        """The known window that *window* is, or is in."""
        for _ in range(_DEPTH):
            window = self._tops.get(window, window)
            if window in self._known:
                return window
            if window in {0, self._x.root}:
                return None
            tree = self._q.ask(request.QueryTree, window=window)
            self._x.settle()
            window = said(tree)["parent"] if said(tree) else 0
        return None

    # Reports.

    def _tell_sources(self) -> None:
        if self._q.res_opcode is not None:
            text, remedy = "windows, focus and pids by the X server", ""
        else:
            text = "windows and focus; pids are claims, which change nothing: the X server cannot vouch for them"
            remedy = "an X server with X-Resource 1.2, in the same pid namespace"
        self._sink(SourceReport(Source(self.name, SourceHealth.WORKING, text, remedy)))
        if self._idle is not None:
            health, text = SourceHealth.WORKING, "the last input, by the X server's idle time"
        elif self._xwayland:
            health, text = SourceHealth.ABSENT, "Xwayland knows of its own windows' input alone"
        else:
            health, text = SourceHealth.ABSENT, "this X server does not tell its idle time"
        remedy = "" if health is SourceHealth.WORKING else "nothing: the compositor or input devices tell it, too"
        self._sink(SourceReport(Source(self._idle_name, health, text, remedy)))

    def _tell_idle(self, idle: IdleCounter, now_s: float) -> None:
        self._sink(IdleReport(self._idle_name, idle.read(now_s), now_s))

    def _report(self) -> None:
        """All windows, if anything of them has changed."""
        windows = tuple(self._window(number, known) for number, known in self._known.items())
        if windows != self._reported:
            self._reported = windows
            self._sink(WindowsReport(self.name, windows))

    def _window(self, number: int, known: _Known) -> Window:
        state = known.state
        here = state.desktop is None or self._desktop is None or state.desktop == self._desktop
        # openbox says Iconic of windows on another desktop, too.
        minimised = state.hidden or (state.iconic and here)
        return Window(
            key=f"x11:{number:#x}",
            pid=known.pid,
            confidence=known.confidence,
            app_id=known.app_id,
            focused=number == self._active,
            visible=here and not minimised,
            minimised=minimised,
            fullscreen=state.fullscreen,
            workspace=None if state.desktop is None else str(state.desktop),
            title=known.title,
        )


def _is_xwayland(server_pid: int) -> bool:
    """Whether the server is one, whose idle time is not the person's."""
    try:
        return Path(f"/proc/{server_pid}/comm").read_bytes().strip() == b"Xwayland"
    except OSError:
        return False
