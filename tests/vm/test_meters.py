"""The meters on a second kernel: every variant of every one loads, attaches and counts."""

import mmap
import os
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest

from smoothtask.kernel.meters_bpf import BLOCK_IO, NETWORK, RUN_QUEUE, BpfMeter, BpfSockets, Kind


def _switches() -> None:
    subprocess.run(["true"], check=True)
    time.sleep(0.05)


def _reads() -> None:
    """Past the page cache, of the blank disk."""
    block, fd = mmap.mmap(-1, 4096), os.open("/dev/vda", os.O_RDONLY | os.O_DIRECT)
    with closing(block):
        try:
            for _ in range(10):
                os.preadv(fd, [block], 0)
        finally:
            os.close(fd)


def _messages() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.sendto(b"x" * 500, udp.getsockname())
        udp.recv(1000)


@pytest.mark.parametrize(
    ("kind", "variant", "load", "least"),
    [
        (kind, variant, load, least)
        for kind, load, least in ((RUN_QUEUE, _switches, 1), (BLOCK_IO, _reads, 10), (NETWORK, _messages, 1000))
        for variant in kind.variants
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_each_variant_counts(kind: Kind, variant: tuple[str, ...], load: Callable[[], None], least: int) -> None:
    """Also those for kernels that lack the newer tracepoints, which this one has as well."""
    with closing(BpfMeter(replace(kind, variants=(variant,)))) as meter:
        meter.attach()
        load()
        counted = meter.read()
    assert counted.values[counted.pids == os.getpid()].sum() >= least


def test_connections_are_seen() -> None:
    with (
        closing(BpfSockets()) as sockets,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        found = sockets.read()
        assert os.fstat(client.fileno()).st_ino in found.inodes[found.pids == os.getpid()].tolist()
