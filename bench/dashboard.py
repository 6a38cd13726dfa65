"""What the dashboard costs: CPU of its refresh at 1 Hz with 100 groups at 160×50, and its first paint.

`python bench/dashboard.py [SECONDS]`: a pseudo-terminal, the made-up machine, no engine.
"""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from dataclasses import replace

from harness import finish, log, verdict
from smoothtask.model.frame import Frame
from smoothtask_tui.demo import EPOCH, DemoClient, frame_at

COLUMNS, ROWS, GROUPS = 160, 50, 100
SETTLE_S = 4.0
TICKS = 60
"""Frames made before the clock runs, and shown over and over: making them is an engine's work."""
FIRST_PAINT = "▌".encode()
"""The cursor's mark: rows are on the screen."""


class Replay(DemoClient):
    """The made-up machine with its frames made beforehand."""

    def __init__(self) -> None:
        super().__init__(groups=GROUPS)
        self.frames = [frame_at(tick, groups=GROUPS) for tick in range(TICKS)]

    def frame(self) -> Frame:
        """The next of them, with times that go on."""
        return replace(self.frames[self.tick % TICKS], seq=self.tick, time=EPOCH + self.tick)


def cpu_s(pid: int) -> float:
    """User and system seconds of *pid* so far (proc(5), /proc/PID/stat)."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def drain(fd: int, until: float, mark: bytes = b"") -> tuple[int, float | None]:
    """Read until the time *until*, or until *mark* was seen; bytes read, and when *mark* came."""
    count, tail = 0, b""
    while (left := until - time.monotonic()) > 0:
        if select.select([fd], [], [], left)[0]:
            try:
                data = os.read(fd, 65536)
            except OSError:  # EIO: the program has left the terminal (pty(7))
                break
            count += len(data)
            tail = tail[-16:] + data
            if mark and mark in tail:
                return count, time.monotonic()
    return count, None


def rss_mib(pid: int) -> float:
    """Resident memory (proc(5), /proc/PID/statm)."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def main() -> None:
    """Start, wait, measure, quit."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    start = time.monotonic()
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
        time.sleep(0.05)  # the parent sets the size first
        os.execv(sys.executable, [sys.executable, __file__, "--show"])
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    try:
        _, painted = drain(fd, start + 20.0, FIRST_PAINT)
        if painted is None:
            raise RuntimeError("no row was painted within 20 s")
        drain(fd, time.monotonic() + SETTLE_S)
        before, begin = cpu_s(pid), time.monotonic()
        count, _ = drain(fd, begin + seconds)
        used, passed = cpu_s(pid) - before, time.monotonic() - begin
        memory = rss_mib(pid)
        log(f"{GROUPS} groups at {COLUMNS}×{ROWS}, {passed:.0f} s: {count / passed / 1024:.1f} KiB/s, {memory:.0f} MiB")
        results = [
            verdict("CPU of the refresh at 1 Hz, of one core", 100 * used / passed, 3.0, " %"),
            verdict("first rows on the screen after start", painted - start - 0.05, 1.0, " s"),
            verdict("resident memory", memory, 60.0, " MiB"),
        ]
        os.write(fd, b"q")
        drain(fd, time.monotonic() + 1.0)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    finish(results)


if __name__ == "__main__":
    if sys.argv[1:] == ["--show"]:
        from smoothtask_tui.app import run_dashboard

        sys.exit(run_dashboard(Replay()))
    main()
