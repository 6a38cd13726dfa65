"""A daemon beside a real desktop: who has the focus gets its class, and says so."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from person.windows.xservers import Desktop, desktop

LIMIT_S = 30.0


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Desktop]:
    if any(shutil.which(name) is None for name in ("Xvfb", "openbox", "xterm", "xdotool", "setsid")):
        pytest.skip("Xvfb, openbox, xterm or xdotool is not installed")
    with desktop(tmp_path) as found:
        found.openbox()
        yield found


def test_the_window_in_focus_is_interactive_and_marked(screen: Desktop, tmp_path: Path) -> None:
    pids = [screen.run("setsid", "xterm", "-e", "sleep", "1000").pid for _ in range(2)]
    places = ["--runtime-dir", str(tmp_path / "run"), "--state-dir", str(tmp_path / "state")]
    program = [sys.executable, "-m", "smoothtask"]
    daemon = subprocess.Popen(
        [*program, *places, "daemon", "--observe"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def ask(*words: str) -> str:
        done = subprocess.run([*program, *places, *words], check=False, capture_output=True, text=True)
        return done.stdout

    def said_of(pid: int) -> str:
        return ask("explain", str(pid))

    try:
        end_s = time.monotonic() + LIMIT_S
        while not any("has the focus" in said_of(pid) for pid in pids):
            assert time.monotonic() < end_s, ask("status")
            time.sleep(0.2)
        (focused,) = [pid for pid in pids if "has the focus" in said_of(pid)]
        (other,) = {*pids} - {focused}
        window = screen.xdotool("search", "--onlyvisible", "--name", "sleep").split()
        target = next(w for w in window if int(screen.xdotool("getwindowpid", w)) == other)
        screen.xdotool("windowactivate", target)
        while "xterm has the focus [focus]" not in said_of(other):
            assert time.monotonic() < end_s, said_of(other)
            time.sleep(0.2)
        assert "had the focus less than" in said_of(focused)
        assert f"windows: x11 {screen.display}" in ask("status")
        assert "at work" in ask("status") or "away" in ask("status")
        groups = json.loads(ask("groups", "--json"))
        assert groups
    finally:
        daemon.terminate()
        assert daemon.wait(LIMIT_S) == 0
    assert not any(_is_a_childs(pid) for pid in os.listdir("/proc") if pid.isdigit())


def _is_a_childs(pid: str) -> bool:
    """Whether a watcher was left behind by that daemon: its parent is gone."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
        parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    except OSError:
        return False
    return b"smoothtask.person.child" in line and parent == "1"
