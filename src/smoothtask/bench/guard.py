"""Whatever is started ends with whoever started it, and its folder goes: however that one ends."""

import contextlib
import fcntl
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from smoothtask.kernel import prctl

GRACE_S = 2.0
"""Between SIGTERM and SIGKILL."""


class FolderError(Exception):
    """The folder cannot be ours; the text is a sentence for a person."""


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
