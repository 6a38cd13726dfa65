"""The meters on real processes: what is counted, of whom, and that nothing stays behind."""

import contextlib
import ctypes
import mmap
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from smoothtask.kernel.libbpf import BpfUnavailable, statistics
from smoothtask.kernel.meters_bpf import BLOCK_IO, NETWORK, RUN_QUEUE, BpfMeter, BpfSockets, Kind
from smoothtask.model.readings import BUCKETS, Connections, Counted

pytestmark = pytest.mark.root


@contextlib.contextmanager
def meter(kind: Kind) -> Iterator[BpfMeter]:
    """An attached one, or a skipped test."""
    try:
        opened = BpfMeter(kind)
    except BpfUnavailable as error:
        pytest.skip(f"not here: {error}")
    try:
        opened.attach()
        yield opened
    finally:
        opened.close()


def of(counted: Counted, pid: int) -> list[int]:
    """What was counted of *pid*."""
    rows = counted.values[counted.pids == pid]
    return [] if not len(rows) else [int(n) for n in rows.sum(axis=0)]


def links(pid: int) -> set[int]:
    """The ids of the BPF links that a process holds (proc_pid_fdinfo(5))."""
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(f"/proc/{pid}/fdinfo/{fd}").read_text().splitlines():
                if line.startswith("link_id:"):
                    found.add(int(line.split()[1]))
    return found


def test_waits_for_a_cpu_are_counted_by_length() -> None:
    """Two that want the same CPU wait for each other's slices: milliseconds, and as long in all as schedstat says."""
    with meter(RUN_QUEUE) as waits:
        cpu = min(os.sched_getaffinity(0))
        spin = f"import os; os.sched_setaffinity(0, {{{cpu}}}); print(1, flush=True)\nwhile True: pass"
        pair = [subprocess.Popen([sys.executable, "-S", "-c", spin], stdout=subprocess.PIPE) for _ in range(2)]
        try:
            for process in pair:
                assert process.stdout is not None
                assert process.stdout.readline() == b"1\n"
            waits.read()
            before = [wait_ns(p.pid) for p in pair]
            time.sleep(1)
            counted, after = waits.read(), [wait_ns(p.pid) for p in pair]
        finally:
            for process in pair:
                process.kill()
                process.communicate()
    lower_us = 1.024 * 2.0 ** (np.arange(BUCKETS) - 1)
    for process, old, new in zip(pair, before, after, strict=True):
        counts = np.array(of(counted, process.pid))
        assert counts[10:].sum() > 3, "waits of half a millisecond and more"
        told_us = (new - old) / 1000
        # One wait may end just before or after the counters are read.
        assert (counts * lower_us).sum() * 0.5 <= told_us <= (counts * lower_us * 2).sum() + 200_000


def wait_ns(pid: int) -> int:
    """The run-queue delay so far, as the kernel sums it."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1])


def test_who_has_exited_is_told_by_the_parent() -> None:
    with meter(RUN_QUEUE) as waits:
        waits.read()
        command = ["sh", "-c", "for i in 1 2 3; do /bin/true; done; echo done; read line"]
        shell = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert shell.stdout is not None
            assert shell.stdout.readline() == b"done\n"
            counted = waits.read()
        finally:
            shell.communicate(b"\n")
    children = counted.pids[counted.parents == shell.pid].tolist()
    assert len(children) == 3
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


def test_a_read_empties_the_meter() -> None:
    with meter(RUN_QUEUE) as waits:
        with subprocess.Popen(["sleep", "0.05"]) as child:
            child.wait()
        assert of(waits.read(), child.pid)
        assert not of(waits.read(), child.pid)


def test_disk_requests_are_counted_of_who_made_them(tmp_path: Path) -> None:
    """Past the page cache, one at a time: as many as were written."""
    file, block = tmp_path / "data", mmap.mmap(-1, 4096)
    try:
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
    except OSError as error:
        pytest.skip(f"no direct IO in {tmp_path}: {error}")
    with contextlib.closing(block), meter(BLOCK_IO) as requests:
        try:
            for _ in range(20):
                os.pwrite(fd, block, 0)
            os.fsync(fd)
        finally:
            os.close(fd)
        counts = of(requests.read(), os.getpid())
    if not counts and not any(Path("/sys/class/block").glob("[svn]*")):
        pytest.skip("no disk below")
    assert sum(counts) >= 20
    assert sum(counts[:2]) == 0, "no disk is faster than 2 µs"


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_bytes_over_the_network_are_counted_both_ways(family: socket.AddressFamily) -> None:
    """A look with MSG_PEEK receives nothing, and neither does a UNIX socket."""
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    try:
        server = socket.create_server((host, 0), family=family)
    except OSError as error:
        pytest.skip(f"{host}: {error}")
    with server, meter(NETWORK) as traffic:
        with socket.create_connection(server.getsockname()[:2]) as client:
            far, _ = server.accept()
            with far:
                client.sendall(b"x" * 70_000)
                far.recv(1000, socket.MSG_PEEK)
                left = 70_000
                while left:
                    left -= len(far.recv(left))
        with socket.socket(family, socket.SOCK_DGRAM) as udp:
            udp.bind((host, 0))
            udp.sendto(b"y" * 500, udp.getsockname())
            udp.recv(1000)
        near, there = socket.socketpair()
        with near, there:
            near.sendall(b"z" * 9)
            there.recv(9)
        assert of(traffic.read(), os.getpid()) == [70_500, 70_500]


def test_connections_are_sockets_with_a_peer() -> None:
    """Neither one that listens, nor one of UDP that has no peer."""
    try:
        sockets = BpfSockets()
    except BpfUnavailable as error:
        pytest.skip(f"not here: {error}")
    try:
        before = sockets.read()
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname()) as client,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        ):
            far, _ = server.accept()
            with far:
                new = inodes_of(sockets.read(), os.getpid()) - inodes_of(before, os.getpid())
                assert new == {os.fstat(s.fileno()).st_ino for s in (client, far)}
    finally:
        sockets.close()


def inodes_of(connections: Connections, pid: int) -> set[int]:
    """The sockets of one process."""
    return set(connections.inodes[connections.pids == pid].tolist())


@pytest.mark.parametrize("kind", [RUN_QUEUE, BLOCK_IO, NETWORK], ids=lambda k: k.name)
def test_detached_it_costs_nothing_and_holds_no_link(kind: Kind) -> None:
    before = links(os.getpid())
    with meter(kind) as attached:
        assert links(os.getpid()) > before
        attached.detach()
        assert links(os.getpid()) == before
        fd = statistics()
        try:
            subprocess.run(["true"], check=True)
            assert attached.costs() == (0, 0)
        finally:
            os.close(fd)
        attached.attach()
        assert attached.attached
        assert links(os.getpid()) > before
    assert links(os.getpid()) == before


KILLED = """
import sys, time
from smoothtask.kernel.meters_bpf import BLOCK_IO, NETWORK, RUN_QUEUE, BpfMeter
meters = [BpfMeter(kind) for kind in (RUN_QUEUE, BLOCK_IO, NETWORK)]
for meter in meters: meter.attach()
print("ready", flush=True)
time.sleep(60)
"""


def test_who_is_killed_leaves_no_link() -> None:
    """The ids of its links are nobody's a moment later."""
    with meter(RUN_QUEUE):
        pass  # it works here
    child = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        if child.stdout.readline() != b"ready\n":
            pytest.skip("not all meters work here")
        held = links(child.pid)
        assert len(held) == 5
        assert all(link_exists(i) for i in held)
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    deadline = time.monotonic() + 5
    while any(link_exists(i) for i in held):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def link_exists(number: int) -> bool:
    """Whether the kernel has a BPF link of that id."""
    fd = ctypes.CDLL("libbpf.so.1", use_errno=True).bpf_link_get_fd_by_id(ctypes.c_uint32(number))
    if fd < 0:
        return False
    os.close(fd)
    return True
