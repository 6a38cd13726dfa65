"""Whether a process is the one that a sound server's client claims to be: does it hold the other end of its socket?

A client's own word on its pid is no pid: it can say anything, and in a pid namespace it says the truth of another
world. The kernel knows who holds a socket (sock_diag(7), /proc/PID/fd), for the user's own processes.
"""

import os
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from smoothtask.person import unix_diag
from smoothtask.person.audio.limits import CLAIMED, CONFIRMED, TRANSLATED

PROC: Final = Path("/proc")
_INODE = re.compile(r"socket:\[(\d{1,10})\]", re.ASCII)
_NSPID = re.compile(r"^NSpid:((?:\t\d+)+)$", re.MULTILINE | re.ASCII)


class UnixSocket(NamedTuple):
    """One end of a connection."""

    name: str
    """The path it was bound to or accepted at; empty for the end that connected."""
    peer: int
    """Inode of the other end."""


def parse_sockets(data: bytes) -> tuple[dict[int, UnixSocket], bool]:
    """Inode → socket for those that are connected, and whether the dump ends here (see `unix_diag.parse_dump`)."""
    entries, done = unix_diag.parse_dump(data)
    return _connected(entries), done


def read_sockets() -> dict[int, UnixSocket]:
    """See `parse_sockets`, of this network namespace. Raises OSError."""
    return _connected(unix_diag.dump(unix_diag.ALL, unix_diag.SHOW_NAME | unix_diag.SHOW_PEER))


def _connected(entries: Iterable[unix_diag.Entry]) -> dict[int, UnixSocket]:
    return {
        inode: UnixSocket(
            fields.get(unix_diag.NAME, b"").rstrip(b"\0").decode("utf-8", "surrogateescape"),
            struct.unpack("=I", fields[unix_diag.PEER])[0],
        )
        for inode, fields in entries
        if len(fields.get(unix_diag.PEER, b"")) == 4
    }


def accepted(sockets: dict[int, UnixSocket], path: str = "", held: frozenset[int] | None = None) -> frozenset[int]:
    """Inodes at the clients' ends of a server's connections: those to *path*, or those that it *held*s with a name."""
    return frozenset(
        end.peer
        for inode, end in sockets.items()
        if end.name and (end.name == path or (held is not None and inode in held))
    )


def held_by(pid: int, proc: Path = PROC) -> frozenset[int]:
    """Inodes of the sockets that a process has open; none when it left, or is another user's."""
    inodes = set()
    try:
        with os.scandir(proc / str(pid) / "fd") as entries:
            for entry in entries:
                match = _INODE.fullmatch(_target(entry.path))
                if match is not None:
                    inodes.add(int(match[1]))
    except OSError:
        return frozenset()
    return frozenset(inodes)


def confirm(claimed: int, clients: frozenset[int], uid: int, proc: Path = PROC) -> tuple[int, float]:
    """The process and the confidence in it, for a client that says that it is *claimed*.

    *clients* are the inodes at the clients' ends (see `accepted`); only processes of *uid* come into question. Looks
    into that one process first; into all of the user's only when it holds none of the sockets.
    """
    if _uid_of(claimed, proc) == uid and held_by(claimed, proc) & clients:
        return claimed, CONFIRMED
    inner = [pid for pid in _inside(claimed, uid, proc) if held_by(pid, proc) & clients] if clients else []
    return (inner[0], TRANSLATED) if len(inner) == 1 else (claimed, CLAIMED)


def _inside(claimed: int, uid: int, proc: Path) -> Iterator[int]:
    """Processes that are *claimed* in a pid namespace below ours."""
    with os.scandir(proc) as entries:
        pids = [int(entry.name) for entry in entries if entry.name.isdecimal()]
    for pid in pids:
        if pid != claimed and _uid_of(pid, proc) == uid and _inner_pid(pid, proc) == claimed:
            yield pid


def _inner_pid(pid: int, proc: Path) -> int | None:
    """What a process is to itself, where that differs (pid_namespaces(7), proc_pid_status(5))."""
    try:
        match = _NSPID.search((proc / str(pid) / "status").read_text(errors="replace"))
    except OSError:
        return None
    pids = match[1].split() if match else []
    return int(pids[-1]) if len(pids) > 1 else None


def _uid_of(pid: int, proc: Path) -> int | None:
    try:
        return (proc / str(pid)).stat().st_uid
    except OSError:
        return None


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""
