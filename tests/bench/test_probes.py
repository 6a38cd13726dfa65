"""The probes, as processes: what was due is counted, whatever stood in the way."""

import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from smoothtask.bench import probes
from smoothtask.bench.probes import KEY_S
from smoothtask.bench.stats import DUE, MISSED, TOOK_MS, parse_rows

STALL_S = 1.0


def test_a_stall_is_all_the_keys_that_were_due_meanwhile(tmp_path):
    """The program in the terminal stands still for a second: that is some 20 keys, not one."""
    file = tmp_path / "typing"
    with subprocess.Popen([sys.executable, "-I", probes.__file__, "typing", str(file)]) as started:
        probe = psutil.Process(started.pid)
        echoes = []
        while not (echoes := [p for p in probe.children() if p.cmdline()[-1:] == ["echo"]]):
            time.sleep(0.01)
        time.sleep(0.5)
        begin_s = time.monotonic()
        echoes[0].send_signal(signal.SIGSTOP)
        time.sleep(STALL_S)
        end_s = time.monotonic()
        echoes[0].send_signal(signal.SIGCONT)
        time.sleep(0.5)
        started.terminate()
    rows = parse_rows(file.read_bytes())
    assert np.diff(rows[:, DUE]) == pytest.approx(KEY_S)
    stalled = rows[(rows[:, DUE] > begin_s + 0.1) & (rows[:, DUE] < end_s)]
    assert len(stalled) >= (STALL_S - 0.1) / KEY_S - 1
    assert np.all(stalled[:, TOOK_MS] >= 1000 * (end_s - stalled[:, DUE]))
    assert rows[:, MISSED].sum() >= 0.7 * len(stalled)
