"""What loads a machine: one role a process, which counts what it gets done. Stands alone: Python's own library only.

    loads.py ROLE COUNTERS SLOT [ARGUMENT …]

COUNTERS is a file of 8-byte numbers; a role counts into those from SLOT on, one for each of its workers. It runs until
SIGTERM, and dies with its parent (prctl(2), PR_SET_PDEATHSIG).
"""

import contextlib
import ctypes
import mmap
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG = 1
PIECE = 256 << 10
"""Bytes compressed at once, some 8 ms without the interpreter's lock; or filled at once."""
PAGE = 4096
BLOCK = 16 << 10
WRITES = 0.3
FILE_BYTES = 128 << 20
chance = random.Random()  # noqa: S311 - not for secrets


class Ended(Exception):  # noqa: N818 - news, not a mistake
    """SIGTERM."""


def compute(count: Callable[[], None]) -> None:
    """One thread that compresses, and never sleeps."""
    data = os.urandom(PIECE // 2) + bytes(PIECE // 2)
    while True:
        zlib.compress(data, 6)
        count()


def in_threads(counts: list[Callable[[], None]]) -> None:
    """A thread for each of *counts*, the last one this."""
    for count in counts[1:]:
        threading.Thread(target=compute, args=(count,), daemon=True).start()
    compute(counts[0])


def encode(counts: list[Callable[[], None]], folder: str) -> None:
    """Threads that compress, and a file that grows by a little twice a second, as an encoder's does."""
    for count in counts:
        threading.Thread(target=compute, args=(count,), daemon=True).start()
    with Path(folder, f"encoded-{os.getpid()}").open("wb", buffering=0) as file:
        while True:
            if file.tell() > 64 << 20:
                file.seek(0)
            file.write(bytes(PIECE))
            time.sleep(0.5)


def build(counts: list[Callable[[], None]], folder: str, jobs: str) -> None:
    """`make -jJOBS`, over and over; counts what is compiled."""
    tally = Path(folder, "tally")
    tally.touch()
    done = 0
    while True:
        for old in Path(folder).glob("*.o"):
            old.unlink()
        words = ["make", "-s", f"-j{jobs}"]
        with subprocess.Popen(words, cwd=folder, preexec_fn=die_with_parent) as make:  # noqa: PLW1509 - no threads here
            while make.poll() is None:
                time.sleep(0.05)
                size = tally.stat().st_size
                for _ in range(size - done):
                    counts[0]()
                done = size


def storm(counts: list[Callable[[], None]]) -> None:
    """Programs that are started, and end at once."""
    while True:
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
        counts[0]()


def disk(counts: list[Callable[[], None]], path: str) -> None:
    """Reads and writes blocks here and there in the file *path*, past the page cache where that can be."""
    buffer = mmap.mmap(-1, BLOCK)  # aligned, as O_DIRECT wants it (open(2))
    buffer[:] = os.urandom(BLOCK)
    fd = open_direct(path)
    blocks = FILE_BYTES // BLOCK
    while True:
        offset = chance.randrange(blocks) * BLOCK
        if chance.random() < WRITES:
            os.pwritev(fd, [buffer], offset)
        else:
            os.preadv(fd, [buffer], offset)
        counts[0]()


def open_direct(path: str) -> int:
    """Open past the page cache; a file system that refuses that (tmpfs) is used as it is."""
    try:
        return os.open(path, os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC)
    except OSError:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)


def memory(counts: list[Callable[[], None]], path: str, resident: str) -> None:
    """Keeps *resident* bytes, and reads the file *path*, which is larger than what is left, all over."""
    kept = bytearray(int(resident))
    for start in range(0, len(kept), PIECE):  # by pieces: twice as much at once would be more than it may have
        kept[start : start + PIECE] = os.urandom(PIECE)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        pages, seen = len(mapped) // PAGE, 0
        while True:
            for _ in range(64):
                seen += mapped[chance.randrange(pages) * PAGE]
                kept[chance.randrange(len(kept))] = seen & 255
            counts[0]()


def die_with_parent() -> None:
    """SIGKILL as soon as whoever started us is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def counter(numbers: memoryview, slot: int) -> Callable[[], None]:
    """Adds one to the number at *slot*."""

    def count() -> None:
        numbers[slot] += 1

    return count


def end(_signal: int, _frame: object) -> None:
    """SIGTERM ends it."""
    raise Ended


def main() -> None:
    """Run one role."""
    die_with_parent()
    signal.signal(signal.SIGTERM, end)
    role, path, slot, *rest = sys.argv[1:]
    with open(path, "r+b") as file:
        numbers = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")
    workers = int(rest.pop(0)) if role in {"threads", "encode"} else 1
    counts = [counter(numbers, int(slot) + n) for n in range(workers)]
    roles: dict[str, Callable[..., None]] = {
        "threads": in_threads,
        "encode": encode,
        "build": build,
        "storm": storm,
        "disk": disk,
        "memory": memory,
    }
    with contextlib.suppress(Ended):
        roles[role](counts, *rest)
    os._exit(0)  # threads that compute are not waited for


if __name__ == "__main__":
    main()
