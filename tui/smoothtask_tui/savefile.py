"""Writes a file for the person at the terminal: into their home, owned by them, never over one that is there.

Under sudo root would write where another user owns the folder, and could be led anywhere by a link: there a child
that is that user for good writes it instead.
"""

import os
import pwd
import subprocess
from pathlib import Path

WRITE = 'set -C; umask 077; exec cat > "$1"'
"""`set -C`: a file that exists is not written over (O_EXCL, so no link is followed either)."""
LIMIT_S = 5.0


def save(name: str, text: str) -> Path:
    """Write *text* to a new file *name* in the person's home, mode 0600; where it is. Raises OSError."""
    person = _person()
    path = Path(person.pw_dir, name)
    data = text.encode("utf-8", "replace")
    if person.pw_uid != os.geteuid():
        _write_as(person, path, data)
        return path
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    return path


def _person() -> pwd.struct_passwd:
    """Who sits there: whoever called sudo, else who we are. Raises OSError for a user without an account."""
    uid = os.geteuid()
    asked = os.environ.get("SUDO_UID", "")
    if uid == 0 and asked.isdecimal():
        uid = int(asked)
    try:
        return pwd.getpwuid(uid)
    except (KeyError, OverflowError) as error:
        raise OSError(f"uid {uid} has no home folder") from error


def _write_as(person: pwd.struct_passwd, path: Path, data: bytes) -> None:
    groups = os.getgrouplist(person.pw_name, person.pw_gid)
    done = subprocess.run(
        ["/bin/sh", "-c", WRITE, "sh", str(path)],
        input=data,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        user=person.pw_uid,
        group=person.pw_gid,
        extra_groups=groups,
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        timeout=LIMIT_S,
        check=False,
    )
    if done.returncode != 0:
        why = done.stderr.decode("utf-8", "replace").strip().rpartition(": ")[2]
        raise OSError(f"{path}: {why or 'not written'}")
