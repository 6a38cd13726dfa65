"""Which scopes are held by the daemons of this host, so that no process has two masters.

Each daemon that acts holds a lock on a file of its own, in one folder that only root may enter, with its scope
written inside. The lock goes with its holder, however that ends; comparing and adding is done by one at a time.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from smoothtask.config.paths import RUNTIME_MODE, SYSTEM_RUNTIME_DIR, make_folder
from smoothtask.model.scope import Scope, ScopeError

FOLDER_MODE = 0o700
REGISTRY = "registry"
"""The file whose lock makes comparing and adding one step."""
_READ_BYTES = 8192


class ScopeHeldError(Exception):
    """Another daemon manages some of the same processes; the message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A daemon as its file tells."""

    scope: Scope
    pid: int
    runtime_dir: Path
    alive: bool
    """False: it ended without a word, and what it changed may still be in force."""

    @property
    def left_changes(self) -> bool:
        """Whether its ledger is there, which it takes along when it ends well."""
        return os.path.lexists(self.runtime_dir / "ledger")


def hold(scope: Scope, runtime_dir: Path, folder: Path) -> tuple[Callable[[], None], list[Holder]]:
    """Hold *scope* until the returned function is called; and the daemons that died.

    The file of a dead one goes when nothing is left of it to put back, or when its ledger is in *runtime_dir*, where
    its successor puts it back: else it is all that leads `smoothtask restore` there.

    Raises ScopeHeldError, UnsafeDirectoryError, OSError.
    """
    if folder.parent == SYSTEM_RUNTIME_DIR:
        make_folder(folder.parent, RUNTIME_MODE)
    make_folder(folder, FOLDER_MODE)
    died = []
    with _one_at_a_time(folder):
        for file, holder in _files(folder):
            if not holder.alive:
                died.append(holder)
                if holder.runtime_dir == runtime_dir or not holder.left_changes:
                    file.unlink()
            elif holder.scope.overlaps(scope):
                raise ScopeHeldError(_refusal(scope, holder))
        return _write(_free(folder, scope), Holder(scope, os.getpid(), runtime_dir, alive=True)), died


def holders(folder: Path) -> list[Holder]:
    """Every daemon that holds a scope or died with one. Raises OSError where the folder may not be read."""
    if not folder.exists():
        return []
    with _one_at_a_time(folder):
        return [holder for _, holder in _files(folder)]


def tidy(folder: Path) -> None:
    """Forget the daemons that died and of whom nothing is left to put back. Raises OSError."""
    with _one_at_a_time(folder):
        for file, holder in _files(folder):
            if not holder.alive and not holder.left_changes:
                file.unlink()


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    fd = _open(folder / REGISTRY, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _files(folder: Path) -> Iterator[tuple[Path, Holder]]:
    for file in sorted(folder.iterdir()):
        if file.name == REGISTRY:
            continue
        try:
            fd = _open(file, os.O_RDWR)
        except FileNotFoundError:  # its holder has just ended
            continue
        try:
            yield file, _parse(os.pread(fd, _READ_BYTES, 0), alive=_is_locked(fd))
        finally:
            os.close(fd)


def _open(path: Path, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _is_locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _parse(data: bytes, *, alive: bool) -> Holder:
    """A file's holder; one that cannot be understood (of a later version) is taken to hold everything."""
    try:
        said = json.loads(data)
        uid, cgroup = said["uid"], said["cgroup"]
        if uid is not None:
            scope = Scope.of_uid(int(uid))
        else:
            scope = Scope.everything() if cgroup is None else Scope.of_cgroup(str(cgroup))
        return Holder(scope, int(said["pid"]), Path(str(said["runtime_dir"])), alive)
    except (ValueError, TypeError, KeyError, ScopeError):
        return Holder(Scope.everything(), 0, SYSTEM_RUNTIME_DIR, alive)


def _free(folder: Path, scope: Scope) -> Path:
    """A name for who holds *scope*: one that died with the same may have its own still."""
    names = (f"{scope.slug}{n if n > 1 else ''}" for n in count(1))
    return next(path for name in names if not os.path.lexists(path := folder / name))


def _write(path: Path, holder: Holder) -> Callable[[], None]:
    fd = _open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        said = {"uid": holder.scope.uid, "cgroup": holder.scope.cgroup, "pid": holder.pid}
        os.pwrite(fd, json.dumps({**said, "runtime_dir": str(holder.runtime_dir)}).encode() + b"\n", 0)
    except BaseException:
        path.unlink()
        os.close(fd)
        raise

    def release() -> None:
        with suppress(FileNotFoundError):
            path.unlink()
        os.close(fd)

    return release


def _refusal(scope: Scope, holder: Holder) -> str:
    same = f"the SmoothTask with pid {holder.pid or 'unknown'} ({holder.runtime_dir}) manages {holder.scope}"
    advice = "stop that one, or give both scopes that have no process in common (--scope CGROUP|UID)"
    return f"{same}, which overlaps with {scope}: {advice}"
