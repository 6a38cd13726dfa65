"""CPU of planning and applying 100 groups with 2,000 threads: when nothing changes, and when everything does.

sudo make bench                        (all)
sudo python bench/actuate.py           (this one)
"""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import finish, log, verdict
from smoothtask.actuator.apply import Actuator
from smoothtask.actuator.knobs import Machine
from smoothtask.actuator.ledger import Ledger
from smoothtask.actuator.resolve import Abilities
from smoothtask.collector.tasks import open_tasks
from smoothtask.kernel import cgroup2, sched
from smoothtask.kernel.systemd import Managers
from smoothtask.model.classes import DEFAULT_EFFECTS, PriorityClass
from smoothtask.model.decision import Decision, Stage

GROUPS, THREADS = 100, 20
SLEEPER = """
import threading, time
threading.stack_size(65536)
for _ in range(%d):
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
print("ready", flush=True)
time.sleep(600)
"""


@contextlib.contextmanager
def crowd() -> Iterator[list[int]]:
    """GROUPS sleeping processes of THREADS threads each, each a session."""
    code = SLEEPER % (THREADS - 1)
    processes = [
        subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE, start_new_session=True)
        for _ in range(GROUPS)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        yield [p.pid for p in processes]
    finally:
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.communicate()


def cpu_ms(work: Callable[[], object]) -> float:
    """CPU time of this process for *work*."""
    before = time.process_time_ns()
    work()
    return (time.process_time_ns() - before) / 1e6


def main() -> None:
    """Lower everybody, leave everybody, move everybody, put everybody back."""
    if os.geteuid() != 0:
        log("needs root: what was lowered could not be raised again")
        sys.exit(1)
    tasks, how = open_tasks()
    gc.collect()
    gc.freeze()  # as the daemon does when it is ready
    with crowd() as pids, tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        machine = Machine(sched, cgroup2, Managers())
        ledger = Ledger.open(Path(folder, "ledger"), sched.boot_id())
        abilities = Abilities(slices=sched.slices_supported())
        hands = Actuator(machine, ledger, DEFAULT_EFFECTS, abilities, autogroups=sched.autogroups_enabled())
        group_of = {pid: f"g{i}" for i, pid in enumerate(pids)}

        def act(target: PriorityClass) -> float:
            table = tasks.read(time.monotonic_ns())
            rows = [group_of.get(pid, "others") for pid in table.processes["pid"].tolist()]
            decisions = [Decision(g, target, target, Stage.RULE, ()) for g in group_of.values()]
            now = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 10_000_000
            return cpu_ms(lambda: hands.act(decisions, (), table, rows, True, now))

        def settled(target: PriorityClass) -> float:
            return sorted(act(target) for _ in range(21))[10]

        log(f"{GROUPS} groups, {GROUPS * THREADS} threads, {how}; ledger in memory")
        log(f"{'all NORMAL, nothing is ours':40s} {settled(PriorityClass.NORMAL):8.2f} ms")
        results = [verdict("everybody lowered", act(PriorityClass.IDLE), 150, " ms")]
        results.append(verdict("nothing changes", settled(PriorityClass.IDLE), 20, " ms"))
        results.append(verdict("everybody moved", act(PriorityClass.BACKGROUND), 150, " ms"))
        results.append(verdict("everybody raised", act(PriorityClass.INTERACTIVE), 150, " ms"))
        results.append(verdict("everybody put back", act(PriorityClass.NORMAL), 150, " ms"))
        act(PriorityClass.IDLE)
        results.append(verdict("undone at the end", cpu_ms(hands.undo_all), 300, " ms"))
        hands.close()
    tasks.close()
    finish(results)


if __name__ == "__main__":
    main()
