"""Weights and limits of a group's own systemd units: the rung that counts between applications.

A unit is asked of its manager, and what became of it is read from its cgroup. Values that somebody set before, or
sets behind our back (`systemctl set-property`, another tool), are theirs.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, islice

from smoothtask.actuator.knobs import Machine, property_of
from smoothtask.actuator.ledger import UNSET, Entry, Key
from smoothtask.actuator.mechanism import Tick, Wish
from smoothtask.actuator.writer import Step, Writer
from smoothtask.kernel.systemd import SYSTEM, ManagerError, SilentError, name_of
from smoothtask.model.change import Caps, Change, Knob, Outcome, Status, UnitTarget, Value
from smoothtask.model.classes import Limits
from smoothtask.model.group import UnitRef

LOOK_AT = 16
"""Values that are compared with the kernel's in one tick."""
AGAIN_TICKS = 30_000
"""A unit that could not be set is tried again after 5 min."""
PERIOD_US = 1_000_000
NOBODY: Mapping[str, Value] = {
    "CPUWeight": UNSET,
    "IOWeight": UNSET,
    "CPUQuotaPerSecUSec": UNSET,
    "MemoryHigh": UNSET,
    "IOReadBandwidthMax": Caps(),
    "IOWriteBandwidthMax": Caps(),
}
"""The properties that are set, and their values when nobody set them."""


def desired(wish: Wish, controllers: frozenset[str], disks: Sequence[str]) -> dict[str, Value]:
    """The properties that *wish* asks for, of those that the *controllers* can bring about (pure)."""
    effect, limits = wish.effect, wish.decision.limits
    values: dict[str, Value] = {}
    if "cpu" in controllers:
        if limits.cpu_idle or effect.cpu_weight != 100:
            values["CPUWeight"] = 0 if limits.cpu_idle else effect.cpu_weight
        if limits.cpu_pct is not None:
            values["CPUQuotaPerSecUSec"] = round(limits.cpu_pct * PERIOD_US / 100)
    if "io" in controllers:
        if effect.io_weight != 100:
            values["IOWeight"] = effect.io_weight
        if limits.io_read_bps is not None and disks:
            values["IOReadBandwidthMax"] = Caps(tuple((disk, limits.io_read_bps) for disk in disks))
        if limits.io_write_bps is not None and disks:
            values["IOWriteBandwidthMax"] = Caps(tuple((disk, limits.io_write_bps) for disk in disks))
    if "memory" in controllers and limits.memory_high_bytes is not None:
        values["MemoryHigh"] = limits.memory_high_bytes
    return values


def of_kernel(name: str, cgroup: str, machine: Machine) -> Value | None:
    """The same value as the kernel has it; `None` where it cannot be told (or the controller is off)."""
    if name == "CPUWeight":
        return machine.cgroups.weight(cgroup, "cpu.weight")
    if name == "IOWeight":
        return machine.cgroups.weight(cgroup, "io.weight")
    if name == "MemoryHigh":
        return _page_rounded(machine.cgroups.read(cgroup, "memory.high"))
    if name == "CPUQuotaPerSecUSec":
        return parse_quota(machine.cgroups.read(cgroup, "cpu.max"))
    return None


def parse_quota(text: str | None) -> int | None:
    """cpu.max (`30000 100000`, `max 100000`) in microseconds a second."""
    if text is None:
        return None
    quota, _, period = text.partition(" ")
    return UNSET if quota == "max" else round(int(quota) * PERIOD_US / int(period))


def _page_rounded(text: str | None) -> int | None:
    return None if text is None else UNSET if text == "max" else int(text)


def agree(name: str, kernel: Value | None, ours: Value) -> bool:
    """Whether the kernel has what was set; it rounds memory to pages, and quotas to microseconds a period."""
    if kernel is None:
        return name.endswith("BandwidthMax")  # not compared
    if name in {"MemoryHigh", "CPUQuotaPerSecUSec"} and isinstance(kernel, int) and isinstance(ours, int):
        return abs(kernel - ours) <= max(4096, ours // 100)
    return kernel == ours


class Units:
    """Implements `Mechanism`."""

    def __init__(self, machine: Machine, writer: Writer, disks: Callable[[], Sequence[str]]) -> None:
        self._machine = machine
        self._writer = writer
        self._ledger = writer.ledger
        self._disks = disks
        self._settled: dict[str, tuple[object, ...]] = {}
        """Group → what was last brought about for it."""
        self._checked: set[UnitRef] = set()
        """Units that their managers know."""
        self._refused: dict[tuple[int, str], int] = {}
        """Unit → when it is tried again."""
        self._theirs: dict[Key, str] = {}
        """Values that are somebody else's → the group."""
        self._powerless: set[Key] = set()
        """Values that the kernel has no use for: put back, and left to the next rung."""
        self._doubtful: set[Key] = set()
        self._controllers: dict[str, frozenset[str]] = {}
        self._turn = 0

    @property
    def user_owned(self) -> frozenset[str]:
        """Groups in whose units somebody else changed what we had set."""
        return frozenset(self._theirs.values())

    def effective(self, wish: Wish) -> str | None:
        """See `Mechanism`."""
        units = [u for u in wish.group.units if self._usable(u)]
        if not units:
            return None
        above = units[0].cgroup.rpartition("/")[0].rpartition("/")[2] or "the root"
        return f"the weight of its own unit counts against the other units of {above}; nice has no effect across them"

    def apply(self, wishes: Mapping[str, Wish], tick: Tick) -> list[Outcome]:
        """See `Mechanism`."""
        if tick.complete:
            self._controllers.clear()
        steps: list[Step] = []
        wanted: set[Key] = set()
        for group, wish in wishes.items():
            steps += self._bring(group, wish, wanted, tick)
        if tick.complete:
            steps += self._put_back(wanted)
            self._forget(wishes, tick.now_ticks)
        outcomes = self._writer.write(steps, tick.now_ticks, tick.events)
        for o in outcomes:
            self._note(o, tick)
        return outcomes

    def read_back(self, tick: Tick) -> list[Outcome]:
        """See `Mechanism`: some of the values each time, a value that differs twice is somebody else's."""
        ours = [e for e in self._ledger.of(Knob.UNIT) if e.key not in self._theirs]
        if not ours:
            return []
        looked = list(islice(cycle(ours), self._turn % len(ours), self._turn % len(ours) + min(LOOK_AT, len(ours))))
        self._turn += LOOK_AT
        doubtful = [e for e in ours if e.key in self._doubtful]
        return [o for e in dict.fromkeys([*doubtful, *looked]) if (o := self._compared(e, tick)) is not None]

    def holds(self, group: str) -> str | None:
        """See `Mechanism`."""
        by_unit: dict[str, list[str]] = {}
        for entry in self._ledger.of(Knob.UNIT):
            if entry.group == group and isinstance(entry.target, UnitTarget):
                by_unit.setdefault(entry.target.unit, []).append(f"{entry.target.name} {in_words(entry.new)}")
        return "; ".join(f"{', '.join(sorted(v))} on {unit}" for unit, v in by_unit.items()) or None

    def undone(self, entry: Entry, outcome: Outcome) -> None:
        """See `Mechanism`."""
        self._settled.pop(entry.group, None)
        self._checked.clear()
        if entry.knob is Knob.UNIT and outcome.status is Status.CHANGED:
            self._theirs[entry.key] = entry.group

    def _usable(self, unit: UnitRef) -> bool:
        return (
            (unit.manager, unit.name) not in self._refused
            and self._machine.managers.is_there(unit.manager)
            and "cpu" in self._available(unit)
        )

    def _available(self, unit: UnitRef) -> frozenset[str]:
        """The controllers that the unit's manager may use."""
        top = "/" if unit.manager == SYSTEM else f"/user.slice/user-{unit.manager}.slice/user@{unit.manager}.service"
        if top not in self._controllers:
            self._controllers[top] = self._machine.cgroups.controllers(top)
        return self._controllers[top]

    def _bring(self, group: str, wish: Wish, wanted: set[Key], tick: Tick) -> list[Step]:
        steps = []
        limits: Limits = wish.decision.limits
        usable = [u for u in wish.group.units if self._usable(u)]
        signature = (usable, wish.effect, limits)
        known, silent = self._settled.get(group) == signature, False
        disks = self._disks() if limits.io_read_bps or limits.io_write_bps else ()
        for unit in usable:
            every = desired(wish, self._available(unit), disks)
            values = {name: value for name, value in every.items() if _key(unit, name) not in self._powerless}
            wanted.update(_key(unit, name) for name in values)
            if not known:
                try:
                    steps += self._steps(group, wish, unit, values, tick)
                except SilentError as error:
                    tick.events.append(f"{group}: {error}")
                    silent = True
                except ManagerError as error:
                    self._refuse(unit, group, str(error), tick)
        if not silent:  # or it is asked again
            self._settled[group] = signature
        return steps

    def _steps(self, group: str, wish: Wish, unit: UnitRef, values: Mapping[str, Value], tick: Tick) -> list[Step]:
        """What is to be set. Each property is read just before: somebody may have set it. Raises ManagerError."""
        if not self._is_the_hosts(unit, group, tick):
            return []
        steps = []
        for name, value in values.items():
            target = UnitTarget(unit.manager, unit.name, name, unit.cgroup)
            key = Key(Knob.UNIT, target.who)
            entry = self._ledger.entries.get(key)
            if key in self._theirs or (entry is not None and entry.new == value):
                continue
            now = property_of(self._machine, target)
            if entry is None and now != NOBODY[name]:
                tick.events.append(f"{group}: {name} of {unit.name} is {in_words(now)}: somebody set it")
                self._theirs[key] = group
            elif entry is not None and now not in entry.ours:
                self._lose(entry, target, now, tick)
            else:
                old = now if entry is None else entry.old
                steps.append(Step(Change(Knob.UNIT, target, old, value, group, wish.decision.text), now))
        return steps

    def _lose(self, entry: Entry, target: UnitTarget, now: Value, tick: Tick) -> str:
        """Somebody else set it."""
        self._ledger.drop([entry.key])
        self._theirs[entry.key] = entry.group
        told = f"{target.name} of {target.unit} was set to {in_words(now)} by somebody: it is theirs"
        tick.events.append(f"{entry.group}: {told}")
        return told

    def _is_the_hosts(self, unit: UnitRef, group: str, tick: Tick) -> bool:
        """Whether its manager knows it there: inside a container another systemd may call its units the same."""
        if unit not in self._checked:
            found = self._machine.managers.properties(unit.manager, unit.name, ["ControlGroup"])["ControlGroup"]
            if found != unit.cgroup:
                self._refuse(unit, group, f"{name_of(unit.manager)} keeps no {unit.name} in {unit.cgroup}", tick)
                return False
            self._checked.add(unit)
        return True

    def _refuse(self, unit: UnitRef, group: str, why: str, tick: Tick) -> None:
        self._refused[unit.manager, unit.name] = tick.now_ticks + AGAIN_TICKS
        tick.events.append(f"{group}: its unit is left alone: {why}")

    def _put_back(self, wanted: set[Key]) -> list[Step]:
        """What is ours and not wanted any more; what is not ours any more is forgotten."""
        steps = []
        for entry in list(self._ledger.of(Knob.UNIT)):
            target, key = entry.target, entry.key
            if key in wanted or not isinstance(target, UnitTarget):
                continue
            if not self._machine.managers.is_there(target.manager):
                if self._machine.cgroups.cgroup_id(target.cgroup) is None:
                    self._ledger.drop([key])
                continue
            try:
                now = property_of(self._machine, target)
            except ManagerError:
                continue  # tried again at the next tick
            if now not in entry.ours:
                self._ledger.drop([key])  # the unit is gone, or somebody else set it
                continue
            change = Change(Knob.UNIT, target, entry.old, entry.old, entry.group, "put back")
            steps.append(Step(change, now))
        return steps

    def _forget(self, wishes: Mapping[str, Wish], now_ticks: int) -> None:
        """Let go of groups that nothing is wished for, and of units that are in no group."""
        for group in self._settled.keys() - wishes.keys():
            del self._settled[group]
        units = {u for w in wishes.values() for u in w.group.units}
        self._checked &= units
        names = {(u.manager, u.name) for u in units}
        self._refused = {who: until for who, until in self._refused.items() if now_ticks < until}
        self._theirs = {k: g for k, g in self._theirs.items() if k.who[:2] in names}
        self._powerless = {k for k in self._powerless if k.who[:2] in names}
        self._doubtful &= self._ledger.entries.keys()

    def _compared(self, entry: Entry, tick: Tick) -> Outcome | None:
        target = entry.target
        if not isinstance(target, UnitTarget):
            return None
        kernel = of_kernel(target.name, target.cgroup, self._machine)
        if agree(target.name, kernel, entry.new) or self._machine.cgroups.cgroup_id(target.cgroup) is None:
            self._doubtful.discard(entry.key)
            return None
        if entry.key not in self._doubtful:  # it may be on its way
            self._doubtful.add(entry.key)
            return None
        self._doubtful.discard(entry.key)
        change = Change(Knob.UNIT, target, entry.new, entry.new, entry.group, "looked at")
        try:
            now = property_of(self._machine, target)
        except ManagerError as error:
            return Outcome(change, Status.FAILED, str(error))
        if now != entry.new:
            return Outcome(change, Status.CHANGED, self._lose(entry, target, now, tick))
        if kernel is None:
            self._powerless.add(entry.key)
            told = f"{target.name} of {target.unit} has no effect: its cgroup has no such controller"
        else:
            self._theirs[entry.key] = entry.group
            told = f"the kernel has {in_words(kernel)} for {target.name} of {target.unit}: somebody wrote it directly"
        tick.events.append(f"{entry.group}: {told}")
        return Outcome(change, Status.CHANGED if kernel is not None else Status.FAILED, told)

    def _note(self, outcome: Outcome, tick: Tick) -> None:
        target = outcome.change.target
        if outcome.status not in {Status.DENIED, Status.FAILED} or not isinstance(target, UnitTarget):
            return
        self._settled.pop(outcome.change.group, None)
        self._refused[target.manager, target.unit] = tick.now_ticks + AGAIN_TICKS
        tick.events.append(f"{outcome.change.group}: {target.name} of {target.unit}: {outcome.detail}")


def _key(unit: UnitRef, name: str) -> Key:
    return Key(Knob.UNIT, (unit.manager, unit.name, name))


def in_words(value: Value) -> str:
    """A property's value, for people."""
    if isinstance(value, Caps):
        return ", ".join(f"{disk} {bps}" for disk, bps in value.disks) or "unset"
    return "unset" if value == UNSET else "idle" if value == 0 else str(value)
