"""What the dashboard costs and how quickly it answers, on real pseudo-terminals.

`python bench/dashboard.py [SECONDS]`, as root, and nothing else busy:

- CPU of its refresh at 1 Hz with 100 groups at 160×50 (the made-up machine: no engine), beside `htop -d 10` that shows
  1,000 processes at the same time;
- the first useful screen of `top --observe` with its own engine, and of one that attaches to a daemon;
- from a key to the reaction on the screen, with its own engine and 5,000 processes;
- memory of an attached dashboard.
"""

import contextlib
import fcntl
import os
import pty
import select
import shutil
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from harness import daemon, finish, idle_processes, log, verdict
from smoothtask.model.frame import Frame
from smoothtask_tui.demo import EPOCH, DemoClient, frame_at

COLUMNS, ROWS, GROUPS = 160, 50, 100
FEW, MANY = 1000, 5000
"""Processes beside htop, and beside the keys."""
SETTLE_S = 4.0
LIMIT_S = 60.0
TICKS = 60
"""Frames made before the clock runs, and shown over and over: making them is an engine's work."""
CURSOR = "▌".encode()
"""The cursor's mark: rows are on the screen."""
STARTS, KEYS = 3, 40


class Replay(DemoClient):
    """The made-up machine with its frames made beforehand."""

    def __init__(self) -> None:
        super().__init__(groups=GROUPS)
        self.frames = [frame_at(tick, groups=GROUPS) for tick in range(TICKS)]

    def frame(self) -> Frame:
        """The next of them, with times that go on."""
        return replace(self.frames[self.tick % TICKS], seq=self.tick, time=EPOCH + self.tick)


@dataclass(slots=True)
class Terminal:
    """A program in a pseudo-terminal."""

    pid: int
    fd: int
    began: float

    def drain(self, until: float, mark: bytes = b"") -> tuple[int, float | None]:
        """Read until the time *until*, or until *mark* was seen; bytes read, and when *mark* came."""
        count, tail = 0, b""
        while (left := until - time.monotonic()) > 0:
            if select.select([self.fd], [], [], left)[0]:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:  # EIO: the program has left the terminal (pty(7))
                    break
                count += len(data)
                tail = tail[-16:] + data
                if mark and mark in tail:
                    return count, time.monotonic()
        return count, None

    def wait_for(self, mark: bytes) -> float:
        """Seconds from the start until *mark* was written."""
        _, at = self.drain(time.monotonic() + LIMIT_S, mark)
        if at is None:
            raise RuntimeError(f"{mark!r} was not painted within {LIMIT_S:g} s")
        return at - self.began

    def cpu_s(self) -> float:
        """User and system seconds so far (proc(5), /proc/PID/stat)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self) -> float:
        """Resident memory (proc(5), /proc/PID/statm)."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@contextlib.contextmanager
def terminal(*command: str) -> Iterator[Terminal]:
    """*command* in a terminal of 160×50; killed at the end, after it was asked to quit."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.execv(command[0], command)
    shown = Terminal(pid, fd, time.monotonic())
    try:
        yield shown
        os.write(fd, b"q")
        shown.drain(time.monotonic() + 2.0)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(fd)


def top(*options: str) -> tuple[str, ...]:
    """The command line of the dashboard."""
    return (sys.executable, "-m", "smoothtask", "top", *options)


def refresh(seconds: float) -> list[bool]:
    """CPU of the refresh, beside htop at the same time."""
    results = []
    htop = shutil.which("htop")
    with contextlib.ExitStack() as stack:
        stack.enter_context(idle_processes(FEW))
        ours = stack.enter_context(terminal(sys.executable, __file__, "--show"))
        theirs = stack.enter_context(terminal(htop, "-d", "10")) if htop else None
        ours.wait_for(CURSOR)
        shown = [t for t in (ours, theirs) if t is not None]
        end = time.monotonic() + SETTLE_S
        _drain_all(shown, end)
        before, begin = [t.cpu_s() for t in shown], time.monotonic()
        counts = _drain_all(shown, begin + seconds)
        passed = time.monotonic() - begin
        used = [100 * (t.cpu_s() - b) / passed for t, b in zip(shown, before, strict=True)]
        rates = " and ".join(f"{c / passed / 1024:.1f} KiB/s" for c in counts)
        log(f"{GROUPS} groups at {COLUMNS}×{ROWS}, {passed:.0f} s: {rates} to the terminal, {ours.rss_mib():.0f} MiB")
        results.append(verdict("CPU of the refresh at 1 Hz, of one core", used[0], 3.0, " %"))
        if theirs is not None:
            results.append(verdict(f"the same, of `htop -d 10` beside {FEW} processes", used[0] / used[1], 1.0, " ×"))
        else:
            log("htop is not installed: not compared")
    return results


def _drain_all(terminals: list[Terminal], until: float) -> list[int]:
    counts = [0] * len(terminals)
    by_fd = {t.fd: i for i, t in enumerate(terminals)}
    while (left := until - time.monotonic()) > 0:
        for fd in select.select(list(by_fd), [], [], left)[0]:
            counts[by_fd[fd]] += len(os.read(fd, 65536))
    return counts


def starts() -> list[bool]:
    """The first useful screen: rows and a cursor. Python with Textual alone is the yardstick of this machine."""
    bare, own, attached, memory = [], [], [], 0.0
    with tempfile.TemporaryDirectory(prefix="smoothtask-bench-") as root:
        for _ in range(1 + STARTS):
            script = "import textual.app; print('▌', flush=True); input()"
            with terminal(sys.executable, "-c", script) as shown:
                bare.append(shown.wait_for(CURSOR))
            with terminal(*top("--observe", "--runtime-dir", f"{root}/run", "--state-dir", f"{root}/state")) as shown:
                own.append(shown.wait_for(CURSOR))
    first, *own = own  # which reads the rules; the others know what they say
    with daemon("--observe") as process:
        options = process.cmdline()
        places = [o for at in ("--runtime-dir", "--state-dir") for o in (at, options[options.index(at) + 1])]
        for _ in range(STARTS):
            with terminal(*top(*places)) as shown:
                attached.append(shown.wait_for(CURSOR))
                shown.drain(time.monotonic() + SETTLE_S)
                memory = max(memory, shown.rss_mib())
    log(
        f"`import textual.app` alone: {min(bare):.2f} s at best; "
        f"the very first start of all, which reads the rules: {first:.2f} s"
    )
    return [
        verdict("first useful screen, with its own engine (the best of 3)", min(own), 1.0, " s"),
        verdict("the same of one that attaches", min(attached), 0.7, " s"),
        verdict("resident memory of an attached dashboard", memory, 60.0, " MiB"),
    ]


def keys() -> list[bool]:
    """From a key to the first byte that the screen changes by, while the engine looks after many processes."""
    with tempfile.TemporaryDirectory(prefix="smoothtask-bench-") as root, idle_processes(MANY):
        with terminal(*top("--observe", "--runtime-dir", f"{root}/run", "--state-dir", f"{root}/state")) as shown:
            shown.wait_for(CURSOR)
            shown.drain(time.monotonic() + SETTLE_S)
            delays = []
            for i in range(KEYS):
                shown.drain(time.monotonic() + 0.37)  # not in step with the ticks
                begin = time.monotonic()
                os.write(shown.fd, b"\x1b[B" if i % 8 < 4 else b"\x1b[A")  # down, up
                _, at = shown.drain(begin + 2.0, CURSOR)
                delays.append(1000 * ((at or begin + 2.0) - begin))
        delays.sort()
        middle = statistics.median(delays)
        log(f"{KEYS} keys at {MANY} processes: {middle:.0f} ms at the median, {delays[-1]:.0f} ms at most")
        return [verdict("key to reaction, 95 of 100", delays[int(0.95 * KEYS) - 1], 50.0, " ms")]


def main() -> None:
    """Measure, one after the other."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    finish([*refresh(seconds), *starts(), *keys()])


if __name__ == "__main__":
    if sys.argv[1:] == ["--show"]:
        from smoothtask_tui.app import run_dashboard

        sys.exit(run_dashboard(Replay()))
    main()
