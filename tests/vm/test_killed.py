"""A SIGKILL at any moment of an actuation, again and again: `restore` leaves no difference anywhere."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from smoothtask.kernel import sched
from smoothtask.model.classes import Limits, PriorityClass
from vm.guest import Cgroup, User, until
from vm.rig import Rig

pytestmark = pytest.mark.slow
BATCHES = 200
APPS = 4
# Children come and go in each application; in the terminal in a build of its own.
APP = "while :; do sleep 0.6 & sleep 0.4; wait; done"
TERMINAL = "sh -c 'while :; do sleep 0.4; done' BUILD & wait"
CLASSES = list(PriorityClass)


class State(NamedTuple):
    """What a group of processes looks like to the scheduler."""

    properties: dict[str, object]
    weight: str | None
    threads: frozenset[object]
    autogroups: frozenset[object]
    cgroups: frozenset[str]


@pytest.fixture
def apps(tester: User) -> Iterator[dict[str, Cgroup]]:
    """Applications of a user in units of their own, and a service of the system's."""
    found = {f"app-{i}.service": tester.service(f"app-{i}", "sh", "-c", APP) for i in range(APPS)}
    found["app-term.scope"], _ = tester.scope("app-term", "sh", "-c", TERMINAL)
    os.system("systemd-run --quiet --collect --unit=batch.service sleep infinity")
    found["batch.service"] = Cgroup("/system.slice/batch.service")
    until(lambda: all(c.pids() for c in found.values()))
    yield found
    os.system("systemctl stop batch.service")


def wanted(choose: random.Random, uid: int) -> tuple[dict[str, PriorityClass], Limits]:
    """Classes and limits for one batch."""
    names = [*(f"app-{i}.service" for i in range(APPS)), "batch.service", "app-term.scope"]
    classes = {name: choose.choice(CLASSES) for name in names}
    classes[f"app-term.scope@{uid}/build"] = choose.choice(CLASSES)
    limits = choose.choice([Limits(), Limits(cpu_pct=40, memory_high_bytes=256 << 20), Limits(cpu_idle=True)])
    return classes, limits


def look(rig: Rig, tester: User, name: str, cgroup: Cgroup) -> State:
    """Everything that actuation may change. Threads that leave while we look count for nothing."""
    manager = tester.uid if name.startswith("app-") else -1
    names = ["CPUWeight", "IOWeight", "CPUQuotaPerSecUSec", "MemoryHigh", "IOReadBandwidthMax"]
    threads, autogroups, cgroups = set(), set(), set()
    for pid in cgroup.pids():
        try:
            for tid in map(int, os.listdir(f"/proc/{pid}/task")):
                threads.add((sched.get_sched(tid), sched.get_ioprio(tid)))
            group = sched.get_autogroup(pid)
            autogroups.add(group.nice if group else None)
            cgroups.add(Cgroup.of(pid).path)
        except (ProcessLookupError, FileNotFoundError):
            continue
    weight = cgroup.read("cpu.weight")
    return State(
        rig.machine.managers.properties(manager, name, names),
        "100" if weight is None else weight,
        frozenset(threads),
        frozenset(autogroups),
        frozenset(cgroups),
    )


def test_restore_after_a_kill_at_any_moment(apps: dict[str, Cgroup], tester: User, tmp_path: Path) -> None:
    """Zero differences in nice, IO priority, slice, autogroup, unit property and cgroup, after every one."""
    choose = random.Random(11)
    observer = Rig(tmp_path / "unused")
    observer.tick({})  # what every child begins with
    before = {name: look(observer, tester, name, cgroup) for name, cgroup in apps.items()}
    batches = changed = 0
    path = tmp_path / "ledger"
    reader, writer = os.pipe()
    rounds = 0
    while batches < BATCHES:
        rounds += 1
        pid = os.fork()
        if pid == 0:
            _act_for_ever(observer, path, random.Random(rounds), tester.uid, writer)
        os.read(reader, 1)  # the first batch begins
        batches += 1
        time.sleep(choose.uniform(0, 2.5))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.set_blocking(reader, False)
        with contextlib.suppress(BlockingIOError):
            batches += len(os.read(reader, 1000))
        os.set_blocking(reader, True)
        changed += b'"set"' in path.read_bytes()
        observer.path = path
        observer.restore()
        until(lambda: not list(Path("/sys/fs/cgroup").glob("user.slice/**/smoothtask-*.scope")), 30)
        after = {name: look(observer, tester, name, cgroup) for name, cgroup in apps.items()}
        assert after == before, f"round {rounds}"
        assert observer.restore() == ()
    print(f"{rounds} kills in {batches} batches, {changed} with something to undo: no differences")
    assert changed > rounds // 2


def _act_for_ever(rig: Rig, path: Path, choose: random.Random, uid: int, started: int) -> None:
    """The daemon's hands, until it is killed."""
    try:
        rig.machine.managers.close()  # type: ignore[attr-defined]  # the connections are our parent's
        rig.open(path)
        while True:
            classes, limits = wanted(choose, uid)
            os.write(started, b".")
            rig.tick(classes, limits)
    finally:
        os._exit(1)
