"""Cgroups of our own for groups that have none: what is lowered moves there with its children, and back.

Children are born where their parent is, so a storm of short-lived ones needs no work at all. Whoever is there and
does not belong to the group (a build that starts the program it built) is brought home at the next tick.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from smoothtask.actuator.knobs import Machine
from smoothtask.actuator.ledger import DEFAULT_WEIGHT, UNSET, Entry
from smoothtask.actuator.mechanism import Tick, Wish
from smoothtask.actuator.units import AGAIN_TICKS, NOBODY, in_words
from smoothtask.actuator.writer import Step, Writer
from smoothtask.kernel.systemd import ManagerError
from smoothtask.model.change import Caps, Change, HomeTarget, Knob, Outcome, Status, Value
from smoothtask.model.classes import PriorityClass
from smoothtask.model.tasks import ProcKey

PATIENCE_TICKS = 5
"""Looks until a scope that systemd promised must be there."""
RETRY_TICKS = 1000
"""A cgroup that could not be emptied is tried again after 10 s."""
_FAILED = frozenset({Status.DENIED, Status.FAILED})


class Maker(Protocol):
    """Where such cgroups come from."""

    def place(self, wish: Wish) -> HomeTarget | None:
        """The cgroup that a group would get, and where its processes are now; `None` where that cannot be."""
        ...

    def makes(self, target: HomeTarget) -> bool:
        """Whether *target* is one of this kind."""
        ...

    def why(self, target: HomeTarget) -> str:
        """Against whom the weight of such a cgroup counts."""
        ...

    def values(self, wish: Wish, target: HomeTarget) -> dict[str, Value]:
        """The properties that it shall have, as systemd calls them."""
        ...

    def start(self, target: HomeTarget, pids: Sequence[int], values: Mapping[str, Value]) -> None:
        """Make it and move *pids* there. Raises OSError, ManagerError; it may be half done then."""
        ...

    def add(self, target: HomeTarget, pids: Sequence[int]) -> None:
        """Move more processes there. Raises OSError, ManagerError."""
        ...

    def weigh(self, target: HomeTarget, values: Mapping[str, Value]) -> None:
        """Give it other values. Raises OSError, ManagerError."""
        ...


@dataclass(slots=True)
class _Home:
    """A cgroup of ours, all of it or half, and what it was last given."""

    target: HomeTarget
    values: Mapping[str, Value]
    looks: int = 0
    """Ticks for which it has not been seen."""
    seen: bool = False
    again_ticks: int = 0
    """When it is emptied, if it could not be before."""
    told: set[str] = field(default_factory=set)
    """Troubles that people know of."""


class Homes:
    """Implements `Mechanism`."""

    def __init__(self, machine: Machine, writer: Writer, maker: Maker) -> None:
        self._machine = machine
        self._writer = writer
        self._ledger = writer.ledger
        self._maker = maker
        self._homes = {
            entry.group: _Home(target, NOBODY, seen=True)
            for entry in writer.ledger.of(Knob.HOME)
            if isinstance(target := entry.target, HomeTarget) and maker.makes(target)
        }
        """By group; at first those that a predecessor could not empty."""
        self._refused: dict[str, int] = {}
        """Group → when it is tried again."""

    def effective(self, wish: Wish) -> str | None:
        """See `Mechanism`."""
        if wish.effect.cpu_weight == DEFAULT_WEIGHT and not wish.decision.limits:
            return None  # there is nothing to weigh
        if wish.decision.target > PriorityClass.BACKGROUND or wish.group.id in self._refused:
            return None
        home = self._homes.get(wish.group.id)
        target = home.target if home is not None else self._maker.place(wish)
        return self._maker.why(target) if target is not None else None

    def apply(self, wishes: Mapping[str, Wish], tick: Tick) -> list[Outcome]:
        """See `Mechanism`."""
        steps: list[Step] = []
        begun: dict[str, _Home] = {}
        members = _members(tick, wishes.keys() | self._homes.keys()) if wishes or self._homes else {}
        for group, wish in wishes.items():
            home = self._homes.get(group)
            if home is None:
                steps += self._begin(group, wish, members.get(group, []), begun)
            else:
                self._adjust(group, home, self._maker.values(wish, home.target), tick)
        if tick.complete:
            for group, home in list(self._homes.items()):
                steps += self._kept(group, home, group in wishes, members.get(group, []), tick)
            self._refused = {g: until for g, until in self._refused.items() if tick.now_ticks < until}
        outcomes = self._writer.write(steps, tick.now_ticks, tick.events)
        for o in outcomes:
            if o.change.group in begun:
                self._note_begun(o, begun[o.change.group], tick)
            else:
                self._note_put_back(o, tick)
        return outcomes

    def read_back(self, tick: Tick) -> list[Outcome]:
        """See `Mechanism`: `apply` looks into each cgroup of ours once a complete tick."""
        del tick
        return []

    def holds(self, group: str) -> str | None:
        """See `Mechanism`."""
        home = self._homes.get(group)
        if home is None or group in self._refused:
            return None
        given = sorted((n, v) for n, v in home.values.items() if v not in (UNSET, nobodys(n, v)))
        if not given:
            return None
        values = ", ".join(f"{name} {in_words(value)}" for name, value in given)
        return f"{values} on {home.target.unit or home.target.cgroup}"

    def undone(self, entry: Entry, outcome: Outcome) -> None:
        """See `Mechanism`."""
        if entry.knob is Knob.HOME and outcome.status not in _FAILED:
            self._homes.pop(entry.group, None)

    def _begin(self, group: str, wish: Wish, members: Sequence[ProcKey], begun: dict[str, _Home]) -> list[Step]:
        target = self._maker.place(wish)
        if target is None:
            return []
        pids = self._in(target.origin, members)
        if not pids:
            return []
        values = self._maker.values(wish, target)
        change = Change(Knob.HOME, target, target.origin, target.cgroup, group, wish.decision.text)
        begun[group] = _Home(target, values)
        return [Step(change, target.origin, act=lambda: self._maker.start(target, pids, values))]

    def _adjust(self, group: str, home: _Home, values: Mapping[str, Value], tick: Tick) -> None:
        """Give it *values* and nothing else: what it was given before is taken away."""
        if values == home.values or self._machine.cgroups.cgroup_id(home.target.cgroup) is None:
            return
        lifted = {name: nobodys(name, value) for name, value in home.values.items() if name not in values}
        try:
            self._maker.weigh(home.target, {**lifted, **values})
            home.values = values
        except (OSError, ManagerError) as error:
            _tell(group, home, f"{home.target.unit or home.target.cgroup}: {error}", tick)

    def _kept(self, group: str, home: _Home, wanted: bool, members: Sequence[ProcKey], tick: Tick) -> list[Step]:
        """Look into a cgroup of ours: who is missing comes, who does not belong goes, an empty one is forgotten."""
        target = home.target
        if self._machine.cgroups.cgroup_id(target.cgroup) is None:
            return self._missing(group, home, tick)
        inside = self._machine.cgroups.pids(target.cgroup)
        home.seen, home.looks = home.seen or bool(inside), 0 if inside else home.looks + 1
        if target.unit and not home.seen and home.looks <= PATIENCE_TICKS:
            return []  # they are on their way
        if not wanted or (home.seen and not inside and home.looks > PATIENCE_TICKS):
            if tick.now_ticks < home.again_ticks:
                self._adjust(group, home, {}, tick)  # lowered no more, meanwhile
                return []
            change = Change(Knob.HOME, target, target.origin, target.origin, group, "put back")
            return [Step(change, target.cgroup)]
        belong = {key.pid for key in members}
        known = set(tick.table.processes["pid"].tolist())
        for pid in (inside & known) - belong:
            self._send_home(pid, group, home, tick)
        absent = self._in(target.origin, [key for key in members if key.pid not in inside])
        if absent and home.seen:
            try:
                self._maker.add(target, absent)
            except (OSError, ManagerError) as error:
                _tell(group, home, f"{len(absent)} processes stay where they are: {error}", tick)
        return []

    def _missing(self, group: str, home: _Home, tick: Tick) -> list[Step]:
        """It is gone because everybody left, or was never made."""
        home.looks += 1
        if not home.seen and home.looks < PATIENCE_TICKS:
            return []
        if not home.seen and group not in self._refused:
            self._refused[group] = tick.now_ticks + AGAIN_TICKS
            made = home.target.unit or home.target.cgroup
            tick.events.append(f"{group}: {made}: systemd did not move its processes")
        self._ledger.drop([e.key for e in self._ledger.of(Knob.HOME) if e.target == home.target])
        del self._homes[group]
        return []

    def _send_home(self, pid: int, group: str, home: _Home, tick: Tick) -> None:
        origin = home.target.origin
        try:
            self._machine.cgroups.move(pid, origin)
            tick.events.append(f"{group}: process {pid} is another application's by now, and was brought home")
        except ProcessLookupError:
            return
        except OSError as error:
            _tell(group, home, f"process {pid} cannot go back to {origin}: {error.strerror}", tick)

    def _in(self, cgroup: str, members: Sequence[ProcKey]) -> list[int]:
        """Those of *members* that live, and live there."""
        return [
            key.pid
            for key in members
            if self._machine.cgroups.of_process(key.pid) == cgroup
            and self._machine.threads.start_ticks(key.pid) == key.start_ticks
        ]

    def _note_begun(self, outcome: Outcome, home: _Home, tick: Tick) -> None:
        """What failed may be half done: nobody wants it while it is refused, so the next look takes it down."""
        group = outcome.change.group
        self._homes[group] = home
        if outcome.status is not Status.APPLIED:
            self._refused[group] = tick.now_ticks + AGAIN_TICKS
            tick.events.append(f"{group}: {home.target.cgroup}: {outcome.detail}")

    def _note_put_back(self, outcome: Outcome, tick: Tick) -> None:
        group = outcome.change.group
        if outcome.status not in _FAILED:
            del self._homes[group]
            if outcome.status is Status.GONE and outcome.detail:
                tick.events.append(f"{group}: {outcome.detail}")
            return
        home = self._homes[group]
        home.again_ticks = tick.now_ticks + RETRY_TICKS
        _tell(group, home, f"{home.target.cgroup}: its processes stay there for now: {outcome.detail}", tick)


def nobodys(name: str, value: Value) -> Value:
    """What takes *value* of a property away again, in the kernel too: an unset weight would stay there (pure)."""
    if isinstance(value, Caps):
        return Caps(tuple((disk, UNSET) for disk, _ in value.disks))
    return DEFAULT_WEIGHT if name.endswith("Weight") else UNSET


def _tell(group: str, home: _Home, trouble: str, tick: Tick) -> None:
    """Once: it is tried again and again."""
    if trouble not in home.told:
        home.told.add(trouble)
        tick.events.append(f"{group}: {trouble}")


def _members(tick: Tick, groups: set[str]) -> dict[str, list[ProcKey]]:
    """The processes of each of *groups*."""
    members: dict[str, list[ProcKey]] = {}
    processes = tick.table.processes
    rows = [i for i, group in enumerate(tick.row_groups) if group in groups]
    for i in rows:
        key = ProcKey(int(processes["pid"][i]), int(processes["start_ticks"][i]))
        members.setdefault(tick.row_groups[i], []).append(key)
    return members
