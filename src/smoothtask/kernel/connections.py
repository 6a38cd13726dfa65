"""Who has a connection, from /proc: where BPF cannot be had.

Source: proc(5) (/proc/net/tcp, /proc/PID/fd), Documentation/networking/proc_net_tcp.rst. A link among a process's
descriptors is read, never followed: it may lead to a disk that does not answer.
"""

import os
import re
from collections.abc import Iterator
from typing import Final

import numpy as np

from smoothtask.model.readings import Connections

TABLES: Final = ("tcp", "tcp6", "udp", "udp6")
_SOCKET: Final = re.compile(r"socket:\[(\d{1,10})\]", re.ASCII)


def parse_connected(table: str) -> frozenset[int]:
    """Inodes of the sockets that have a peer.

    >>> sorted(parse_connected("sl ...\\n 0: 0100007F:1F90 0100007F:A2C4 01 0:0 0:0 0 0 0 4711 1"))
    [4711]
    """
    rows = (line.split() for line in table.splitlines()[1:])
    return frozenset(int(r[9]) for r in rows if len(r) > 9 and int(r[2].rpartition(":")[2], 16) and r[9] != "0")


def read_connections(proc_root: str = "/proc") -> Connections:
    """Sockets with a peer in our network namespace, of the processes that we may look into. Raises OSError."""
    connected: set[int] = set()
    for name in TABLES:
        try:
            with open(f"{proc_root}/net/{name}", encoding="ascii") as file:
                connected |= parse_connected(file.read())
        except FileNotFoundError:  # a kernel without IPv6
            continue
    held = []
    with os.scandir(proc_root) as entries:
        pids = sorted(int(entry.name) for entry in entries if entry.name.isdecimal())
    for pid in pids if connected else ():
        held += [(pid, inode) for inode in _sockets_of(pid, proc_root) if inode in connected]
    return Connections(np.array([p for p, _ in held], np.int64), np.array([i for _, i in held], np.int64))


def _sockets_of(pid: int, proc_root: str) -> Iterator[int]:
    """Inodes, as often as they are open; none of a process that left or that is not ours to look into."""
    folder = f"{proc_root}/{pid}/fd"
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return
    for name in names:
        try:
            match = _SOCKET.fullmatch(os.readlink(f"{folder}/{name}"))
        except OSError:  # closed meanwhile, or a path deeper than the kernel can tell
            continue
        if match is not None:
            yield int(match[1])
