"""The deeper meters, tried for a moment as the daemon would attach them: what works here, and what it costs."""

import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from smoothtask.cli.doctor import Finding, Machine, State

if TYPE_CHECKING:
    from smoothtask.kernel.meters_bpf import Kind

TRIED_S = 0.15
"""Each meter is tried under a load of its own kind for so long."""
REMEDY = "run as root on Linux 5.11 or later with BTF and libbpf1"


def findings(m: Machine) -> Iterator[Finding]:
    """One for each meter, and one for energy. Loads BPF, so only on the real machine."""
    from smoothtask.kernel.meters_bpf import BLOCK_IO, NETWORK, RUN_QUEUE  # noqa: PLC0415 (loads libbpf)
    from smoothtask.kernel.powercap import read_energy  # noqa: PLC0415

    kinds: tuple[tuple[str, Kind, Callable[[], None], str, str], ...] = (
        ("run-queue delays", RUN_QUEUE, _switches, "context switch", "the mean delay is shown, no percentiles"),
        ("disk delays", BLOCK_IO, _writes, "start or end of a request", "only pressure tells that a disk is slow"),
        ("network bytes", NETWORK, _messages, "message", "who uses the network is unknown"),
    )
    if m.is_real:
        for name, kind, load, event, without in kinds:
            yield _tried(m, name, kind, load, event, without)
    packages = len(read_energy(m.root))
    if packages:
        yield Finding("energy", State.WORKS, f"RAPL of {packages} package{'s' * (packages > 1)}; a read a tick")
    else:
        yield Finding("energy", State.ABSENT, "no RAPL counter may be read", "power is not shown")


def _tried(m: Machine, name: str, kind: "Kind", load: Callable[[], None], event: str, without: str) -> Finding:
    from smoothtask.collector.meters import WHEN  # noqa: PLC0415 (loads libbpf)
    from smoothtask.kernel.libbpf import BpfUnavailable, statistics  # noqa: PLC0415
    from smoothtask.kernel.meters_bpf import BpfMeter  # noqa: PLC0415

    try:
        meter = BpfMeter(kind)
        try:
            meter.attach()
            fd = statistics()
            try:
                load()
            finally:
                os.close(fd)
            spent_ns, runs = meter.costs()
        finally:
            meter.close()
    except (BpfUnavailable, OSError) as error:
        return Finding(name, State.REFUSED if m.uid else State.ABSENT, str(error), without, REMEDY)
    cost = f"{spent_ns / runs:.0f} ns a {event}, measured over {runs}" if runs else "nothing of the kind happened"
    return Finding(name, State.WORKS, f"BPF, {WHEN}: {cost}")


def _switches() -> None:
    """Two processes that wake each other in turn: each byte is a switch."""
    near, far = socket.socketpair()
    child = os.fork()
    if child == 0:
        try:
            near.close()
            while far.send(far.recv(1) or b"x"):
                pass
        finally:
            os._exit(0)  # also when the other end has gone
    far.close()
    ends_s = time.monotonic() + TRIED_S
    try:
        while time.monotonic() < ends_s:
            near.send(b"x")
            near.recv(1)
    finally:
        near.close()
        os.waitpid(child, 0)


def _messages() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        ends_s = time.monotonic() + TRIED_S
        while time.monotonic() < ends_s:
            udp.sendto(b"x", udp.getsockname())
            udp.recv(1)


def _writes() -> None:
    with tempfile.TemporaryFile(dir="/var/tmp") as file:
        ends_s = time.monotonic() + TRIED_S
        while time.monotonic() < ends_s:
            os.pwrite(file.fileno(), b"x" * 4096, 0)
            os.fsync(file.fileno())
