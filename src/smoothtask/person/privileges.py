"""Becoming a user for good: nothing of root is left, and nothing can be gained again."""

import os
import pwd
import resource
import signal
from pathlib import Path
from typing import Final

from smoothtask.kernel import prctl

_MEMORY_BYTES: Final = 1 << 29
_DESCRIPTORS: Final = 256


def become(uid: int) -> Path:
    """Become *uid*, with its groups and without any capability; its home folder.

    Works from root; for our own uid only limits are set. Raises PermissionError when it cannot be done wholly.
    """
    home, name, gid = _entry(uid)
    _limit()
    if os.getuid() != uid or os.geteuid() != uid:
        groups = os.getgrouplist(name, gid) if name else [gid]
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        if os.getresuid() != (uid,) * 3 or os.getresgid() != (gid,) * 3 or (uid and _has_capabilities()):
            raise PermissionError(1, f"something of root is left after becoming uid {uid}")
    prctl.gain_no_rights()
    os.chdir("/")
    os.environ.clear()
    os.environ.update(
        HOME=str(home),
        USER=name,
        LOGNAME=name,
        PATH="/usr/bin:/bin",
        LANG="C.UTF-8",
        XDG_RUNTIME_DIR=f"/run/user/{uid}",
    )
    return home


def die_with(parent: int) -> None:
    """Be killed when *parent* ends; at once when it has. To be said again after `become`, which forgets it."""
    prctl.die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(0)


def _entry(uid: int) -> tuple[Path, str, int]:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:  # a user without an account (a container's, systemd's dynamic ones) has a group of that number
        return Path("/"), "", uid
    return Path(entry.pw_dir), entry.pw_name, entry.pw_gid


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_DESCRIPTORS, _DESCRIPTORS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


def _has_capabilities() -> bool:
    status = Path("/proc/self/status").read_bytes()  # text might need a codec that can no longer be loaded
    kept = (b"CapEff:", b"CapPrm:", b"CapAmb:")
    return any(int(line.split()[1], 16) for line in status.splitlines() if line.startswith(kept))
