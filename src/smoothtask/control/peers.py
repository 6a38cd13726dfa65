"""Who is at the other end of a UNIX socket, as the kernel says."""

import socket
import struct

from smoothtask.model.command import Caller

_UCRED = struct.Struct("iII")  # pid, uid, gid: struct ucred, unix(7)


def read_peer(connection: socket.socket) -> Caller:
    """The process that connected, or that listens (SO_PEERCRED). Raises OSError."""
    pid, uid, _gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Caller(uid=uid, pid=pid)
