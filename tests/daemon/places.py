"""Folders and a registry for real daemons, and hogs for them to lower."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from smoothtask.kernel import sched

NOBODY = 65534
BURN = "while :; do :; done"


def until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Whether *condition* came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return condition()


@dataclass(frozen=True)
class Place:
    """Folders of one test, and how daemons are started there."""

    root: Path
    stack: ExitStack

    def options(self, name: str, scope: str | None) -> list[str]:
        """For the daemon called *name*."""
        config = self.root / "config.yaml"
        config.write_text("rules: {ananicy: off, personal: false}\nprotected_apps: [make]\nstore: {record: false}\n")
        limits = [] if scope is None else ["--scope", scope]
        places = ["--runtime-dir", f"{self.root}/{name}", "--state-dir", f"{self.root}/{name}-state"]
        return [*limits, *places, "--config", str(config)]

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """One command, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "smoothtask", *arguments],
            env={**os.environ, "SMOOTHTASK_HELD_DIR": str(self.root / "held")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, name: str, scope: str | None, *more: str) -> "subprocess.Popen[bytes]":
        """A daemon that answers; ended with the test."""
        daemon = subprocess.Popen(
            [sys.executable, "-m", "smoothtask", "daemon", *more, *self.options(name, scope)],
            env={**os.environ, "SMOOTHTASK_HELD_DIR": str(self.root / "held")},
        )
        self.stack.callback(_end, daemon)
        assert until(lambda: self.run("status", *self.options(name, scope)).returncode == 0)
        return daemon

    def groups(self, name: str, scope: str) -> list[dict[str, object]]:
        """What the daemon decided for each."""
        shown: list[dict[str, object]] = json.loads(self.run("groups", "--json", *self.options(name, scope)).stdout)
        return shown


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
    process.wait(30)


def hogs_of(uid: int, place: Place) -> list[int]:
    """Three processes of *uid* that compute, in a session of their own."""
    leader = subprocess.Popen(
        ["sh", "-c", f"{BURN} & {BURN} & {BURN} & echo $!; wait"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        user=uid,
        group=uid,
    )
    place.stack.callback(leader.communicate)
    place.stack.callback(os.killpg, leader.pid, signal.SIGKILL)
    assert leader.stdout is not None
    assert leader.stdout.readline()
    children = Path(f"/proc/{leader.pid}/task/{leader.pid}/children").read_text().split()
    assert len(children) == 3
    return [int(pid) for pid in children]


def nices(pids: list[int]) -> set[int]:
    """The nice values of *pids*."""
    return {sched.get_sched(pid).nice for pid in pids}
