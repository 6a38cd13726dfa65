"""What one daemon may manage: the whole machine, a cgroup with everything below it, or one user's processes (pure)."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from smoothtask.model.identity import Identity
from smoothtask.model.text import sanitise

EXPECTED = "expected a cgroup such as /user.slice/user-1000.slice, a uid or a user's name"
MOUNTS = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup")
"""What may stand before a cgroup's path: the mounts of a hybrid machine, and of cgroup v2."""
NOBODY_S_UID = (1 << 32) - 1
"""(uid_t) -1 means "no uid" (setreuid(2))."""
PATH_LIMIT = 1000
"""Longer paths than `collector.identity` keeps could not be compared."""
_USER_SLICE = re.compile(r"user-(\d{1,10})\.slice", re.ASCII)
_SLUG_CHARACTERS = 20


class ScopeError(ValueError):
    """A scope that cannot be meant; the text is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Made by `everything`, `of_cgroup` and `of_uid`; at most one field is set."""

    uid: int | None = None
    cgroup: str | None = None
    """As in /proc/PID/cgroup: absolute, without a slash at its end."""

    @classmethod
    def everything(cls) -> "Scope":
        """The whole machine."""
        return cls()

    @classmethod
    def of_uid(cls, uid: int) -> "Scope":
        """The processes of one user. Raises ScopeError."""
        if not 0 <= uid < NOBODY_S_UID:
            raise ScopeError(f"expected a uid below {NOBODY_S_UID}, got {uid}")
        return cls(uid=uid)

    @classmethod
    def of_cgroup(cls, path: str) -> "Scope":
        """A cgroup and all below it; the root is everything. Raises ScopeError."""
        parts = [part for part in path.split("/") if part]
        if not path.startswith("/") or {".", ".."} & set(parts):
            raise ScopeError(f"{sanitise(path)}: expected an absolute path of a cgroup, without . and ..")
        clean = "/" + "/".join(parts)
        if sanitise(clean, PATH_LIMIT) != clean:
            raise ScopeError(f"{sanitise(clean)}: expected at most {PATH_LIMIT} printable characters")
        return cls(cgroup=clean) if parts else cls()

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left to others."""
        return self.uid is None and self.cgroup is None

    def covers(self, identity: Identity) -> bool:
        """Whether a process belongs to this scope."""
        return self.covers_at(identity.uid, identity.cgroup)

    def covers_at(self, uid: int, cgroup: str | None) -> bool:
        """The same for a process known by its effective uid and its cgroup (`None`: not read).

        What a user runs inside of another user's slice (su, sudo -u) belongs to that slice: so a user's scope
        and the scope of another user's slice can be held side by side.
        """
        if self.cgroup is not None:
            return cgroup is not None and _is_within(cgroup, self.cgroup)
        if self.uid is not None:
            return uid == self.uid and slice_owner(cgroup or "/") in {None, self.uid}
        return True

    def overlaps(self, other: "Scope") -> bool:
        """Whether a process could belong to both; `False` only where that is certain."""
        if self.is_everything or other.is_everything:
            return True
        if self.cgroup is not None and other.cgroup is not None:
            return _is_within(self.cgroup, other.cgroup) or _is_within(other.cgroup, self.cgroup)
        if self.cgroup is None and other.cgroup is None:
            return self.uid == other.uid
        path, uid = (self.cgroup, other.uid) if self.cgroup is not None else (other.cgroup, self.uid)
        return slice_owner(path or "/") in {None, uid}

    @property
    def argument(self) -> str:
        """What `--scope` takes for this one."""
        return self.cgroup if self.cgroup is not None else "/" if self.uid is None else str(self.uid)

    @property
    def slug(self) -> str:
        """A file name, different for each scope: short, for a socket's path has 107 bytes (unix(7))."""
        if self.cgroup is None:
            return "everything" if self.uid is None else f"uid-{self.uid}"
        name = re.sub(r"[^A-Za-z0-9._@-]", "_", self.cgroup.rpartition("/")[2])[:_SLUG_CHARACTERS]
        return f"cgroup-{name}-{hashlib.sha256(self.cgroup.encode()).hexdigest()[:10]}"

    def __str__(self) -> str:
        if self.cgroup is not None:
            return f"cgroup {self.cgroup}"
        return "the whole machine" if self.uid is None else f"uid {self.uid}"


def parse_scope(text: str, uid_of: Callable[[str], int | None]) -> Scope:
    """A scope from the command line. *uid_of*: a user's uid by name. Raises ScopeError."""
    if text.startswith("/"):
        mount = next((m for m in MOUNTS if text == m or text.startswith(m + "/")), "")
        return Scope.of_cgroup(text.removeprefix(mount) or "/")
    if text.isascii() and text.isdecimal():
        return Scope.of_uid(int(text[:11]))
    uid = uid_of(text)
    if uid is None:
        raise ScopeError(f"{EXPECTED}, got {sanitise(text)!r}: there is no such user")
    return Scope.of_uid(uid)


def slice_owner(path: str) -> int | None:
    """The uid in whose slice (user.slice/user-UID.slice of systemd-logind(8)) a cgroup is; `None`: in nobody's."""
    parts = path.split("/", 3)
    match = _USER_SLICE.fullmatch(parts[2]) if len(parts) > 2 and parts[1] == "user.slice" else None
    return int(match[1]) if match else None


def _is_within(path: str, root: str) -> bool:
    return path == root or path.startswith(root + "/")
