"""The wire of Wayland: messages out and in, bounded; no libwayland (wayland.freedesktop.org, "Wire format").

A message is the object's number, its length and the event's number, then arguments of 32 bits; strings and arrays
have their length before them and padding behind.
"""

import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from smoothtask.person.watcher import LostError
from smoothtask.person.windows.ipc import connect, received

_HEADER: Final = struct.Struct("=II")
_WORD: Final = struct.Struct("=I")
_LIMIT_BYTES: Final = 1 << 20


class Event(NamedTuple):
    """What an object says."""

    object_id: int
    opcode: int
    body: bytes


@dataclass(slots=True)
class Arguments:
    """Reads an event's arguments in order. Raises LostError when there are too few."""

    body: bytes
    at: int = field(default=0)

    def word(self) -> int:
        """An unsigned number, or an object."""
        if self.at + 4 > len(self.body):
            raise LostError("an event with too few arguments")
        (value,) = _WORD.unpack_from(self.body, self.at)
        self.at += 4
        return int(value)

    def array(self) -> bytes:
        """Bytes with their length before them."""
        length = self.word()
        if self.at + length > len(self.body):
            raise LostError("an event with too short an argument")
        value = self.body[self.at : self.at + length]
        self.at += (length + 3) & ~3
        return value

    def string(self) -> str:
        """A text."""
        return self.array().split(b"\0", 1)[0].decode("utf-8", "replace")


def words(*values: int) -> bytes:
    """Numbers as arguments."""
    return struct.pack(f"={len(values)}I", *values)


def text(value: str) -> bytes:
    """A string as an argument."""
    data = value.encode() + b"\0"
    return words(len(data)) + data + b"\0" * (-len(data) % 4)


def split_events(data: bytes) -> tuple[list[Event], bytes]:
    """The whole events at the start of *data*, and the rest. Raises LostError for what is none."""
    events, at = [], 0
    while at + _HEADER.size <= len(data):
        object_id, word = _HEADER.unpack_from(data, at)
        length = word >> 16
        if length < _HEADER.size or length % 4:
            raise LostError("it says what is no event of Wayland")
        if at + length > len(data):
            break
        events.append(Event(object_id, word & 0xFFFF, data[at + _HEADER.size : at + length]))
        at += length
    return events, data[at:]


class Connection:
    """Connects. Raises OSError or LostError."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._socket: socket.socket = connect(path, timeout_s)
        self._socket.setblocking(False)
        self._received = b""
        self._next_id = 2

    def fileno(self) -> int:
        """To wait at for events."""
        return self._socket.fileno()

    def new_id(self) -> int:
        """A number for an object of ours."""
        number = self._next_id
        self._next_id += 1
        return number

    def send(self, object_id: int, opcode: int, body: bytes = b"") -> None:
        """A request. Raises LostError when it does not fit: nobody reads there."""
        data = _HEADER.pack(object_id, (len(body) + _HEADER.size) << 16 | opcode) + body
        try:
            sent = self._socket.send(data, socket.MSG_NOSIGNAL)
        except OSError as error:
            raise LostError(f"the compositor takes nothing: {error.strerror or error}") from error
        if sent != len(data):
            raise LostError("the compositor takes nothing in")

    def events(self) -> list[Event]:
        """What came. Raises LostError when the other end is gone."""
        data = received(self._socket, "the compositor")
        if data is None:
            return []
        events, self._received = split_events(self._received + data)
        if len(self._received) > _LIMIT_BYTES:
            raise LostError("an event without an end")
        return events

    def close(self) -> None:
        """May be called twice."""
        self._socket.close()
