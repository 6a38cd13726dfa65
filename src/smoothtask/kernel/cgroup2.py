"""The unified cgroup hierarchy: read, written, and processes moved.

Every *path* is as in /proc/PID/cgroup: absolute, below the mount, without `..`. Source: cgroups(7),
Documentation/admin-guide/cgroup-v2.rst.
"""

import ctypes
import errno
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

ROOT: Final = "/sys/fs/cgroup"
MAGIC: Final = 0x63677270
"""CGROUP2_SUPER_MAGIC (include/uapi/linux/magic.h)."""
GONE: Final = frozenset({errno.ENOENT, errno.ENODEV, errno.ENAMETOOLONG})
"""What there is no cgroup (any more), or no file of it; a name that was sanitised may be longer than one can be."""
FOLDERS: Final = 1024
"""Cgroups of one tree whose processes are looked for."""
_STATFS_BYTES: Final = 120  # struct statfs on 64-bit Linux; the first field is the magic number
_READ_BYTES: Final = 1 << 16
_ROUNDS: Final = 20


def mounted(root: str = ROOT) -> bool:
    """Whether *root* is a cgroup-v2 mount (on v1 and hybrid machines it is a tmpfs)."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(_STATFS_BYTES)
    if libc.statfs(os.fsencode(root), buffer) != 0:
        return False
    return ctypes.c_long.from_buffer(buffer).value == MAGIC


def of_process(pid: int, proc_root: str = "/proc") -> str | None:
    """The cgroup of *pid*; `None` when it is gone or in none."""
    try:
        return parse_membership(_read(f"{proc_root}/{pid}/cgroup"))
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ESRCH, errno.ENAMETOOLONG}:  # the last: deeper than the kernel can tell
            return None
        raise


def parse_membership(data: bytes) -> str | None:
    """The `0::` line of /proc/PID/cgroup; `None` for a path that is out of sight or deleted."""
    path = parse_memberships(data).get(b"", b"").decode("utf-8", "surrogateescape")
    return path if sound(path) and not path.endswith(" (deleted)") else None


def parse_memberships(data: bytes) -> dict[bytes, bytes]:
    """Controllers → path of each line of /proc/PID/cgroup, as the kernel wrote them; v2's (`0::`) is that of `b""`.

    Whoever may make a cgroup chooses its name, in which anything but `/` and a newline may be.
    """
    lines = (line.split(b":", 2) for line in data.split(b"\n"))
    return {line[1]: line[2] for line in lines if len(line) == 3 and (line[1] or line[0] == b"0")}


def sound(path: str) -> bool:
    """Whether *path* stays below the mount: it may come from a file that others write."""
    return path.startswith("/") and "\0" not in path and not {"..", "."} & set(path.split("/"))


def directory(path: str, root: str = ROOT) -> str:
    """Where *path* is. Raises ValueError for one that is not sound."""
    if not sound(path):
        raise ValueError(f"not a cgroup path: {path!r}")
    return root + path.rstrip("/")


def read(path: str, name: str, root: str = ROOT) -> str | None:
    """One file of a cgroup, stripped; `None` when the cgroup or the file is not there."""
    try:
        return _read(f"{directory(path, root)}/{name}").decode("utf-8", "replace").strip()
    except OSError as error:
        if error.errno in GONE:
            return None
        raise


def write(path: str, name: str, text: str, root: str = ROOT) -> None:
    """Write one file of a cgroup. Raises OSError as the kernel says."""
    fd = os.open(f"{directory(path, root)}/{name}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def cgroup_id(path: str, root: str = ROOT) -> int | None:
    """The kernel's number of the cgroup (its inode), another one for another cgroup of that name; `None`: gone."""
    try:
        return Path(directory(path, root)).stat().st_ino
    except OSError as error:
        if error.errno in GONE:
            return None
        raise


def weight(path: str, name: str = "cpu.weight", root: str = ROOT) -> int | None:
    """cpu.weight or io.weight (1 … 10,000; 0 for cpu.idle); `None` where that controller is off."""
    text = read(path, name, root)
    if text is None:
        return None
    found = parse_weight(text)
    if found is not None and name == "cpu.weight" and read(path, "cpu.idle", root) == "1":
        return 0
    return found


def parse_weight(text: str) -> int | None:
    """`100`, or io.weight's `default 100` and lines for devices."""
    match = re.match(r"(?:default )?(\d+)$", text, re.MULTILINE)
    return int(match[1]) if match else None


def controllers(path: str = "/", root: str = ROOT) -> frozenset[str]:
    """Those that are available in *path*."""
    return frozenset((read(path, "cgroup.controllers", root) or "").split())


def enabled(path: str = "/", root: str = ROOT) -> frozenset[str]:
    """Those that the children of *path* have."""
    return frozenset((read(path, "cgroup.subtree_control", root) or "").split())


def switch(path: str, changes: Iterable[str], root: str = ROOT) -> None:
    """Enable (`+cpu`) or disable (`-cpu`) controllers for the children of *path*. Raises OSError."""
    write(path, "cgroup.subtree_control", " ".join(changes), root)


def pids(path: str, root: str = ROOT) -> frozenset[int]:
    """The processes of *path* and of all below it; none when it is gone.

    Whose it is may make cgroups below it, as deep and as many as they like: of more than FOLDERS some are looked into,
    the nearest first.
    """
    found: set[int] = set()
    folders = [directory(path, root)]
    for folder in folders:  # grows meanwhile
        try:
            found.update(map(int, _read(f"{folder}/cgroup.procs").split()))
        except OSError as error:  # a threaded cgroup lists its processes at the top of its domain
            if error.errno not in GONE | {errno.EOPNOTSUPP}:
                raise
        if len(folders) < FOLDERS:
            folders += _below(folder)[: FOLDERS - len(folders)]
    return frozenset(found)


def _below(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError as error:
        if error.errno in GONE:
            return []
        raise


def move(pid: int, path: str, root: str = ROOT) -> None:
    """Put *pid* with all its threads into *path*. Raises ProcessLookupError when it is gone, OSError else."""
    write(path, "cgroup.procs", str(pid), root)


def empty_into(path: str, home: str, root: str = ROOT) -> int:
    """Move everybody in *path* to *home*, again until nobody is left: some fork meanwhile. How many were moved."""
    moved = 0
    for _ in range(_ROUNDS):
        inside = pids(path, root) - {0}
        if not inside:
            break
        for pid in inside:
            try:
                move(pid, home, root)
                moved += 1
            except ProcessLookupError:
                continue
    return moved


def make(path: str, root: str = ROOT) -> None:
    """Make a cgroup; one that is there already is fine."""
    Path(directory(path, root)).mkdir(mode=0o755, parents=True, exist_ok=True)


def remove(path: str, root: str = ROOT) -> None:
    """Remove an empty cgroup; one that is gone is fine. Raises OSError when it is not empty."""
    try:
        Path(directory(path, root)).rmdir()
    except FileNotFoundError:
        return


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        chunks = []
        while chunk := os.read(fd, _READ_BYTES):
            chunks.append(chunk)
        return b"".join(chunks)
    finally:
        os.close(fd)
