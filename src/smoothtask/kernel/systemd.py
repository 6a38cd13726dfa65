"""Asks systemd's managers, the system's and each user's, over their private sockets.

A manager's private socket needs no bus: root may talk to it, also to a user's, which the user's own bus refuses
(systemd's src/core/dbus.c; `systemctl` uses the same). What a user's manager says is that user's word: answers
are bounded, an answer that does not come in time is an error, and what became of a value is read from the kernel.
"""

import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from jeepney.auth import BEGIN, AuthenticationError, Authenticator
from jeepney.low_level import Message, MessageType, Parser, SizeLimitError
from jeepney.wrappers import DBusAddress, new_method_call

SYSTEM: Final = -1
"""In place of a uid: the system's manager."""
TIMEOUT_S: Final = 2.0
"""For one question, and for all that one user's manager is asked within WINDOW_S."""
PATIENT_S: Final = 15.0
"""So long whoever puts everything back waits for all of them together before the above counts: on a machine in trouble
a manager may be kept waiting itself, and nobody asks again later. Half of what a service has to stop."""
WINDOW_S: Final = 10.0
FIRST_PAUSE_S: Final = 10.0
LAST_PAUSE_S: Final = 600.0
_T = TypeVar("_T")
_LIMIT_BYTES: Final = 256 * 1024
_ADDRESS: Final = "/org/freedesktop/systemd1"
_NAME: Final = "org.freedesktop.systemd1"
_MANAGER: Final = DBusAddress(_ADDRESS, bus_name=_NAME, interface=f"{_NAME}.Manager")
_TYPES: Final = {"service": "Service", "scope": "Scope", "slice": "Slice"}

SIGNATURES: Final[Mapping[str, str]] = {
    "CPUWeight": "t",
    "IOWeight": "t",
    "CPUQuotaPerSecUSec": "t",
    "MemoryHigh": "t",
    "IOReadBandwidthMax": "a(st)",
    "IOWriteBandwidthMax": "a(st)",
    "PIDs": "au",
    "Slice": "s",
    "Description": "s",
    "CollectMode": "s",
}
"""The properties that are ever written, and their D-Bus types (org.freedesktop.systemd1(5))."""


class ManagerError(Exception):
    """The manager is not there, did not answer, or refused; the message says which."""


class NoSuchUnitError(ManagerError):
    """The manager does not know the unit (any more)."""


class SilentError(ManagerError):
    """The manager is not there, or gives no answer that makes sense."""


def name_of(uid: int) -> str:
    """A manager, for people."""
    return "the system manager" if uid == SYSTEM else f"the manager of uid {uid}"


class Managers:
    """The managers by uid; one that did not answer in time is left in peace for a while, longer each time.

    So is a user's that answers each question, but all of them too slowly: whoever asks is the loop, and waits.
    """

    def __init__(self, run: str = "/run", timeout_s: float = TIMEOUT_S) -> None:
        self._run = run
        self._timeout_s = timeout_s
        self._patient_until_s = 0.0
        self._managers: dict[int, Manager] = {}
        self._failed: dict[int, tuple[float, float]] = {}
        """Uid → until when it is left in peace (CLOCK_MONOTONIC), and for how long."""
        self._spent: dict[int, tuple[float, float]] = {}
        """Uid → since when (CLOCK_MONOTONIC), and how many seconds were spent on waiting for it since then."""

    def booted(self) -> bool:
        """Whether this system runs systemd (sd_booted(3))."""
        return Path(f"{self._run}/systemd/system").is_dir()

    def is_there(self, uid: int) -> bool:
        """Whether there is such a manager, and it has answered when it was last asked."""
        return time.monotonic() >= self._failed.get(uid, (0.0, 0.0))[0] and self._of(uid).is_there

    def properties(self, uid: int, unit: str, names: Sequence[str]) -> dict[str, Any]:
        """See `Manager.properties`."""
        return self._ask(uid, lambda m: m.properties(unit, names))

    def set_properties(self, uid: int, unit: str, values: Mapping[str, Any]) -> None:
        """See `Manager.set_properties`."""
        self._ask(uid, lambda m: m.set_properties(unit, values))

    def start_scope(self, uid: int, unit: str, values: Mapping[str, Any]) -> None:
        """See `Manager.start_scope`."""
        self._ask(uid, lambda m: m.start_scope(unit, values))

    def attach(self, uid: int, unit: str, pids: Sequence[int]) -> None:
        """See `Manager.attach`."""
        self._ask(uid, lambda m: m.attach(unit, pids))

    def stop(self, uid: int, unit: str) -> None:
        """See `Manager.stop`."""
        self._ask(uid, lambda m: m.stop(unit))

    @contextmanager
    def patient(self) -> Iterator[None]:
        """Everybody is asked again, and waited for longer: for whoever puts everything back."""
        self._failed.clear()
        self._spent.clear()
        self._patient_until_s = time.monotonic() + PATIENT_S
        try:
            yield
        finally:
            self._patient_until_s = 0.0

    def close(self) -> None:
        """Close every connection."""
        for manager in self._managers.values():
            manager.close()

    def _of(self, uid: int) -> "Manager":
        if uid not in self._managers:
            self._managers[uid] = Manager(uid, self._run, self._timeout_s)
        return self._managers[uid]

    def _ask(self, uid: int, question: Callable[["Manager"], _T]) -> _T:
        until_s, pause_s = self._failed.get(uid, (0.0, 0.0))
        began_s = time.monotonic()
        if began_s < until_s:
            raise SilentError(f"{name_of(uid)} did not answer in time: it is asked again within {pause_s:.0f} s")
        manager = self._of(uid)
        manager.timeout_s = max(self._timeout_s, self._patient_until_s - began_s)
        try:
            answer = question(manager)
        except SilentError:
            self._leave(uid)
            raise
        except ManagerError:
            self._weigh(uid, began_s)
            raise
        self._weigh(uid, began_s)
        return answer

    def _weigh(self, uid: int, began_s: float) -> None:
        """After an answer: whether a user's came as fast as answers should, for a while if it did not before."""
        if uid == SYSTEM:  # root's own, which has all units of a machine to answer for
            self._failed.pop(uid, None)
            return
        now_s = time.monotonic()
        since_s, spent_s = self._spent.get(uid, (began_s, 0.0))
        if now_s - since_s > WINDOW_S:
            if spent_s < self._timeout_s / 4:
                self._failed.pop(uid, None)
            since_s, spent_s = began_s, 0.0
        spent_s += now_s - began_s
        self._spent[uid] = since_s, spent_s
        if spent_s > self._timeout_s and now_s >= self._patient_until_s:
            self._leave(uid)

    def _leave(self, uid: int) -> None:
        """In peace, for twice as long as the last time."""
        pause_s = min(max(2 * self._failed.get(uid, (0.0, 0.0))[1], FIRST_PAUSE_S), LAST_PAUSE_S)
        self._failed[uid] = time.monotonic() + pause_s, pause_s
        self._spent.pop(uid, None)


class Manager:
    """One connection, made when it is first needed and again after an error."""

    def __init__(self, uid: int, run: str, timeout_s: float) -> None:
        self.uid = uid
        self._path = f"{run}/systemd/private" if uid == SYSTEM else f"{run}/user/{uid}/systemd/private"
        self.timeout_s = timeout_s
        """For one call."""
        self._socket: socket.socket | None = None
        self._parser = Parser()
        self._serial = 0

    @property
    def is_there(self) -> bool:
        """Whether its socket is: nothing is said about whether it answers."""
        try:
            return Path(self._path).is_socket()
        except OSError:
            return False

    def properties(self, unit: str, names: Sequence[str]) -> dict[str, Any]:
        """The values of *names*; of a unit that there is not, the defaults. Raises ManagerError."""
        kind = _TYPES.get(unit.rpartition(".")[2])
        if kind is None:
            raise ManagerError(f"{unit} is no service, scope or slice")
        interface = f"{_NAME}.{kind}"
        unit_object = DBusAddress(object_path(unit), bus_name=_NAME, interface="org.freedesktop.DBus.Properties")
        found = {}
        deadline_s = time.monotonic() + self.timeout_s
        for name in names:
            body = self._call(unit_object, "Get", "ss", (interface, name), deadline_s)
            try:
                [(_, value)] = body
                found[name] = tuple(map(tuple, value)) if isinstance(value, list) else value
            except (TypeError, ValueError) as error:
                self.close()
                raise self._nonsense(error) from error
        return found

    def set_properties(self, unit: str, values: Mapping[str, Any]) -> None:
        """Set them until the next boot, or the end of a transient unit. Raises ManagerError."""
        self._call(_MANAGER, "SetUnitProperties", "sba(sv)", (unit, True, _variants(values)))

    def start_scope(self, unit: str, values: Mapping[str, Any]) -> None:
        """Make a transient scope of running processes (`PIDs`). Raises ManagerError.

        The manager moves them within a moment: what became of it is seen in the cgroup.
        """
        self._call(_MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))", (unit, "fail", _variants(values), []))

    def attach(self, unit: str, pids: Sequence[int]) -> None:
        """Put more processes into a scope. Raises ManagerError."""
        self._call(_MANAGER, "AttachProcessesToUnit", "ssau", (unit, "", list(pids)))

    def stop(self, unit: str) -> None:
        """Stop a unit, and what is within it: soon, it is not waited for. Raises ManagerError."""
        self._call(_MANAGER, "StopUnit", "ss", (unit, "replace"))

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _call(
        self, to: DBusAddress, member: str, signature: str, body: tuple[Any, ...], deadline_s: float | None = None
    ) -> tuple[Any, ...]:
        if deadline_s is None:
            deadline_s = time.monotonic() + self.timeout_s
        fresh = self._socket is None
        try:
            return self._exchange(to, member, signature, body, deadline_s)
        except (BrokenPipeError, ConnectionResetError, EOFError) as error:
            self.close()
            if fresh:
                raise SilentError(f"{name_of(self.uid)} closed the connection") from error
        except OSError as error:
            self.close()
            raise SilentError(f"{name_of(self.uid)}: {error.strerror or error}") from error
        return self._call(to, member, signature, body, deadline_s)  # it was restarted since the last call

    def _exchange(
        self, to: DBusAddress, member: str, signature: str, body: tuple[Any, ...], deadline_s: float
    ) -> tuple[Any, ...]:
        connection = self._socket or self._connect(deadline_s)
        self._serial += 1
        try:
            message = new_method_call(to, member, signature, body).serialise(serial=self._serial)
        except (ValueError, TypeError, OverflowError, struct.error) as error:
            raise ManagerError(f"{name_of(self.uid)} cannot be asked to {member}: {error}") from error
        try:
            _send(connection, message, deadline_s)
            while True:
                answer = self._receive(connection, deadline_s)
                if answer.header.fields.get(_REPLY_SERIAL) == self._serial:
                    break
        except (OSError, EOFError):
            self.close()
            raise
        except Exception as error:  # the parser stumbles in many ways over what a user's manager may say
            self.close()
            raise self._nonsense(error) from error
        if answer.header.message_type is MessageType.error:
            raise _refusal(name_of(self.uid), answer)
        return tuple(answer.body)

    def _nonsense(self, error: Exception) -> SilentError:
        return SilentError(f"{name_of(self.uid)} said what makes no sense: {error!r:.200}")

    def _connect(self, deadline_s: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            connection.settimeout(_left(deadline_s))
            connection.connect(self._path)
            self._check_owner(connection)
            _greet(connection, deadline_s)
        except AuthenticationError as error:
            connection.close()
            raise SilentError(f"{name_of(self.uid)} does not accept us: {error}") from error
        except BaseException:
            connection.close()
            raise
        self._socket, self._parser, self._serial = connection, Parser(), 0
        return connection

    def _check_owner(self, connection: socket.socket) -> None:
        """Nobody but the user (or root) answers for a user's manager."""
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        uid = int.from_bytes(credentials[4:8], "little")
        if uid not in {0, self.uid}:
            raise PermissionError(1, f"uid {uid} answers at {self._path}")

    def _receive(self, connection: socket.socket, deadline_s: float) -> Message:
        received = 0
        while True:
            message = self._parser.get_next_message()
            if message is not None:
                return message
            connection.settimeout(_left(deadline_s))
            data = connection.recv(65536)
            received += len(data)
            if not data:
                raise EOFError
            if received > _LIMIT_BYTES:
                raise SizeLimitError(f"an answer beyond {_LIMIT_BYTES} bytes")
            self._parser.add_data(data)


_REPLY_SERIAL: Final = 5  # HeaderFields.reply_serial, as D-Bus numbers it


def object_path(unit: str) -> str:
    """The D-Bus object of a unit: what is no letter or digit is written `_xx` (sd_bus_path_encode(3))."""
    data = unit.encode("utf-8", "surrogateescape")
    plain = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    digits = frozenset(b"0123456789")
    parts = (chr(c) if c in plain and (i or c not in digits) else f"_{c:02x}" for i, c in enumerate(data))
    return f"{_ADDRESS}/unit/{''.join(parts)}"


def _greet(connection: socket.socket, deadline_s: float) -> None:
    """Say who we are, with BEGIN behind it, as systemctl does. Raises AuthenticationError, EOFError, OSError.

    What a manager reads together with BEGIN it forgets until more comes, and one that is kept waiting would read our
    first question so (systemd's src/libsystemd/sd-bus/bus-socket.c).
    """
    hello = Authenticator()
    for data in hello:
        if data:
            _send(connection, data + BEGIN, deadline_s)
        connection.settimeout(_left(deadline_s))
        answer = connection.recv(1024)
        if not answer:
            raise EOFError
        hello.feed(answer)


def _send(connection: socket.socket, data: bytes, deadline_s: float) -> None:
    connection.settimeout(_left(deadline_s))
    connection.sendall(data)


def _left(deadline_s: float) -> float:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError(110, "no answer in time")
    return left_s


def _variants(values: Mapping[str, Any]) -> list[tuple[str, tuple[str, Any]]]:
    return [(name, (SIGNATURES[name], value)) for name, value in values.items()]


def _refusal(who: str, answer: Message) -> ManagerError:
    name = str(answer.header.fields.get(4, "an error"))  # HeaderFields.error_name
    text = str(answer.body[0])[:200] if answer.body else ""
    kind = NoSuchUnitError if name.endswith((".NoSuchUnit", ".UnknownObject", ".LoadFailed")) else ManagerError
    return kind(f"{who} refused: {name.rpartition('.')[2]}: {text}")
