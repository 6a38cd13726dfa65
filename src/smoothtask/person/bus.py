"""One connection to a session's D-Bus: every wait ends, every message is bounded; the messages are jeepney's.

Blocks while it connects and in `call`; after that, `ask` and `messages` never wait.
"""

import os
import select
import socket
import struct
import time
from typing import Any, Final

from jeepney.auth import BEGIN, AuthenticationError, Authenticator
from jeepney.bus import get_connectable_addresses
from jeepney.low_level import HeaderFields, Message, MessageFlag, MessageType, Parser
from jeepney.wrappers import DBusAddress, new_error, new_method_call, new_method_return

from smoothtask.model.text import sanitise
from smoothtask.person.watcher import LostError

TIMEOUT_S: Final = 2.0
_LIMIT_BYTES: Final = 1 << 20
"""Of one message: the longest that is expected is a list of windows."""
BUS: Final = "org.freedesktop.DBus"
"""What the bus itself is called, as a sender too: nobody else can be."""
_FLOOD_BYTES: Final = 4 << 20
"""So much comes while one answer is waited for, at most."""
_BUS: Final = DBusAddress("/org/freedesktop/DBus", bus_name=BUS, interface=BUS)
_NONSENSE = (struct.error, ValueError, TypeError, LookupError, AttributeError, AssertionError)
"""What jeepney raises at bytes that are no message."""


class RefusedError(Exception):
    """Somebody on the bus answered a call with an error."""


class Bus:
    """Connects to the bus at *address* (DBUS_SESSION_BUS_ADDRESS). Raises OSError or LostError."""

    def __init__(self, address: str, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._parser = Parser()
        self._serial = 0
        self._inbox: list[Message] = []
        self._socket = _connect(_path_of(address), timeout_s)
        try:
            self.name = str(self.call(_BUS, "Hello")[0])
        except RefusedError as error:
            self.close()
            raise LostError(f"the bus refuses us: {error}") from error
        except BaseException:
            self.close()
            raise

    @property
    def has_messages(self) -> bool:
        """Whether some came along with an answer: then nothing is to be waited for."""
        return bool(self._inbox)

    def fileno(self) -> int:
        """To wait at for messages."""
        return self._socket.fileno()

    def close(self) -> None:
        """May be called twice."""
        self._socket.close()

    def call(self, to: DBusAddress, member: str, signature: str = "", *arguments: Any) -> tuple[Any, ...]:
        """What *to* answers. Raises RefusedError or LostError."""
        deadline_s = time.monotonic() + self._timeout_s
        serial = self.ask(to, member, signature, *arguments)
        received = 0
        while True:
            for at, message in enumerate(self._inbox):
                if reply_to(message) == serial:
                    del self._inbox[at]
                    return answer_of(message)
            if not self._ready_by(deadline_s, select.POLLIN):
                raise LostError(f"no answer to {member} in {self._timeout_s:g} s")
            received += self._receive()
            if received > _FLOOD_BYTES:
                raise LostError(f"more than {_FLOOD_BYTES} bytes came before the answer to {member}")

    def ask(self, to: DBusAddress, member: str, signature: str = "", *arguments: Any) -> int:
        """Call, and leave the answer to `messages`: one whose `reply_to` is what this returns. Raises LostError."""
        return self._send(new_method_call(to, member, signature or None, arguments))

    def answer(self, message: Message, refuse: bool = False) -> None:
        """Answer a call from the bus, with nothing, or with an error. Raises LostError."""
        if message.header.message_type is not MessageType.method_call:
            return
        if message.header.flags & MessageFlag.no_reply_expected:
            return
        refusal = "org.freedesktop.DBus.Error.AccessDenied"
        self._send(new_error(message, refusal) if refuse else new_method_return(message))

    def messages(self) -> list[Message]:
        """What has come so far, oldest first, without a wait; takes it. Raises LostError."""
        if self._poll(select.POLLIN, 0):
            self._receive()
        messages, self._inbox = self._inbox, []
        return messages

    def owner(self, name: str) -> str | None:
        """The connection that owns a name, and from now on a NameOwnerChanged signal when that changes."""
        self.listen(f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{name}'")
        try:
            return str(self.call(_BUS, "GetNameOwner", "s", name)[0])
        except RefusedError:
            return None

    def listen(self, rule: str) -> None:
        """Have signals delivered (D-Bus specification, match rules). Raises LostError."""
        try:
            self.call(_BUS, "AddMatch", "s", rule)
        except RefusedError as error:
            raise LostError(f"the bus delivers no signals: {error}") from error

    def _send(self, message: Message) -> int:
        self._serial += 1
        deadline_s = time.monotonic() + self._timeout_s
        data = message.serialise(serial=self._serial)
        while data:
            if not self._ready_by(deadline_s, select.POLLOUT):
                raise LostError(f"the bus took nothing for {self._timeout_s:g} s")
            try:
                data = data[self._socket.send(data) :]
            except OSError as error:
                raise LostError(f"the bus is gone: {error.strerror or error}") from error
        return self._serial

    def _receive(self) -> int:
        """Take in what is there; how many bytes that were."""
        try:
            data = self._socket.recv(65536)
        except OSError as error:
            raise LostError(f"the bus is gone: {error.strerror or error}") from error
        if not data:
            raise LostError("the bus is gone")
        self._inbox += self._parsed(data)
        return len(data)

    def _parsed(self, data: bytes) -> list[Message]:
        """The messages that *data* completes."""
        try:
            messages: list[Message] = self._parser.feed(data)
            wanted = self._parser.bytes_desired()
        except _NONSENSE as error:
            raise LostError(f"the bus says what makes no sense: {error!r:.100}") from error
        if wanted > _LIMIT_BYTES:
            raise LostError(f"a message of more than {_LIMIT_BYTES} bytes")
        return messages

    def _ready_by(self, deadline_s: float, event: int) -> bool:
        """Whether that comes before the deadline: after it no more is taken in, however much there is."""
        left_s = deadline_s - time.monotonic()
        return left_s > 0 and self._poll(event, left_s)

    def _poll(self, event: int, timeout_s: float) -> bool:
        poll = select.poll()
        poll.register(self._socket, event)
        return bool(poll.poll(timeout_s * 1000))


def reply_to(message: Message) -> int | None:
    """The serial of the call that it answers; `None` when it is no answer."""
    if message.header.message_type not in {MessageType.method_return, MessageType.error}:
        return None
    serial = message.header.fields.get(HeaderFields.reply_serial)
    return serial if isinstance(serial, int) else None


def answer_of(message: Message) -> tuple[Any, ...]:
    """What an answer carries. Raises RefusedError when it is an error."""
    if message.header.message_type is MessageType.error:
        name = str(message.header.fields.get(HeaderFields.error_name, "an error"))
        text = message.body[0] if message.body and isinstance(message.body[0], str) else ""
        raise RefusedError(sanitise(f"{name.rpartition('.')[2]}: {text}", 200))
    return tuple(message.body)


def sender(message: Message) -> str:
    """The connection that it came from, as the bus says."""
    return str(message.header.fields.get(HeaderFields.sender, ""))


def is_from(message: Message, interface: str, member: str) -> bool:
    """Whether it is this signal, or a call of this method."""
    fields = message.header.fields
    return bool(fields.get(HeaderFields.interface) == interface and fields.get(HeaderFields.member) == member)


def new_owner(message: Message, name: str) -> str | None:
    """Who owns *name* from now on, or nobody (empty), if the bus says so in this message."""
    if sender(message) != BUS or not is_from(message, BUS, "NameOwnerChanged"):
        return None
    return str(message.body[2]) if len(message.body) == 3 and message.body[0] == name else None


def text_of(message: Message) -> str:
    """The one string that it carries. Raises LostError when it carries something else."""
    if len(message.body) != 1 or not isinstance(message.body[0], str):
        raise LostError("a message that carries no text")
    return message.body[0]


def _path_of(address: str) -> str:
    """The first UNIX socket in a D-Bus address. Raises OSError when there is none."""
    try:
        return str(next(get_connectable_addresses(address)))
    except (RuntimeError, ValueError, KeyError, StopIteration) as error:
        raise OSError(f"no socket in the bus address {sanitise(address, 100)!r}") from error


def _connect(path: str, timeout_s: float) -> socket.socket:
    """Connect and say who we are, in the time given."""
    deadline_s = time.monotonic() + timeout_s
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connection.settimeout(timeout_s)
        connection.connect(path)
        _check_owner(connection)
        hello = Authenticator()
        for data in hello:
            connection.settimeout(_left(deadline_s))
            connection.sendall(data)
            hello.feed(_received(connection, deadline_s))
        connection.sendall(BEGIN)
        connection.setblocking(False)
    except AuthenticationError as error:
        connection.close()
        raise PermissionError(1, f"the bus refuses us: {error!s:.100}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _received(connection: socket.socket, deadline_s: float) -> bytes:
    connection.settimeout(_left(deadline_s))
    data = connection.recv(1024)
    if not data:
        raise LostError("the bus closed the connection")
    return data


def _left(deadline_s: float) -> float:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError(110, "the bus does not answer")
    return left_s


def _check_owner(connection: socket.socket) -> None:
    """Nobody but the user (or root) answers for a user's bus."""
    _, uid, _ = struct.unpack("=iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid not in {0, os.geteuid()}:
        raise PermissionError(1, f"uid {uid} answers for the session's bus")
