"""Whether an X server runs behind a display, found out without a connection.

A compositor listens for X clients before there is an X server, and starts Xwayland at the first connection: to
connect in order to see would start it. So a display is live when a process that is an X server holds the socket.
"""

import contextlib
import os
import re
from pathlib import Path
from typing import Final

from smoothtask.person.windows.x11_wire import display_number

_SERVERS: Final = re.compile(rb"X|Xorg(\.bin|\.wrap)?|X[a-z]*vnc|Xwayland|Xvfb|Xephyr|Xnest|Xdummy")
_LISTENS: Final = "00010000"  # SO_ACCEPTCON in the flags of /proc/net/unix
_CMDLINE_LIMIT_BYTES: Final = 8192


def is_live(display: str, proc: str = "/proc") -> bool:
    """Whether a server runs behind `:N`: one that holds its socket or, where we may not see that, is called with it.

    Raises OSError when *display* is none of this machine's.
    """
    number = display_number(display)
    sockets = parse_listeners(Path(f"{proc}/net/unix").read_text("utf-8", "replace"), number)
    return bool(sockets) and any(_serves(pid, number, sockets) for pid in _server_pids(proc))


def parse_listeners(table: str, number: int) -> frozenset[str]:
    """What listens at a display's socket, or its abstract name, as /proc/PID/fd shows it: `socket:[4242]`."""
    path = f"/tmp/.X11-unix/X{number}"  # noqa: S108 - X servers listen there
    found = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) == 8 and fields[3] == _LISTENS and fields[7] in {path, f"@{path}"}:
            found.add(f"socket:[{fields[6]}]")
    return frozenset(found)


def _server_pids(proc: str) -> list[Path]:
    found = []
    trusted = {0, os.geteuid()}  # anybody may call a process so
    for entry in Path(proc).glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended since
            is_server = _SERVERS.fullmatch(Path(entry, "comm").read_bytes().strip())
            if is_server and entry.stat().st_uid in trusted:
                found.append(entry)
    return found


def _serves(process: Path, number: int, sockets: frozenset[str]) -> bool:
    try:
        return any(os.readlink(fd) in sockets for fd in Path(process, "fd").iterdir())
    except PermissionError:
        return _is_called_with(process, number)
    except OSError:
        return False


def _is_called_with(process: Path, number: int) -> bool:
    """Another user's, often root's: only its command line can be read."""
    try:
        with Path(process, "cmdline").open("rb") as file:
            return b":%d" % number in file.read(_CMDLINE_LIMIT_BYTES).split(b"\0")
    except OSError:
        return False
