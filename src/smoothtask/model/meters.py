"""Deeper measures, each of which may be absent: delays as distributions, network bytes, connections, energy."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

BUCKETS = 24
"""Of a histogram of delays: bucket 0 is below 1.024 µs, n from 2^(n−1) × 1.024 µs on (bpf/histogram.h)."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What one meter counted by process since it was last read; arrays of the same length."""

    pids: Integers
    parents: Integers
    """The parent's pid when counting began: whose a process was that has exited since."""
    values: Integers
    """A row a process: counts by bucket, or (bytes sent, bytes received)."""


@dataclass(frozen=True, slots=True)
class Connections:
    """Sockets with a peer; one that several processes share, or have open twice, comes as often."""

    pids: Integers
    inodes: Integers


@dataclass(frozen=True, slots=True)
class Readings:
    """What the meters that run have to say at one tick; `None`: that one does not run."""

    run_queue: Counted | None = None
    block_io: Counted | None = None
    traffic: Counted | None = None
    connections: Connections | None = None
    joules: float | None = None
    """Of the whole processor since the tick before."""


NO_READINGS = Readings()


@dataclass(frozen=True, slots=True)
class Delays:
    """A distribution, from a histogram of powers of two: percentiles are right within a factor of √2."""

    p50_ms: float
    p99_ms: float
    samples: int


@dataclass(frozen=True, slots=True)
class Meters:
    """The deeper measures of a group, or of the machine; `None`: not measured now."""

    run_queue: Delays | None = None
    """How long it waited each time for a CPU, in the last 10 s."""
    block_io: Delays | None = None
    """How long each request to a disk took, in the last 10 s."""
    sent_bps: float | None = None
    """Bytes a second over IPv4 and IPv6, the loopback interface included."""
    received_bps: float | None = None
    connections: int | None = None
    """Sockets with a peer."""
    watts: float | None = None
    """Of the processor's power, the share that its CPU time makes."""


NO_METERS = Meters()
