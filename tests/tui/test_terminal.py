"""The whole program in a pseudo-terminal: it ends by a key, by a signal, and when the terminal vanishes."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from smoothtask_tui.terminal import TerminalFile

LIMIT_S = 30.0
PROGRAM = """
import sys
from pathlib import Path
from smoothtask_tui.demo import DemoClient
from smoothtask_tui.app import run_dashboard

class Client(DemoClient):
    def run(self, on_frame, on_state):
        super().run(on_frame, on_state)
        Path(sys.argv[1]).write_text("restored")

sys.exit(run_dashboard(Client(60, interval_s=0.2)))
"""


class Session:
    """One run in a terminal of 80 × 24."""

    def __init__(self, pid: int, fd: int, marker: Path) -> None:
        self.pid, self.fd, self.marker = pid, fd, marker

    def wait_for(self, text: str) -> None:
        """Read until *text* has been written."""
        seen, deadline = b"", time.monotonic() + LIMIT_S
        while text.encode() not in seen:
            assert time.monotonic() < deadline, seen[-2000:]
            if select.select([self.fd], [], [], 0.2)[0]:
                seen += os.read(self.fd, 65536)

    def status(self) -> int:
        """The exit status, once it has ended; reads on meanwhile, as a terminal does."""
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            with contextlib.suppress(OSError):  # EIO, or closed by the test
                if select.select([self.fd], [], [], 0.05)[0]:
                    os.read(self.fd, 65536)
            time.sleep(0.01)
        raise AssertionError("it goes on")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    marker = tmp_path / "marker"
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-W", "error", "-c", PROGRAM, str(marker)])
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    running = Session(pid, fd, marker)
    try:
        yield running
    finally:
        with contextlib.suppress(OSError):
            os.close(fd)
        if running.pid:
            os.kill(running.pid, signal.SIGKILL)
            os.waitpid(running.pid, 0)


def test_it_shows_groups_and_leaves_by_a_key(session):
    session.wait_for("Firefox")
    os.write(session.fd, b"q")
    assert session.status() == 0
    assert session.marker.read_text() == "restored"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_good_order(session, number):
    session.wait_for("Firefox")
    os.kill(session.pid, number)
    assert session.status() == 0
    assert session.marker.read_text() == "restored"


def test_a_vanished_terminal_ends_it_in_good_order(session):
    """Closing the other end is what a closed window or a lost ssh connection does."""
    session.wait_for("Firefox")
    os.close(session.fd)
    session.status()
    assert session.marker.read_text() == "restored"


def test_writes_to_a_vanished_terminal_are_dropped_and_told_once():
    """The thread that writes must not die of EIO."""
    told = []

    class Gone:
        def write(self, _: str) -> None:
            raise OSError(5, "Input/output error")

        flush = write

    file = TerminalFile(Gone(), lambda: told.append(1))  # type: ignore[arg-type]
    for _ in range(3):
        file.write("x")
        file.flush()
    assert told == [1]
