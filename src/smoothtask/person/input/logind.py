"""logind's sessions: whose is on the screen, and since when their desktops say that nobody is there.

Its IdleHint is as good as the desktop that sets it (many never do): where it says idle it is believed, where it says
nothing it means nothing. The system bus carries a signal from anybody to anybody: what logind's connection did not say,
as the bus has it, nobody said.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from jeepney.low_level import HeaderFields, Message
from jeepney.wrappers import DBusAddress

from smoothtask.model.person import Source, SourceHealth
from smoothtask.model.text import sanitise
from smoothtask.person.bus import BUS, Bus, answer_of, is_from, new_owner, reply_to, sender
from smoothtask.person.children import Readers
from smoothtask.person.watcher import LostError

NAME: Final = "input: logind"
ADDRESS: Final = "unix:path=/run/dbus/system_bus_socket"
REMEDY: Final = "start systemd-logind or elogind; without it, all desktops count as if they were on the screen"
TIMEOUT_S: Final = 0.5
FIRST_PAUSE_S, LAST_PAUSE_S = 5.0, 300.0
SESSIONS_AT_MOST: Final = 64
LIST_S: Final = 1.0
"""Sessions that come and go have all of them asked for so often at most."""
STRANGERS: Final = 1000
"""Messages of others that are passed over from one look to the next; more of them cost too much."""
_LOGIN: Final = "org.freedesktop.login1"
_MANAGER: Final = DBusAddress("/org/freedesktop/login1", bus_name=_LOGIN, interface=f"{_LOGIN}.Manager")
_PROPERTIES: Final = "org.freedesktop.DBus.Properties"
_SESSION: Final = f"{_LOGIN}.Session"
_WORKS: Final = Source(NAME, SourceHealth.WORKING, "whose desktop is on the screen, and what it says of idleness")


@dataclass(frozen=True, slots=True)
class Login:
    """One session, as logind knows it."""

    uid: int
    graphical: bool = False
    active: bool = False
    """It is the one on its seat's screen; a remote one always is."""
    idle: bool = False
    idle_since_s: float = 0.0
    """CLOCK_MONOTONIC moment."""


def parse_login(uid: int, properties: dict[str, tuple[str, Any]], known: Login | None = None) -> Login:
    """What org.freedesktop.login1.Session says; what is missing stays as it was."""
    old = known or Login(uid)

    def said(name: str, kind: type, fallback: Any) -> Any:
        _, value = properties.get(name, ("", fallback))
        return value if type(value) is kind else fallback

    return Login(
        uid=uid,
        graphical=said("Type", str, "x11" if old.graphical else "") in {"x11", "wayland", "mir"},
        active=said("Active", bool, old.active),
        idle=said("IdleHint", bool, old.idle),
        idle_since_s=said("IdleSinceHintMonotonic", int, round(old.idle_since_s * 1e6)) / 1e6,
    )


@dataclass(slots=True)
class Logind:
    """A connection to it, made again when it is lost."""

    readers: Readers
    hasten: Callable[[], None] = lambda: None
    address: str = ADDRESS
    source: Source = field(default_factory=lambda: Source(NAME, SourceHealth.ABSENT, "not looked at yet"))
    logins: dict[str, Login] = field(default_factory=dict)
    """By their object paths."""
    _bus: Bus | None = None
    _owner: str = ""
    """logind's connection; empty while it has none."""
    _asked: dict[int, tuple[str, int]] = field(default_factory=dict)
    """Our question → whose session it is about."""
    _stale: bool = False
    _list_at_s: float = 0.0
    _strange: int = 0
    """Messages of others since the last look."""
    _try_at_s: float = 0.0
    _pause_s: float = FIRST_PAUSE_S

    def look(self, now_s: float) -> None:
        """Connect, or connect again; take in what came along with an answer."""
        self._strange = 0
        if self._bus is None and now_s >= self._try_at_s:
            self._guarded(self._connect)
        elif self._bus is not None and (self._bus.has_messages or self._stale):
            self._ready()

    def is_active(self, uid: int) -> bool:
        """Whether a desktop of *uid* is on a screen; yes where logind knows no desktop of theirs."""
        theirs = [login for login in self.logins.values() if login.uid == uid and login.graphical]
        return not theirs or any(login.active for login in theirs)

    def last_input_s(self, now_s: float) -> float | None:
        """When the last of the active desktops fell idle; `None` where none says that it is."""
        active = [login for login in self.logins.values() if login.active]
        if not active or not all(login.idle for login in active):
            return None
        return min(now_s, max(login.idle_since_s for login in active))

    def close(self) -> None:
        """May be called twice."""
        if self._bus is not None:
            self.readers.remove_reader(self._bus.fileno())
            self._bus.close()
            self._bus = None
        self.logins.clear()
        self._asked.clear()

    def _guarded(self, act: Callable[[], None]) -> None:
        """It is gone, refuses, or says something else than what is documented: that ends the connection alone."""
        try:
            act()
        except Exception as error:
            why = (isinstance(error, OSError) and error.strerror) or str(error) or repr(error)
            self.close()
            self._lost(sanitise(why, 120), time.monotonic())

    def _connect(self) -> None:
        try:
            self._bus = Bus(self.address, TIMEOUT_S)
        except (OSError, LostError) as error:
            raise LostError(f"no system bus: {getattr(error, 'strerror', None) or error}") from error
        self.readers.add_reader(self._bus.fileno(), self._ready)
        self._owner, listed = _greet(self._bus)
        self._take_list(listed)
        self._pause_s = FIRST_PAUSE_S
        self.source = _WORKS

    def _take_list(self, listed: Any) -> None:
        """(id, uid, user, seat, path) of each session: ask what it is."""
        assert self._bus is not None  # noqa: S101 (called with a connection)
        sessions = {str(e[4]): int(e[1]) for e in listed[:SESSIONS_AT_MOST]}
        self.logins = {path: self.logins.get(path, Login(uid)) for path, uid in sessions.items()}
        for path, uid in sessions.items():
            whom = DBusAddress(path, bus_name=_LOGIN, interface=_PROPERTIES)
            self._asked[self._bus.ask(whom, "GetAll", "s", _SESSION)] = (path, uid)

    def _ready(self) -> None:
        before = {uid: self.is_active(uid) for uid in {login.uid for login in self.logins.values()}}
        self._guarded(self._take_messages)
        if any(self.is_active(uid) != was for uid, was in before.items()):
            self.hasten()

    def _take_messages(self) -> None:
        assert self._bus is not None  # noqa: S101 (its descriptor was ready)
        for message in self._bus.messages():
            self._take(message)
        now_s = time.monotonic()
        if self._stale and self._owner and now_s >= self._list_at_s:
            self._stale, self._list_at_s = False, now_s + LIST_S
            self._asked[self._bus.ask(_MANAGER, "ListSessions")] = ("", 0)

    def _take(self, message: Message) -> None:
        owner = new_owner(message, _LOGIN)
        if owner is not None:
            self._owner, self._stale = owner, True
            if not owner:  # what it said last may not be so any more
                self.logins.clear()
                self._asked.clear()
            self.source = _WORKS if owner else Source(NAME, SourceHealth.ABSENT, "logind has left the bus", REMEDY)
        elif sender(message) not in {self._owner, BUS}:
            self._strange += 1
            if self._strange > STRANGERS:
                raise LostError("somebody floods us on the system bus: all desktops count as on the screen")
        elif (serial := reply_to(message)) is not None:
            if serial in self._asked:
                self._take_answer(*self._asked.pop(serial), answer_of(message))
        elif is_from(message, _MANAGER.interface, "SessionNew") or is_from(
            message, _MANAGER.interface, "SessionRemoved"
        ):
            self._stale = True
        elif is_from(message, _PROPERTIES, "PropertiesChanged") and message.body[0] == _SESSION:
            path = _path_of(message)
            if path in self.logins:
                known = self.logins[path]
                self.logins[path] = parse_login(known.uid, message.body[1], known)

    def _take_answer(self, path: str, uid: int, body: tuple[Any, ...]) -> None:
        if not path:
            self._take_list(body[0])
        elif path in self.logins:
            self.logins[path] = parse_login(uid, body[0])

    def _lost(self, why: str, now_s: float) -> None:
        self.source = Source(NAME, SourceHealth.ABSENT, why, REMEDY)
        self._try_at_s = now_s + self._pause_s
        self._pause_s = min(2 * self._pause_s, LAST_PAUSE_S)


def _greet(bus: Bus) -> tuple[str, Any]:
    """Have changes told; logind's connection, and what there is. Raises LostError or RefusedError."""
    owner = bus.owner(_LOGIN)
    if owner is None:
        raise LostError("no logind on the system bus")
    bus.listen(f"type='signal',sender='{_LOGIN}',interface='{_LOGIN}.Manager'")
    bus.listen(f"type='signal',sender='{_LOGIN}',interface='{_PROPERTIES}',member='PropertiesChanged'")
    return owner, bus.call(_MANAGER, "ListSessions")[0]


def _path_of(message: Message) -> str:
    return str(message.header.fields.get(HeaderFields.path, ""))
