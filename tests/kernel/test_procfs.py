"""The /proc fallback: parsers against anything, readers against processes that come and go."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.kernel import procfs
from smoothtask.kernel.procfs import ProcfsTasks, parse_io, parse_schedstat, parse_stat, parse_status

NUMBER = st.integers(0, 2**63 - 1)


@given(comm=st.binary(max_size=15), numbers=st.lists(NUMBER, min_size=49, max_size=49))
def test_any_comm_leaves_the_other_fields_alone(comm: bytes, numbers: list[int]) -> None:
    stat = parse_stat(b"7 (" + comm + b") R " + b" ".join(b"%d" % n for n in numbers) + b"\n")
    assert stat.comm == comm
    assert stat.state == b"R"
    # Field n of proc(5) is numbers[n - 4].
    assert (stat.ppid, stat.pgid, stat.sid, stat.tty_nr, stat.flags) == (*numbers[:4], numbers[5])
    assert stat.run_ticks == numbers[10] + numbers[11]
    assert (stat.nice, stat.threads, stat.start_ticks) == (numbers[15], numbers[16], numbers[18])
    assert (stat.rss_pages, stat.policy) == (numbers[20], numbers[37])


def test_stats_of_every_thread() -> None:
    """Or of the processes alone."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        mine = {tid: stat for pid, tid, stat in procfs.read_stats() if pid == os.getpid()}
        assert {os.getpid(), thread.native_id} <= mine.keys()
        assert {stat.sid for stat in mine.values()} == {os.getsid(0)}
        processes = {pid: tid for pid, tid, _ in procfs.read_stats(leaders_only=True)}
        assert processes[os.getpid()] == os.getpid()
        assert all(pid == tid for pid, tid in processes.items())
    finally:
        done.set()
        thread.join()


@given(run=NUMBER, wait=NUMBER)
def test_schedstat(run: int, wait: int) -> None:
    assert parse_schedstat(b"%d %d 12\n" % (run, wait)) == (run, wait)
    assert parse_schedstat(b"") == (0, 0)


@given(uid=st.integers(0, 2**32 - 1), nvcsw=NUMBER, nivcsw=NUMBER, foreign=st.booleans())
def test_status(uid: int, nvcsw: int, nivcsw: int, foreign: bool) -> None:
    text = (
        f"Name:\ta: b\nUid:\t5\t{uid}\t6\t7\nNSpid:\t10{'	1' if foreign else ''}\n"
        f"voluntary_ctxt_switches:\t{nvcsw}\nnonvoluntary_ctxt_switches:\t{nivcsw}\n"
    )
    assert parse_status(text.encode()) == (uid, nvcsw, nivcsw, foreign)


@pytest.mark.parametrize("name", ["Uid:\t0\t0\t0", "\rUid:\t0\t0\t0", "\rNSpid:\t1\t2", "\x85Uid:\t0\t0"])
def test_no_name_is_another_line(name: str) -> None:
    """A newline is the one thing that the kernel escapes in it."""
    assert parse_status(f"Name:\t{name}\nUid:\t1000\t1000\t1000\t1000\n".encode()) == (1000, 0, 0, False)


def test_io_is_what_reached_the_block_layer() -> None:
    assert parse_io(b"rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 6\n") == (5, 6)


def test_a_process_is_seen_at_the_next_read_and_gone_when_it_left() -> None:
    source = ProcfsTasks()
    try:
        source.read(1)
        child = subprocess.Popen(["sleep", "60"])
        try:
            assert child.pid in source.read(2).processes["pid"]
        finally:
            child.kill()
            child.wait()
        assert child.pid not in source.read(3).processes["pid"]
    finally:
        source.close()


def test_a_busy_process_is_read_every_pass_after_it_slept() -> None:
    """A process that slept for many passes shows its running within two."""
    source = ProcfsTasks()
    child = subprocess.Popen(["sh", "-c", "read x; while :; do :; done"], stdin=subprocess.PIPE)
    assert child.stdin
    try:
        for tick in range(6):
            table = source.read(tick)
        before = int(table.processes["run_ns"][table.processes["pid"] == child.pid][0])
        child.stdin.write(b"\n")
        child.stdin.close()
        deadline = time.monotonic() + 10
        used = before
        while used - before < 50_000_000 and time.monotonic() < deadline:
            time.sleep(0.1)
            source.read(7)
            table = source.read(8)
            used = int(table.processes["run_ns"][table.processes["pid"] == child.pid][0])
        assert used - before >= 50_000_000
    finally:
        child.kill()
        child.wait()
        source.close()


@contextlib.contextmanager
def with_groups(count: int) -> Iterator[int]:
    """A child with *count* supplementary groups of ten digits, sleeping; reaped at the end."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups(range(2**32 - 2 - count, 2**32 - 2))
            os.write(writer, b"!")
            time.sleep(60)
        finally:
            os._exit(1)
    os.close(writer)
    try:
        assert os.read(reader, 1) == b"!"
        yield pid
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="setgroups(2) needs root")
@pytest.mark.parametrize("count", [2000, 65536])
@pytest.mark.parametrize("descriptors", [0, 100])
def test_a_status_of_any_length_is_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch, count: int, descriptors: int
) -> None:
    """The counters of switches are its last lines, behind the groups: with a descriptor that is kept, and without."""
    monkeypatch.setattr(procfs, "DESCRIPTOR_LIMIT", descriptors)
    source = ProcfsTasks()
    try:
        with with_groups(count) as pid:
            row = source.read(1).processes
            row = row[row["pid"] == pid]
            said = parse_status(Path(f"/proc/{pid}/status").read_bytes())
            assert said.nvcsw > 0
            assert (row["nvcsw"].tolist(), row["nivcsw"].tolist()) == ([said.nvcsw], [said.nivcsw])
    finally:
        source.close()


def test_descriptors_are_a_share_of_the_limit_and_given_back() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))
    try:
        source = ProcfsTasks()
        assert os.getpid() in source.read(1).processes["pid"]
        assert len(os.listdir("/proc/self/fd")) <= opened + 32
        source.close()
        source.close()
        assert len(os.listdir("/proc/self/fd")) == opened
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_process_that_vanishes_in_the_middle_of_a_read_is_left_out(tmp_path: Path) -> None:
    """Its folder is there, its files are not."""
    (tmp_path / "41").mkdir()
    (tmp_path / "42").mkdir()
    for name in ("stat", "schedstat", "status", "io"):
        (tmp_path / "42" / name).write_bytes(Path(f"/proc/self/{name}").read_bytes())
    (tmp_path / "42" / "stat").write_bytes(b"42 (x) S 1 2 3 4 5 6" + b" 0" * 10 + b" 1" * 30 + b"\n")
    (tmp_path / "42" / "task").mkdir()
    source = ProcfsTasks(str(tmp_path))
    try:
        assert source.read(1).processes["pid"].tolist() == [42]
    finally:
        source.close()


def pretend(folder: Path, pid: int, *, start: int, run_ns: int = 0, nice: int = 0, inside: str = "") -> None:
    """The folder of a process of one thread that started at *start*, in /proc's words."""
    process = folder / (inside or str(pid))
    (process / "task").mkdir(parents=True, exist_ok=True)
    numbers = [1, pid, pid, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20 + nice, nice, 1, 0, start] + [0] * 30
    (process / "stat").write_text(f"{pid} (p{start}) S {' '.join(map(str, numbers))}\n")
    (process / "schedstat").write_text(f"{run_ns} 0 1\n")
    (process / "status").write_text("Uid:\t0\t0\t0\t0\n")
    (process / "io").write_text("read_bytes: 0\nwrite_bytes: 0\n")


@pytest.mark.parametrize("descriptors", [0, 100])
@pytest.mark.parametrize("slept", range(6))
def test_a_reused_pid_is_another_process_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, descriptors: int, slept: int
) -> None:
    """However long the old one slept, and though the new one used as much time: nothing but its start differs."""
    monkeypatch.setattr(procfs, "DESCRIPTOR_LIMIT", descriptors)
    root = tmp_path / "proc"
    pretend(root, 42, start=100)
    pretend(tmp_path, 42, start=200, inside="new")
    source = ProcfsTasks(str(root))
    try:
        for tick in range(slept + 1):
            assert source.read(tick).processes["start_ticks"].tolist() == [100]
        (root / "42").rename(tmp_path / "old")
        (tmp_path / "new").rename(root / "42")
        table = source.read(slept + 1)
        assert table.processes["start_ticks"].tolist() == [200]
        assert table.threads["comm"].tolist() == [b"p200"]
    finally:
        source.close()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="ns_last_pid(5) needs root")
def test_a_pid_that_the_kernel_gave_again_is_another_process_at_once() -> None:
    """With real descriptors: those of the old process say nothing any more (ESRCH)."""
    script = (
        "import os, signal, subprocess, time\n"
        "from smoothtask.kernel.procfs import ProcfsTasks\n"
        "def sleeper(wanted=None):\n"
        "    if wanted: open('/proc/sys/kernel/ns_last_pid', 'w').write(str(wanted - 1))\n"
        "    pid = os.fork()\n"
        "    if pid == 0: time.sleep(60); os._exit(0)\n"
        "    return pid\n"
        "source, old = ProcfsTasks(), sleeper()\n"
        "for tick in range(6): table = source.read(tick)\n"
        "start = lambda: [int(r['start_ticks']) for r in table.processes if r['pid'] == old]\n"
        "before = start()\n"
        "os.kill(old, signal.SIGKILL); os.waitpid(old, 0); time.sleep(0.05)\n"
        "new = sleeper(old); table = source.read(7)\n"
        "print(new == old, len(before) == len(start()) == 1 and before < start())\n"
        "os.kill(new, signal.SIGKILL); os.waitpid(new, 0)\n"
    )
    inside = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, "-c", script]
    assert subprocess.run(inside, check=True, capture_output=True, text=True).stdout == "True True\n"


def test_what_sleeps_is_looked_at_in_turn_and_right_in_time(tmp_path: Path) -> None:
    """Who ran is seen within GLANCE_EVERY passes; who was only given another nice, within READ_EVERY more."""
    pids = range(40, 40 + 2 * procfs.GLANCE_EVERY)
    for pid in pids:
        pretend(tmp_path, pid, start=pid)
    source = ProcfsTasks(str(tmp_path))
    try:
        for tick in range(2 * procfs.GLANCE_EVERY):
            source.read(tick)
        for pid in pids:
            pretend(tmp_path, pid, start=pid, run_ns=5)
        ran = [source.read(0).processes["run_ns"] == 5 for _ in range(procfs.GLANCE_EVERY)]
        assert not ran[0].all()  # in turn, not all at once: that is what makes it cheap
        assert ran[-1].all()
        for _ in range(procfs.GLANCE_EVERY):
            source.read(0)
        for pid in pids:
            pretend(tmp_path, pid, start=pid, run_ns=5, nice=7)
        for _ in range(procfs.READ_EVERY + procfs.GLANCE_EVERY):
            table = source.read(0)
        assert set(table.processes["nice"].tolist()) == set(table.threads["nice"].tolist()) == {7}
    finally:
        source.close()


def test_a_kernel_that_keeps_no_schedstat_and_no_io(tmp_path: Path) -> None:
    """CONFIG_SCHED_INFO=n, CONFIG_TASK_IO_ACCOUNTING=n: times are the ticks', and everybody is there at each pass."""
    pretend(tmp_path, 42, start=100)
    for folder in ("42", "42/task/43"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        _of_two_threads(tmp_path / folder, ticks=7)
        for name in ("schedstat", "io"):
            (tmp_path / folder / name).unlink(missing_ok=True)
    source = ProcfsTasks(str(tmp_path))
    try:
        for tick in range(2 * procfs.GLANCE_EVERY):
            table = source.read(tick)
            assert table.threads["tid"].tolist() == [42, 43]
            assert table.processes["run_ns"].tolist() == [2 * (7 + tick) * procfs.NS_PER_TICK]
            assert table.processes["read_bytes"].tolist() == [0]
            for folder in ("42", "42/task/43"):
                _of_two_threads(tmp_path / folder, ticks=8 + tick)
    finally:
        source.close()


def _of_two_threads(folder: Path, ticks: int) -> None:
    numbers = [1, 42, 42, 0, -1, 0, 0, 0, 0, 0, ticks, 0, 0, 0, 20, 0, 2, 0, 100] + [0] * 30
    (folder / "stat").write_text(f"{folder.name} (x) S {' '.join(map(str, numbers))}\n")
    (folder / "status").write_text("Uid:\t0\t0\t0\t0\n")


def test_a_few_are_read_without_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those alone, new ones too, as they are now; the passes go on as if nobody had asked."""
    for pid in range(40, 50):
        pretend(tmp_path, pid, start=pid)
    source = ProcfsTasks(str(tmp_path))
    try:
        for tick in range(6):
            source.read(tick)
        for pid in range(40, 51):
            pretend(tmp_path, pid, start=pid, run_ns=5)
        with monkeypatch.context() as m:
            looked: list[int] = []
            look = ProcfsTasks._look
            m.setattr(ProcfsTasks, "_look", lambda *args: looked.append(args[1]) or look(*args))
            m.setattr(os, "scandir", lambda _: pytest.fail("it looks at everybody"))
            table = source.some([50, 41, 99], 6)
        assert looked == [50, 41]
        assert (table.processes["pid"].tolist(), table.threads["tid"].tolist()) == ([41, 50], [41, 50])
        assert (table.processes["run_ns"].tolist(), table.mono_ns) == ([5, 5], 6)
        for tick in range(procfs.GLANCE_EVERY):
            table = source.read(7 + tick)
        assert table.processes["run_ns"].tolist() == [5] * 11
    finally:
        source.close()


def test_an_empty_root_is_an_empty_table(tmp_path: Path) -> None:
    assert len(ProcfsTasks(str(tmp_path)).read(1).processes) == 0


def test_a_wrong_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ProcfsTasks(str(tmp_path / "none")).read(1)
