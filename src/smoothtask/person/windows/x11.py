"""The windows of an X server, told by its window manager (EWMH), or by the server alone when there is none.

A window's pid comes from the server (X-Resource 1.2), which has it from the kernel; what a client claims
(_NET_WM_PID) counts for little, and only where the server cannot tell. Everything comes by events.
"""

import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from Xlib import X
from Xlib.ext import res
from Xlib.protocol import request

from smoothtask.model.person import Source, SourceHealth, Window
from smoothtask.model.text import sanitise
from smoothtask.person.watcher import IdleReport, Sink, SourceReport, WindowsReport
from smoothtask.person.windows.limits import CLAIMED, MAX_PID, MAX_WINDOWS, NAME_LIMIT, TITLE_LIMIT
from smoothtask.person.windows.x11_idle import IdleCounter, open_idle
from smoothtask.person.windows.x11_wire import TIMEOUT_S, Connection, Event, said

TITLE_PAUSE_S: Final = 1.0
"""Titles that change all the time are read once in this time."""
_ROUNDS: Final = 16
"""Of events in one call of `ready`: a flood must not hold up the other watchers."""
_TITLE_LONGS: Final = 64
_DEPTH: Final = 16
_ALL_DESKTOPS: Final = 0xFFFFFFFF
_ICONIC: Final = 3
_VIEWABLE: Final = 2

_ROOT_NAMES = (
    "_NET_CLIENT_LIST",
    "_NET_CLIENT_LIST_STACKING",
    "_NET_ACTIVE_WINDOW",
    "_NET_CURRENT_DESKTOP",
    "_NET_SUPPORTING_WM_CHECK",
)
_STATE_NAMES = ("_NET_WM_STATE", "WM_STATE", "_NET_WM_DESKTOP")
_TITLE_NAMES = ("_NET_WM_NAME", "WM_NAME")
_OTHER_NAMES = (
    "_NET_WM_STATE_HIDDEN",
    "_NET_WM_STATE_FULLSCREEN",
    "_NET_WM_PID",
    "WM_CLASS",
    "WM_CLIENT_MACHINE",
)


@dataclass(slots=True)
class _Known:
    """One window, as the server describes it."""

    pid: int | None
    confidence: float
    app_id: str
    title: str
    state: "_State"


@dataclass(frozen=True, slots=True)
class _State:
    hidden: bool = False
    iconic: bool = False
    fullscreen: bool = False
    desktop: int | None = None


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
        self._atoms = connection.atoms(_ROOT_NAMES + _STATE_NAMES + _TITLE_NAMES + _OTHER_NAMES)
        self._names = {number: name for name, number in self._atoms.items()}
        self._res_opcode = self._trusted_res()
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
                self._sort_property(todo, window, self._names.get(atom), now_s)
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
        elif name in _STATE_NAMES:
            todo.states.add(window)
        elif name in _TITLE_NAMES:
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
            current = self._cards_now(self._x.root, "_NET_CURRENT_DESKTOP")
            self._desktop = current[0] if current else None
        self._refresh(todo.states & self._known.keys())
        if todo.manager or todo.list or todo.focus:
            self._active = self._focus()

    def _find_manager(self) -> None:
        """Whoever manages windows names a window of its own, which goes when it goes (EWMH)."""
        named = self._cards_now(self._x.root, "_NET_SUPPORTING_WM_CHECK")
        self._manager = None
        if named:
            self._select(named[0], X.StructureNotifyMask)
            if self._cards_now(named[0], "_NET_SUPPORTING_WM_CHECK") == named[:1]:
                self._manager = named[0]
        tree = 0 if self._manager else X.SubstructureNotifyMask
        self._select(self._x.root, X.PropertyChangeMask | tree)
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
            asked = self._property(self._x.root, name, MAX_WINDOWS)
            self._x.settle()
            if said(asked) is not None and said(asked)["property_type"]:
                return _cards(asked)
        return None

    def _unmanaged(self) -> dict[int, int]:
        """The windows on the screen where no EWMH manager runs; one in a frame is known by its WM_STATE (ICCCM)."""
        tree = self._ask(request.QueryTree, window=self._x.root)
        self._x.settle()
        asked = {}
        for top in said(tree)["children"][:MAX_WINDOWS] if said(tree) else ():
            attributes = self._ask(request.GetWindowAttributes, window=top)
            asked[top] = attributes, self._ask(request.QueryTree, window=top), self._property(top, "WM_STATE", 1)
        self._x.settle()
        tops = {}
        framed = []
        for top, (attributes, inside, state) in asked.items():
            seen = said(attributes)
            if seen is None or seen["map_state"] != _VIEWABLE:
                continue
            if not seen["override_redirect"] or _cards(state):
                tops[top] = top
            if said(inside) and not _cards(state):
                framed += [(top, child, self._property(child, "WM_STATE", 1)) for child in said(inside)["children"][:8]]
        self._x.settle()
        tops.update((top, child) for top, child, state in framed if _cards(state))
        return tops

    def _meet(self, windows: Sequence[int]) -> None:
        """Learn what does not change of windows that are new, and wait for what does."""
        mask = X.PropertyChangeMask
        if self._manager is None:
            mask |= X.FocusChangeMask | X.EnterWindowMask
        asked = {}
        for window in windows:
            self._select(window, mask)
            owner = self._ask_owner(window)
            asked[window] = owner, self._property(window, "WM_CLASS", NAME_LIMIT), self._ask_title(window)
        states = self._ask_states(windows)
        self._x.settle()
        for window, (owner, app, title) in asked.items():
            if said(app) is None:
                continue  # it has vanished since
            pid, confidence = self._owner(owner)
            state = self._state(states[window])
            self._known[window] = _Known(pid, confidence, app_id(_text(app)), _title(title), state)

    def _refresh(self, windows: Iterable[int]) -> None:
        asked = self._ask_states(windows)
        if not asked:
            return
        self._x.settle()
        for window, answers in asked.items():
            self._known[window].state = self._state(answers)

    def _read_titles(self) -> None:
        self._titles_at_s = None
        asked = {window: self._ask_title(window) for window in self._stale_titles & self._known.keys()}
        self._stale_titles.clear()
        self._x.settle()
        for window, answers in asked.items():
            self._known[window].title = _title(answers)
        self._report()

    # Who has the focus.

    def _focus(self) -> int | None:
        if self._manager is not None:
            active = self._cards_now(self._x.root, "_NET_ACTIVE_WINDOW")
            return active[0] if active and active[0] in self._known else None
        asked = self._ask(request.GetInputFocus)
        pointer = self._ask(request.QueryPointer, window=self._x.root)
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
            tree = self._ask(request.QueryTree, window=window)
            self._x.settle()
            window = said(tree)["parent"] if said(tree) else 0
        return None

    # Whose a window is.

    def _trusted_res(self) -> int | None:
        """The opcode of X-Resource, if the pid that it tells of us is ours: else its pids are another namespace's."""
        extension = self._x.extension("X-Resource")
        if extension is None:
            return None
        opcode = extension[0]
        version = self._ask(res.QueryVersion, opcode=opcode, client_major=1, client_minor=2)
        self._x.settle()
        if said(version) is None or (said(version)["server_major"], said(version)["server_minor"]) < (1, 2):
            return None
        ours = self._ask_res(opcode, self._x.base)
        self._x.settle()
        return opcode if _res_pid(ours) == os.getpid() else None

    def _ask_res(self, opcode: int, resource: int) -> Any:
        specs = [{"client": resource, "mask": res.LocalClientPIDMask}]
        return self._ask(res.QueryClientIds, opcode=opcode, specs=specs)

    def _ask_owner(self, window: int) -> tuple[Any, ...]:
        if self._res_opcode is not None:
            return (self._ask_res(self._res_opcode, window),)
        return self._property(window, "_NET_WM_PID", 1), self._property(window, "WM_CLIENT_MACHINE", _TITLE_LONGS)

    def _owner(self, answers: tuple[Any, ...]) -> tuple[int | None, float]:
        """Pid and confidence."""
        if self._res_opcode is not None:
            pid = _res_pid(answers[0])
            return (pid, 1.0) if pid else (None, 0.0)
        claim, machine = answers
        claimed = _cards(claim)
        if not claimed or not 1 <= claimed[0] <= MAX_PID or _text(machine) != os.uname().nodename.encode():
            return None, 0.0
        return claimed[0], CLAIMED

    # Questions, which `settle` sends, and what was said.

    def _ask(self, kind: Any, **fields: Any) -> Any:
        return kind(display=self._x, defer=True, **fields)

    def _property(self, window: int, name: str, longs: int) -> Any:
        """At most *longs* × 4 bytes of it."""
        return self._ask(
            request.GetProperty,
            delete=0,
            window=window,
            property=self._atoms[name],
            type=X.AnyPropertyType,
            long_offset=0,
            long_length=longs,
        )

    def _cards_now(self, window: int, name: str) -> list[int]:
        asked = self._property(window, name, 1)
        self._x.settle()
        return _cards(asked)

    def _select(self, window: int, mask: int) -> None:
        request.ChangeWindowAttributes(display=self._x, window=window, event_mask=mask)

    def _ask_title(self, window: int) -> tuple[Any, ...]:
        return tuple(self._property(window, name, _TITLE_LONGS) for name in _TITLE_NAMES)

    def _ask_states(self, windows: Iterable[int]) -> dict[int, tuple[Any, ...]]:
        return {w: tuple(self._property(w, name, 32) for name in _STATE_NAMES) for w in windows}

    def _state(self, answers: tuple[Any, ...]) -> _State:
        states, icccm, desktop = (_cards(answer) for answer in answers)
        return _State(
            hidden=self._atoms["_NET_WM_STATE_HIDDEN"] in states,
            iconic=icccm[:1] == [_ICONIC],
            fullscreen=self._atoms["_NET_WM_STATE_FULLSCREEN"] in states,
            desktop=desktop[0] if desktop and desktop[0] != _ALL_DESKTOPS else None,
        )

    # Reports.

    def _tell_sources(self) -> None:
        if self._res_opcode is not None:
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


def app_id(wm_class: bytes) -> str:
    """The class of WM_CLASS (`instance\\0class\\0`), else the instance."""
    instance, _, rest = wm_class.partition(b"\0")
    name = rest.partition(b"\0")[0] or instance
    return sanitise(name.decode("latin-1"), NAME_LIMIT)


def _title(answers: tuple[Any, ...]) -> str:
    modern, old = (_text(answer) for answer in answers)
    return sanitise(modern or old.decode("latin-1"), TITLE_LIMIT)


def _cards(answered: Any) -> list[int]:
    """A property of 32-bit numbers; empty when it is missing, or something else."""
    value = (said(answered) or {}).get("value")
    return list(value[1]) if value and value[0] == 32 else []


def _text(answered: Any) -> bytes:
    value = (said(answered) or {}).get("value")
    return bytes(value[1]) if value and value[0] == 8 else b""


def _res_pid(answered: Any) -> int | None:
    for owner in (said(answered) or {}).get("ids", ()):
        for pid in owner["value"]:
            if 1 <= pid <= MAX_PID:
                return int(pid)
    return None


def _is_xwayland(server_pid: int) -> bool:
    """Whether the server is one, whose idle time is not the person's."""
    try:
        return Path(f"/proc/{server_pid}/comm").read_bytes().strip() == b"Xwayland"
    except OSError:
        return False
