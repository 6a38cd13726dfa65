r"""Who a process is: read from /proc, checked against reuse of its pid, bounded and sanitised.

A process writes into most of it what it likes, so libraries that trust it are of no use: psutil takes the owner from
whatever looks like it first (a comm that says `Uid:` comes before), looks up the path of a removed program (on a disk
that may not answer), gives argv[0] for an executable that it may not see, and takes command lines whole.

Rule 1: a value is of (pid, start_ticks) or not at all: both are compared before and after reading.
Rule 2: what may not be read is `None` or empty; a process that left is `None` as a whole; other errors are raised.
Rule 3: every string is sanitised and bounded before anybody sees it.

Source: proc(5), cgroups(7), systemd.unit(5), the systemd desktop and container conventions.
"""

import errno
import functools
import os
import pwd
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from smoothtask.kernel.cgroup2 import parse_memberships, sound
from smoothtask.kernel.procfs import parse_status
from smoothtask.model.identity import MAX_PATH, Identity
from smoothtask.model.tasks import ProcKey
from smoothtask.model.text import REPLACEMENT, sanitise

ENVIRON_KEYS: Final = frozenset(
    {
        # games and Wine
        "SteamAppId", "SteamGameId", "STEAM_COMPAT_DATA_PATH", "WINEPREFIX", "WINELOADER", "PROTON_VERSION",
        "LUTRIS_GAME_UUID", "HEROIC_APP_NAME", "GAMEMODERUNEXEC", "MANGOHUD",
        # how it is packaged
        "FLATPAK_ID", "SNAP_NAME", "SNAP_INSTANCE_NAME", "APPIMAGE", "container",
        # the desktop that started it
        "XDG_SESSION_TYPE", "DISPLAY", "WAYLAND_DISPLAY", "DESKTOP_STARTUP_ID", "GIO_LAUNCHED_DESKTOP_FILE",
        # builds and batches
        "MAKELEVEL", "MAKEFLAGS", "NINJA_STATUS", "CI", "SLURM_JOB_ID",
        # a person's own word
        "SMOOTHTASK_CLASS",
    }
)  # fmt: skip
"""The only environment variables that are kept; all others may hold secrets and are never looked at."""

MAX_ARGUMENTS: Final = 32
MAX_ARGUMENT: Final = 256
MAX_CMDLINE: Final = 4096
MAX_VALUE: Final = 256
MAX_NAME: Final = 64
_READ_CMDLINE_BYTES: Final = 8192
_READ_ENVIRON_BYTES: Final = 128 << 10
_READ_BYTES: Final = 16 << 10

_PF_KTHREAD: Final = 0x00200000  # include/linux/sched.h
_KEYS_IN_BYTES: Final = {key.encode(): key for key in ENVIRON_KEYS}


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc/PID/stat says of who a process is."""

    comm: bytes
    ppid: int
    sid: int
    tty_nr: int
    flags: int
    start_ticks: int


def parse_stat(data: bytes) -> Stat:
    """Understand /proc/PID/stat, whatever comm holds: it ends at the last parenthesis (proc(5))."""
    _, _, rest = data.partition(b"(")
    comm, _, rest = rest.rpartition(b")")
    fields = rest.split()
    return Stat(
        comm=comm,
        ppid=int(fields[1]),
        sid=int(fields[3]),
        tty_nr=int(fields[4]),
        flags=int(fields[6]),
        start_ticks=int(fields[19]),
    )


def read_identity(pid: int, start_ticks: int, proc_root: str = "/proc") -> Identity | None:
    """Read who (*pid*, *start_ticks*) is; `None` when it is gone, hidden (hidepid=), or the pid another's by now."""
    base = f"{proc_root}/{pid}"
    try:
        stat = parse_stat(_read(f"{base}/stat"))
        if stat.start_ticks != start_ticks:
            return None
        identity = _read_fields(base, ProcKey(pid, start_ticks), stat, proc_root)
        still = parse_stat(_read(f"{base}/stat"))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return identity if still.start_ticks == start_ticks else None


def _read_fields(base: str, key: ProcKey, stat: Stat, proc_root: str) -> Identity:
    uid = parse_status(_read(f"{base}/status")).uid
    exe = _exe(base)
    cmdline = parse_cmdline(_read_if_allowed(f"{base}/cmdline", _READ_CMDLINE_BYTES) or b"")
    environ = parse_environ(_read_if_allowed(f"{base}/environ", _READ_ENVIRON_BYTES) or b"")
    cgroup = parse_cgroup(_read_if_allowed(f"{base}/cgroup") or b"")
    unit, slice_ = unit_of(cgroup) if cgroup else (None, None)
    values = dict(environ)
    return Identity(
        key=key,
        ppid=stat.ppid,
        name=sanitise(stat.comm, MAX_NAME),
        uid=uid,
        user=user_name(uid),
        exe=exe,
        cmdline=cmdline,
        cgroup=cgroup,
        unit=unit,
        slice=slice_,
        container=container_of(cgroup) if cgroup else None,
        flatpak=flatpak_of(unit, values),
        snap=snap_of(unit, values),
        wine_exe=wine_exe_of(cmdline, exe),
        tty=tty_name(stat.tty_nr),
        sid=stat.sid,
        environ=environ,
        kernel_thread=bool(stat.flags & _PF_KTHREAD),
        foreign_namespace=_in_foreign_namespace(base, proc_root),
    )


def _read(path: str, limit: int = _READ_BYTES) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, limit)  # procfs fills the buffer as far as it can: no loop needed
    finally:
        os.close(fd)


def _read_if_allowed(path: str, limit: int = _READ_BYTES) -> bytes | None:
    try:
        return _read(path, limit)
    except PermissionError:
        return None
    except ProcessLookupError:  # a zombie or a kernel thread has no memory to read from, and may be there still
        return b""
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:  # a cgroup deeper than the kernel can tell
            raise
        return b""


def _exe(base: str) -> str | None:
    """The file that runs, without the mark of a removed one; nothing is looked up at that path."""
    try:
        path = os.readlink(os.fsencode(f"{base}/exe"))
    except (PermissionError, FileNotFoundError):  # not ours to see; a zombie or a kernel thread runs none
        return None
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:  # deeper than the kernel can tell
            raise
        return None
    if path.startswith(b"/memfd:"):  # a name that whoever made the memory chose (memfd_create(2)), of no file at all
        return None
    return sanitise(path.removesuffix(b" (deleted)"), MAX_PATH) or None


def _in_foreign_namespace(base: str, proc_root: str) -> bool:
    try:
        return os.readlink(f"{base}/ns/pid") != os.readlink(f"{proc_root}/self/ns/pid")
    except (PermissionError, FileNotFoundError):  # not ours to see; a zombie has left its namespaces
        return False


@functools.lru_cache(maxsize=1024)
def user_name(uid: int) -> str | None:
    """Name of *uid* in the password database, asked once; `None` for one that has none."""
    try:
        return sanitise(pwd.getpwuid(uid).pw_name, MAX_NAME)
    except KeyError:
        return None


def parse_cmdline(data: bytes) -> tuple[str, ...]:
    """The arguments in /proc/PID/cmdline: 32 of 256 characters, 4,096 in all; what is cut ends in `…`."""
    arguments: list[str] = []
    left = MAX_CMDLINE
    for argument in data.removesuffix(b"\0").split(b"\0")[:MAX_ARGUMENTS] if data else ():
        if left <= 0:
            break
        arguments.append(sanitise(argument, min(MAX_ARGUMENT, left)))
        left -= len(arguments[-1])
    return tuple(arguments)


def parse_environ(data: bytes) -> frozenset[tuple[str, str]]:
    """The variables of ENVIRON_KEYS in /proc/PID/environ; the first of a name counts, as in getenv(3)."""
    found: dict[str, str] = {}
    for item in data.split(b"\0"):
        name, _, value = item.partition(b"=")
        key = _KEYS_IN_BYTES.get(name)
        if key is not None:
            found.setdefault(key, sanitise(value, MAX_VALUE))
    return frozenset(found.items())


def parse_cgroup(data: bytes) -> str | None:
    """The path in /proc/PID/cgroup: of v2 (`0::`) unless that is the root, else of v1's name=systemd.

    `None` for one that is out of sight, above the root of our cgroup namespace.
    """
    paths = parse_memberships(data)
    unified, legacy = paths.get(b""), paths.get(b"name=systemd")
    path = unified if unified and (unified != b"/" or not legacy) else legacy
    if path is None:
        return None
    text = sanitise(path.removesuffix(b" (deleted)"), MAX_PATH)
    return text if sound(text) else None


_UNIT: Final = re.compile(r"[^/]+\.(?:service|scope)")
_SLICE: Final = re.compile(r"[^/]+\.slice")


def unit_of(path: str) -> tuple[str | None, str | None]:
    r"""The innermost service or scope of a cgroup path, and the slice that it is in.

    Names are as systemd has them, so that it can be asked about them; `unescape` makes `\x2d` readable.
    """
    unit = slice_ = None
    for part in path.split("/"):
        if _UNIT.fullmatch(part):
            unit = part
        elif _SLICE.fullmatch(part):
            slice_ = part
    return unit, slice_


_ESCAPES: Final = re.compile(r"(?:\\x[0-9a-fA-F]{2})+")


def unescape(unit: str) -> str:
    r"""Make systemd's escapes (`\x2d`) readable; one that hides a control, a slash or no UTF-8 stays as it is."""

    def decoded(match: re.Match[str]) -> str:
        text = sanitise(bytes.fromhex(match[0].replace("\\x", "")))
        return match[0] if REPLACEMENT in text or "/" in text else text

    return _ESCAPES.sub(decoded, unit)


# What container managers call the cgroup of a container: by its id of 64 digits, or by a name. `conmon` and
# `lxc.monitor` are the managers' own processes, outside of the container.
_CONTAINER_ID: Final = re.compile(r"(?:(?!.*conmon).*[-:])?([0-9a-f]{64})(?:\.scope)?")
_CONTAINER_NAMES: Final = (
    re.compile(r"lxc\.payload\.(.+)"),
    re.compile(r"systemd-nspawn@(.+)\.service"),
    re.compile(r"machine-(?!qemu|libvirt-qemu)(.+)\.scope"),
)
_SHORT_ID: Final = 12


def container_of(path: str) -> str | None:
    """The innermost container of a cgroup path: 12 digits of its id (docker, podman, kubernetes, cri-o), or
    its name (lxc, machined). A virtual machine is none.
    """
    parts = path.split("/")
    for parent, part in reversed(list(zip(["", *parts], parts, strict=False))):
        if match := _CONTAINER_ID.fullmatch(part):
            return match[1][:_SHORT_ID]
        if parent == "lxc" and part:
            return part[:MAX_NAME]
        for pattern in _CONTAINER_NAMES:
            if match := pattern.fullmatch(part):
                return unescape(match[1])[:MAX_NAME]
    return None


_FLATPAK_SCOPE: Final = re.compile(r"app-flatpak-(.+)-\d+\.scope")
_SNAP_UNIT: Final = re.compile(r"snap\.([a-z0-9_-]+)\.[^/]+\.(?:service|scope)")


_FLATPAK_ID: Final = re.compile(r"[\w.-]+", re.ASCII)


def flatpak_of(unit: str | None, environ: Mapping[str, str]) -> str | None:
    """Flatpak application id, by its scope (`app-flatpak-org.foo.Bar-123.scope`), else its environment."""
    match = _FLATPAK_SCOPE.fullmatch(unit or "")
    found = unescape(match[1]) if match else environ.get("FLATPAK_ID", "")
    return found if _FLATPAK_ID.fullmatch(found) else None


def snap_of(unit: str | None, environ: Mapping[str, str]) -> str | None:
    """Snap name, by its unit (`snap.firefox.firefox-….scope`), else its environment."""
    match = _SNAP_UNIT.fullmatch(unit or "")
    if match:
        return match[1]
    return environ.get("SNAP_INSTANCE_NAME") or environ.get("SNAP_NAME") or None


_WINE_LOADER: Final = re.compile(r"wine(?:64)?(?:-.*)?")
_WINDOWS_PATH: Final = re.compile(r"[A-Za-z]:[\\/].*", re.DOTALL)
_WINDOWS_EXE: Final = re.compile(r"(?:.*[\\/])?([^\\/]+\.exe)", re.IGNORECASE | re.DOTALL)


def wine_exe_of(cmdline: Iterable[str], exe: str | None) -> str | None:
    r"""The Windows program under a Wine loader: of the first argument that names one (`Z:\game\game.exe`).

    Where the loader may not be seen, only a process that calls itself by a Windows path is one.
    """
    arguments = list(cmdline)
    if exe is None:
        if not arguments or not _WINDOWS_PATH.fullmatch(arguments[0]):
            return None
    elif not _WINE_LOADER.fullmatch(exe.rpartition("/")[2]):
        return None
    return next((match[1] for match in map(_WINDOWS_EXE.fullmatch, arguments) if match), None)


def tty_name(tty_nr: int) -> str | None:
    """Name of a controlling terminal as ps(1) has it (`pts/3`, `tty1`, `ttyS0`); `None` for 0.

    Source: proc(5) (tty_nr), Documentation/admin-guide/devices.txt.
    """
    if tty_nr == 0:
        return None
    device = tty_nr & 0xFFFFFFFF
    major, minor = device >> 8 & 0xFFF, device & 0xFF | device >> 12 & 0xFFF00
    if 136 <= major <= 143:
        return f"pts/{(major - 136) * 256 + minor}"
    if major == 4:
        return f"tty{minor}" if minor < 64 else f"ttyS{minor - 64}"
    return f"tty({major},{minor})"
