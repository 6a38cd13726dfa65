"""Finds other programs that set priorities: among the processes, in sysfs, and in tuned's files.

A name proves nothing: what counts is the file that runs (or the service) together with its owner. A program of
root owns things of everybody; one of a user owns at most things of that user; one in a container owns nothing here.

Source: the projects' own service files; Documentation/scheduler/sched-ext.rst; tuned-profiles(7).
"""

import configparser
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from smoothtask.kernel.cgroup2 import parse_membership
from smoothtask.kernel.procfs import Status, parse_status
from smoothtask.kernel.sched import start_ticks
from smoothtask.model.identity import Identity
from smoothtask.model.owner import Owner, OwnerKind
from smoothtask.model.process import ProcKey
from smoothtask.model.text import sanitise

ROOT_ONLY: Final = {
    "ananicy": OwnerKind.ANANICY,
    "ananicy-cpp": OwnerKind.ANANICY,
    "ananicy-rs": OwnerKind.ANANICY,
    "system76-scheduler": OwnerKind.SYSTEM76,
    "tuned": OwnerKind.TUNED,
}
"""By the name of the executable, and of the service; only when root runs them."""
ANYBODY: Final = {"uresourced": OwnerKind.URESOURCED, "gamemoded": OwnerKind.GAMEMODE}
"""These have a part in every user's session."""
_KINDS: Final = {**ROOT_ONLY, **ANYBODY}
_INTERPRETER: Final = re.compile(r"python[\d.]*", re.ASCII)
_SWITCHES: Final = re.compile(r"-[A-Za-z]+", re.ASCII)
_GAMEMODE_LIBRARY: Final = re.compile(rb"/libgamemode(?:auto)?\.so[.\d]*(?: \(deleted\))?$", re.MULTILINE)
_MAPS_BYTES: Final = 4 << 20
_FILE_BYTES: Final = 64 << 10
_INCLUDES: Final = 8
_PROFILE_NAME: Final = re.compile(r"[\w.+-]{1,64}", re.ASCII)


def recognise(identity: Identity) -> Owner | None:
    """The owner that a process is, or `None` for anything else, however it calls itself."""
    if identity.kernel_thread or identity.foreign_namespace or identity.container:
        return None
    for name in _names(identity):
        kind = _KINDS.get(name)
        if kind is not None and (identity.uid == 0 or name in ANYBODY):
            return Owner(kind, name, identity.uid, identity.key.pid)
    return None


def _names(identity: Identity) -> Iterator[str]:
    """What a process may be called: by its file, its script, and by the service of root that it is in."""
    base = identity.exe.rpartition("/")[2] if identity.exe else ""
    yield base
    if _INTERPRETER.fullmatch(base):
        script = next((a for a in identity.cmdline[1:] if not _SWITCHES.fullmatch(a)), "")
        yield script.rpartition("/")[2]
    if identity.uid == 0 and identity.unit and identity.unit.endswith(".service"):
        yield identity.unit.removesuffix(".service")


def read_processes(root: Path = Path("/")) -> Iterator[Identity]:
    """As much of every process as `recognise` looks at: for those who have no table of processes at hand."""
    for folder in sorted((root / "proc").glob("[0-9]*")):
        try:
            status = parse_status((folder / "status").read_bytes())
            exe = _exe(folder)
            arguments = (folder / "cmdline").read_bytes()[:4096].decode("utf-8", "replace").split("\0")
            cgroup = parse_membership((folder / "cgroup").read_bytes()) or ""
        except OSError:
            continue  # a kernel thread, or one that has gone
        yield _identity(int(folder.name), status, exe, arguments, cgroup)


def _exe(folder: Path) -> str:
    """The file that a process runs; empty where only root may know, so that the service has to tell."""
    try:
        return str((folder / "exe").readlink()).removesuffix(" (deleted)")
    except PermissionError:
        return ""


def _identity(pid: int, status: Status, exe: str, arguments: list[str], cgroup: str) -> Identity:
    units = [p for p in cgroup.split("/") if p.endswith((".service", ".scope"))]
    return Identity(
        key=ProcKey(pid, 0),
        ppid=0,
        name="",
        uid=status.uid,
        exe=sanitise(exe, 1024),
        cmdline=tuple(sanitise(a, 256) for a in arguments[:32]),
        unit=sanitise(units[-1], 256) if units else None,
        container="a container" if re.search(r"docker|libpod|lxc|kubepods|machine-", cgroup) else None,
        foreign_namespace=status.foreign,
    )


# --- sched_ext -----------------------------------------------------------------------------------------------


def read_sched_ext(root: Path = Path("/")) -> Owner | None:
    """The sched_ext scheduler that schedules every normal thread now; `None` without one (or the kernel's part)."""
    base = root / "sys/kernel/sched_ext"
    return parse_sched_ext(_text(base / "state"), _text(base / "root/ops"), _text(base / "switch_all"))


def parse_sched_ext(state: str | None, ops: str | None, switch_all: str | None) -> Owner | None:
    """From the texts of `state`, `root/ops` and `switch_all`.

    With `switch_all` 0 only threads that asked for SCHED_EXT are its own: nothing of ours then.
    """
    if (state or "").strip() != "enabled" or (switch_all or "1").strip() == "0":
        return None
    return Owner(OwnerKind.SCHED_EXT, sanitise((ops or "").strip(), 64) or "a scheduler without a name")


# --- tuned ---------------------------------------------------------------------------------------------------


def read_tuned(root: Path = Path("/")) -> str | None:
    """The active profiles of tuned that set priorities of threads, by name; `None` when none does."""
    active = (_text(root / "etc/tuned/active_profile") or "").split()
    setting = [sanitise(name, 64) for name in active if _sets_priorities(root, name, _INCLUDES)]
    return " ".join(setting) or None


def _sets_priorities(root: Path, name: str, depth: int) -> bool:
    if depth == 0 or not _PROFILE_NAME.fullmatch(name) or name in {".", ".."}:
        return False
    places = ("etc/tuned/profiles", "etc/tuned", "usr/lib/tuned/profiles", "usr/lib/tuned")
    texts = (_text(root / place / name / "tuned.conf") for place in places)
    sets, includes = parse_profile(next((t for t in texts if t is not None), ""))
    return sets or any(_sets_priorities(root, other, depth - 1) for other in includes)


def parse_profile(text: str) -> tuple[bool, tuple[str, ...]]:
    """Whether a tuned.conf has a [scheduler] (or a section of that type) with groups; and what it includes."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, delimiters=("=",))
    try:
        parser.read_string(text)
    except configparser.Error:
        return False, ()
    sections = [s for s in parser.sections() if parser.get(s, "type", fallback=s) == "scheduler"]
    sets = any(option.startswith("group.") for s in sections for option in parser.options(s))
    includes = parser.get("main", "include", fallback="") or ""
    return sets, tuple(includes.replace(",", " ").split())


# --- gamemode ------------------------------------------------------------------------------------------------


def uses_gamemode(key: ProcKey, proc_root: str = "/proc") -> bool:
    """Whether a process has loaded GameMode's client library, by which games register.

    Root may not ask a user's bus (`ListGames`): this is what can be seen from outside. False for one that is gone.
    """
    try:
        with open(f"{proc_root}/{key.pid}/maps", "rb") as file:
            loaded = _GAMEMODE_LIBRARY.search(file.read(_MAPS_BYTES)) is not None
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
    return loaded and start_ticks(key.pid, proc_root=proc_root) == key.start_ticks


# --- together ------------------------------------------------------------------------------------------------


def find(identities: Iterable[Identity], root: Path = Path("/")) -> tuple[Owner, ...]:
    """All owners on this machine: see `complete`."""
    return complete(filter(None, map(recognise, identities)), root)


def complete(among: Iterable[Owner], root: Path = Path("/")) -> tuple[Owner, ...]:
    """Those *among* the processes and those in files: one of each kind, name and user, in a steady order."""
    found: dict[tuple[OwnerKind, str, int], Owner] = {}
    for owner in among:
        found.setdefault((owner.kind, owner.name, owner.uid), owner)
    scheduler = read_sched_ext(root)
    if scheduler is not None:
        found[scheduler.kind, scheduler.name, 0] = scheduler
    owners = (_with_profile(o, root) if o.kind is OwnerKind.TUNED else o for o in found.values())
    return tuple(sorted((o for o in owners if o is not None), key=lambda o: (o.kind, o.name, o.uid)))


def _with_profile(owner: Owner, root: Path) -> Owner | None:
    """tuned with the profile that makes it an owner; `None` when none does."""
    profile = read_tuned(root)
    return None if profile is None else Owner(owner.kind, owner.name, owner.uid, owner.pid, f"profile {profile}")


def _text(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(_FILE_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
