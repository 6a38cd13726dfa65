"""The only writer: for each group the first mechanism that is effective there, ledger first, read back after."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import product

from smoothtask.actuator.guard import leaks, lowered_codes
from smoothtask.actuator.homes import Homes
from smoothtask.actuator.knobs import Machine
from smoothtask.actuator.ledger import Entry, Key, Ledger
from smoothtask.actuator.mechanism import Mechanism, Tick, Wish
from smoothtask.actuator.plan import CPU_ELSEWHERE, IO_ELSEWHERE, SCHED_ELSEWHERE, UNTOUCHED, code_of
from smoothtask.actuator.resolve import Abilities
from smoothtask.actuator.restore import restore
from smoothtask.actuator.scopes import ScopeMaker
from smoothtask.actuator.sessions import Sessions
from smoothtask.actuator.threads import Threads
from smoothtask.actuator.trees import TreeMaker
from smoothtask.actuator.units import Units
from smoothtask.actuator.words import kept_values, nice_counts, of_threads
from smoothtask.actuator.writer import Writer
from smoothtask.kernel.disks import Disk
from smoothtask.model.change import Acted, Knob, Outcome, Status
from smoothtask.model.classes import ClassEffect, PriorityClass
from smoothtask.model.decision import Decision
from smoothtask.model.detail import InForce
from smoothtask.model.group import AppGroup
from smoothtask.model.owner import NOTHING_LEFT, Left, LeftTo
from smoothtask.model.tasks import TaskTable

LOOK_AGAIN_TICKS = 1000
"""A group's place in the scheduler's tree is asked again after 10 s: controllers come and go."""


class Actuator:
    """Climbs the ladder for every group: its units, a cgroup of its own, its session, its threads."""

    def __init__(
        self,
        machine: Machine,
        ledger: Ledger,
        effects: Mapping[PriorityClass, ClassEffect],
        abilities: Abilities,
        *,
        autogroups: bool,
        disks: Callable[[], Sequence[Disk]] = tuple,
    ) -> None:
        self._machine = machine
        self._ledger = ledger
        self._effects = effects
        self._codes = thread_effects(effects)
        self._autogroups = autogroups
        writer = Writer(machine, ledger)
        self._threads = Threads(machine, writer, abilities)
        self._units = Units(machine, writer, lambda: [f"/dev/{d.name}" for d in disks()])
        self._scopes = Homes(machine, writer, ScopeMaker(machine, lambda: [f"/dev/{d.name}" for d in disks()]))
        self._trees = Homes(machine, writer, TreeMaker(machine, writer, lambda: [d.number for d in disks()]))
        self._sessions = Sessions(machine, writer, abilities)
        self._ladder: tuple[Mechanism, ...] = (self._units, self._scopes, self._trees)
        self._places: dict[str, tuple[int, int, str | None]] = {}
        """Group → its root, when it was asked, and the task group that the scheduler weighs it in."""
        self._reasons: dict[str, str] = {}
        self._left_to = NOTHING_LEFT
        self._words: tuple[tuple[int, dict[str, str | None]], dict[str, str]] = ((-1, {}), {})
        """What is in effect for each group, and of which state of the ledger and of the homes that is said."""
        self._lowered = (-1, lowered_codes(()))

    def act(
        self,
        decisions: Sequence[Decision],
        groups: Sequence[AppGroup],
        table: TaskTable,
        row_groups: Sequence[str],
        complete: bool,
        now_ticks: int,
    ) -> Acted:
        """Bring the system in line with *decisions*; *complete*: the table holds every task."""
        tick = Tick(table, row_groups, complete, now_ticks, [])
        uids = {g.id: g.uid for g in groups}
        others = {d.group: self._left_to.of(d.group, uids.get(d.group, 0)) for d in decisions} if self._left_to else {}
        wishes = self._wishes(decisions, groups, others)
        outcomes: list[Outcome] = []
        left = wishes
        for rung in self._ladder:
            left, done = self._climb(rung, left, tick)
            outcomes += done
        self._ask_places(left, tick)
        on_sessions = {g: w for g, w in left.items() if self._autogroups and self._place_of(g) == "/"}
        outcomes += self._sessions.apply(on_sessions, tick)
        wanted = {d.group: self._thread_code(d, left, others.get(d.group, Left())) for d in decisions}
        by_group = {d.group: d for d in decisions}
        outcomes += self._threads.apply(wanted, self._codes, by_group, tick)
        if complete:
            outcomes += self._guard(by_group, wanted, tick)
            for rung in self._ladder:
                outcomes += rung.read_back(tick)
            self._explain(wishes, left, others)
        owned = self._threads.user_owned | self._units.user_owned
        return Acted(dict(self._described()), self._reasons, owned, tuple(tick.events), tuple(outcomes))

    def stand_back(self, left: LeftTo) -> None:
        """What is left to other programs that set priorities; what is ours of it is put back at the next turn."""
        self._left_to = left

    def undo_all(self) -> tuple[str, ...]:
        """Put everything back; says what could not be."""
        entries = {e.key: e for e in self._ledger.entries.values()}
        outcomes = restore(self._ledger, self._machine)
        self._threads.forget()
        for outcome in outcomes:
            entry = entries.get(_key_of(outcome))
            if entry is not None:
                self._threads.undone(entry, outcome)
                for rung in (*self._ladder, self._sessions):
                    rung.undone(entry, outcome)
        self._reasons = {}
        bad = {Status.CHANGED, Status.DENIED, Status.FAILED}
        return tuple(f"{o.change.group}: {o.detail}" for o in outcomes if o.status in bad)

    def in_force(self, group: str, now_s: float, now_ticks: int) -> tuple[InForce, ...]:
        """What is changed for *group* and its parts, the newest first."""
        entries = [e for e in self._ledger.entries.values() if e.group == group or e.group.startswith(f"{group}/")]
        return kept_values(entries, now_s, now_ticks)

    @property
    def is_lost(self) -> bool:
        """Whether a crash from now on could not be undone; see `Ledger.is_lost`."""
        return self._ledger.is_lost

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    # --- the ladder --------------------------------------------------------------------------------------

    def _wishes(
        self, decisions: Sequence[Decision], groups: Sequence[AppGroup], others: Mapping[str, Left]
    ) -> dict[str, Wish]:
        """What is to be brought about, for every group that is not to be left as it is."""
        by_id = {g.id: g for g in groups}
        return {
            d.group: left_over(Wish(by_id[d.group], d, self._effects[d.target]), others.get(d.group))
            for d in decisions
            if not d.protected and d.group in by_id and (d.target is not PriorityClass.NORMAL or d.limits)
        }

    @staticmethod
    def _climb(rung: Mechanism, wishes: Mapping[str, Wish], tick: Tick) -> tuple[dict[str, Wish], list[Outcome]]:
        """Let *rung* do what it can; the rest is for the next one."""
        outcomes = rung.apply({g: w for g, w in wishes.items() if rung.effective(w) is not None}, tick)
        return {g: w for g, w in wishes.items() if rung.holds(g) is None}, outcomes

    def _thread_code(self, decision: Decision, left: Mapping[str, Wish], others: Left) -> int:
        """What the threads of a group shall be: less of it where a cgroup does the rest."""
        if decision.protected or decision.target is PriorityClass.NORMAL:
            return UNTOUCHED
        code = int(decision.target)
        code |= SCHED_ELSEWHERE if others.threads else 0
        code |= IO_ELSEWHERE if others.ionice else 0
        held = [r for r in self._ladder if r.holds(decision.group) is not None] if decision.group not in left else []
        if held:
            code |= CPU_ELSEWHERE
            words = held[0].holds(decision.group) or ""
            code |= IO_ELSEWHERE if "IOWeight" in words else 0
        return code if self._codes[code] != _NOTHING else UNTOUCHED

    def _ask_places(self, wishes: Mapping[str, Wish], tick: Tick) -> None:
        for group, wish in wishes.items():
            root, at_ticks, _ = self._places.get(group, (0, 0, None))
            if root != wish.group.root_pid or tick.now_ticks - at_ticks >= LOOK_AGAIN_TICKS:
                place = self._machine.threads.cpu_task_group(wish.group.root_pid)
                self._places[group] = wish.group.root_pid, tick.now_ticks, place
        if tick.complete:
            self._places = {g: p for g, p in self._places.items() if g in wishes}

    def _place_of(self, group: str) -> str | None:
        return self._places[group][2] if group in self._places else None

    def _guard(self, decisions: Mapping[str, Decision], wanted: Mapping[str, int], tick: Tick) -> list[Outcome]:
        """Repair what is lower than its class because of us: there should never be anything."""
        if self._lowered[0] != self._ledger.revision:
            self._lowered = self._ledger.revision, lowered_codes(self._ledger.entries.values())
        if not len(self._lowered[1]):
            return []
        guarded = frozenset(g for g, d in decisions.items() if d.protected or d.target >= PriorityClass.INTERACTIVE)
        found = leaks(tick.table, tick.row_groups, guarded, self._lowered[1])
        if not found:
            return []
        self._threads.look_again(found)
        outcomes = self._threads.apply(wanted, self._codes, decisions, tick)
        for o in outcomes:
            tick.events.append(f"{o.change.group}: thread {o.change.thread.tid} was lower than its class: repaired")
        return outcomes

    # --- words -------------------------------------------------------------------------------------------

    def _explain(self, wishes: Mapping[str, Wish], left: Mapping[str, Wish], others: Mapping[str, Left]) -> None:
        reasons: dict[str, str] = {}
        for group, wish in wishes.items():
            if group in left:
                own = self._sessions.effective(wish) if self._sessions.holds(group) else None
                why = own or nice_counts(self._place_of(group), self._autogroups)
            else:
                why = next((r.effective(wish) or "" for r in self._ladder if r.holds(group)), "")
            missing = " · limits need a cgroup of its own" if wish.decision.limits and group in left else ""
            theirs = [text for text in asdict(others.get(group, Left())).values() if text]
            told = f" · left to others: {'; '.join(dict.fromkeys(theirs))}" if theirs else ""
            reasons[group] = why + missing + told
        self._reasons = reasons

    def _described(self) -> dict[str, str]:
        homes = {e.group: self._scopes.holds(e.group) or self._trees.holds(e.group) for e in self._ledger.of(Knob.HOME)}
        state = self._ledger.revision, homes  # what a home was given is not in the ledger
        if self._words[0] == state:
            return self._words[1]
        by_group: dict[str, list[Entry]] = {}
        for entry in self._ledger.entries.values():
            thread = entry.thread
            if thread is not None and self._threads.is_settled(code_of(thread)):  # others are kept for their heirs
                by_group.setdefault(entry.group, []).append(entry)
        words = {group: text for group, entries in by_group.items() if (text := of_threads(entries))}
        for knob in (Knob.AUTOGROUP, Knob.HOME, Knob.UNIT):
            for group in {e.group for e in self._ledger.of(knob)}:
                held = [r.holds(group) for r in (*self._ladder, self._sessions)]
                said = [*dict.fromkeys(h for h in held if h), *self._thread_words(by_group, group)]
                words.update({group: ", ".join(said)} if said else {})
        self._words = state, words
        return words

    @staticmethod
    def _thread_words(by_group: Mapping[str, Sequence[Entry]], group: str) -> list[str]:
        text = of_threads(by_group.get(group, ()))
        return [text] if text else []


_NOTHING = ClassEffect(None, None, None, 4, None, 100)


def thread_effects(effects: Mapping[PriorityClass, ClassEffect]) -> dict[int, ClassEffect]:
    """What a class asks of threads, by class and by what is done elsewhere (pure)."""
    by_code: dict[int, ClassEffect] = {}
    for target, effect in effects.items():
        threads = replace(effect, autogroup_nice=None, cpu_weight=100, io_weight=100)
        for cpu, io, sched in product((0, CPU_ELSEWHERE), (0, IO_ELSEWHERE), (0, SCHED_ELSEWHERE)):
            only = replace(threads, nice=None) if cpu or sched else threads
            only = replace(only, slice_ns=None) if sched else only
            only = replace(only, io_class=None) if io else only
            only = only if only.io_class is not None else replace(only, io_level=4)
            by_code[int(target) | cpu | io | sched] = only
    return by_code


def left_over(wish: Wish, others: Left | None) -> Wish:
    """What remains of *wish* beside what is left to other programs (pure); threads are seen to by their code."""
    if not others:
        return wish
    effect, limits = wish.effect, wish.decision.limits
    if others.autogroups:
        effect = replace(effect, autogroup_nice=None)
    if others.units_cpu:
        effect, limits = replace(effect, cpu_weight=100), replace(limits, cpu_pct=None, cpu_idle=False)
    if others.units_io:
        effect, limits = replace(effect, io_weight=100), replace(limits, io_read_bps=None, io_write_bps=None)
    return Wish(wish.group, replace(wish.decision, limits=limits), effect)


def _key_of(outcome: Outcome) -> Key:
    return Key(outcome.change.knob, outcome.change.target.who)


class DryRun:
    """Decides everything and changes nothing: says what would be in effect."""

    def __init__(self, effects: Mapping[PriorityClass, ClassEffect]) -> None:
        self._effects = effects

    def act(
        self,
        decisions: Sequence[Decision],
        groups: Sequence[AppGroup],
        table: TaskTable,
        row_groups: Sequence[str],
        complete: bool,
        now_ticks: int,
    ) -> Acted:
        """Only words."""
        del table, row_groups, complete, now_ticks
        by_id = {g.id: g for g in groups}
        return Acted(
            {
                d.group: f"would be CPUWeight {effect.cpu_weight}" if by_id[d.group].units else _would_be(effect)
                for d in decisions
                if not d.protected and d.group in by_id and (effect := self._effects[d.target]).nice is not None
            }
        )

    def stand_back(self, left: LeftTo) -> None:
        """Nothing is touched anyway."""

    def undo_all(self) -> tuple[str, ...]:
        """Nothing was done."""
        return ()

    def in_force(self, group: str, now_s: float, now_ticks: int) -> tuple[InForce, ...]:
        """Nothing is."""
        del group, now_s, now_ticks
        return ()

    def close(self) -> None:
        """Nothing is open."""


def _would_be(effect: ClassEffect) -> str:
    return f"would be nice {effect.nice:+d}"
