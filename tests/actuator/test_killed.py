"""Real processes, a real SIGKILL at any moment: `restore` gives back every value, also of what was born meanwhile."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actuator.doubles import FRESH, NO_IO, decision
from scenery import group
from smoothtask.actuator.apply import Actuator
from smoothtask.actuator.knobs import Machine
from smoothtask.actuator.ledger import Ledger
from smoothtask.actuator.resolve import Abilities
from smoothtask.actuator.restore import restore
from smoothtask.collector.tasks import open_tasks
from smoothtask.kernel import cgroup2, sched
from smoothtask.kernel.systemd import Managers
from smoothtask.model.classes import DEFAULT_EFFECTS, PriorityClass

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to raise what was lowered"),
]
ROUNDS = 40
BOOT = "this one"
MACHINE = Machine(sched, cgroup2, Managers())
# Four threads, two of which start children that start others; every 50 ms somebody new.
VICTIM = """
import subprocess, threading, time
def work(i):
    while True:
        if i % 2:
            subprocess.Popen(["sh", "-c", "sleep 0.3 & sleep 0.1; sleep 0.2"]).wait()
        else:
            time.sleep(0.02)
for i in range(4):
    threading.Thread(target=work, args=(i,), daemon=True).start()
    time.sleep(0.01)
print("ready", flush=True)
time.sleep(600)
"""
CLASSES = list(PriorityClass)


@pytest.fixture
def victim() -> Iterator[int]:
    """A busy family, in a session of its own."""
    process = subprocess.Popen([sys.executable, "-c", VICTIM], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    yield process.pid
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def drive(victim: int, path: Path, choose: random.Random) -> int:
    """A child that moves the victim from class to class until it is killed; its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        tasks, _ = open_tasks()
        autogroups = sched.autogroups_enabled()
        ledger = Ledger.open(path, BOOT)
        hands = Actuator(
            MACHINE, ledger, DEFAULT_EFFECTS, Abilities(slices=sched.slices_supported()), autogroups=autogroups
        )
        while True:
            table = tasks.read(time.monotonic_ns())
            rows = ["victim" if sid == victim else "others" for sid in table.processes["sid"].tolist()]
            now = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 10_000_000
            wish = decision("victim", choose.choice(CLASSES))
            hands.act([wish], [group("victim", root_pid=victim)], table, rows, True, now)
            time.sleep(choose.choice([0, 0.005, 0.05]))
    finally:
        os._exit(1)


def family(sid: int) -> dict[int, tuple[object, object]]:
    """Values of each thread of a session; of those that leave while we look, none."""
    found = {}
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if os.getsid(int(name)) != sid:
                continue
            for tid in map(int, os.listdir(f"/proc/{name}/task")):
                found[tid] = sched.get_sched(tid), sched.get_ioprio(tid)
        except (ProcessLookupError, FileNotFoundError):
            continue
    return found


def test_restore_after_sigkill_at_any_moment(victim: int, tmp_path: Path) -> None:
    """Nice, slice, IO priority and autogroup of every thread are as before."""
    choose = random.Random(7)
    path = tmp_path / "ledger"
    untouched = sched.get_autogroup(victim)
    rounds = changed = 0
    while rounds < ROUNDS or changed < ROUNDS // 4:  # a busy machine may kill most before they have acted
        rounds += 1
        assert rounds < 10 * ROUNDS
        driver = drive(victim, path, random.Random(choose.random()))
        time.sleep(choose.uniform(0.02, 0.35))
        os.kill(driver, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(driver, 0)[1]) == -signal.SIGKILL
        changed += any(values != (FRESH, NO_IO) for values in family(victim).values())
        ledger = Ledger.open(path, BOOT)
        restore(ledger, MACHINE)
        ledger.close()
        left = {tid: values for tid, values in family(victim).items() if values != (FRESH, NO_IO)}
        assert not left
        assert sched.get_autogroup(victim) == untouched
        again = Ledger.open(path, BOOT)
        assert restore(again, MACHINE) == ()
        again.close()
    assert not path.exists()


def test_a_process_that_ignores_us_is_as_before_after_a_crash(tmp_path: Path) -> None:
    """What was started after the last look, by a shell that we had lowered, is reached by descent."""
    shell = subprocess.Popen(
        ["sh", "-c", "read l; sleep 600 & echo $!; read l; setsid sleep 600 & echo $!; wait"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert shell.stdin is not None
    assert shell.stdout is not None
    started = []
    try:
        tasks, _ = open_tasks()
        ledger = Ledger.open(tmp_path / "ledger", BOOT)
        hands = Actuator(MACHINE, ledger, DEFAULT_EFFECTS, Abilities(), autogroups=False)
        table = tasks.read(time.monotonic_ns())
        rows = ["shell" if pid == shell.pid else "others" for pid in table.processes["pid"].tolist()]
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 10_000_000
        hands.act([decision("shell", PriorityClass.IDLE)], [group("shell", root_pid=shell.pid)], table, rows, True, now)
        tasks.close()
        time.sleep(0.03)  # later than the change by a clock tick
        for _ in range(2):
            shell.stdin.write("go\n")
            shell.stdin.flush()
            started.append(int(shell.stdout.readline()))
        assert [sched.get_sched(p).nice for p in started] == [19, 19]
        restore(Ledger.open(tmp_path / "ledger", BOOT), MACHINE)
        for pid in (shell.pid, *started):
            assert (sched.get_sched(pid), sched.get_ioprio(pid)) == (FRESH, NO_IO)
    finally:
        for pid in started:
            os.kill(pid, signal.SIGKILL)
        shell.kill()
        shell.communicate()
