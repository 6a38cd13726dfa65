"""The disks of this machine, and whether weights of IO mean anything to them.

Source: Documentation/admin-guide/cgroup-v2.rst (io.weight), Documentation/block/bfq-iosched.rst.
"""

import os
from typing import NamedTuple


class Disk(NamedTuple):
    """One whole disk."""

    name: str
    number: str
    """`major:minor`, as io.max has it."""
    scheduler: str
    """none, mq-deadline, bfq, kyber; empty where it is not said."""


def read_disks(sys_root: str = "/sys") -> tuple[Disk, ...]:
    """The disks that are hardware (or a virtual machine's), not maps over others."""
    try:
        names = sorted(os.listdir(f"{sys_root}/block"))
    except FileNotFoundError:
        return ()
    found = []
    for name in names:
        base = f"{sys_root}/block/{name}"
        if os.path.exists(f"{base}/device"):
            found.append(Disk(name, _text(f"{base}/dev"), parse_scheduler(_text(f"{base}/queue/scheduler"))))
    return tuple(found)


def parse_scheduler(text: str) -> str:
    """`mq-deadline [bfq] none` → `bfq`."""
    _, _, rest = text.partition("[")
    return rest.partition("]")[0]


def weighed(disks: tuple[Disk, ...], cost_qos: str | None) -> tuple[str, ...]:
    """The disks for which io.weight counts: BFQ schedules them, or io.cost is on (its file, `cost_qos`)."""
    by_cost = {line.split()[0] for line in (cost_qos or "").splitlines() if "enable=1" in line.split()}
    return tuple(d.name for d in disks if d.scheduler == "bfq" or d.number in by_cost)


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""
