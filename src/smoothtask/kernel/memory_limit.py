"""A cgroup with a memory limit, in whichever hierarchy has the memory controller.

Source: Documentation/admin-guide/cgroup-v2.rst (memory.max), cgroup-v1/memory.rst (memory.limit_in_bytes).
"""

import os
from typing import Final, NamedTuple

from smoothtask.kernel import cgroup2

ROOT_V1: Final = "/sys/fs/cgroup/memory"
FILE_V1: Final = "memory.limit_in_bytes"


class Hierarchy(NamedTuple):
    """Where cgroups with a memory limit can be made."""

    root: str
    """Its mount."""
    file: str
    """What takes the limit, in bytes."""


def hierarchy(root: str = cgroup2.ROOT, root_v1: str = ROOT_V1) -> Hierarchy | None:
    """The one that has the memory controller; `None` where none has, or the top of v2 does not hand it on."""
    if cgroup2.mounted(root):
        return Hierarchy(root, "memory.max") if "memory" in cgroup2.enabled("/", root) else None
    return Hierarchy(root_v1, FILE_V1) if os.path.exists(f"{root_v1}/{FILE_V1}") else None


def limit(where: Hierarchy, path: str, limit_bytes: int, pid: int) -> None:
    """Put *pid* into the cgroup *path*, which is made, and has *limit_bytes* to live on. Raises OSError."""
    cgroup2.make(path, where.root)
    cgroup2.write(path, where.file, str(limit_bytes), where.root)
    cgroup2.move(pid, path, where.root)
