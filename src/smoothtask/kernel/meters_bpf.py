"""Delays and bytes by process, counted in the kernel while attached: BPF programs at tracepoints (bpf/*.bpf.c).

Needs what the task iterator needs (kernel/tasks_bpf.py), and Linux >= 5.11. While nothing is attached they cost
nothing; what they cost otherwise is measured by bench/bpf.py.
"""

import os
import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from smoothtask.kernel.libbpf import BpfObject, BpfUnavailable
from smoothtask.model.readings import BUCKETS, Connections, Counted

CONNECTION_DTYPE: Final = np.dtype([("inode", "<u8"), ("tgid", "<u4"), ("unused", "<u4")])
OLDEST: Final = (5, 11)


@dataclass(frozen=True, slots=True)
class Kind:
    """One object: *words* of `struct` after the parent are counters."""

    name: str
    """Of the object."""
    map: str
    variants: tuple[tuple[str, ...], ...]
    """Programs that belong together; the first that the kernel takes are used."""
    word: str
    """dtype of a counter."""
    first: int
    """The first word that is a counter: what is before is `u32 parent` and padding."""
    counters: int
    bytes: int
    """Of one entry."""


RUN_QUEUE: Final = Kind("runqueue", "delays", (("switched",),), "<u4", 1, BUCKETS, 4 * (BUCKETS + 2))
BLOCK_IO: Final = Kind(
    "block", "delays", (("started", "done"), ("issued", "completed")), "<u4", 1, BUCKETS, 4 * (BUCKETS + 2)
)
NETWORK: Final = Kind(
    "network",
    "traffic",
    (("sent", "received"), ("sent4", "sent6", "received4", "received6"), ("sent4", "received4")),
    "<u8",
    1,
    2,
    24,
)


class BpfMeter:
    """One kind of counting, loaded; `attach` begins it. Raises BpfUnavailable."""

    def __init__(self, kind: Kind) -> None:
        _check_kernel()
        self._kind = kind
        self._object = _first_that_loads(kind)

    @property
    def attached(self) -> bool:
        """Whether it counts."""
        return self._object.attached

    def attach(self) -> None:
        """Begin, with nothing counted; idempotent. Raises BpfUnavailable."""
        if not self.attached:
            self._object.attach()

    def detach(self) -> None:
        """Stop: no BPF link is left. Idempotent."""
        self._object.detach()

    def close(self) -> None:
        """Stop and unload; idempotent."""
        self._object.close()

    def read(self) -> Counted:
        """What was counted since the last read. Raises OSError."""
        pids, raw = self._object.drain(self._kind.map, self._kind.bytes)
        first, end = self._kind.first, self._kind.first + self._kind.counters
        values = raw.view(self._kind.word)[:, :, first:end].sum(axis=1, dtype=np.int64)
        parents = raw.view("<u4")[:, :, 0].max(axis=1, initial=0)
        return Counted(pids.astype(np.int64), parents.astype(np.int64), values)

    def costs(self) -> tuple[int, int]:
        """See `BpfObject.costs`."""
        return self._object.costs()


class BpfSockets:
    """The sockets that have a peer. Raises BpfUnavailable."""

    def __init__(self) -> None:
        _check_kernel()
        self._object = BpfObject("sockets")
        try:
            self._sockets = self._object.iterator("connections")
        except BpfUnavailable:
            self._object.close()
            raise

    def read(self) -> Connections:
        """One pass over every open file of every process. Raises OSError."""
        found = self._sockets.read(CONNECTION_DTYPE)
        return Connections(found["tgid"].astype(np.int64), found["inode"].astype(np.int64))

    def close(self) -> None:
        """Unload; idempotent."""
        self._sockets.close()
        self._object.close()


def _first_that_loads(kind: Kind) -> BpfObject:
    reasons = []
    for programs in kind.variants:
        try:
            return BpfObject(kind.name, frozenset(programs))
        except BpfUnavailable as error:
            reasons.append(str(error))
    raise BpfUnavailable(reasons[0])


def _check_kernel() -> None:
    """Before 5.11 block tracepoints have other arguments, and there is no bpf_sock_from_file."""
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if found and (int(found[1]), int(found[2])) < OLDEST:
        raise BpfUnavailable(f"Linux {OLDEST[0]}.{OLDEST[1]} or later is needed")
