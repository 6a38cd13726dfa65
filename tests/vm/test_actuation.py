"""The mechanism ladder on a real kernel and real systemd: weights, limits, scopes, and what others change."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from smoothtask.kernel import cgroup2, sched
from smoothtask.kernel.systemd import SYSTEM
from smoothtask.model.change import IoPrio, Status
from smoothtask.model.classes import Limits, PriorityClass
from vm.guest import HOG, Cgroup, User, until
from vm.rig import Rig

IDLE, BACKGROUND, NORMAL, INTERACTIVE, CRITICAL = PriorityClass
UNSET = 2**64 - 1
DEFAULT = {"100", None}
"""cpu.weight of a unit that nobody weighs; none when the controller is off, as it was."""
SLEEP = ("sleep", "infinity")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """One a test."""
    made = Rig(tmp_path / "ledger")
    yield made
    made.close()


def weight_of(rig: Rig, user: User, unit: str) -> object:
    """As the user's manager has it."""
    return rig.machine.managers.properties(user.uid, unit, ["CPUWeight"])["CPUWeight"]


def test_units_are_weighed_and_put_back(rig: Rig, tester: User) -> None:
    """Of two applications each has the weight of its class; nice is left alone; afterwards nothing is set."""
    hog, good = tester.service("app-hog", *SLEEP), tester.service("app-good", *SLEEP)
    assert "cpu" not in cgroup2.enabled(tester.app_slice.path)
    acted = rig.tick({"app-hog.service": IDLE, "app-good.service": INTERACTIVE})
    assert (hog.read("cpu.weight"), good.read("cpu.weight")) == ("25", "150")
    group = f"unit:app-hog.service@{tester.uid}"
    assert acted.mechanisms[group].startswith("CPUWeight 25 on app-hog.service")
    assert "nice has no effect across them" in acted.reasons[group]
    (pid,) = hog.pids()
    assert sched.get_sched(pid).nice == 0
    assert sched.get_ioprio(pid) == IoPrio(3, 7)  # a user's manager has no io controller to weigh it with
    assert not rig.tick({"app-hog.service": IDLE, "app-good.service": INTERACTIVE}).outcomes
    rig.tick({"app-hog.service": BACKGROUND, "app-good.service": INTERACTIVE})
    assert hog.read("cpu.weight") == "50"
    rig.tick({"app-good.service": INTERACTIVE})
    assert hog.read("cpu.weight") == "100"
    assert weight_of(rig, tester, "app-hog.service") == UNSET
    rig.hands.undo_all()
    assert good.read("cpu.weight") in DEFAULT
    assert weight_of(rig, tester, "app-good.service") == UNSET
    assert sched.get_ioprio(pid) == IoPrio(0, 0)
    assert not rig.ledger.entries


def test_shares_follow_the_weights(rig: Rig, tester: User) -> None:
    """A hog beside another application on one CPU: a half without us, its weight's share with us."""
    cgroups = [tester.service(name, *HOG, CPUAffinity="1") for name in ("app-hog", "app-good")]

    def share() -> float:
        before = [c.stat()["usage_usec"] for c in cgroups]
        until(lambda: sum(c.stat()["usage_usec"] for c in cgroups) - sum(before) > 4_000_000)
        hog, good = (c.stat()["usage_usec"] - b for c, b in zip(cgroups, before, strict=True))
        return hog / (hog + good)

    assert share() == pytest.approx(0.5, abs=0.1)
    rig.tick({"app-hog.service": IDLE, "app-good.service": INTERACTIVE})
    assert share() == pytest.approx(25 / 175, abs=0.1)
    rig.hands.undo_all()
    assert share() == pytest.approx(0.5, abs=0.1)


def test_a_crash_is_undone_from_the_file(rig: Rig, tester: User) -> None:
    """By a process that knows nothing but the ledger; a second time there is nothing to do."""
    hog = tester.service("app-hog", *SLEEP)
    rig.tick({"app-hog.service": IDLE})
    assert hog.read("cpu.weight") == "25"
    rig.restore()
    assert hog.read("cpu.weight") in DEFAULT
    assert weight_of(rig, tester, "app-hog.service") == UNSET
    assert rig.restore() == ()


def test_a_part_gets_a_scope_of_its_own_and_comes_back(rig: Rig, tester: User) -> None:
    """A build in a terminal is lowered alone, with the children that it starts."""
    script = "sh -c 'sleep 1000 & while read l; do sleep 1001 & done; wait' BUILD < $0 & wait"
    fifo = Path("/tmp/build-fifo")
    os.mkfifo(fifo)
    fifo.chmod(0o666)
    terminal, _ = tester.scope("app-term", "sh", "-c", script, str(fifo))
    with open(fifo, "w", buffering=1) as orders:
        until(lambda: len(terminal.pids()) >= 3)
        shell = min(terminal.pids())
        classes = {"app-term.scope/build": IDLE, f"app-term.scope@{tester.uid}/build": IDLE}
        acted = rig.tick(classes)
        group = f"unit:app-term.scope@{tester.uid}/build"
        assert acted.mechanisms[group].startswith("CPUWeight 25 on smoothtask-")
        assert "beside app-term.scope" in acted.reasons[group]
        scope = Cgroup(rig.home(group))
        until(lambda: len(scope.pids()) == 2)
        assert scope.read("cpu.weight") == "25"
        assert terminal.pids() == {shell}
        orders.write("go\n")
        until(lambda: len(scope.pids()) == 3)  # born there
        assert not [o for o in rig.tick(classes).outcomes if o.status is not Status.APPLIED]
        assert len(scope.pids()) == 3
        rig.tick(classes, Limits(cpu_pct=30, memory_high_bytes=64 << 20))
        assert (scope.read("cpu.max"), scope.read("memory.high")) == ("30000 100000", str(64 << 20))
        rig.tick(classes)
        assert (scope.read("cpu.max"), scope.read("memory.high")) == ("max 100000", "max")
        assert scope.read("cpu.weight") == "25"
        rig.tick({})
        assert len(terminal.pids()) == 4
        until(lambda: not scope.exists)
        assert tester.systemctl("is-active", "app-term.scope") == "active"
        rig.tick(classes)
        until(lambda: len(scope.pids()) == 3)
        rig.restore()
        assert len(terminal.pids()) == 4
    fifo.unlink()


def test_a_stranger_in_our_scope_is_brought_home(rig: Rig, tester: User) -> None:
    """Who is moved there and belongs to another group does not stay."""
    terminal, _ = tester.scope("app-term", "sh", "-c", "sh -c 'sleep 1000; true' BUILD & sleep 1002 & wait")
    until(lambda: len(terminal.pids()) == 4)
    classes = {f"app-term.scope@{tester.uid}/build": IDLE}
    rig.tick(classes)
    scope = Cgroup(rig.home(f"unit:app-term.scope@{tester.uid}/build"))
    until(lambda: len(scope.pids()) == 2)
    rig.tick(classes)
    stranger = next(p for p in terminal.pids() if "1002" in Path(f"/proc/{p}/cmdline").read_text())
    cgroup2.move(stranger, scope.path)
    acted = rig.tick(classes)
    assert any(f"process {stranger}" in text for text in acted.events)
    assert stranger in terminal.pids()


def test_what_a_person_sets_is_theirs(rig: Rig, tester: User) -> None:
    """Before us, and behind our back; restoring leaves it."""
    mine = tester.service("app-mine", *SLEEP, CPUWeight="70")
    hog = tester.service("app-hog", *SLEEP)
    rig.tick({"app-mine.service": IDLE, "app-hog.service": IDLE})
    assert (mine.read("cpu.weight"), hog.read("cpu.weight")) == ("70", "25")
    tester.systemctl("set-property", "--runtime", "app-hog.service", "CPUWeight=60")
    events: list[str] = []
    for _ in range(3):
        acted = rig.tick({"app-mine.service": IDLE, "app-hog.service": IDLE})
        events += acted.events
    assert any("it is theirs" in text for text in events)
    assert acted.user_owned == {f"unit:app-{n}.service@{tester.uid}" for n in ("mine", "hog")}
    rig.tick({"app-hog.service": BACKGROUND})
    assert hog.read("cpu.weight") == "60"
    rig.hands.undo_all()
    assert (mine.read("cpu.weight"), hog.read("cpu.weight")) == ("70", "60")


def test_limits_of_a_system_service(rig: Rig) -> None:
    """Weights and limits of every kind are in the kernel, and gone afterwards."""
    managers = rig.machine.managers
    os.system("systemd-run --quiet --collect --unit=batch.service sleep infinity")
    batch = Cgroup("/system.slice/batch.service")
    try:
        limits = Limits(cpu_pct=30, memory_high_bytes=64 << 20, io_read_bps=1 << 20, io_write_bps=2 << 20)
        acted = rig.tick({"batch.service": IDLE}, limits)
        assert not acted.events
        assert batch.read("cpu.weight") == "25"
        assert batch.read("io.weight") == "default 10"
        assert batch.read("cpu.max") == "30000 100000"
        assert batch.read("memory.high") == str(64 << 20)
        assert "rbps=1048576 wbps=2097152" in (batch.read("io.max") or "")
        for _ in range(3):
            assert not rig.tick({"batch.service": IDLE}, limits).events
        rig.tick({"batch.service": IDLE}, Limits(cpu_idle=True))
        assert batch.read("cpu.idle") == "1"
        assert batch.read("cpu.max") == "max 100000"
        rig.tick({})
        assert (batch.read("cpu.weight"), batch.read("cpu.idle")) == ("100", "0")
        assert batch.read("io.weight") == "default 100"
        assert (batch.read("memory.high"), batch.read("io.max")) == ("max", "")
        found = managers.properties(SYSTEM, "batch.service", ["CPUWeight", "IOWeight", "CPUQuotaPerSecUSec"])
        assert set(found.values()) == {UNSET}
    finally:
        os.system("systemctl stop batch.service")


def test_a_silent_manager_costs_little_and_nice_steps_in(rig: Rig, tester: User) -> None:
    """A user who stops their manager hurts nobody but their own weights."""
    hog = tester.service("app-hog", *SLEEP)
    manager = min(Cgroup(f"{tester.manager.path}/init.scope").pids())
    rig.machine.managers._timeout_s = 1.0  # type: ignore[attr-defined]
    os.kill(manager, 19)
    try:
        start = time.monotonic()
        acted = rig.tick({"app-hog.service": IDLE})
        assert any("no answer in time" in text or "timed out" in text for text in acted.events)
        acted = rig.tick({"app-hog.service": IDLE})
        assert time.monotonic() - start < 60
        (pid,) = hog.pids()
        assert sched.get_sched(pid).nice == 19
        assert acted.mechanisms[f"unit:app-hog.service@{tester.uid}"].startswith("nice +19")
    finally:
        os.kill(manager, 18)
