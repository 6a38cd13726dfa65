"""The only writer: brings threads and sessions to their class, ledger first, read back after."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from smoothtask.actuator.ledger import Entry, Key, Ledger, LedgerError
from smoothtask.actuator.mechanism import describe
from smoothtask.actuator.plan import (
    UNTOUCHED,
    Intent,
    Settled,
    View,
    code_of,
    make_plan,
    thread_codes,
    view_of,
)
from smoothtask.actuator.resolve import Abilities, Held, Leave, Move, resolve_ioprio, resolve_sched
from smoothtask.actuator.restore import restore
from smoothtask.kernel.sched import Autogroup
from smoothtask.model.change import Acted, Change, IoPrio, Knob, Outcome, SchedAttr, Status, Target, Value
from smoothtask.model.classes import ClassEffect, PriorityClass
from smoothtask.model.decision import Decision
from smoothtask.model.group import AppGroup
from smoothtask.model.tasks import ProcKey, TaskTable


class Kernel(Protocol):
    """What is read and written: `kernel.sched`, or a double in tests."""

    def get_sched(self, tid: int, /) -> SchedAttr: ...
    def set_sched(self, tid: int, attr: SchedAttr, /) -> None: ...
    def get_ioprio(self, tid: int, /) -> IoPrio: ...
    def set_ioprio(self, tid: int, prio: IoPrio, /) -> None: ...
    def get_autogroup(self, pid: int, /) -> Autogroup | None: ...
    def set_autogroup(self, pid: int, nice: int, /) -> None: ...
    def start_ticks(self, pid: int, tid: int | None = None, /) -> int | None: ...
    def cpu_task_group(self, pid: int, /) -> str | None: ...


@dataclass(frozen=True, slots=True)
class _Found:
    """A thread's values as they are now."""

    intent: Intent
    sched: SchedAttr
    ioprio: IoPrio


class Actuator:
    """Holds what is known of each thread; `act` is called once a tick with everything that was decided."""

    def __init__(
        self,
        kernel: Kernel,
        ledger: Ledger,
        effects: Mapping[PriorityClass, ClassEffect],
        abilities: Abilities,
        *,
        autogroups: bool,
    ) -> None:
        self._kernel = kernel
        self._ledger = ledger
        self._effects = effects
        self._abilities = abilities
        self._autogroups = autogroups
        self._settled: dict[int, Settled] = {}
        self._view = View()
        self._left_alone: dict[int, tuple[str, bool]] = {}
        """Thread → its group, and whether somebody changed what we had set."""
        self._mechanisms: dict[str, str] = {}
        self._ledger_broken = False

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
        del groups  # what a class means to the kernel depends on nothing else of a group
        wanted = {d.group: UNTOUCHED if d.protected else int(d.target) for d in decisions}
        whys = {d.group: d.text for d in decisions}
        if complete:
            self._forget_dead(table)
        intents = make_plan(table, row_groups, wanted, self._view, self._lowered_sids())
        outcomes, events = self._bring(intents, whys, now_ticks)
        if complete:
            session = self._sessions(decisions, table, row_groups, now_ticks)
            outcomes += session
            self._mechanisms = self._describe(decisions)
        if intents:
            self._view = view_of(self._settled)
        owned = frozenset(group for group, by_others in self._left_alone.values() if by_others)
        return Acted(self._mechanisms, owned, tuple(events), tuple(outcomes))

    def forget(self, left: Iterable[ProcKey]) -> None:
        """Processes exited; what they held goes with the next complete pass."""

    def undo_all(self) -> tuple[str, ...]:
        """Put everything back; says what could not be."""
        outcomes = restore(self._ledger, self._kernel)
        self._settled.clear()
        self._left_alone.clear()
        self._mechanisms = {}
        self._view = View()
        bad = {Status.CHANGED, Status.DENIED, Status.FAILED}
        return tuple(f"{o.change.group}: {o.detail}" for o in outcomes if o.status in bad)

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    # --- threads ---------------------------------------------------------------------------------------

    def _bring(
        self, intents: Sequence[Intent], whys: Mapping[str, str], now_ticks: int
    ) -> tuple[list[Outcome], list[str]]:
        changes: list[tuple[Change, bool, int]] = []
        events: list[str] = []
        for intent in intents:
            found = self._find(intent)
            if found is None:
                self._settled.pop(code_of(intent.target), None)
                continue
            changes += self._resolve(found, whys.get(intent.group, ""), events)
            self._settled[code_of(intent.target)] = Settled(intent.wanted, found.sched.nice)
        return self._write(changes, now_ticks, events), events

    def _find(self, intent: Intent) -> _Found | None:
        """Read a thread's values, if it is still the one that the plan meant."""
        t = intent.target
        try:
            if self._kernel.start_ticks(t.pid, t.tid) != t.tid_start_ticks:
                return None
            return _Found(intent, self._kernel.get_sched(t.tid), self._kernel.get_ioprio(t.tid))
        except ProcessLookupError:
            return None

    def _resolve(self, found: _Found, why: str, events: list[str]) -> list[tuple[Change, bool, int]]:
        intent, code = found.intent, code_of(found.intent.target)
        effect = None if intent.wanted == UNTOUCHED else self._effects[PriorityClass(intent.wanted)]
        if self._left_alone.get(code, ("", False))[1]:
            return []
        inherited = self._inherited(found)
        answers: tuple[tuple[Knob, Value, Move | Leave | None], ...] = (
            (
                Knob.SCHED,
                found.sched,
                resolve_sched(
                    found.sched, self._held(Knob.SCHED, intent), Knob.SCHED in inherited, effect, self._abilities
                ),
            ),
            (
                Knob.IOPRIO,
                found.ioprio,
                resolve_ioprio(found.ioprio, self._held(Knob.IOPRIO, intent), Knob.IOPRIO in inherited, effect),
            ),
        )
        self._left_alone.pop(code, None)
        changes = []
        for knob, now, answer in answers:
            if isinstance(answer, Leave):
                self._left_alone[code] = (intent.group, answer.changed_by_others)
                self._ledger.drop([self._key(knob, intent)])
                if answer.changed_by_others:
                    events.append(f"{intent.group}: thread {intent.target.tid} is left alone: {answer.why}")
                    break  # all of a thread that somebody else cares for is theirs
            elif answer is not None:
                change = Change(knob, intent.target, answer.old, answer.new, intent.group, why)
                changes.append((change, answer.write and answer.new != now, intent.sid))
        return changes

    def _held(self, knob: Knob, intent: Intent) -> Held | None:
        entry = self._ledger.entries.get(self._key(knob, intent))
        return None if entry is None else Held(entry.old, entry.new)

    @staticmethod
    def _key(knob: Knob, intent: Intent) -> Key:
        return Key(knob, intent.target.tid, intent.target.tid_start_ticks)

    def _inherited(self, found: _Found) -> frozenset[Knob]:
        """Which values a thread has from one that we changed, in its session, before it began."""
        start, sid = found.intent.target.tid_start_ticks, found.intent.sid
        if found.sched.nice <= 0 and found.ioprio == IoPrio(0, 0):
            return frozenset()
        knobs = set()
        for e in self._ledger.entries.values():
            if e.sid == sid and e.at_ticks <= start:
                if isinstance(e.new, SchedAttr) and e.new.nice == found.sched.nice > 0:
                    knobs.add(Knob.SCHED)
                elif isinstance(e.new, IoPrio) and e.new == found.ioprio != e.old:
                    knobs.add(Knob.IOPRIO)
        return frozenset(knobs)

    def _lowered_sids(self) -> frozenset[int]:
        return frozenset(
            e.sid for e in self._ledger.entries.values() if isinstance(e.new, SchedAttr) and e.new.nice > 0
        )

    def _write(self, changes: Sequence[tuple[Change, bool, int]], now_ticks: int, events: list[str]) -> list[Outcome]:
        """Ledger, then kernel, then a look at what became of it."""
        keep = [c for c in changes if c[0].old != c[0].new]
        entries = [Entry(c.knob, c.target, c.old, c.new, c.group, c.why, sid, now_ticks) for c, _write, sid in keep]
        try:
            self._ledger.record(entries)
            self._ledger_broken = False
        except LedgerError as error:
            if not self._ledger_broken:
                events.append(f"nothing is changed any more: {error}")
            self._ledger_broken = True
            changes = [c for c in changes if c[0].old == c[0].new]  # putting back needs no record
        outcomes = []
        finished = []
        for change, write, _sid in changes:
            outcome = self._set(change) if write else Outcome(change, Status.APPLIED)
            outcomes.append(outcome)
            if outcome.status is not Status.APPLIED or change.old == change.new:
                finished.append(Key(change.knob, change.target.tid, change.target.tid_start_ticks))
            if outcome.status is Status.APPLIED and isinstance(change.new, SchedAttr):
                code = code_of(change.target)
                settled = self._settled.get(code)
                if settled is not None:
                    self._settled[code] = Settled(settled.wanted, change.new.nice)
            if outcome.status in {Status.DENIED, Status.FAILED}:
                self._left_alone[code_of(change.target)] = (change.group, False)
                events.append(f"{change.group}: {change.knob} of {change.target.tid}: {outcome.detail}")
        self._ledger.drop(finished)
        return outcomes

    def _set(self, change: Change) -> Outcome:
        """Write one value and read it back."""
        target, new = change.target, change.new
        try:
            if isinstance(new, SchedAttr):
                self._kernel.set_sched(target.tid, new)
                now: Value = self._kernel.get_sched(target.tid)
            elif isinstance(new, IoPrio):
                self._kernel.set_ioprio(target.tid, new)
                now = self._kernel.get_ioprio(target.tid)
            else:
                self._kernel.set_autogroup(target.pid, new)
                group = self._kernel.get_autogroup(target.pid)
                now = new if group is None else group.nice
        except (ProcessLookupError, FileNotFoundError):
            return Outcome(change, Status.GONE)
        except PermissionError as error:
            return Outcome(change, Status.DENIED, error.strerror or "not permitted")
        except OSError as error:
            return Outcome(change, Status.FAILED, error.strerror or str(error))
        if now != new:
            return Outcome(change, Status.FAILED, f"the kernel made {now} of {new}")
        return Outcome(change, Status.APPLIED)

    def _forget_dead(self, table: TaskTable) -> None:
        living = set(thread_codes(table.threads).tolist())
        if self._settled.keys() <= living and not self._ledger.entries:
            return
        dead = self._settled.keys() - living
        for code in dead:
            del self._settled[code]
            self._left_alone.pop(code, None)
        gone = [
            k
            for k, e in self._ledger.entries.items()
            if k.knob is not Knob.AUTOGROUP and code_of(e.target) not in living
        ]
        self._ledger.drop(gone)
        if dead:
            self._view = view_of(self._settled)

    # --- sessions --------------------------------------------------------------------------------------

    def _sessions(
        self,
        decisions: Sequence[Decision],
        table: TaskTable,
        row_groups: Sequence[str],
        now_ticks: int,
    ) -> list[Outcome]:
        """Autogroup nice of sessions that one application owns alone."""
        if not self._autogroups:
            return []
        wanted = {d.group: d for d in decisions if not d.protected}
        owners = _session_owners(table, row_groups)
        changes: list[tuple[Change, bool, int]] = []
        for sid, (group, key) in owners.items():
            decision = wanted.get(group)
            effect = self._effects[decision.target] if decision is not None else None
            nice = effect.autogroup_nice if effect is not None else None
            entry = self._autogroup_entry(sid)
            if nice is None and entry is None:
                continue
            change = self._autogroup_change(key, group, nice, entry, decision.text if decision else "")
            if change is not None:
                changes.append((change, True, sid))
        living = frozenset(owners) | frozenset(table.processes["sid"].tolist())
        self._ledger.drop(
            [k for k, e in self._ledger.entries.items() if k.knob is Knob.AUTOGROUP and e.sid not in living]
        )
        events: list[str] = []
        return self._write(changes, now_ticks, events) if changes else []

    def _autogroup_entry(self, sid: int) -> Entry | None:
        return next((e for e in self._ledger.entries.values() if e.knob is Knob.AUTOGROUP and e.sid == sid), None)

    def _autogroup_change(
        self, key: ProcKey, group: str, nice: int | None, entry: Entry | None, why: str
    ) -> Change | None:
        if entry is not None and nice == entry.new:
            return None
        if entry is None and self._kernel.cpu_task_group(key.pid) != "/":
            return None  # inside a cgroup with the cpu controller an autogroup means nothing (sched(7))
        now = self._kernel.get_autogroup(key.pid)
        if now is None or self._kernel.start_ticks(key.pid) != key.start_ticks:
            return None
        if entry is None and now.nice != 0:
            return None  # somebody's choice
        if entry is not None and now.nice != entry.new:
            self._ledger.drop([entry.key])
            return None
        old = entry.old if entry is not None else now.nice
        if (nice or 0) < now.nice and not self._abilities.may_raise:
            return None
        target = Target(key.pid, key.start_ticks, now.id, 0)
        return Change(Knob.AUTOGROUP, target, old, old if nice is None else nice, group, why)

    # --- words -----------------------------------------------------------------------------------------

    def _describe(self, decisions: Sequence[Decision]) -> dict[str, str]:
        by_group: dict[str, list[Entry]] = {}
        for entry in self._ledger.entries.values():
            by_group.setdefault(entry.group, []).append(entry)
        return {d.group: describe(by_group[d.group]) for d in decisions if d.group in by_group}


def _session_owners(table: TaskTable, row_groups: Sequence[str]) -> dict[int, tuple[str, ProcKey]]:
    """Sessions all of whose processes are of one application (its parts included): → it and one process."""
    owners: dict[int, tuple[str, ProcKey] | None] = {}
    p = table.processes
    rows = zip(p["sid"].tolist(), p["pid"].tolist(), p["start_ticks"].tolist(), row_groups, strict=True)
    for sid, pid, start, row_group in rows:
        group = row_group.partition("/")[0]
        known = owners.get(sid)
        if sid not in owners:
            owners[sid] = (group, ProcKey(pid, start))
        elif known is not None and known[0] != group:
            owners[sid] = None
    return {sid: owner for sid, owner in owners.items() if owner is not None and sid > 0}


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
        del groups, table, row_groups, complete, now_ticks
        return Acted(
            {
                d.group: f"would be nice {effect.nice:+d}"
                for d in decisions
                if not d.protected and (effect := self._effects[d.target]).nice is not None
            }
        )

    def forget(self, left: Iterable[ProcKey]) -> None:
        """Nothing is remembered."""

    def undo_all(self) -> tuple[str, ...]:
        """Nothing was done."""
        return ()

    def close(self) -> None:
        """Nothing is open."""
