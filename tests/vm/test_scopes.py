"""Scopes on real user slices, where systemd keeps cgroup v2: two daemons, and what becomes of a cgroup that goes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from smoothtask.control import client
from smoothtask.model.frame import Frame

CGROUPS = Path("/sys/fs/cgroup")
pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or not (CGROUPS / "cgroup.controllers").exists() or not Path("/run/systemd/system").is_dir(),
        reason="needs root, and systemd with cgroup v2",
    ),
]
ANN, BOB = 1, 2
"""daemon and bin: users that every machine has, and that do nothing."""
SLICE = f"/user.slice/user-{ANN}.slice"
ANNS = f"{SLICE}/scopes-ann.service"
BOBS = f"/user.slice/user-{BOB}.slice/scopes-bob.service"
ROOTS = "/system.slice/scopes-root.service"


def until(condition: Callable[[], bool], seconds: float = 120.0) -> bool:
    """Whether *condition* came true in time: the machine may be an emulated one."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(1)
    return condition()


class Machine:
    """Two daemons, and services that compute."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self.root = root
        self._stack = stack
        settings = "rules: {ananicy: off, personal: false}\nstore: {record: false}\ntick: {self_budget_pct: 100}\n"
        (root / "config.yaml").write_text(settings)

    def command(self, name: str, scope: str) -> list[str]:
        """That starts the daemon *name*."""
        places = ["--runtime-dir", f"{self.root}/{name}", "--state-dir", f"{self.root}/{name}-state"]
        config = ["--config", f"{self.root}/config.yaml"]
        return [sys.executable, "-m", "smoothtask", "daemon", "--scope", scope, *places, *config]

    def start(self, name: str, scope: str) -> "subprocess.Popen[bytes]":
        """A daemon; ended with the test."""
        daemon = subprocess.Popen(self.command(name, scope))
        self._stack.callback(daemon.wait, 60)
        self._stack.callback(daemon.terminate)
        return daemon

    def compute(self, cgroup: str, uid: int, *what: str) -> None:
        """A service of *uid* in *cgroup*, the path of which ends in SLICE/NAME.service."""
        slice_, unit = cgroup.split("/")[-2:]
        program = what or ("md5sum", "/dev/zero")
        subprocess.run(["systemd-run", "-q", "--unit", unit, "--slice", slice_, f"--uid={uid}", *program], check=True)
        self._stack.callback(subprocess.run, ["systemctl", "stop", unit], check=False, stderr=subprocess.DEVNULL)

    def frame(self, name: str) -> Frame | None:
        """The newest of a daemon; `None` before its first tick."""
        try:
            return client.newest_frame(self.root / name / "control.sock")
        except client.DaemonError:
            return None

    def rule(self, name: str, cgroup: str) -> str | None:
        """The rule that decided a service for a daemon; `None` before the daemon has seen the service."""
        frame = self.frame(name)
        group = f"unit:{cgroup.rpartition('/')[2]}"
        found = (g for g in frame.groups if g.group.id == group) if frame is not None else iter(())
        return next((g.decision.reasons[0].rule for g in found), None)

    def has_said(self, name: str, words: str) -> bool:
        """Whether a daemon has told of something."""
        frame = self.frame(name)
        return frame is not None and any(words in event.text for event in frame.events)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Nothing of it is left at the end."""
    with ExitStack() as stack:
        yield Machine(tmp_path, stack)


def weight(cgroup: str) -> str | None:
    """cpu.weight; `None` where the cgroup or its controller is not there, and nothing has a weight of its own."""
    try:
        return (CGROUPS / cgroup[1:] / "cpu.weight").read_text().strip()
    except OSError:
        return None


def is_lowered(cgroup: str) -> bool:
    """Whether it has less weight than its neighbours."""
    return weight(cgroup) not in {None, "100"}


def test_each_daemon_weighs_its_own_units_and_outlives_its_cgroup(machine: Machine) -> None:
    """A cgroup's daemon and another user's one: apart by the slice that the cgroup lies in."""
    machine.compute(f"{SLICE}/scopes-waits.service", ANN, "sleep", "infinity")  # without it there is no slice
    assert until((CGROUPS / SLICE[1:]).is_dir)
    anns = machine.start("ann", SLICE)
    machine.start("bob", str(BOB))
    assert until(lambda: all(machine.frame(name) is not None for name in ("ann", "bob")))
    for cgroup, uid in ((ANNS, ANN), (BOBS, BOB), (ROOTS, 0)):
        machine.compute(cgroup, uid)
    assert until(lambda: is_lowered(ANNS) and is_lowered(BOBS))
    assert not is_lowered(ROOTS)
    for name, theirs in (("ann", (BOBS, ROOTS)), ("bob", (ANNS, ROOTS))):
        assert [machine.rule(name, cgroup) for cgroup in theirs] == ["scope", "scope"]

    refused = subprocess.run(machine.command("above", "/user.slice"), capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert f"manages cgroup {SLICE}, which overlaps with cgroup /user.slice" in refused.stderr

    # What moves out of a scope is let go at once.
    pid = (CGROUPS / BOBS[1:] / "cgroup.procs").read_text().split()[0]
    machine.compute(f"{SLICE}/scopes-home.service", ANN, "sleep", "infinity")
    (CGROUPS / SLICE[1:] / "scopes-home.service/cgroup.procs").write_text(pid)
    home = f"{SLICE}/scopes-home.service"
    assert until(lambda: machine.rule("bob", home) == "scope")
    assert until(lambda: machine.rule("ann", home) not in {None, "scope"})
    assert not is_lowered(BOBS)

    subprocess.run(["systemctl", "stop", f"user-{ANN}.slice"], check=True)
    assert until(lambda: machine.has_said("ann", f"cgroup {SLICE} has gone"))
    machine.compute(ANNS, ANN)
    assert until(lambda: machine.has_said("ann", "is there again"))
    assert until(lambda: is_lowered(ANNS))
    anns.terminate()
    assert anns.wait(60) == 0
    assert not is_lowered(ANNS)
