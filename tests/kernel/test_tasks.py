"""Both ways to read tasks say the same about the same processes."""

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.kernel import procfs, tasks_bpf
from smoothtask.kernel.procfs import ProcfsTasks, parse_io, parse_schedstat, parse_stat, parse_status
from smoothtask.kernel.tasks_bpf import BpfTasks
from smoothtask.model.tasks import KTHREAD, Array, TaskTable

BPF = Path(tasks_bpf.__file__).parent / "bpf"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="BPF needs root")
THREADS = """
import threading, time
def spin(s):
    end = time.thread_time() + s
    while time.thread_time() < end: pass
for _ in range(3):
    t = threading.Thread(target=spin, args=(0.05,)); t.start(); t.join()
for _ in range(4): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
spin(0.1); print("ready", flush=True); time.sleep(1000)
"""


@pytest.fixture
def threaded() -> Iterator[int]:
    """A process with four sleeping threads; three more have computed and exited."""
    process = subprocess.Popen([sys.executable, "-c", THREADS], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.1)
    yield process.pid
    process.kill()
    process.communicate()


def row(table: TaskTable, pid: int) -> Array:
    """The row of one process."""
    found: Array = table.processes[table.processes["pid"] == pid]
    assert len(found) == 1
    return found[0]


@needs_root
@pytest.mark.root
def test_both_sources_agree(threaded: int) -> None:
    """Identity to the letter, CPU time within the 10 ms ticks that /proc counts exited threads in."""
    bpf, proc = BpfTasks(), ProcfsTasks()
    try:
        a, b = (row(source.read(0), threaded) for source in (bpf, proc))
    finally:
        bpf.close()
        proc.close()
    for name in ("pid", "ppid", "start_ticks", "uid", "threads", "sid", "pgid", "tty_nr", "nice", "policy", "comm"):
        assert a[name] == b[name], name
    assert a["state"] == b["state"] == b"S"
    assert a["threads"] == 5
    assert int(a["run_ns"]) > 200_000_000
    assert abs(int(a["run_ns"]) - int(b["run_ns"])) < 60_000_000
    assert abs(int(a["rss_bytes"]) - int(b["rss_bytes"])) < 2 << 20


@needs_root
@pytest.mark.root
def test_both_count_alike_from_one_pass_to_the_next() -> None:
    """Our own work between two passes, and our own sleeps."""
    bpf, proc = BpfTasks(), ProcfsTasks()
    try:
        before = [row(s.read(0), os.getpid()) for s in (bpf, proc)]
        end = time.thread_time() + 0.2
        while time.thread_time() < end:
            pass
        for _ in range(20):
            time.sleep(0.001)
        after = [row(s.read(1), os.getpid()) for s in (bpf, proc)]
    finally:
        bpf.close()
        proc.close()
    for old, new in zip(before, after, strict=True):
        assert int(new["run_ns"] - old["run_ns"]) > 150_000_000
        assert int(new["nvcsw"] - old["nvcsw"]) >= 20


@needs_root
@pytest.mark.root
def test_a_zombie_and_kernel_threads_are_in_the_table() -> None:
    """Until they are reaped; and kthreadd is told from programs."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    time.sleep(0.1)
    bpf, proc = BpfTasks(), ProcfsTasks()
    try:
        for table in (bpf.read(0), proc.read(0)):
            assert row(table, child)["state"] == b"Z"
            assert row(table, 2)["flags"] & KTHREAD
            assert not row(table, os.getpid())["flags"] & KTHREAD
    finally:
        bpf.close()
        proc.close()
        os.waitpid(child, 0)


@needs_root
@pytest.mark.root
def test_tables_are_sorted_and_whole() -> None:
    """Threads by process, and every thread's process is there."""
    bpf = BpfTasks()
    try:
        table = bpf.read(7)
    finally:
        bpf.close()
    pairs = list(zip(table.threads["tgid"].tolist(), table.threads["tid"].tolist(), strict=True))
    assert pairs == sorted(pairs)
    assert set(table.threads["tgid"].tolist()) == set(table.processes["pid"].tolist())
    assert int(table.processes["threads"].sum()) == len(table.threads)
    assert table.mono_ns == 7


def test_the_committed_object_is_of_the_committed_source() -> None:
    """Editing one without the other fails, with or without a compiler."""
    source = (BPF / "tasks.bpf.c").read_bytes()
    assert hashlib.sha256(source).hexdigest() == (BPF / "tasks.bpf.c.sha256").read_text().strip()


@pytest.mark.skipif(not shutil.which("clang") or not shutil.which("llvm-strip"), reason="clang is not installed")
def test_a_rebuild_gives_the_same_program(tmp_path: Path) -> None:
    """The instructions, to the byte, where the compiler is the one that made the committed object."""
    for name in ("Makefile", "tasks.bpf.c"):
        shutil.copy(BPF / name, tmp_path)
    made = subprocess.run(["make", "-C", tmp_path], capture_output=True, text=True, check=False)
    if "bpf_helpers.h" in made.stderr:
        pytest.skip("libbpf's headers are not installed")
    assert made.returncode == 0, made.stderr
    version = subprocess.run(["clang", "--version"], capture_output=True, text=True, check=True).stdout
    if "version 14." not in version:
        pytest.skip("another clang than the committed object's (14)")
    assert (tmp_path / "tasks.bpf.o").read_bytes() == (BPF / "tasks.bpf.o").read_bytes()


def test_a_hostile_name_does_not_move_the_fields() -> None:
    """A process may call itself `) R 1 (`."""
    libc = ctypes.CDLL(None)
    seen: list[procfs.Stat] = []

    def rename() -> None:
        libc.prctl(15, b") R 1 (\xff\x1b[31", 0, 0, 0)  # PR_SET_NAME, of this thread alone
        seen.append(parse_stat(Path(f"/proc/self/task/{threading.get_native_id()}/stat").read_bytes()))

    thread = threading.Thread(target=rename)
    thread.start()
    thread.join()
    assert seen[0].comm == b") R 1 (\xff\x1b[31"
    assert seen[0].ppid == os.getppid()


@given(st.binary(max_size=15), st.integers(0, 2**40), st.integers(-20, 19))
def test_any_name_parses(comm: bytes, start: int, nice: int) -> None:
    """Whatever bytes it holds."""
    fields = ["S", *["1"] * 15, str(nice), "3", "0", str(start), *["7"] * 30]
    stat = parse_stat(b"12 (" + comm + b") " + " ".join(fields).encode())
    assert (stat.comm, stat.start_ticks, stat.nice, stat.threads) == (comm, start, nice, 3)


def test_small_parsers() -> None:
    """schedstat, status and io as the kernel writes them."""
    assert parse_schedstat(b"123 45 6\n") == (123, 45)
    assert parse_schedstat(b"") == (0, 0)
    assert parse_io(b"rchar: 1\nread_bytes: 2\nwrite_bytes: 3\n") == (2, 3)
    status = b"Name:\tx\nUid:\t1\t2\t3\t4\nNSpid:\t5\t1\nvoluntary_ctxt_switches:\t8\nnonvoluntary_ctxt_switches:\t9\n"
    assert parse_status(status) == (2, 8, 9, True)


def test_the_fallback_sees_who_comes_and_goes_and_leaks_nothing() -> None:
    """New at the next pass, gone at the next, descriptors closed at the end."""
    before = len(os.listdir("/proc/self/fd"))
    source = ProcfsTasks()
    child = subprocess.Popen(["sleep", "100"])
    for n in range(5):
        source.read(n)
    assert row(source.read(9), child.pid)["comm"] == b"sleep"
    os.setpriority(os.PRIO_PROCESS, child.pid, 5)
    for n in range(procfs.READ_EVERY + 2):
        table = source.read(n)
    assert row(table, child.pid)["nice"] == 5  # found without the process having run
    child.kill()
    child.wait()
    assert child.pid not in source.read(10).processes["pid"]
    source.close()
    assert len(os.listdir("/proc/self/fd")) == before
