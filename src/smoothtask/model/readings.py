"""What the meters read at a tick, as arrays by process; `model.meters` has what is made of it for clients."""

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
