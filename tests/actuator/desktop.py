"""A desktop in memory: a user's manager, applications in units and scopes, an actuator that climbs the ladder."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from actuator.doubles import FakeCgroups, FakeKernel, FakeManagers, Thread, Unit, decision
from scenery import group
from smoothtask.actuator.apply import Actuator
from smoothtask.actuator.knobs import Machine
from smoothtask.actuator.ledger import Ledger
from smoothtask.actuator.resolve import Abilities
from smoothtask.actuator.restore import restore
from smoothtask.kernel.disks import Disk
from smoothtask.kernel.systemd import SYSTEM
from smoothtask.model.change import Acted, Outcome
from smoothtask.model.classes import DEFAULT_EFFECTS, Limits, PriorityClass
from smoothtask.model.decision import Decision
from smoothtask.model.group import AppGroup, UnitRef
from smoothtask.model.ours import is_ours

UID = 1000
USER = f"/user.slice/user-{UID}.slice/user@{UID}.service"
APPS = f"{USER}/app.slice"
TERMINAL = f"{APPS}/vte-spawn.scope"
SDA = Disk("sda", "8:0", "bfq")


class Desktop:
    """An actuator, its ledger and its machine: *systemd* keeps it, or nobody."""

    def __init__(self, folder: Path, systemd: bool = True) -> None:
        self.folder, self.path = folder, folder / "ledger"
        self.kernel = FakeKernel()
        self.cgroups = FakeCgroups(self.kernel)
        self.managers = FakeManagers(self.cgroups, (SYSTEM, UID) if systemd else ())
        self.machine = Machine(self.kernel, self.cgroups, self.managers)
        if systemd:
            self.cgroups.born(APPS)
            self.cgroups.enable(self.cgroups.above(USER), "cpu", "io", "memory")
        self.next = 100
        self.start()

    def start(self) -> None:
        """A daemon that begins, with what its predecessor left on disk."""
        self.ledger = Ledger.open(self.path, "boot")
        self.hands = Actuator(
            self.machine, self.ledger, DEFAULT_EFFECTS, Abilities(), autogroups=True, disks=lambda: [SDA]
        )

    def unit(self, name: str, group: str | None = None, **original: Any) -> Unit:
        """A unit of the user's, with a process of *group*."""
        made = self.managers.unit(UID, name, f"{APPS}/{name}", **original)
        if group is not None:
            self.process(group, made.cgroup)
        return made

    def process(self, group: str, cgroup: str = "/", parent: Thread | None = None) -> Thread:
        """A process in a cgroup, or where its parent is."""
        self.next += 1
        made = self.kernel.spawn(self.next, group, parent)
        if parent is None:
            self.cgroups.born(cgroup)
            made.cgroup = made.origin = cgroup
        return made

    def grouped(self, decisions: Sequence[Decision]) -> list[AppGroup]:
        """As the grouper would say: a unit that holds one application is its; parts have none."""
        return [self._group(d.group) for d in decisions if any(t.group == d.group for t in self._leaders())]

    def _group(self, name: str) -> AppGroup:
        members = [t for t in self._leaders() if t.group == name]
        seen = sorted({self.seen(t) for t in members})
        units = [
            UnitRef(u.manager, u.name, u.cgroup)
            for u in self.managers.units.values()
            if not is_ours(u.cgroup) and u.cgroup in seen and "/" not in name and self._alone(name, u.cgroup)
        ]
        return group(name, root_pid=members[0].pid, units=tuple(sorted(units)), cgroups=tuple(seen)[:4])

    def _alone(self, name: str, cgroup: str) -> bool:
        return all(t.group == name for t in self._leaders() if self.seen(t) == cgroup)

    def _leaders(self) -> list[Thread]:
        return [t for t in self.kernel.threads.values() if t.pid == t.tid]

    @staticmethod
    def seen(thread: Thread) -> str:
        """Where it is, or came from when we moved it."""
        return thread.origin if is_ours(thread.cgroup) else thread.cgroup

    def tick(self, *decisions: Decision, complete: bool = True) -> Acted:
        """Act once on everything, and let the managers do what they promised."""
        self.managers.settle()
        self.kernel.now += 10
        table = self.kernel.table()
        rows = self.kernel.row_groups(table)
        acted = self.hands.act(decisions, self.grouped(decisions), table, rows, complete, self.kernel.now)
        self.managers.settle()
        return acted

    def ticks(self, number: int, *decisions: Decision) -> list[Acted]:
        """The same decisions several times."""
        return [self.tick(*decisions) for _ in range(number)]

    def undo_all(self) -> tuple[str, ...]:
        """What the daemon does at its end."""
        self.managers.settle()
        with tempfile.TemporaryDirectory(dir=self.folder) as root:
            proc = self.kernel.write_proc(Path(root))
            with patch("smoothtask.actuator.apply.restore", partial(restore, proc_root=proc)):
                failed = self.hands.undo_all()
        self.managers.settle()
        return failed

    def restore(self) -> tuple[Outcome, ...]:
        """What `smoothtask restore` does, from the file alone."""
        self.managers.settle()
        self.ledger = Ledger.open(self.path, "boot")
        with tempfile.TemporaryDirectory(dir=self.folder) as root:
            outcomes = restore(self.ledger, self.machine, self.kernel.write_proc(Path(root)))
        self.managers.settle()
        return outcomes

    def weight(self, unit: Unit) -> tuple[object, int | None]:
        """A unit's CPUWeight, and what the kernel has."""
        return unit.properties.get("CPUWeight"), self.cgroups.weight(unit.cgroup)


def limited(name: str, target: PriorityClass, **limits: Any) -> Decision:
    """A decision with limits."""
    return replace(decision(name, target), limits=Limits(**limits))
