"""One connection to an X server: every wait ends, every answer is bounded; the messages are python-xlib's.

python-xlib's own connection waits without a limit, takes answers of any length, falls back to TCP and prints to
standard output. So its requests and answers are used (Xlib.protocol.request, Xlib.ext), over a socket of ours.
Requests are queued as they are made and answered by `settle`: a hundred questions cost one round trip.
"""

import os
import re
import select
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from Xlib.protocol import request

from smoothtask.model.text import sanitise
from smoothtask.person.watcher import LostError

TIMEOUT_S: Final = 2.0
_LIMIT_BYTES: Final = 1 << 20
"""Of one answer: the longest that is asked for here is a list of windows."""
_EVENTS_AT_MOST: Final = 1 << 14
"""That nobody has taken yet: so many come only while an answer does not."""
_COOKIES_LIMIT_BYTES: Final = 1 << 16
_FAMILY_LOCAL: Final = 256
_FAMILY_WILD: Final = 65535
_COOKIE: Final = b"MIT-MAGIC-COOKIE-1"
_ERROR, _REPLY, _GENERIC_EVENT = 0, 1, 35
_PACKET_BYTES: Final = 32
_DISPLAY = re.compile(r"(?:unix)?:(\d{1,5})(?:\.\d{1,2})?", re.ASCII)

Event = bytes
"""32 bytes, whose first (without its highest bit) says which kind it is."""


def display_number(display: str) -> int:
    """`:0.0` → 0. Raises OSError when it is on another machine, or no display."""
    match = _DISPLAY.fullmatch(display)
    if match is None:
        raise OSError(f"{sanitise(display, 64)} is not a display of this machine")
    return int(match[1])


def parse_cookie(data: bytes, hostname: bytes, number: int) -> bytes:
    """The cookie for display *number* in an Xauthority file (Xau(3)), or nothing.

    An entry for this host's name goes before one for any host, as libXau would have it.
    """
    found: dict[int, bytes] = {}
    for family, address, display, name, cookie in _entries(data):
        fits = (family == _FAMILY_LOCAL and address == hostname) or family == _FAMILY_WILD
        if fits and name == _COOKIE and display in {b"", b"%d" % number}:
            found.setdefault(family, cookie)
    return found.get(_FAMILY_LOCAL, found.get(_FAMILY_WILD, b""))


def _entries(data: bytes) -> Iterator[tuple[int, bytes, bytes, bytes, bytes]]:
    at = 0
    while at + 2 <= len(data):
        (family,) = struct.unpack_from(">H", data, at)
        at += 2
        fields = []
        for _ in range(4):
            if at + 2 > len(data):
                return
            (length,) = struct.unpack_from(">H", data, at)
            fields.append(data[at + 2 : at + 2 + length])
            at += 2 + length
        if at > len(data):
            return
        yield family, fields[0], fields[1], fields[2], fields[3]


def read_cookie(file: Path, number: int) -> bytes:
    """See `parse_cookie`; nothing when the file cannot be read: some servers need none."""
    try:
        with file.open("rb") as opened:
            data = opened.read(_COOKIES_LIMIT_BYTES)
    except OSError:
        return b""
    return parse_cookie(data, os.uname().nodename.encode(), number)


class Connection:
    """Connects to a local display. Raises OSError (PermissionError when refused) or LostError.

    To python-xlib's requests it is their display: `GetProperty(display=connection, defer=True, …)`.
    """

    def __init__(self, display: str, xauthority: Path | None, timeout_s: float = TIMEOUT_S) -> None:
        self.number = display_number(display)
        self._timeout_s = timeout_s
        self._received = b""
        self._queued = b""
        self._serial = 0
        self._unanswered: deque[Any] = deque()
        self._events: list[Event] = []
        self._socket = _connect(self.number, timeout_s)
        try:
            self.server_pid = self._check_owner()
            self.base, self.root = self._greet(b"" if xauthority is None else read_cookie(xauthority, self.number))
        except BaseException:
            self.close()
            raise

    @property
    def has_events(self) -> bool:
        """Whether some came along with an answer: then nothing is to be waited for."""
        return bool(self._events)

    def fileno(self) -> int:
        """To wait at for events."""
        return self._socket.fileno()

    def close(self) -> None:
        """May be called twice."""
        self._socket.close()

    def send_request(self, message: Any, wait: bool) -> None:
        """Queue it: python-xlib's requests call this when they are made."""
        self._serial = (self._serial + 1) & 0xFFFF
        message._serial = self._serial
        self._queued += message._binary
        if wait:
            self._unanswered.append(message)

    def get_resource_class(self, _name: str) -> None:
        """Windows are numbers: python-xlib asks."""

    def settle(self) -> None:
        """Send what is queued, and wait until all of it is answered. Raises LostError."""
        deadline_s = time.monotonic() + self._timeout_s
        while self._queued:
            self._wait(select.POLLOUT, deadline_s)
            self._queued = self._queued[self._send(self._queued) :]
        while self._unanswered:
            self._wait(select.POLLIN, deadline_s)
            self._read()

    def events(self) -> list[Event]:
        """What has happened so far, oldest first, without a wait; takes them. Raises LostError."""
        if self._poll(select.POLLIN, 0):
            self._read()
        events, self._events = self._events, []
        return events

    def atoms(self, names: tuple[str, ...]) -> dict[str, int]:
        """The number of each name, which exists from now on."""
        asked = {n: request.InternAtom(display=self, defer=True, name=n, only_if_exists=0) for n in names}
        self.settle()
        return {name: said(answer)["atom"] for name, answer in asked.items()}

    def extension(self, name: str) -> tuple[int, int] | None:
        """Its opcode and the number of its first event; `None`: the server does not have it."""
        answer = request.QueryExtension(display=self, defer=True, name=name)
        self.settle()
        found = said(answer)
        return (found["major_opcode"], found["first_event"]) if found["present"] else None

    def _check_owner(self) -> int:
        """The server's pid, if it is the user's or root's: /tmp is open to all."""
        pid, uid, _ = struct.unpack("=iII", self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid not in {0, os.geteuid()}:
            raise PermissionError(1, f"uid {uid} answers for display :{self.number}")
        return int(pid)

    def _greet(self, cookie: bytes) -> tuple[int, int]:
        """The base of our resource ids, and the root window (X11 protocol, section 8)."""
        name = _COOKIE if cookie else b""
        order = b"l" if sys.byteorder == "little" else b"B"
        self._queued = struct.pack("=cxHHHHxx", order, 11, 0, len(name), len(cookie)) + _padded(name) + _padded(cookie)
        self.settle()
        deadline_s = time.monotonic() + self._timeout_s
        status, reason_bytes, more = struct.unpack("=BBxxxxH", self._take(8, deadline_s))
        body = self._take(4 * more, deadline_s)
        if status != 1:
            raise PermissionError(1, f"the X server refuses us: {sanitise(body[: reason_bytes or 80], 80).strip()}")
        try:
            base, vendor_bytes, formats = struct.unpack_from("=4xI8xH3xB", body)
            (root,) = struct.unpack_from("=I", body, 32 + len(_padded(bytes(vendor_bytes))) + 8 * formats)
        except struct.error as error:
            raise LostError(f"the X server's greeting makes no sense: {error}") from error
        return int(base), int(root)

    def _take(self, count: int, deadline_s: float) -> bytes:
        while len(self._received) < count:
            self._wait(select.POLLIN, deadline_s)
            self._receive()
        taken, self._received = self._received[:count], self._received[count:]
        return taken

    def _read(self) -> None:
        """Take in what has come, and hand out answers."""
        self._receive()
        while (packet := self._packet()) is not None:
            if packet[0] == _REPLY:
                self._answer(packet)
            elif packet[0] == _ERROR:
                self._fail(packet)
            elif packet[0] & 0x7F != _GENERIC_EVENT:
                self._events.append(packet)
        if len(self._events) > _EVENTS_AT_MOST:
            raise LostError(f"the X server tells of more than {_EVENTS_AT_MOST} events at once")

    def _packet(self) -> bytes | None:
        if len(self._received) < _PACKET_BYTES:
            return None
        length = _PACKET_BYTES
        if self._received[0] == _REPLY or self._received[0] & 0x7F == _GENERIC_EVENT:
            length += 4 * int(struct.unpack_from("=I", self._received, 4)[0])
        if length > _LIMIT_BYTES:
            raise LostError(f"an answer of {length} bytes")
        if len(self._received) < length:
            return None
        packet, self._received = self._received[:length], self._received[length:]
        return packet

    def _answer(self, packet: bytes) -> None:
        (serial,) = struct.unpack_from("=H", packet, 2)
        if not self._unanswered or self._unanswered[0]._serial != serial:
            raise LostError("the X server answers what nobody asked")
        try:
            self._unanswered.popleft()._parse_response(packet)
        except (struct.error, ValueError, TypeError, LookupError, UnboundLocalError) as error:
            raise LostError(f"the X server's answer makes no sense: {error!r:.100}") from error

    def _fail(self, packet: bytes) -> None:
        """A window that vanished is news; errors of requests that expect no answer are of no interest."""
        (serial,) = struct.unpack_from("=H", packet, 2)
        if self._unanswered and self._unanswered[0]._serial == serial:
            self._unanswered.popleft()._set_error(packet[1])

    def _send(self, data: bytes) -> int:
        try:
            return self._socket.send(data)
        except OSError as error:
            raise LostError(f"the X server is gone: {error.strerror or error}") from error

    def _receive(self) -> None:
        try:
            data = self._socket.recv(65536)
        except OSError as error:
            raise LostError(f"the X server is gone: {error.strerror or error}") from error
        if not data:
            raise LostError("the X server is gone")
        self._received += data

    def _wait(self, event: int, deadline_s: float) -> None:
        """Raises LostError at the deadline, however much there is to take in."""
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or not self._poll(event, left_s):
            raise LostError(f"the X server said nothing for {self._timeout_s:g} s")

    def _poll(self, event: int, timeout_s: float) -> bool:
        poll = select.poll()
        poll.register(self._socket, event)
        return bool(poll.poll(timeout_s * 1000))


def said(answered: Any) -> Any:
    """The fields of an answer, or `None` after an error. After `settle` alone."""
    return answered._data if answered._error is None else None


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _connect(number: int, timeout_s: float) -> socket.socket:
    """By the file, else by the abstract name, never by TCP."""
    path = f"/tmp/.X11-unix/X{number}"  # noqa: S108 - X servers listen there; the peer's uid is checked
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connection.settimeout(timeout_s)
        try:
            connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            connection.connect("\0" + path)
        connection.setblocking(False)
    except BaseException:
        connection.close()
        raise
    return connection
