"""Which cgroup a number in the task table means, and whether a cgroup is there. Source: cgroups(7), proc(5)."""

import os
from pathlib import Path

from smoothtask.collector.identity import parse_cgroup

ROOT = "/sys/fs/cgroup"
HIERARCHIES = ("", "/unified", "/systemd")
"""Where cgroups are below ROOT: cgroup v2; on a hybrid machine, v2 and systemd's own."""
_READ_BYTES = 16 << 10


def cgroup_exists(path: str, root: str = ROOT) -> bool:
    """Whether *path*, as in /proc/PID/cgroup, is a cgroup."""
    return any(Path(f"{root}{hierarchy}{path}").is_dir() for hierarchy in HIERARCHIES)


def numbers_tell(root: str = ROOT) -> bool:
    """Whether a number stands for a place: on a hybrid machine every process may be in v2's root."""
    return Path(root, "cgroup.controllers").exists()


def path_of(number: int, pid: int, root: str = ROOT, proc_root: str = "/proc") -> str | None:
    """The path of the cgroup with *number*, by *pid* that was seen in it; `None` when it isn't there any more."""
    try:
        fd = os.open(f"{proc_root}/{pid}/cgroup", os.O_RDONLY | os.O_CLOEXEC)
        try:
            path = parse_cgroup(os.read(fd, _READ_BYTES).decode("utf-8", "replace"))
        finally:
            os.close(fd)
        return path if path is not None and Path(f"{root}{path}").stat().st_ino == number else None
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
