"""The sockets that desktops offer on this machine, and whose they are; found without connecting to any.

A connection may start what listens lazily (Xwayland, PipeWire by systemd), so nobody is asked: the kernel names every
socket that somebody listens at, and who made it; the file system says whose it is. Anybody may make sockets of any name
(in a mount namespace of their own, of any path), so what is looked at is bounded for each who made some.
"""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from smoothtask.person.unix_diag import read_listeners

PROC: Final = Path("/proc")
PLACES: Final = ("/run/", "/tmp/", "/dev/shm/")  # noqa: S108 - sockets of desktops are there
"""Nowhere else is looked: a name in the kernel's table may lead to a disk that does not answer, or mount one."""
AT_MOST: Final = 4096
"""Paths looked at in all."""
LOOKS: Final = 1024
"""In one place, where the kernel does not say who made what."""
EACH_AT_MOST: Final = 64
"""Of one user, in one user's folder below /run/user, in X11's folder, and in all others together."""
_LIMIT_BYTES: Final = 1 << 22
_LISTENS = re.compile(rb"^[0-9a-f]+: [0-9A-F]{8} [0-9A-F]{8} 00010000 \S{4} \S\S +\d+ (/.+)$", re.MULTILINE)
"""Lines of /proc/net/unix (net/unix/af_unix.c, unix_seq_show) with SO_ACCEPTCON and a path."""


class Kind(StrEnum):
    """What listens there."""

    X11 = "x11"
    WAYLAND = "wayland"
    SWAY = "sway"
    HYPRLAND = "hyprland"
    NIRI = "niri"
    PIPEWIRE = "pipewire"
    PULSE = "pulse"


_KINDS: Final = (
    (Kind.X11, re.compile(r"/tmp/\.X11-unix/X\d{1,5}", re.ASCII)),  # noqa: S108 - X servers listen there
    (Kind.WAYLAND, re.compile(r".*/wayland-\d{1,5}", re.ASCII)),
    (Kind.SWAY, re.compile(r".*/sway-ipc\.\d+\.\d+\.sock", re.ASCII)),
    (Kind.HYPRLAND, re.compile(r".*/hypr/[^/]+/\.socket2\.sock")),
    (Kind.NIRI, re.compile(r".*/niri\.[^/]+\.sock")),
    (Kind.PIPEWIRE, re.compile(r".*/pipewire-0(-manager)?")),
    (Kind.PULSE, re.compile(r".*/pulse/native")),
)


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One of them."""

    kind: Kind
    path: str
    uid: int
    """Whose the socket is: of X11, root's where the server runs as root."""

    @property
    def display(self) -> str:
        """Of an X server: `:0`."""
        return f":{self.path.rpartition('X')[2]}"

    @property
    def runtime_dir(self) -> Path:
        """Where its session keeps its sockets."""
        return Path(self.path).parent


def parse_listeners(table: bytes) -> tuple[str, ...]:
    """The paths that somebody listens at.

    >>> parse_listeners(b"0000000000000000: 00000002 00000000 00010000 0001 01 4242 /run/user/1000/wayland-0")
    ('/run/user/1000/wayland-0',)
    """
    return tuple(dict.fromkeys(os.fsdecode(path) for path in _LISTENS.findall(table)))


def kind_of(path: str) -> Kind | None:
    """What listens at *path*, by its name."""
    return next((kind for kind, pattern in _KINDS if pattern.fullmatch(path)), None)


def owner_of(path: str, kind: Kind) -> int | None:
    """Whose the socket is; `None` when it is gone, is no socket, or others could have put it there."""
    try:
        *above, folder, entry = (os.lstat(part) for part in _way_to(path))
    except (OSError, ValueError):
        return None
    if not all(stat.S_ISDIR(part.st_mode) for part in above):
        return None  # a link may lead anywhere
    if not stat.S_ISSOCK(entry.st_mode):
        return None
    if kind is Kind.X11:  # a folder for all, sticky
        return entry.st_uid if folder.st_uid == 0 and folder.st_mode & (stat.S_ISVTX | 0o002) != 0o002 else None
    if not stat.S_ISDIR(folder.st_mode) or folder.st_uid != entry.st_uid or folder.st_mode & 0o022:
        return None
    return entry.st_uid


def _way_to(path: str) -> Iterator[str]:
    """Each folder on the way, then *path*: `/run`, `/run/user`, …"""
    parts = path.split("/")[1:]
    if not {"", ".", ".."}.isdisjoint(parts):
        raise ValueError(path)
    return ("/" + "/".join(parts[: n + 1]) for n in range(len(parts)))


def endpoints_of(paths: Iterable[str]) -> frozenset[Endpoint]:
    """Those of *paths* that a desktop offers; of very many some."""
    return _offered((path, None) for path in paths)


def _offered(listeners: Iterable[tuple[str, int | None]]) -> frozenset[Endpoint]:
    """The same of paths and the uids of who made the sockets there; `None`: the kernel does not say.

    Uids of people come before those that they may lend themselves (subuid(5)), and short names before long ones.
    """
    found: set[Endpoint] = set()
    looks: Counter[tuple[str, int | None]] = Counter()
    counts: Counter[tuple[str, int]] = Counter()
    for path, maker in sorted(listeners, key=lambda each: (each[1] or 0, len(each[0]), each[0])):
        kind, place = kind_of(path), _place_of(path)
        if kind is None or not path.startswith(PLACES) or not _may_make(maker, place):
            continue
        if looks[place, maker] >= (LOOKS if maker is None else EACH_AT_MOST) or looks.total() >= AT_MOST:
            continue
        looks[place, maker] += 1
        uid = owner_of(path, kind)
        if uid is not None and counts[place, uid] < EACH_AT_MOST:
            counts[place, uid] += 1
            found.add(Endpoint(kind, path, uid))
    return frozenset(found)


def _may_make(maker: int | None, place: str) -> bool:
    """Nobody but the user and root can have made a socket in the user's folder."""
    return maker in {None, 0} or not place.startswith("/run/user/") or place == f"/run/user/{maker}"


def _place_of(path: str) -> str:
    """Where it stands, as far as others cannot fill it with theirs."""
    if path.startswith("/run/user/"):
        return "/".join(path.split("/", 4)[:4])
    return "X11" if kind_of(path) is Kind.X11 else "elsewhere"


def read_endpoints(proc: Path = PROC) -> frozenset[Endpoint]:
    """Those of this network namespace; none where the kernel names no sockets."""
    try:
        listeners = read_listeners()
    except OSError:
        return endpoints_of(_names(proc))
    return _offered(listeners)


def _names(proc: Path) -> tuple[str, ...]:
    """By /proc/net/unix, where there is nothing better: whoever has a newline in a name adds lines to it."""
    try:
        with (proc / "net/unix").open("rb") as file:
            table = file.read(_LIMIT_BYTES)
    except OSError:
        return ()
    return parse_listeners(table)
