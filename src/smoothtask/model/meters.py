"""Deeper measures, each of which may be absent: delays as distributions, network bytes, connections, energy."""

from dataclasses import dataclass


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
