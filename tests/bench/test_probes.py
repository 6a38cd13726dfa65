"""The probes, as processes: what was due is counted, whatever stood in the way."""

import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from smoothtask.bench import probes
from smoothtask.bench.probes import KEY_S
from smoothtask.bench.stats import DUE, MISSED, TOOK_MS, parse_rows

STALL_S = 1.0


@pytest.fixture
def probe(tmp_path: Path) -> Iterator[psutil.Popen]:
    """One that types, and has typed."""
    file = tmp_path / "typing"
    started = psutil.Popen([sys.executable, "-I", probes.__file__, "typing", str(file)])
    try:
        while not any(map(is_ready, echo_of(started))):
            time.sleep(0.01)
        wait_for_keys(echo_of(started)[0], 10)
        yield started
    finally:
        if started.poll() is None:
            started.kill()
            started.wait()


def is_ready(echo: psutil.Process) -> bool:
    """Whether its terminal is raw: Python has started, and what it waits for from now on are keys."""
    terminal = os.open(f"/proc/{echo.pid}/fd/0", os.O_RDONLY | os.O_NOCTTY)
    try:
        return not termios.tcgetattr(terminal)[3] & termios.ICANON
    finally:
        os.close(terminal)


def wait_for_keys(echo: psutil.Process, count: int) -> None:
    """Until the program has waited so many times more: once for a key at most."""
    before = echo.num_ctx_switches().voluntary
    while echo.num_ctx_switches().voluntary < before + count:
        time.sleep(0.01)


def echo_of(probe: psutil.Process) -> list[psutil.Process]:
    """The program in its terminal."""
    return [p for p in probe.children() if p.cmdline()[-1:] == ["echo"]]


def test_a_stall_is_all_the_keys_that_were_due_meanwhile(probe, tmp_path):
    """The program in the terminal stands still for a second: that is some 20 keys, not one."""
    (echo,) = echo_of(probe)
    begin_s = time.monotonic()
    echo.suspend()
    time.sleep(STALL_S)
    end_s = time.monotonic()
    echo.resume()
    wait_for_keys(echo, int(STALL_S / KEY_S) + 10)  # all that were due meanwhile, and some in time
    probe.terminate()
    assert probe.wait() == 0
    rows = parse_rows((tmp_path / "typing").read_bytes())
    assert np.diff(rows[:, DUE]) == pytest.approx(KEY_S)
    stalled = rows[(rows[:, DUE] > begin_s + 0.1) & (rows[:, DUE] < end_s)]
    assert len(stalled) >= (STALL_S - 0.1) / KEY_S - 1
    assert np.all(stalled[:, TOOK_MS] >= 1000 * (end_s - stalled[:, DUE]))
    assert rows[:, MISSED].sum() >= 0.7 * len(stalled)


def test_what_was_measured_is_written_whatever_it_is_told_to_end_by(probe, tmp_path):
    """On a machine that is busy all of it may arrive before the probe runs again, and the other end be gone."""
    (echo,) = echo_of(probe)
    probe.suspend()
    echo.kill()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCONT, signal.SIGTERM):
        probe.send_signal(number)
    assert probe.wait() == 0
    assert len(parse_rows((tmp_path / "typing").read_bytes())) > 1


SLOW = """
import ctypes, pathlib, signal, time
def end(*_):
    time.sleep(0.4)
    pathlib.Path("written").touch()
    raise SystemExit
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGTERM, end)
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
pathlib.Path("began").touch()
time.sleep(60)
"""
STAGE = """
import os, sys, time
from collections.abc import Iterator
from pathlib import Path
from smoothtask.bench.guard import end_children
from smoothtask.bench.terminal import open_terminal
shell = open_terminal(Path.cwd(), os.environ)
os.write(shell.keyboard, f"{sys.executable} slow.py &\\n".encode())
while not Path("began").exists():
    time.sleep(0.01)
end_children()
"""


def test_a_shell_outlives_what_was_started_from_it(tmp_path):
    """Which dies with it, and may still be writing what it measured."""
    (tmp_path / "slow.py").write_text(SLOW)
    subprocess.run([sys.executable, "-c", STAGE], cwd=tmp_path, timeout=60, check=True)
    assert (tmp_path / "written").exists()
