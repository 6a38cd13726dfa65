"""The BPF iterator on live processes, against /proc and against its own source."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from smoothtask.kernel.libbpf import BpfUnavailable
from smoothtask.kernel.procfs import ProcfsTasks
from smoothtask.kernel.tasks_bpf import RECORD_DTYPE, BpfTasks, table_of
from smoothtask.model.tasks import FOREIGN_PID_NAMESPACE, KTHREAD, Array, TaskTable

WORKERS = """
import threading, time, sys
def spin():
    end = time.thread_time() + 0.15
    while time.thread_time() < end: pass
    for _ in range(50): time.sleep(0.0005)
gone = [threading.Thread(target=spin) for _ in range(3)]
[t.start() for t in gone]; [t.join() for t in gone]
stop = threading.Event()
[threading.Thread(target=stop.wait, daemon=True).start() for _ in range(4)]
print("ready", flush=True)
sys.stdin.read()
"""
PARENT = """
import subprocess, sys
subprocess.run([sys.executable, "-S", "-c", "import time\\nwhile time.process_time() < 0.2: pass"])
print("ready", flush=True)
sys.stdin.read()
"""
LEADER_EXITS = """
import ctypes, threading, time
def live():
    time.sleep(0.2); print("ready", flush=True); time.sleep(60)
threading.Thread(target=live).start()
ctypes.CDLL(None).syscall({exit_number}, 0)
"""
HOSTILE = """
import ctypes, sys
ctypes.CDLL(None).prctl(15, b") R 1 (\\xff\\n", 0, 0, 0)
print("ready", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def python(script: str, *prefix: str) -> Iterator[int]:
    """A Python process that has said it is ready, killed with its session at the end."""
    process = subprocess.Popen(
        [*prefix, sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin
    assert process.stdout
    try:
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.05)
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdin.close()
        process.stdout.close()


def settle(source: BpfTasks, pid: int, states: list[bytes]) -> None:
    """Until the threads of *pid* are these: one that was joined may still be on its way out."""
    deadline = time.monotonic() + 20
    while threads(source.read(1), pid)["state"].tolist() != states:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def bpf() -> Iterator[BpfTasks]:
    if os.geteuid() != 0:
        pytest.skip("loading BPF needs root")
    try:
        source = BpfTasks()
    except BpfUnavailable as error:
        pytest.skip(f"no BPF here: {error}")
    yield source
    source.close()


@pytest.fixture
def procfs() -> Iterator[ProcfsTasks]:
    source = ProcfsTasks()
    yield source
    source.close()


def process(table: TaskTable, pid: int) -> Array:
    return table.processes[table.processes["pid"] == pid]


def threads(table: TaskTable, pid: int) -> Array:
    return table.threads[table.threads["tgid"] == pid]


def shielded() -> set[int]:
    """Init, where the machine hides it from root: the kernel then hands it to no iterator, either.

    Seen on a 6.18 micro-VM: the records of one pass have nothing of pid 1, and its namespaces may not be read.
    """
    try:
        os.readlink("/proc/1/ns/pid")
    except PermissionError:
        return {1}
    return set()


@contextlib.contextmanager
def frozen(pid: int, folder: Path) -> Iterator[None]:
    """*pid* in a frozen group of the old freezer, the one that leaves TASK_FROZEN; thawed at the end."""
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "cgroup", "-o", "freezer", "none", folder], check=False, capture_output=True)
    if mount.returncode:
        pytest.skip("no freezer of cgroup v1 can be mounted here")
    group = folder / f"smoothtask-test-{pid}"
    try:
        group.mkdir()
        (group / "cgroup.procs").write_text(str(pid))
        (group / "freezer.state").write_text("FROZEN")
        deadline = time.monotonic() + 10
        while (group / "freezer.state").read_text() != "FROZEN\n":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield
    finally:
        (group / "freezer.state").write_text("THAWED")
        (folder / "cgroup.procs").write_text(str(pid))
        group.rmdir()
        subprocess.run(["umount", folder], check=True)


@pytest.mark.root
def test_a_frozen_task_is_uninterruptible_as_the_kernel_says(
    bpf: BpfTasks, procfs: ProcfsTasks, tmp_path: Path
) -> None:
    """Of Linux 6.14 and later /proc says D; before, it said R of what does not run."""
    release = tuple(int(n) for n in os.uname().release.split(".")[:2])
    with python(WORKERS) as pid, frozen(pid, tmp_path / "freezer"):
        states = threads(bpf.read(1), pid)["state"].tolist()
        assert states == [b"D"] * 5
        if release >= (6, 14):
            assert states == threads(procfs.read(1), pid)["state"].tolist()


@pytest.mark.root
def test_both_sources_agree_on_a_process_whose_threads_have_exited(bpf: BpfTasks, procfs: ProcfsTasks) -> None:
    with python(WORKERS, "nice", "-n", "7") as pid:
        settle(bpf, pid, [b"S"] * 5)
        tables = bpf.read(1), procfs.read(1)
        left, right = (process(t, pid) for t in tables)
        assert len(left) == len(right) == 1
        for name in ("ppid", "sid", "pgid", "tty_nr", "uid", "threads", "start_ticks", "nice", "policy", "comm"):
            assert left[name][0] == right[name][0], name
        assert left["threads"][0] == 5
        assert left["nice"][0] == min(19, os.nice(0) + 7)
        assert left["run_ns"][0] >= 450_000_000  # three threads of 0.15 s each are gone, their time is not
        assert abs(int(left["run_ns"][0]) - int(right["run_ns"][0])) <= 20_000_000  # /proc counts in ticks of 10 ms
        assert left["nvcsw"][0] >= 150  # of the threads that are gone
        assert left["rss_bytes"][0] == pytest.approx(int(right["rss_bytes"][0]), rel=0.2)
        ours, theirs = (threads(t, pid) for t in tables)
        for name in ("tid", "start_ticks", "nice", "policy", "state", "run_ns", "wait_ns", "nvcsw", "nivcsw"):
            assert ours[name].tolist() == theirs[name].tolist(), name
        assert int(left["cgroup_id"][0]) > 0


@pytest.mark.root
def test_both_sources_count_children_that_were_waited_for(bpf: BpfTasks, procfs: ProcfsTasks) -> None:
    """To a clock tick, once they have ended."""
    with python(PARENT) as pid:
        left, right = (int(process(t, pid)["children_ns"][0]) for t in (bpf.read(1), procfs.read(1)))
    assert left > 50_000_000
    assert abs(left - right) <= 20_000_000


@pytest.mark.root
def test_a_leader_that_exited_leaves_a_process_row(bpf: BpfTasks, procfs: ProcfsTasks) -> None:
    with python(LEADER_EXITS.format(exit_number={"x86_64": 60, "aarch64": 93}[os.uname().machine])) as pid:
        for source in (bpf, procfs):
            row = process(source.read(1), pid)
            assert row["state"].tolist() == [b"Z"], source.name
            assert row["threads"].tolist() == [2], source.name


@pytest.mark.root
def test_a_zombie_and_a_kernel_thread(bpf: BpfTasks, procfs: ProcfsTasks) -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    try:
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        for source in (bpf, procfs):
            table = source.read(1)
            assert process(table, child)["state"].tolist() == [b"Z"], source.name
            assert process(table, child)["ppid"].tolist() == [os.getpid()], source.name
            kthreadd = process(table, 2)
            assert kthreadd["comm"].tolist() == [b"kthreadd"], source.name
            assert kthreadd["flags"][0] & KTHREAD, source.name
    finally:
        os.waitpid(child, 0)


@pytest.mark.root
def test_a_process_of_another_pid_namespace_is_marked(bpf: BpfTasks, procfs: ProcfsTasks) -> None:
    with python(HOSTILE.replace("prctl(15", "getpid() or (lambda *a: 0)(15"), "unshare", "-p", "-f") as outer:
        for source in (bpf, procfs):
            table = source.read(1)
            inside = table.processes[table.processes["ppid"] == outer]
            assert len(inside) == 1, source.name
            assert inside["flags"][0] & FOREIGN_PID_NAMESPACE, source.name
            assert not process(table, outer)["flags"][0] & FOREIGN_PID_NAMESPACE, source.name


@pytest.mark.root
def test_a_hostile_comm_is_only_a_comm(bpf: BpfTasks, procfs: ProcfsTasks) -> None:
    with python(HOSTILE) as pid:
        for source in (bpf, procfs):
            row = process(source.read(1), pid)
            assert row["comm"].tolist() == [b") R 1 (\xff\n"], source.name
            assert row["ppid"].tolist() == [os.getpid()], source.name


@pytest.mark.root
def test_an_own_slice_is_shown(bpf: BpfTasks) -> None:
    if tuple(int(n) for n in os.uname().release.split(".")[:2]) < (6, 13):
        pytest.skip("this kernel does not tell a thread's own slice from the default")
    with python(WORKERS) as pid:
        assert threads(bpf.read(1), pid)["slice_ns"].tolist() == [0] * 5
        # struct sched_attr, include/uapi/linux/sched/types.h: size, policy, flags, nice, priority, runtime, …
        attr = np.zeros(1, "<u4, <u4, <u8, <i4, <u4, <u8, <u8, <u8")
        attr[0] = (48, 0, 0, 0, 0, 3_000_000, 0, 0)
        number = {"x86_64": 314, "aarch64": 274}[os.uname().machine]
        assert ctypes.CDLL(None, use_errno=True).syscall(number, pid, attr.ctypes.data_as(ctypes.c_void_p), 0) == 0
        assert threads(bpf.read(1), pid)["slice_ns"].tolist() == [3_000_000, 0, 0, 0, 0]


@pytest.mark.root
def test_tables_are_sorted_and_every_pid_is_there(bpf: BpfTasks) -> None:
    before = {int(name) for name in os.listdir("/proc") if name.isdecimal()}
    table = bpf.read(42)
    after = {int(name) for name in os.listdir("/proc") if name.isdecimal()}
    pids = table.processes["pid"].tolist()
    assert pids == sorted(set(pids))
    assert (before & after) - shielded() <= set(pids)
    rows = list(zip(table.threads["tgid"].tolist(), table.threads["tid"].tolist(), strict=True))
    assert rows == sorted(set(rows))
    assert table.processes["threads"].sum() == len(rows)
    assert (table.mono_ns, table.source) == (42, "bpf")


def test_exited_threads_count_and_leaderless_threads_wait() -> None:
    """The roll-up adds what the signal_struct holds, once, and drops threads whose leader was not seen."""
    records = np.zeros(4, RECORD_DTYPE)
    records["thread"]["tgid"] = [20, 10, 10, 30]
    records["thread"]["tid"] = [20, 11, 10, 31]
    records["thread"]["run_ns"] = [5, 100, 1000, 7]
    records["dead_run_ns"] = [0, 0, 10_000, 0]
    records["thread"]["wait_ns"] = [1, 2, 3, 4]
    records["thread"]["start_ticks"] = [5, 2, 2, 0]
    table = table_of(records, 9)
    assert table.processes["pid"].tolist() == [10, 20]
    assert table.processes["run_ns"].tolist() == [11_100, 5]
    assert table.processes["wait_ns"].tolist() == [5, 1]
    assert table.processes["threads"].tolist() == [2, 1]
    assert table.processes["start_ticks"].tolist() == [2, 5]
    assert table.threads["tid"].tolist() == [10, 11, 20]


def test_no_record_is_an_empty_table() -> None:
    table = table_of(np.zeros(0, RECORD_DTYPE), 1)
    assert (len(table.threads), len(table.processes)) == (0, 0)


def test_without_root_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(BpfUnavailable, match="needs root"):
        BpfTasks()
