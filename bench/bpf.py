"""What the deeper meters cost: CPU of a load that does nothing but switch, send or write, with the meter and without.

    sudo .venv/bin/python bench/bpf.py [--rounds 12] [--events 20000]

switches   two processes that wake each other by a socket, on one CPU: the run-queue meter, on/off in turn.
messages   UDP to oneself over the loopback interface: the network meter.
writes     4 KiB and fdatasync: the disk meter.
reading    what the daemon pays a tick: emptying the maps, and making measures of groups from them.
beginning  loading, attaching, detaching; one pass over every socket, against /proc.

Each ratio is the median over rounds of CPU with / CPU without, in the order on-off, off-on, …: the machine's noise
meets both alike. User and system time of the load's own threads.
"""

import argparse
import os
import socket
import statistics as numbers
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

from harness import finish, log, verdict
from smoothtask.engine.metering import Metering
from smoothtask.kernel import libbpf
from smoothtask.kernel.connections import read_connections
from smoothtask.kernel.meters_bpf import BLOCK_IO, NETWORK, RUN_QUEUE, BpfMeter, BpfSockets, Kind
from smoothtask.kernel.tasks_bpf import BpfTasks
from smoothtask.model.readings import Readings


def switches(events: int) -> int:
    """CPU nanoseconds of *events* wake-ups, both sides."""
    near, far = socket.socketpair()
    child = os.fork()
    if child == 0:
        near.close()
        os.sched_setaffinity(0, {0})
        while data := far.recv(1):
            far.send(data)
        far.send(time.thread_time_ns().to_bytes(8, "little"))
        os._exit(0)
    far.close()
    before_ns = time.thread_time_ns()
    for _ in range(events // 2):
        near.send(b"x")
        near.recv(1)
    ours_ns = time.thread_time_ns() - before_ns
    near.shutdown(socket.SHUT_WR)
    theirs_ns = int.from_bytes(near.recv(8), "little")
    near.close()
    os.waitpid(child, 0)
    return ours_ns + theirs_ns


def messages(events: int) -> int:
    """CPU nanoseconds of *events* calls that send or receive."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        name, before_ns = udp.getsockname(), time.thread_time_ns()
        for _ in range(events // 2):
            udp.sendto(b"x" * 100, name)
            udp.recv(200)
        return time.thread_time_ns() - before_ns


def writes(events: int) -> int:
    """CPU nanoseconds of *events* / 20 writes that reach the disk."""
    with tempfile.TemporaryFile(dir="/var/tmp") as file:
        before_ns = time.thread_time_ns()
        for i in range(events // 20):
            os.pwrite(file.fileno(), b"x" * 4096, 4096 * (i % 64))
            os.fdatasync(file.fileno())
        return time.thread_time_ns() - before_ns


def ratio(kind: Kind, load: Callable[[int], int], events: int, rounds: int) -> float:
    """CPU with the meter / CPU without, the median; logs what one event costs, as the kernel counts it."""
    meter = BpfMeter(kind)
    load(events)  # warm
    ratios = []
    for turn in range(rounds):
        spent = {}
        for on in (True, False) if turn % 2 else (False, True):
            if on:
                meter.attach()
            spent[on] = load(events)
            meter.detach()
        ratios.append(spent[True] / spent[False])
    meter.attach()
    fd = libbpf.statistics()
    load(events)
    os.close(fd)
    spent_ns, runs = meter.costs()
    meter.close()
    quarter = numbers.quantiles(ratios, n=4)
    log(
        f"{kind.name:9} {spent_ns / max(1, runs):5.0f} ns a run of the program ({runs} runs);"
        f" ratio {numbers.median(ratios):.3f} (quartiles {quarter[0]:.3f} … {quarter[2]:.3f}, {rounds} rounds)"
    )
    return numbers.median(ratios)


def reading(rounds: int) -> list[bool]:
    """The tick's share: maps emptied and measures made, beside whatever runs now; and beside nothing attached."""
    meters = [BpfMeter(kind) for kind in (RUN_QUEUE, BLOCK_IO, NETWORK)]
    for meter in meters:
        meter.attach()
    tasks, metering = BpfTasks(), Metering()
    table = tasks.read(time.monotonic_ns()).processes
    groups = [f"group {pid % 100}" for pid in table["pid"].tolist()]
    cpu = np.ones(len(table), np.float32)
    on_ms, off_ms = [], []
    for turn in range(rounds):
        time.sleep(0.5)
        before_ns = time.thread_time_ns()
        readings = Readings(*(meter.read() for meter in meters))
        metering.turn(readings, table, cpu, groups, 1.0, float(turn))
        on_ms.append((time.thread_time_ns() - before_ns) / 1e6)
        before_ns = time.thread_time_ns()
        Metering().turn(Readings(), table, cpu, groups, 1.0, float(turn))
        off_ms.append((time.thread_time_ns() - before_ns) / 1e6)
    for closed in (*meters, tasks):
        closed.close()
    on, off = numbers.median(on_ms), numbers.median(off_ms)
    log(f"a tick's share beside {len(table)} processes: {on:.2f} ms; with nothing attached {off:.3f} ms")
    return [verdict("CPU a tick while watched", on, 3, " ms")]


def beginning() -> list[bool]:
    """What it takes to begin and to end, and the connections by both ways."""
    worst_ms = 0.0
    for kind in (RUN_QUEUE, BLOCK_IO, NETWORK):
        marks = [time.thread_time_ns()]
        meter = BpfMeter(kind)
        marks.append(time.thread_time_ns())
        meter.attach()
        marks.append(time.thread_time_ns())
        meter.detach()
        marks.append(time.thread_time_ns())
        meter.close()
        load_ms, attach_ms, detach_ms = np.diff(marks) / 1e6
        worst_ms = max(worst_ms, load_ms + attach_ms)
        log(f"{kind.name:9} load {load_ms:.1f} ms, attach {attach_ms:.2f} ms, detach {detach_ms:.2f} ms")
    sockets = BpfSockets()
    ours_ms, theirs_ms = [], []
    for _ in range(5):
        before_ns = time.thread_time_ns()
        sockets.read()
        ours_ms.append((time.thread_time_ns() - before_ns) / 1e6)
        before_ns = time.thread_time_ns()
        read_connections()
        theirs_ms.append((time.thread_time_ns() - before_ns) / 1e6)
    sockets.close()
    ours, theirs = numbers.median(ours_ms), numbers.median(theirs_ms)
    log(f"connections: {ours:.2f} ms by the iterator, {theirs:.1f} ms from /proc")
    return [
        verdict("load and attach, the dearest", worst_ms, 60, " ms"),
        verdict("connections, iterator to /proc", ours / theirs, 0.2),
    ]


def main() -> None:
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--events", type=int, default=20_000)
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("BPF needs root")
    os.sched_setaffinity(0, {0})
    results = []
    for name, kind, load in (
        ("a context switch", RUN_QUEUE, switches),
        ("a message", NETWORK, messages),
        ("a write to disk", BLOCK_IO, writes),
    ):
        found = ratio(kind, load, options.events, options.rounds)
        results.append(verdict(f"CPU of {name} with the meter / without", found, 1.15))
    finish([*results, *reading(options.rounds), *beginning()])


if __name__ == "__main__":
    main()
