"""A cgroup-v2 subtree of our own, where there is no systemd to ask."""

import errno
from collections.abc import Callable, Mapping, Sequence

from smoothtask.actuator.knobs import Machine
from smoothtask.actuator.ledger import UNSET
from smoothtask.actuator.mechanism import Wish
from smoothtask.actuator.units import PERIOD_US, desired
from smoothtask.actuator.writer import Step, Writer
from smoothtask.model.change import Caps, Change, ControllersTarget, HomeTarget, Knob, Status, Value
from smoothtask.model.ours import TREE, is_ours

CONTROLLERS = ("cpu", "io", "memory")
_IO_WEIGHT = "io.weight"
"""Not there in a kernel without io.cost (CONFIG_BLK_CGROUP_IOCOST), though the controller is."""


class TreeMaker:
    """Implements `Maker`."""

    def __init__(self, machine: Machine, writer: Writer, disks: Callable[[], Sequence[str]]) -> None:
        self._machine = machine
        self._writer = writer
        self._disks = disks

    def place(self, wish: Wish) -> HomeTarget | None:
        """See `Maker`."""
        group = wish.group
        if self._machine.managers.booted() or len(group.cgroups) != 1 or is_ours(group.cgroups[0]):
            return None
        if not self._machine.cgroups.mounted() or "cpu" not in self._machine.cgroups.controllers("/"):
            return None
        origin = group.cgroups[0]
        origin_id = self._machine.cgroups.cgroup_id(origin)
        start = self._machine.threads.start_ticks(group.root_pid)
        if origin_id is None or start is None:
            return None
        return HomeTarget(f"{TREE}/{group.root_pid}-{start}", origin, origin_id, -1, "")

    def makes(self, target: HomeTarget) -> bool:
        """See `Maker`."""
        return not target.unit

    def why(self, target: HomeTarget) -> str:
        """See `Maker`."""
        del target
        return "a cgroup of its own: all of it together counts as one against everybody else"

    def values(self, wish: Wish, target: HomeTarget) -> dict[str, Value]:
        """See `Maker`."""
        del target
        limits = wish.decision.limits
        disks = self._disks() if limits.io_read_bps or limits.io_write_bps else ()
        wanted = desired(wish, self._machine.cgroups.controllers("/"), disks)
        if self._machine.cgroups.cgroup_id(TREE) is not None and self._machine.cgroups.read(TREE, _IO_WEIGHT) is None:
            wanted.pop("IOWeight", None)  # a kernel without io.cost
        return wanted

    def start(self, target: HomeTarget, pids: Sequence[int], values: Mapping[str, Value]) -> None:
        """See `Maker`."""
        self._enable(target, "/")
        self._machine.cgroups.make(TREE)
        self._enable(target, TREE)
        self._machine.cgroups.make(target.cgroup)
        self.weigh(target, values)
        self.add(target, pids)

    def add(self, target: HomeTarget, pids: Sequence[int]) -> None:
        """See `Maker`: one that cannot be moved (a real-time one under RT_GROUP_SCHED) keeps no other back."""
        refused: OSError | None = None
        for pid in pids:
            try:
                self._machine.cgroups.move(pid, target.cgroup)
            except ProcessLookupError:
                continue
            except OSError as error:
                refused = refused or error
        if refused is not None:
            raise refused

    def weigh(self, target: HomeTarget, values: Mapping[str, Value]) -> None:
        """See `Maker`."""
        for name, text in files(values):
            try:
                self._machine.cgroups.write(target.cgroup, name, text)
            except FileNotFoundError:
                if name != _IO_WEIGHT:
                    raise
            except OSError as error:
                if name != "io.max" or error.errno != errno.ENODEV:  # the disk is gone, and its cap with it
                    raise

    def _enable(self, target: HomeTarget, cgroup: str) -> None:
        """Turn on what the children of *cgroup* need, once, and remember what was off: in the tree it goes with it."""
        wanted = self._machine.cgroups.controllers(cgroup) & frozenset(CONTROLLERS)
        off = sorted(wanted - self._machine.cgroups.enabled(cgroup))
        number = self._machine.cgroups.cgroup_id(cgroup)
        if not off or number is None:
            return
        if cgroup == TREE:
            self._machine.cgroups.switch(cgroup, [f"+{name}" for name in off])
            return
        place = ControllersTarget(cgroup, number, " ".join(off))
        change = Change(Knob.CONTROLLERS, place, "", place.added, target.cgroup, "for a cgroup of our own")
        events: list[str] = []
        outcomes = self._writer.write([Step(change, "")], 0, events)
        if not outcomes or outcomes[0].status is not Status.APPLIED:
            raise OSError(1, "; ".join(events) or outcomes[0].detail)


def files(values: Mapping[str, Value]) -> list[tuple[str, str]]:
    """The files of a cgroup that bring *values* about (pure). Source: Documentation/admin-guide/cgroup-v2.rst."""
    written: list[tuple[str, str]] = []
    for name, value in values.items():
        match name, value:
            case "CPUWeight", 0:
                written.append(("cpu.idle", "1"))
            case "CPUWeight", int():
                written += [("cpu.idle", "0"), ("cpu.weight", str(value))]
            case "IOWeight", int():
                written.append(("io.weight", f"default {value}"))
            case "MemoryHigh", int():
                written.append(("memory.high", _or_max(value)))
            case "CPUQuotaPerSecUSec", int():
                quota = value if value == UNSET else round(value / PERIOD_US * 100_000)
                written.append(("cpu.max", f"{_or_max(quota)} 100000"))
            case "IOReadBandwidthMax" | "IOWriteBandwidthMax", Caps():
                kind = "rbps" if "Read" in name else "wbps"
                written += [("io.max", f"{device} {kind}={_or_max(bps)}") for device, bps in value.disks]
    return written


def _or_max(limit: int) -> str:
    return "max" if limit == UNSET else str(limit)
