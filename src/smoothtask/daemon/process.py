"""This process: its lock, its limits and memory, and what it tells systemd."""

import ctypes
import fcntl
import gc
import os
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from smoothtask.kernel.notify import notify

DESCRIPTORS = 16384
GIVE_BACK_EVERY_S = 60.0
GIVE_BACK_BYTES = 4 << 20
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class AlreadyRunning(Exception):  # noqa: N818 (news, not a mistake)
    """Another one manages this, or some of it; the message says which."""


class LockedError(AlreadyRunning):
    """Another one holds the lock of this runtime directory: it answers at its socket, or is about to, or ends."""


def lock(path: Path) -> Callable[[], None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        os.close(fd)
        raise LockedError(f"another SmoothTask runs here (pid {holder or 'unknown'}, {path})") from error
    os.ftruncate(fd, 0)
    os.pwrite(fd, b"%d\n" % os.getpid(), 0)

    def release() -> None:
        os.close(fd)

    return release


def tell_systemd(datagram: bytes) -> None:
    """Tell systemd; a manager that does not listen must not stop the loop, and nobody else wants to know."""
    try:
        notify(datagram)
    except OSError as error:
        os.environ.pop("NOTIFY_SOCKET", None)  # said once
        os.write(2, f"smoothtask: systemd cannot be told: {error}\n".encode())


def raise_descriptor_limit() -> None:
    """The /proc fallback keeps files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(DESCRIPTORS, hard) if hard != resource.RLIM_INFINITY else DESCRIPTORS
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def rss_bytes() -> int:
    with open("/proc/self/statm", "rb", buffering=0) as file:
        return int(file.read().split()[1]) * PAGE_BYTES


def tidy_memory() -> None:
    """What loading left behind goes back to the kernel, and what stays is not looked at by the collector again.

    A start-up makes objects that stay: the command line lets the collector rest until this (`cli.verbs`).
    """
    gc.enable()
    gc.collect()
    gc.freeze()
    _give_back()


@dataclass(slots=True)
class HighWater:
    """What a peak left behind (thousands of threads, a storm) goes back to the kernel once it has passed."""

    looked_at_s: float = 0.0
    lowest: int = sys.maxsize
    """Resident bytes, the least that was seen."""

    def look(self, now_s: float, resident: int) -> None:
        """To be called once a tick with the resident bytes; acts once a minute, when there is much to give back."""
        if now_s - self.looked_at_s < GIVE_BACK_EVERY_S:
            return
        self.looked_at_s = now_s
        self.lowest = min(self.lowest, resident)
        if resident - self.lowest >= GIVE_BACK_BYTES:
            _give_back()


def _give_back() -> None:
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc alone
        libc.malloc_trim(0)
