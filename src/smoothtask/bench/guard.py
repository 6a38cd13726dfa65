"""Whatever is started ends with whoever started it, and its folder goes: however that one ends."""

import contextlib
import fcntl
import os
import shutil
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from smoothtask.kernel import prctl

GRACE_S = 5.0
"""Between SIGTERM and SIGKILL."""


class FolderError(Exception):
    """The folder, or a file in it, is not as we left it; the text is a sentence for a person."""


@contextlib.contextmanager
def only_ours(folder: Path) -> Iterator[None]:
    """Make *folder*, which nobody else may use, and remove it at the end.

    What one that was killed left there goes. Raises FolderError.
    """
    try:
        folder.mkdir(0o700, exist_ok=True)
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise FolderError(f"{folder}: {error.strerror}") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(held).st_uid != os.geteuid():
            raise FolderError(f"{folder}: belongs to somebody else")
        for left in folder.iterdir():
            shutil.rmtree(left)
        try:
            yield
        finally:
            shutil.rmtree(folder)
    except BlockingIOError as error:
        raise FolderError(f"{folder}: another one runs there") from error
    finally:
        os.close(held)


def hand_over(path: Path, uid: int, gid: int) -> None:
    """Give *path*, and all below it, to somebody: first what is in a folder, so that nobody can swap what is yet ours.

    Links are given, not followed. Raises OSError.
    """
    if path.is_dir() and not path.is_symlink():
        for inner in path.iterdir():
            hand_over(inner, uid, gid)
    os.chown(path, uid, gid, follow_symlinks=False)


def read_theirs(path: Path, most_bytes: int) -> bytes:
    """The last *most_bytes* of a file that somebody else may write or put another thing in the place of.

    No link is followed, and no pipe or device waited for. Raises FolderError when it is no plain file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise FolderError(f"{path}: {error.strerror}") from error
    try:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            raise FolderError(f"{path}: somebody put something else in the place of this file")
        with open(fd, "rb", closefd=False) as file:
            file.seek(max(0, about.st_size - most_bytes))
            return file.read(most_bytes)
    finally:
        os.close(fd)


def bind_to_parent() -> None:
    """Get SIGTERM when our parent ends, and take in the orphans of those we start (prctl(2)). Raises OSError."""
    prctl.die_with_parent(signal.SIGTERM)
    prctl.adopt_orphans()


def end_children() -> None:
    """End every descendant of this process, and wait for each."""
    deadline_s = time.monotonic() + GRACE_S
    number = signal.SIGTERM
    while found := psutil.Process().children(recursive=True):
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                # What a shell started dies with it, and may yet write what it measured: the shell ends after that.
                if number != signal.SIGHUP or not process.children():
                    process.send_signal(number)
        time.sleep(0.05)
        reap()
        # An interactive shell ignores SIGTERM, as bash(1) says; SIGHUP is what a terminal that closes sends.
        number = signal.SIGHUP if number == signal.SIGTERM else number
        if time.monotonic() > deadline_s:
            number = signal.SIGKILL


def reap() -> None:
    """Take the exit status of those who left."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
