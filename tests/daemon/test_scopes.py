"""Real daemons with scopes: side by side when apart, refused when not, and a killed one is in nobody's way."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from smoothtask.kernel import sched

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change priorities"),
]
NOBODY, OTHER = 65534, 12345
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


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Folders and a registry of this test's own."""
    with ExitStack() as stack:
        yield Place(tmp_path, stack)


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


def test_daemons_with_scopes_apart_run_side_by_side_and_touch_their_own_alone(place: Place) -> None:
    """One lowers nobody's hogs; the other one has nothing to do, and leaves them and everybody else alone."""
    hogs, others = hogs_of(NOBODY, place), hogs_of(1, place)
    first = place.start("nobody", str(NOBODY))
    second = place.start("other", str(OTHER))
    assert until(lambda: min(nices(hogs)) > 0)
    assert nices(others) == {0}
    shown = place.groups("other", str(OTHER))
    assert {g["decision"]["rule"] for g in _first_reasons(shown)} == {"scope"}
    status = place.run("status", *place.options("nobody", str(NOBODY)))
    assert f"scope       uid {NOBODY}\n" in status.stdout
    second.terminate()
    assert second.wait(30) == 0
    assert min(nices(hogs)) > 0, "the other one's end changes nothing here"
    first.terminate()
    assert first.wait(30) == 0
    assert nices(hogs) == {0}
    assert [p.name for p in (place.root / "held").iterdir()] == ["registry"]


def _first_reasons(shown: list[dict[str, object]]) -> list[dict[str, dict[str, object]]]:
    """The reason that decided each group, in place of its decision."""
    return [{"decision": g["decision"]["reasons"][0]} for g in shown]  # type: ignore[index]


def test_an_overlapping_daemon_is_refused_and_told_what_to_do(place: Place) -> None:
    """Also the whole machine's; one that only observes is welcome."""
    first = place.start("nobody", str(NOBODY))
    for scope, words in ((None, "the whole machine"), ("nobody", f"uid {NOBODY}")):
        refused = place.run("daemon", *place.options("second", scope))
        assert refused.returncode == 1
        assert refused.stderr == (
            f"smoothtask: the SmoothTask with pid {first.pid} ({place.root}/nobody) manages uid {NOBODY}, which "
            f"overlaps with {words}: stop that one, or give both scopes that have no process in common "
            "(--scope CGROUP|UID)\n"
        )
    place.start("second", None, "--observe")
    doctor = place.run("doctor", *place.options("second", None))
    assert f"scope: uid {NOBODY} is managed by pid {first.pid} ({place.root}/nobody)\n" in doctor.stdout


def test_a_killed_daemon_is_in_nobodys_way_and_what_it_changed_is_told(place: Place) -> None:
    """The next one may have another scope: it cannot put back what is in another one's ledger, but says so."""
    hogs = hogs_of(NOBODY, place)
    first = place.start("nobody", str(NOBODY))
    assert until(lambda: min(nices(hogs)) > 0)
    first.kill()
    first.wait()
    advice = f"smoothtask --runtime-dir {place.root}/nobody restore"
    assert advice in place.run("doctor", *place.options("whole", None)).stdout
    place.start("other", str(OTHER))
    frame = json.loads(place.run("status", "--json", *place.options("other", str(OTHER))).stdout)
    assert any(advice in event["text"] for event in frame["events"])
    assert place.run("restore", *place.options("nobody", str(NOBODY))).returncode == 0
    assert nices(hogs) == {0}


@pytest.mark.parametrize("scope", ["/no/such/cgroup", "no-such-user"])
def test_a_scope_that_is_not_there_is_a_wrong_command_line(place: Place, scope: str) -> None:
    """And nothing was made."""
    refused = place.run("daemon", "--observe", *place.options("x", scope))
    assert refused.returncode == 2
    assert refused.stderr.startswith("smoothtask: --scope: ")
    assert "there is no such" in refused.stderr
