"""A person's programs, and how they fare. Stands alone: Python's own library only.

    probes.py ROLE FILE [ARGUMENT …]

frames   60 times a second 5 ms of work, as a game or an animation
audio    every 5 ms a little work, as what fills a sound card's buffer
typing   a key into a program in a terminal, 20 times a second, until it is on the screen
start    a program is started, until it is ready

FILE is made when it begins. At SIGTERM rows of four 8-byte floats are written there: when it was due (seconds,
CLOCK_MONOTONIC), after how many milliseconds it was done, how many periods that took, how many of those were missed.
Nothing is written while it measures. It dies with its parent (prctl(2), PR_SET_PDEATHSIG).
"""

import array
import contextlib
import ctypes
import gc
import os
import pty
import signal
import sys
import time
import tty
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG = 1
FRAME_S, FRAME_WORK_S = 1 / 60, 0.005
AUDIO_S, AUDIO_WORK_S = 0.005, 0.0003
KEY_S, KEY_WORK_S = 0.05, 0.001
SLOW_KEY_MS = 100.0
"""Beyond this a person feels it (Miller, 1968; Card et al., 1991)."""
START_S = 0.7
SLOW_START_MS = 1000.0
PROGRAM = "import argparse, decimal, email.message, json, logging, os, urllib.parse; os.write(1, b'ready'); os._exit(0)"
"""What is started: some 60 ms of reading files, linking and computing."""

Row = tuple[float, float, float, float]


class Ended(Exception):  # noqa: N818 - news, not a mistake
    """SIGTERM."""


def work(cpu_s: float) -> None:
    """Compute for so much CPU time."""
    until = time.thread_time() + cpu_s
    while time.thread_time() < until:
        pass


def deadlines(rows: list[Row], period_s: float, work_s: float) -> None:
    """Work once a period; what is not done at its end is missed, and so are the periods that it runs into."""
    due = time.monotonic() + period_s
    while True:
        time.sleep(max(0.0, due - time.monotonic()))
        work(work_s)
        took_s = time.monotonic() - due
        periods = 1 + int(took_s / period_s)
        rows.append((due, 1000 * took_s, periods, periods if periods > 1 else 0))
        # What is missed is dropped, as a display does: go on with the next one that can be made.
        due += period_s * periods


def typing(rows: list[Row]) -> None:
    """Press keys at a program in a terminal, and wait for each to be shown.

    A key that was due while another one was waited for counts from when it was due: a stall is all its keys, not one.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-I", __file__, "echo"])  # noqa: S606
    os.read(terminal, 1)
    due = time.monotonic()
    while True:
        due += KEY_S
        time.sleep(max(0.0, due - time.monotonic()))
        os.write(terminal, b"x")
        os.read(terminal, 1)
        took_ms = 1000 * (time.monotonic() - due)
        rows.append((due, took_ms, 1, took_ms > SLOW_KEY_MS))


def echo() -> None:
    """The program in the terminal: shows each key after a little work, as an editor does."""
    die_with_parent()
    tty.setraw(0)
    os.write(1, b">")
    with contextlib.suppress(OSError):  # EIO: the terminal is closed
        while key := os.read(0, 1):
            work(KEY_WORK_S)
            os.write(1, key)


def start(rows: list[Row]) -> None:
    """Start a program, over and over."""
    due = time.monotonic()
    while True:
        ready, said = os.pipe()
        pid = os.posix_spawn(
            sys.executable, [sys.executable, "-I", "-c", PROGRAM], {},
            file_actions=[(os.POSIX_SPAWN_DUP2, said, 1)], setsid=True,
        )  # fmt: skip
        os.close(said)
        os.read(ready, 1)
        took_ms = 1000 * (time.monotonic() - due)
        rows.append((due, took_ms, 1, took_ms > SLOW_START_MS))
        os.close(ready)
        os.waitpid(pid, 0)
        due = max(due + START_S, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


def die_with_parent() -> None:
    """SIGKILL as soon as whoever started us is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def end(_signal: int, _frame: object) -> None:
    """SIGTERM ends it; once is enough, for what was measured is to be written."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Ended


def main() -> None:
    """Run one role."""
    if sys.argv[1] == "echo":
        return echo()
    die_with_parent()
    role, file = sys.argv[1], Path(sys.argv[2])
    rows: list[Row] = []
    roles: dict[str, Callable[[], None]] = {
        "frames": lambda: deadlines(rows, FRAME_S, FRAME_WORK_S),
        "audio": lambda: deadlines(rows, AUDIO_S, AUDIO_WORK_S),
        "typing": lambda: typing(rows),
        "start": lambda: start(rows),
    }
    gc.disable()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it comes after SIGTERM, and before that one is seen to
    signal.signal(signal.SIGTERM, end)
    file.touch()
    with contextlib.suppress(Ended):
        roles[role]()
    whole = file.with_suffix(".part")
    with whole.open("wb") as out:
        array.array("d", [value for row in rows for value in row]).tofile(out)
    whole.replace(file)
    return None


if __name__ == "__main__":
    main()
