"""The fallback where BPF cannot be had: /proc, with descriptors kept open and idle processes read seldom.

Source: proc(5), Documentation/filesystems/proc.rst, Documentation/scheduler/sched-stats.rst (schedstat).
What /proc cannot tell: `slice_ns` and `cgroup_id` are 0; `read_bytes` and `write_bytes` of other people's
processes stay 0 without root; switches of threads that had exited before they were seen are not counted.
"""

import os
import resource
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from smoothtask.model.tasks import (
    FOREIGN_PID_NAMESPACE,
    KTHREAD,
    PROCESS_DTYPE,
    THREAD_DTYPE,
    USER_HZ,
    TaskTable,
)

NS_PER_TICK: Final = 1_000_000_000 // USER_HZ
PF_KTHREAD: Final = 0x00200000
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
GLANCE_EVERY: Final = 4
"""Passes between two looks at the schedstat of a process that slept."""
READ_EVERY: Final = 30
"""Passes between two full reads of one: its nice or name may have changed without it running."""
READ_THREADS_EVERY: Final = 5
"""The same with several threads: schedstat is the leader's alone."""
READ_BYTES: Final = 4096
"""Of the first read, which is nearly always the only one."""
READ_LIMIT: Final = 1 << 20
"""Of one file. The longest is a status with 65,536 supplementary groups (NGROUPS_MAX) of 11 characters each."""
DESCRIPTOR_SHARE: Final = 0.5
DESCRIPTOR_LIMIT: Final = 8192


class Stat(NamedTuple):
    """/proc/PID/stat, or a thread's. `run_ticks` is utime + stime, `children_ticks` the same of reaped children."""

    comm: bytes
    state: bytes
    ppid: int
    pgid: int
    sid: int
    tty_nr: int
    flags: int
    run_ticks: int
    children_ticks: int
    nice: int
    threads: int
    start_ticks: int
    rss_pages: int
    policy: int


class Status(NamedTuple):
    """The part of /proc/PID/status that is used."""

    uid: int
    nvcsw: int
    nivcsw: int
    foreign: bool


def parse_stat(data: bytes) -> Stat:
    """Understand a stat file. A comm may hold anything, `) R 1 (` too: fields begin after the last `)`."""
    begin, end = data.index(b"(") + 1, data.rindex(b")")
    f = data[end + 2 :].split()
    # Field n of proc(5) is f[n - 3].
    return Stat(
        comm=data[begin:end],
        state=f[0],
        ppid=int(f[1]),
        pgid=int(f[2]),
        sid=int(f[3]),
        tty_nr=int(f[4]),
        flags=int(f[6]),
        run_ticks=int(f[11]) + int(f[12]),
        children_ticks=int(f[13]) + int(f[14]),
        nice=int(f[16]),
        threads=int(f[17]),
        start_ticks=int(f[19]),
        rss_pages=int(f[21]),
        policy=int(f[38]),
    )


def read_stats(root: str = "/proc", *, leaders_only: bool = False) -> Iterator[tuple[int, int, Stat]]:
    """Pid, tid and stat file of every thread, or of every process; who leaves meanwhile is left out."""
    for name in os.listdir(root):
        if not name.isdecimal():
            continue
        try:
            tids = [name] if leaders_only else os.listdir(f"{root}/{name}/task")
        except (FileNotFoundError, ProcessLookupError):
            continue
        for tid in tids:
            try:
                stat = parse_stat(_slurp(f"{root}/{name}/task/{tid}/stat"))
            except (FileNotFoundError, ProcessLookupError):
                continue  # this thread left; the others of its process did not
            yield int(name), int(tid), stat


def parse_schedstat(data: bytes) -> tuple[int, int]:
    """(run_ns, wait_ns) of one thread; zeros where the kernel keeps none (CONFIG_SCHED_INFO=n)."""
    fields = data.split()
    return (int(fields[0]), int(fields[1])) if len(fields) >= 2 else (0, 0)


def parse_status(data: bytes) -> Status:
    """Effective uid, context switches, and whether the process has pids in namespaces below ours.

    Of the name the kernel escapes newlines alone (fs/proc/array.c): it may hold tabs and carriage returns.
    """
    values = {name: value for name, _, value in (line.partition(b":") for line in data.split(b"\n"))}
    return Status(
        uid=int(values[b"Uid"].split()[1]),
        nvcsw=int(values.get(b"voluntary_ctxt_switches", b"0")),
        nivcsw=int(values.get(b"nonvoluntary_ctxt_switches", b"0")),
        foreign=len(values.get(b"NSpid", b"").split()) > 1,
    )


def parse_io(data: bytes) -> tuple[int, int]:
    """(read_bytes, write_bytes) of /proc/PID/io: what reached the block layer."""
    values = dict(line.split(b": ") for line in data.splitlines())
    return int(values[b"read_bytes"]), int(values[b"write_bytes"])


@dataclass(slots=True)
class _Known:
    """What is remembered of one process between passes."""

    pid: int
    inode: int
    """Of /proc/PID: another process has another. The same one may get a new one, too, when memory is short."""
    fds: dict[str, int] = field(default_factory=dict)
    glance: bytes = b""
    read_pass: int = -1
    idle: bool = False
    start_ticks: int = -1
    process_row: bytes = b""
    thread_rows: bytes = b""
    threads: dict[int, tuple[object, ...]] = field(default_factory=dict)
    dead_run_ns: int | None = None
    dead_nvcsw: int = 0
    dead_nivcsw: int = 0


class ProcfsTasks:
    """Reads every process that ran since the last pass, and the others in turn."""

    name = "procfs"

    def __init__(self, root: str = "/proc") -> None:
        self._root = root
        self._known: dict[int, _Known] = {}
        self._pass = -1
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._descriptors_left = int(min(soft * DESCRIPTOR_SHARE, DESCRIPTOR_LIMIT))

    def read(self, mono_ns: int) -> TaskTable:
        """One pass, stamped *mono_ns* (CLOCK_MONOTONIC). New processes are in it, those that left are not."""
        self._pass += 1
        with os.scandir(self._root) as entries:
            inodes = {int(entry.name): entry.inode() for entry in entries if entry.name.isdecimal()}
        for pid in self._known.keys() - inodes.keys():
            self._forget(pid)
        known = self._known
        for pid, inode in inodes.items():
            before = known.get(pid)
            # Most processes sleep, and it is not their turn, which is spread over the passes by pid.
            if before and before.idle and before.inode == inode and (pid + self._pass) % GLANCE_EVERY:
                continue
            self._look_if_there(pid, inode)
        return self._table(self._known, mono_ns)

    def some(self, pids: Collection[int], mono_ns: int) -> TaskTable:
        """The rows of *pids*, as they are now; nobody else is looked at, and it is no pass."""
        for pid in pids:
            try:
                inode = os.lstat(f"{self._root}/{pid}").st_ino
            except FileNotFoundError:
                self._forget(pid)
            else:
                self._look_if_there(pid, inode)
        return self._table(self._known.keys() & set(pids), mono_ns)

    def close(self) -> None:
        """Close every descriptor; idempotent."""
        for pid in list(self._known):
            self._forget(pid)

    def _look_if_there(self, pid: int, inode: int) -> None:
        try:
            self._look(pid, inode)
        except (FileNotFoundError, ProcessLookupError, PermissionError):  # gone, or hidden (hidepid=)
            self._forget(pid)

    def _look(self, pid: int, inode: int) -> None:
        known = self._known.get(pid)
        if known is None:
            known = self._known[pid] = _Known(pid, inode)
        elif known.inode != inode:
            self._doubt(known, inode)
        glance = self._read_glance(known)
        due = READ_THREADS_EVERY if len(known.threads) > 1 else READ_EVERY
        if known.idle and glance == known.glance and self._pass - known.read_pass < due:
            return
        known.idle = bool(glance) and glance == known.glance
        known.glance = glance
        known.read_pass = self._pass
        self._read_process(known, glance)

    def _read_glance(self, known: _Known) -> bytes:
        """The schedstat; nothing where the kernel keeps none (CONFIG_SCHED_INFO=n), and then all is read each time."""
        try:
            return self._read_file(known, "schedstat")
        except FileNotFoundError:
            return b""

    def _read_process(self, known: _Known, schedstat: bytes) -> None:
        stat = parse_stat(self._read_file(known, "stat"))
        if known.process_row and known.start_ticks != stat.start_ticks:  # the pid is another process's by now
            self._forget(known.pid)
            return self._look(known.pid, known.inode)
        status = parse_status(self._read_file(known, "status"))
        threads = self._read_threads(known, stat, status, schedstat)
        if known.dead_run_ns is None:  # what had exited before we came, from the tick counters
            live_ns = sum(t[3] for t in threads.values())  # type: ignore[misc]
            known.dead_run_ns = max(0, stat.run_ticks * NS_PER_TICK - live_ns)
        for tid in known.threads.keys() - threads.keys():
            gone = known.threads[tid]
            known.dead_run_ns += gone[3]  # type: ignore[operator]
            known.dead_nvcsw += gone[5]  # type: ignore[operator]
            known.dead_nivcsw += gone[6]  # type: ignore[operator]
        known.threads = threads
        known.thread_rows = np.array([row for _, row in sorted(threads.items())], THREAD_DTYPE).tobytes()
        flags = (KTHREAD if stat.flags & PF_KTHREAD else 0) | (FOREIGN_PID_NAMESPACE if status.foreign else 0)
        read_bytes, write_bytes = self._read_io(known)
        columns = list(zip(*threads.values(), strict=True))
        process = (
            known.pid,
            stat.ppid,
            stat.start_ticks,
            status.uid,
            stat.threads,
            stat.sid,
            stat.pgid,
            stat.tty_nr,
            0,
            sum(columns[3]) + known.dead_run_ns,
            sum(columns[4]),
            stat.children_ticks * NS_PER_TICK,
            sum(columns[5]) + known.dead_nvcsw,
            sum(columns[6]) + known.dead_nivcsw,
            read_bytes,
            write_bytes,
            stat.rss_pages * PAGE_BYTES,
            stat.nice,
            stat.policy,
            stat.state,
            flags,
            stat.comm,
        )
        known.start_ticks = stat.start_ticks
        known.process_row = np.array(process, PROCESS_DTYPE).tobytes()
        return None

    def _read_threads(
        self, known: _Known, stat: Stat, status: Status, schedstat: bytes
    ) -> dict[int, tuple[object, ...]]:
        leader = _thread_row(known.pid, known.pid, stat, schedstat, status)
        threads = {known.pid: leader}
        if stat.threads > 1:
            for name in os.listdir(f"{self._root}/{known.pid}/task"):
                tid = int(name)
                if tid == known.pid:
                    continue
                folder = f"{self._root}/{known.pid}/task/{tid}"
                try:
                    its_stat, its_status = _slurp(f"{folder}/stat"), _slurp(f"{folder}/status")
                    its_schedstat = _slurp(f"{folder}/schedstat") if schedstat else b""
                except (FileNotFoundError, ProcessLookupError):
                    continue
                threads[tid] = _thread_row(
                    known.pid, tid, parse_stat(its_stat), its_schedstat, parse_status(its_status)
                )
        return threads

    def _read_io(self, known: _Known) -> tuple[int, int]:
        try:
            return parse_io(_slurp(f"{self._root}/{known.pid}/io"))
        except (PermissionError, FileNotFoundError):  # another person's process; CONFIG_TASK_IO_ACCOUNTING=n
            return 0, 0

    def _read_file(self, known: _Known, name: str) -> bytes:
        """A file of the process, by a descriptor kept open as long as there are enough."""
        fd = known.fds.get(name)
        if fd is None:
            fd = os.open(f"{self._root}/{known.pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            if self._descriptors_left > 0:
                self._descriptors_left -= 1
                known.fds[name] = fd
            else:
                try:
                    return _whole(fd)
                finally:
                    os.close(fd)
        return _whole(fd)

    def _doubt(self, known: _Known, inode: int) -> None:
        """It may be another process by now: read in full, by new descriptors (the old ones are the old process's)."""
        self._close(known)
        known.inode = inode
        known.idle = False

    def _forget(self, pid: int) -> None:
        known = self._known.pop(pid, None)
        if known is not None:
            self._close(known)

    def _close(self, known: _Known) -> None:
        self._descriptors_left += len(known.fds)
        for fd in known.fds.values():
            os.close(fd)
        known.fds.clear()

    def _table(self, pids: Iterable[int], mono_ns: int) -> TaskTable:
        """Rows were packed when they were read: most stay as they are for many passes."""
        known = [self._known[pid] for pid in sorted(pids)]
        processes = np.frombuffer(bytearray().join([k.process_row for k in known]), PROCESS_DTYPE)
        threads = np.frombuffer(bytearray().join([k.thread_rows for k in known]), THREAD_DTYPE)
        return TaskTable(threads, processes, mono_ns, self.name)


def _thread_row(tgid: int, tid: int, stat: Stat, schedstat: bytes, status: Status) -> tuple[object, ...]:
    """A row of THREAD_DTYPE."""
    run_ns, wait_ns = parse_schedstat(schedstat)
    flags = KTHREAD if stat.flags & PF_KTHREAD else 0
    return (
        tgid,
        tid,
        stat.start_ticks,
        run_ns or stat.run_ticks * NS_PER_TICK,
        wait_ns,
        status.nvcsw,
        status.nivcsw,
        0,
        stat.nice,
        stat.policy,
        stat.state,
        flags | (FOREIGN_PID_NAMESPACE if status.foreign else 0),
        stat.comm,
    )


def _slurp(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _whole(fd)
    finally:
        os.close(fd)


def _whole(fd: int) -> bytes:
    """An open file from its beginning to its end, or to READ_LIMIT. /proc gives less than asked at the end only."""
    data = os.pread(fd, READ_BYTES, 0)
    if len(data) < READ_BYTES:
        return data
    parts = [data]
    read = len(data)
    while data and read < READ_LIMIT:
        data = os.pread(fd, READ_LIMIT - read, read)
        parts.append(data)
        read += len(data)
    return b"".join(parts)
