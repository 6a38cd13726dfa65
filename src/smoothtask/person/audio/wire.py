"""A connection to PipeWire's socket: messages of bounded length out of it and into it, and never a wait.

The native protocol: sixteen bytes of header (object, method or event and length, sequence number, count of
descriptors), then a POD, then perhaps a footer (doc/dox/internals/protocol.dox in PipeWire's source). Descriptors
that a server sends are never taken.
"""

import os
import socket
import struct
from pathlib import Path
from typing import Final, NamedTuple

from smoothtask.person.watcher import LostError

_HEADER: Final = struct.Struct("=IIII")
_LENGTH_MASK: Final = 0xFFFFFF
_LIMIT_BYTES: Final = 1 << 20
"""Of one message: 0.3.65's profiler sends at most 17 KB at once, later ones less."""
_READ_BYTES: Final = 1 << 18
"""In one call of `receive`: a flood must not hold up the other watchers."""
_UNSENT_LIMIT_BYTES: Final = 1 << 18


class Message(NamedTuple):
    """What the server says of one object."""

    object_id: int
    opcode: int
    body: bytes


class Connection:
    """Connects. Raises OSError: PermissionError when it is not the user's own or root's server."""

    def __init__(self, path: Path) -> None:
        self._received = bytearray()
        self._unsent = b""
        self._sequence = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            self._socket.connect(os.fspath(path))
            self._check_owner(path)
        except BaseException:
            self._socket.close()
            raise

    @property
    def has_unsent(self) -> bool:
        """Whether the server's socket was full: call `flush` in a while."""
        return bool(self._unsent)

    def fileno(self) -> int:
        """To wait at for messages."""
        return self._socket.fileno()

    def close(self) -> None:
        """May be called twice."""
        self._socket.close()

    def send(self, object_id: int, opcode: int, payload: bytes) -> int:
        """Call a method; its sequence number. Raises LostError."""
        sequence = self._sequence
        self._sequence = (sequence + 1) & 0x3FFFFFFF
        self._unsent += _HEADER.pack(object_id, opcode << 24 | len(payload), sequence, 0) + payload
        if len(self._unsent) > _UNSENT_LIMIT_BYTES:
            raise LostError("PipeWire takes nothing in")
        self.flush()
        return sequence

    def flush(self) -> None:
        """Send what has not been sent, as far as it goes. Raises LostError."""
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent, socket.MSG_NOSIGNAL) :]
        except BlockingIOError:
            return
        except OSError as error:
            raise LostError(f"PipeWire is gone: {error.strerror or error}") from error

    def receive(self) -> list[Message]:
        """What has come, oldest first. Raises LostError at the end of the connection, once all before it was taken."""
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        except OSError as error:
            raise LostError(f"PipeWire is gone: {error.strerror or error}") from error
        if not data:
            raise LostError("PipeWire is gone")
        self._received += data
        return self._messages()

    def _messages(self) -> list[Message]:
        messages = []
        at = 0
        while len(self._received) - at >= _HEADER.size:
            object_id, word, _sequence, _descriptors = _HEADER.unpack_from(self._received, at)
            length = word & _LENGTH_MASK
            if length > _LIMIT_BYTES:
                raise LostError(f"PipeWire sends a message of {length} bytes")
            end = at + _HEADER.size + length
            if end > len(self._received):
                break
            messages.append(Message(object_id, word >> 24, bytes(self._received[at + _HEADER.size : end])))
            at = end
        del self._received[:at]
        return messages

    def _check_owner(self, path: Path) -> None:
        """Who listens is the user, or root, or whoever owns the folder that root was told of."""
        _pid, uid, _gid = struct.unpack("=iII", self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid not in {0, os.geteuid(), path.parent.stat().st_uid}:
            raise PermissionError(1, f"uid {uid} answers for {path}")
