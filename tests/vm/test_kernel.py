"""smoothtask.kernel on Linux 6.12: what older kernels of test machines lack, and what is built for each kernel anew."""

import os
import select
import subprocess
import time
from contextlib import closing
from pathlib import Path

from smoothtask.collector.tasks import open_tasks
from smoothtask.kernel import sched
from smoothtask.kernel.netlink import ProcEvents
from smoothtask.model.change import IoPrio, SchedAttr
from vm.guest import Cgroup, User, until

FRESH = SchedAttr(sched.SCHED_OTHER, 0, 0, reset_on_fork=False)


def numbers(pid: int) -> dict[str, str]:
    """What the kernel says of a thread in /proc/PID/sched."""
    lines = Path(f"/proc/{pid}/sched").read_text().splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}


def test_slices_are_taken_and_given_back(sleeper: int) -> None:
    """A thread's own slice is what the scheduler goes by; 0 gives the default again."""
    assert sched.slices_supported()
    default = numbers(sleeper)["se.slice"]
    assert int(default) == sched.default_slice_ns()
    raised = SchedAttr(sched.SCHED_OTHER, -4, 400_000, reset_on_fork=True)
    sched.set_sched(sleeper, raised)
    assert sched.get_sched(sleeper) == raised
    assert numbers(sleeper)["se.slice"] == "400000"
    sched.set_sched(sleeper, FRESH)
    assert sched.get_sched(sleeper) == FRESH
    assert numbers(sleeper)["se.slice"] == default


def test_nice_and_policy(sleeper: int) -> None:
    """As the kernel's own interfaces show them."""
    sched.set_sched(sleeper, SchedAttr(sched.SCHED_BATCH, 7, 0, reset_on_fork=False))
    assert os.getpriority(os.PRIO_PROCESS, sleeper) == 7
    assert os.sched_getscheduler(sleeper) == os.SCHED_BATCH


def test_io_priority(sleeper: int) -> None:
    """As ionice shows it."""
    for prio, shown in ((IoPrio(3, 0), "idle"), (IoPrio(2, 6), "best-effort: prio 6")):
        sched.set_ioprio(sleeper, prio)
        assert sched.get_ioprio(sleeper) == prio
        ionice = subprocess.run(["ionice", "-p", str(sleeper)], capture_output=True, text=True, check=True)
        assert ionice.stdout.strip() == shown


def test_autogroup(sleeper: int) -> None:
    """A session has one, whose nice is read as written."""
    assert sched.autogroups_enabled()
    before = sched.get_autogroup(sleeper)
    assert before is not None
    sched.set_autogroup(sleeper, 5)
    assert sched.get_autogroup(sleeper) == before._replace(nice=5)
    assert Path(f"/proc/{sleeper}/autogroup").read_text().strip() == f"/autogroup-{before.id} nice 5"


def test_where_the_scheduler_weighs(tester: User, sleeper: int) -> None:
    """A unit is a task group of its own from its first weight on."""
    first = tester.service("weighed", "sleep", "infinity", CPUWeight="50")
    (pid,) = first.pids()
    assert sched.cpu_task_group(pid) == first.path
    assert first.read("cpu.weight") == "50"
    Cgroup("/").write("cgroup.procs", str(sleeper))
    assert sched.cpu_task_group(sleeper) == "/"


def listed() -> set[int]:
    """All processes, by /proc."""
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


def test_bpf_sees_every_process(tester: User) -> None:
    """The object that is kept in the tree loads on this kernel, and its table is that of /proc."""
    group = tester.service("seen", "sleep", "infinity")
    (pid,) = group.pids()
    source, _ = open_tasks("bpf")
    with closing(source):
        before = listed()
        table = source.read(time.monotonic_ns())
        after = listed()
    pids = set(table.processes["pid"].tolist())
    assert before & after <= pids <= before | after
    row = table.processes[table.processes["pid"] == pid][0]
    assert row["uid"] == tester.uid
    assert row["start_ticks"] == sched.start_ticks(pid)
    assert row["cgroup_id"] == group.folder.stat().st_ino
    assert row["comm"].decode() == "sleep"


def test_both_sources_agree(sleeper: int) -> None:
    """On a process that does nothing in between."""
    rows = []
    for prefer in ("bpf", "procfs"):
        source, _ = open_tasks(prefer)
        with closing(source):
            processes = source.read(time.monotonic_ns()).processes
        rows.append(processes[processes["pid"] == sleeper][0])
    for name in ("ppid", "sid", "uid", "start_ticks", "nice", "policy", "threads", "comm", "run_ns", "nvcsw"):
        assert rows[0][name] == rows[1][name], name


def test_execs_and_exits_are_told() -> None:
    """By the process connector, each by the pid."""
    with closing(ProcEvents()) as events:
        execs: set[int] = set()
        exits: set[int] = set()

        def told(pid: int, of: set[int]) -> bool:
            select.select([events], [], [], 0.1)
            drained = events.drain()
            assert not drained.lost
            execs.update(drained.execs)
            exits.update(drained.exits)
            return pid in of

        with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as program:
            until(lambda: told(program.pid, execs))
        until(lambda: told(program.pid, exits))
