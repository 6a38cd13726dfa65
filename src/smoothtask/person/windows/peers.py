"""Which process a Wayland window is of, where the compositor tells its app id alone: whoever is connected, scored.

The kernel knows who holds the other ends of the compositor's socket (sock_diag(7)); which of them calls itself so is
a guess with a number to it. Two that look the same share it, and below 0.6 nothing comes of it.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smoothtask.person.audio.claims import accepted, held_by, read_sockets

PROC: Final = Path("/proc")
PROCESSES_AT_MOST: Final = 4096
FLATPAK, UNIT, NAME, ARGUMENT = 0.95, 0.9, 0.8, 0.7
_LIMIT_BYTES: Final = 8192


@dataclass(frozen=True, slots=True)
class Client:
    """A process that is connected."""

    pid: int
    names: frozenset[str]
    """Of its program, in small letters."""
    arguments: tuple[str, ...] = ()
    cgroup: str = ""
    flatpak: str = ""


def likeness(app_id: str, client: Client) -> float:
    """How sure *client* is the application *app_id*, were it the only one."""
    wanted = app_id.lower()
    if client.flatpak:
        return FLATPAK if client.flatpak.lower() == wanted else 0.0
    unit = client.cgroup.rpartition("/")[2].replace("\\x2d", "-").lower()
    if re.fullmatch(rf"app-(?:.*-)?{re.escape(wanted)}(?:-[0-9a-f]+|@[^/]*)?\.(?:scope|service)", unit):
        return UNIT
    if client.names & {wanted, wanted.rpartition(".")[2]}:
        return NAME
    if any(app_id in {argument, argument.partition("=")[2]} for argument in client.arguments):
        return ARGUMENT
    return 0.0


def owners(app_ids: Iterable[str], clients: Iterable[Client]) -> dict[str, tuple[int, float]]:
    """App id → the likeliest process and how sure it is; several that are as likely share it."""
    known = tuple(clients)
    found = {}
    for app_id in {a for a in app_ids if a}:
        scored = [(likeness(app_id, c), c.pid) for c in known]
        best = max((score for score, _ in scored), default=0.0)
        if best > 0:
            as_likely = [pid for score, pid in scored if score == best]
            found[app_id] = (min(as_likely), best / len(as_likely))
    return found


def read_clients(path: str, uid: int, proc: Path = PROC) -> tuple[Client, ...]:
    """Who of *uid* is connected to the socket at *path*. Raises OSError where the kernel does not say."""
    wanted = accepted(read_sockets(), path)
    holders: dict[int, list[int]] = {}
    for pid in sorted(int(e) for e in os.listdir(proc) if e.isascii() and e.isdigit())[:PROCESSES_AT_MOST]:
        if _is_of(pid, uid, proc):
            for inode in held_by(pid, proc) & wanted:
                holders.setdefault(inode, []).append(pid)
    # A child inherits the descriptor: the oldest holder is the one that connected.
    pids = {min(holding) for holding in holders.values()}
    return tuple(client for pid in sorted(pids) if (client := _read(pid, proc)) is not None)


def _is_of(pid: int, uid: int, proc: Path) -> bool:
    try:
        return (proc / str(pid)).stat().st_uid == uid
    except OSError:  # it has ended
        return False


def _read(pid: int, proc: Path) -> Client | None:
    folder = proc / str(pid)
    try:
        comm = os.fsdecode(_head(folder / "comm")).strip()
        arguments = os.fsdecode(_head(folder / "cmdline")).split("\0")
        program = os.path.basename(os.readlink(folder / "exe").removesuffix(" (deleted)"))
        cgroup = os.fsdecode(_head(folder / "cgroup")).strip()
    except OSError:  # it has ended
        return None
    try:
        said: Mapping[str, str] = dict(
            line.partition("=")[::2] for line in os.fsdecode(_head(folder / "root/.flatpak-info")).splitlines()
        )
    except OSError:  # no sandbox of Flatpak's
        said = {}
    names = frozenset(name.lower() for name in (comm, program, os.path.basename(arguments[0])) if name)
    return Client(pid, names, tuple(arguments[1:]), cgroup, said.get("name", ""))


def _head(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(_LIMIT_BYTES)
