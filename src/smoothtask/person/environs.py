"""What a user's own processes know of their session: display, cookies, addresses. Read with that user's rights."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
WANTED: Final = ("DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR")
BORROWED: Final = (b"SUDO_UID=", b"PKEXEC_UID=")
"""What stands in the environment of root's programs that run in somebody else's session."""
_LIMIT_BYTES: Final = 1 << 16
_PROCESSES: Final = 512
_LOCAL = re.compile(r"(?:unix)?(:\d{1,5})(?:\.\d{1,2})?", re.ASCII)

Variables = dict[str, str]


def parse_environ(data: bytes) -> Variables:
    """The wanted ones of /proc/PID/environ; a display of another machine (ssh -X) is none of ours.

    >>> parse_environ(b"HOME=/root\\0DISPLAY=:1.0\\0")
    {'DISPLAY': ':1'}
    """
    found = {}
    for entry in data.split(b"\0"):
        name, equals, value = os.fsdecode(entry).partition("=")
        if equals and name in WANTED:
            found[name] = value
    local = _LOCAL.fullmatch(found.pop("DISPLAY", ""))
    return found if local is None else {**found, "DISPLAY": local[1]}


def read_environs(uid: int, proc: Path = PROC) -> tuple[Variables, ...]:
    """Every distinct set among the processes of *uid* (newest pids first, so many at most)."""
    found: dict[tuple[tuple[str, str], ...], Variables] = {}
    for pid in sorted((int(e) for e in os.listdir(proc) if e.isascii() and e.isdigit()), reverse=True)[:_PROCESSES]:
        try:
            if (proc / str(pid)).stat().st_uid != uid:
                continue
            with (proc / str(pid) / "environ").open("rb") as file:
                environ = file.read(_LIMIT_BYTES)
        except OSError:  # it ended, or may not be looked into
            continue
        if uid == 0 and any(entry.startswith(BORROWED) for entry in environ.split(b"\0")):
            continue
        variables = parse_environ(environ)
        if variables:
            found.setdefault(tuple(sorted(variables.items())), variables)
    return tuple(found.values())


def displays(environs: Iterable[Variables]) -> frozenset[str]:
    """The X displays that they use."""
    return frozenset(e["DISPLAY"] for e in environs if "DISPLAY" in e)


def cookie_files(display: str, environs: Iterable[Variables], home: Path, runtime_dir: Path) -> tuple[Path | None, ...]:
    """Where the cookie for *display* may be, likeliest first; `None`: try without."""
    named = [Path(e["XAUTHORITY"]) for e in environs if e.get("DISPLAY") == display and "XAUTHORITY" in e]
    usual = [runtime_dir / "gdm/Xauthority", *sorted(runtime_dir.glob(".mutter-Xwaylandauth.*"))]
    usual += [*sorted(runtime_dir.glob("xauth_*")), home / ".Xauthority"]
    present = [file for file in dict.fromkeys([*named, *usual]) if file.is_file()]
    return (*present[:8], None)


def bus_address(environs: Iterable[Variables], runtime_dir: Path) -> str:
    """Of the session's D-Bus."""
    socket = runtime_dir / "bus"
    if socket.is_socket():
        return f"unix:path={socket}"
    return next((e["DBUS_SESSION_BUS_ADDRESS"] for e in environs if "DBUS_SESSION_BUS_ADDRESS" in e), "")
