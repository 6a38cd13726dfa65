"""What the compositors' own sockets have in common: who answers there, and JSON that is not believed."""

import json
import socket
import struct
from pathlib import Path
from typing import Any

from smoothtask.person.watcher import LostError


def connect(path: Path, timeout_s: float) -> socket.socket:
    """A blocking connection. Raises OSError (PermissionError: another than the socket's owner, or root, answers)."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connection.settimeout(timeout_s)
        connection.connect(str(path))
        _check_owner(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_owner(connection: socket.socket, path: Path) -> None:
    _, uid, _ = struct.unpack("=iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid not in {0, path.lstat().st_uid}:
        raise PermissionError(1, f"uid {uid} answers at the user's socket")


def received(connection: socket.socket, whose: str, limit_bytes: int = 1 << 18) -> bytes | None:
    """What can be read now; `None`: nothing yet. Raises LostError when the other end is gone."""
    try:
        data = connection.recv(limit_bytes)
    except BlockingIOError:
        return None
    except OSError as error:
        raise LostError(f"{whose} is gone: {error.strerror or error}") from error
    if not data:
        raise LostError(f"{whose} is gone")
    return data


def parse_json(payload: bytes) -> Any:
    """Raises LostError."""
    try:
        return json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise LostError(f"it says what is no JSON: {error!r:.100}") from error


def parse_object(payload: bytes) -> dict[str, Any]:
    """Raises LostError for whatever is no JSON object."""
    said = parse_json(payload)
    if not isinstance(said, dict):
        raise LostError("it says what is no object")
    return said


def objects(said: Any) -> list[dict[str, Any]]:
    """The objects of a list. Raises LostError for what is no such list."""
    if not isinstance(said, list) or not all(isinstance(item, dict) for item in said):
        raise LostError("it says what is no list of objects")
    return said
