"""The actuator on real processes: what a tick does between looking and deciding, with classes that a test chooses."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from scenery import classification, known
from smoothtask.actuator.apply import Actuator
from smoothtask.actuator.knobs import Machine
from smoothtask.actuator.ledger import Ledger
from smoothtask.actuator.resolve import Abilities
from smoothtask.actuator.restore import restore
from smoothtask.classifier.behaviour import STATE_DTYPE
from smoothtask.collector.identity import read_identity
from smoothtask.collector.rates import process_rates
from smoothtask.collector.tasks import open_tasks
from smoothtask.engine.groups import GroupBuilder
from smoothtask.engine.world import World
from smoothtask.kernel import cgroup2, sched
from smoothtask.kernel.disks import read_disks
from smoothtask.kernel.systemd import Managers
from smoothtask.model.change import Acted, Knob, Outcome
from smoothtask.model.classes import DEFAULT_EFFECTS, NO_LIMITS, Limits, PriorityClass
from smoothtask.model.decision import Decision, Stage
from smoothtask.model.group import AppGroup, Classification
from smoothtask.model.identity import Identity

BOOT = "this boot"


def machine() -> Machine:
    """The real one."""
    return Machine(sched, cgroup2, Managers(timeout_s=20))


def classify(identity: Identity, ancestors: Sequence[Identity]) -> Classification:
    """Shells start others; what calls itself a build is a part of the application around it."""
    del ancestors
    if "BUILD" in identity.cmdline:
        return known("build", part="build")
    return classification(f"name:{identity.name}", starts_others=identity.name in {"sh", "bash"})


class Rig:
    """One daemon's hands, on everything that runs."""

    def __init__(self, ledger: Path) -> None:
        self.machine = machine()
        self.tasks, self.source = open_tasks()
        self.world = World(read_identity, classify, sched.start_ticks)
        self._builder = GroupBuilder()
        self.open(ledger)

    def open(self, ledger: Path) -> None:
        """Begin with another ledger, and hands that know of nothing."""
        self.path = ledger
        self.ledger = Ledger.open(ledger, BOOT)
        self.hands = Actuator(
            self.machine,
            self.ledger,
            DEFAULT_EFFECTS,
            Abilities(slices=sched.slices_supported()),
            autogroups=sched.autogroups_enabled(),
            disks=read_disks,
        )

    def tick(self, classes: Mapping[str, PriorityClass], limits: Limits = NO_LIMITS) -> Acted:
        """Act once. *classes*: a piece of a group's id → its class; all others are NORMAL."""
        table = self.tasks.read(time.monotonic_ns())
        self.world.update(table)
        now_ticks = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 10_000_000
        rates = process_rates(None, table)
        behaviour = np.zeros(len(rates), STATE_DTYPE)
        groups = self._builder.build(self.world, table.processes, rates, behaviour, now_ticks)
        decisions = [self._decision(g, classes, limits) for g in groups]
        return self.hands.act(decisions, groups, table, self.world.row_groups(table.processes), True, now_ticks)

    def home(self, group: str) -> str:
        """The cgroup of ours that *group* lives in."""
        (cgroup,) = [str(e.new) for e in self.ledger.of(Knob.HOME) if e.group == group]
        return cgroup

    def restore(self) -> tuple[Outcome, ...]:
        """What `smoothtask restore` does, from the file alone."""
        self.ledger.close()
        ledger = Ledger.open(self.path, BOOT)
        try:
            return restore(ledger, self.machine)
        finally:
            ledger.close()

    def close(self) -> None:
        """Put everything back."""
        self.hands.undo_all()
        self.hands.close()
        self.tasks.close()

    @staticmethod
    def _decision(group: AppGroup, classes: Mapping[str, PriorityClass], limits: Limits) -> Decision:
        named = [target for piece, target in classes.items() if group.id.endswith(piece) or f"{piece}@" in group.id]
        part_of_named = group.parent is not None and not any(group.id.endswith(piece) for piece in classes)
        target = named[0] if named and not part_of_named else PriorityClass.NORMAL
        asked = limits if target <= PriorityClass.BACKGROUND else NO_LIMITS
        return Decision(group.id, target, target, Stage.RULE, (), limits=asked)
