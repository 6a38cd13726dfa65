"""The only writer: brings threads and sessions to their class, ledger first, read back after."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from smoothtask.actuator.inherit import Bequests, Relative, inheritable
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
from smoothtask.model.classes import NICE_CEILING, NICE_FLOOR, ClassEffect, PriorityClass
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


REMEMBER_TICKS = 2000
"""How long a value that is no longer in force may turn up in children born before: some ticks of 5 s."""


class _Step(NamedTuple):
    """A change, and the value that it was resolved from."""

    change: Change
    now: Value
    sid: int

    @property
    def key(self) -> Key:
        return Key(self.change.knob, self.change.target.tid, self.change.target.tid_start_ticks)

    @property
    def puts_back(self) -> bool:
        return self.change.old == self.change.new


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
        self._foreign_sessions: set[int] = set()
        """Autogroups that somebody else cares for, or that the kernel does not let us change."""
        self._bequests = (-1, Bequests(()))
        """Of which revision of the ledger, and what they are; the same for the two below."""
        self._recorded: tuple[int, frozenset[int]] = (-1, frozenset())
        self._words: tuple[int, dict[str, str]] = (-1, {})
        self._family: dict[int, Relative] = {}
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
        self._ledger.expire(now_ticks)
        bequests = self._inheritances()
        intents = make_plan(table, row_groups, wanted, self._view, bequests.pids, bequests.sids)
        if intents and bequests.sids:
            self._family = _family(table) if complete else {**self._family, **_family(table)}
        events: list[str] = []
        outcomes = self._bring(intents, whys, bequests, now_ticks, events)
        if complete:
            self._forget_dead(table, now_ticks)
            outcomes += self._sessions(decisions, table, row_groups, now_ticks, events)
            self._mechanisms = self._described()
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
        self._left_alone = {code: owner for code, owner in self._left_alone.items() if owner[1]}
        for outcome in outcomes:
            if outcome.status is Status.CHANGED and outcome.change.knob is not Knob.AUTOGROUP:
                self._left_alone[code_of(outcome.change.target)] = (outcome.change.group, True)
            elif outcome.status is Status.CHANGED:
                self._foreign_sessions.add(outcome.change.target.tid)
        self._mechanisms = {}
        self._view = View()
        bad = {Status.CHANGED, Status.DENIED, Status.FAILED}
        return tuple(f"{o.change.group}: {o.detail}" for o in outcomes if o.status in bad)

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()

    def _inheritances(self) -> Bequests:
        ledger = self._ledger
        if self._bequests[0] != ledger.revision:
            self._bequests = ledger.revision, Bequests([*ledger.entries.values(), *ledger.wills])
        return self._bequests[1]

    def _recorded_codes(self) -> frozenset[int]:
        """The threads that the ledger names."""
        ledger = self._ledger
        if self._recorded[0] != ledger.revision:
            codes = (code_of(e.target) for k, e in ledger.entries.items() if k.knob is not Knob.AUTOGROUP)
            self._recorded = ledger.revision, frozenset(codes)
        return self._recorded[1]

    # --- threads ---------------------------------------------------------------------------------------

    def _bring(
        self,
        intents: Sequence[Intent],
        whys: Mapping[str, str],
        bequests: Bequests,
        now_ticks: int,
        events: list[str],
    ) -> list[Outcome]:
        steps: list[_Step] = []
        for intent in intents:
            found = self._find(intent)
            if found is None:
                self._settled.pop(code_of(intent.target), None)
                continue
            steps += self._resolve(found, whys.get(intent.group, ""), bequests, events)
            self._settled[code_of(intent.target)] = Settled(intent.wanted, found.sched.nice)
        return self._write(steps, now_ticks, events)

    def _find(self, intent: Intent) -> _Found | None:
        """Read a thread's values. Whether it is still the one that the plan meant is seen before it is written."""
        tid = intent.target.tid
        try:
            return _Found(intent, self._kernel.get_sched(tid), self._kernel.get_ioprio(tid))
        except ProcessLookupError:
            return None

    def _resolve(self, found: _Found, why: str, bequests: Bequests, events: list[str]) -> list[_Step]:
        intent, code = found.intent, code_of(found.intent.target)
        if self._left_alone.pop(code, ("", False))[1]:
            self._left_alone[code] = (intent.group, True)
            return []
        effect = None if intent.wanted == UNTOUCHED else self._effects[PriorityClass(intent.wanted)]
        answers = self._answers(found, effect, bequests)
        theirs = [a for a in answers.values() if isinstance(a, Leave) and a.changed_by_others]
        if theirs:  # all of a thread that somebody else cares for is theirs: what else is ours there is put back
            events.append(f"{intent.group}: thread {intent.target.tid} is left alone: {theirs[0].why}")
            answers = self._answers(found, None, bequests)
        steps = []
        for knob, answer in answers.items():
            if isinstance(answer, Leave):
                self._ledger.drop([self._key(knob, intent)])
                self._left_alone.setdefault(code, (intent.group, bool(theirs)))
            elif answer is not None:
                now = found.sched if knob is Knob.SCHED else found.ioprio
                change = Change(knob, intent.target, answer.old, answer.new, intent.group, why)
                steps.append(_Step(change, now, intent.sid))
        return steps

    def _answers(
        self, found: _Found, effect: ClassEffect | None, bequests: Bequests
    ) -> dict[Knob, Move | Leave | None]:
        sched, ioprio = self._held(Knob.SCHED, found, bequests), self._held(Knob.IOPRIO, found, bequests)
        return {
            Knob.SCHED: resolve_sched(found.sched, *sched, effect, self._abilities),
            Knob.IOPRIO: resolve_ioprio(found.ioprio, *ioprio, effect),
        }

    def _held(self, knob: Knob, found: _Found, bequests: Bequests) -> tuple[Held | None, bool]:
        """What we changed there, if anything, and whether the thread has it from another one."""
        intent = found.intent
        entry = self._ledger.entries.get(self._key(knob, intent))
        if entry is not None:
            return Held(entry.old, entry.new), False
        now: Value = found.sched if knob is Knob.SCHED else found.ioprio
        target = intent.target
        return None, bequests.source(knob, now, target.pid, target.tid_start_ticks, self._family) is not None

    @staticmethod
    def _key(knob: Knob, intent: Intent) -> Key:
        return Key(knob, intent.target.tid, intent.target.tid_start_ticks)

    def _write(self, steps: Sequence[_Step], now_ticks: int, events: list[str]) -> list[Outcome]:
        """Ledger, then kernel, then a look at what became of it."""
        entries = {s.key: _entry(s, now_ticks) for s in steps if not s.puts_back}
        try:
            self._ledger.record(list(entries.values()), self._wills(steps, now_ticks))
            self._ledger_broken = False
        except LedgerError as error:
            if not self._ledger_broken:
                events.append(f"nothing is changed any more: {error}")
            self._ledger_broken = True
            for step in steps:
                if not step.puts_back:
                    self._settled.pop(code_of(step.change.target), None)  # tried again
            steps = [s for s in steps if s.puts_back]  # putting back needs no record
        outcomes, amended, finished = [], [], []
        seen: Target | None = None
        for step in steps:
            outcome, actual = _done(step)
            if step.now != step.change.new:
                outcome, actual = self._set(step.change, known=step.change.target == seen)
                seen = None if outcome.status is Status.GONE else step.change.target
            outcomes.append(outcome)
            self._note(outcome, events)
            if actual == step.change.old:
                finished.append(step.key)
            elif outcome.status is Status.GONE and step.change.knob is not Knob.AUTOGROUP:
                continue  # its heirs may live: forgotten with the dead
            elif outcome.status is not Status.APPLIED and step.key in entries:
                # Refused, or made something else of: what is there now is still our doing.
                amended.append(replace(entries[step.key], new=step.now if actual is None else actual))
        with contextlib.suppress(LedgerError):  # the record from before the write undoes it just as well
            self._ledger.record([e for e in amended if e.new != e.old])
        self._ledger.drop([*finished, *(e.key for e in amended if e.new == e.old)])
        return outcomes

    def _wills(self, steps: Sequence[_Step], now_ticks: int) -> list[Entry]:
        """The values of ours that *steps* end, once a process."""
        wills: dict[tuple[int, Value, int], Entry] = {}
        for step in steps:
            who = step.change.target.pid, step.now, step.sid
            if step.now not in (step.change.new, step.change.old) and who not in wills:
                held = self._ledger.entries.get(step.key)
                since = held.at_ticks if held is not None else step.change.target.tid_start_ticks
                ended = replace(_entry(step, since), new=step.now, before=None, until_ticks=now_ticks + REMEMBER_TICKS)
                if inheritable(ended):
                    wills[who] = ended
        return list(wills.values())

    def _note(self, outcome: Outcome, events: list[str]) -> None:
        change, code = outcome.change, code_of(outcome.change.target)
        if outcome.status in {Status.DENIED, Status.FAILED}:
            events.append(f"{change.group}: {change.knob} of {change.target.tid}: {outcome.detail}")
            if change.knob is Knob.AUTOGROUP:
                self._foreign_sessions.add(change.target.tid)
            else:
                self._left_alone[code] = (change.group, False)
        elif outcome.status is Status.APPLIED and isinstance(change.new, SchedAttr) and code in self._settled:
            self._settled[code] = Settled(self._settled[code].wanted, change.new.nice)

    def _set(self, change: Change, known: bool) -> tuple[Outcome, Value | None]:
        """Write one value and read it back; `None`: it could not be read, or was not written.

        *known*: this thread was the right one at the write just before.
        """
        target, new = change.target, change.new
        try:
            session = change.knob is Knob.AUTOGROUP  # whose process was looked at just before
            if not (known or session) and self._kernel.start_ticks(target.pid, target.tid) != target.tid_start_ticks:
                return Outcome(change, Status.GONE), None
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
            return Outcome(change, Status.GONE), None
        except PermissionError as error:
            return Outcome(change, Status.DENIED, error.strerror or "not permitted"), None
        except OSError as error:
            return Outcome(change, Status.FAILED, error.strerror or str(error)), None
        if now != new:
            return Outcome(change, Status.FAILED, f"the kernel made {now} of {new}"), now
        return Outcome(change, Status.APPLIED), now

    def _forget_dead(self, table: TaskTable, now_ticks: int) -> None:
        """Let go of threads that left; what their children may have is remembered a while."""
        if not self._settled and not self._ledger.entries:
            return
        living = set(thread_codes(table.threads).tolist())
        dead = self._settled.keys() - living
        for code in dead:
            del self._settled[code]
        for code in self._left_alone.keys() - living:
            del self._left_alone[code]
        if not self._recorded_codes() <= living:
            threads = [e for k, e in self._ledger.entries.items() if k.knob is not Knob.AUTOGROUP]
            gone = [e for e in threads if code_of(e.target) not in living]
            with contextlib.suppress(LedgerError):  # the entries stay, and are tried again
                heirs_of = _wills_of(
                    gone, (e for e in threads if code_of(e.target) in living), now_ticks + REMEMBER_TICKS
                )
                self._ledger.record((), heirs_of)
                self._ledger.drop([e.key for e in gone])
        if dead:
            self._view = view_of(self._settled)

    # --- sessions --------------------------------------------------------------------------------------

    def _sessions(
        self,
        decisions: Sequence[Decision],
        table: TaskTable,
        row_groups: Sequence[str],
        now_ticks: int,
        events: list[str],
    ) -> list[Outcome]:
        """Autogroup nice of sessions that one application owns alone."""
        if not self._autogroups:
            return []
        wanted = {d.group: d for d in decisions if not d.protected and d.target is not PriorityClass.NORMAL}
        ours = {e.sid: e for k, e in self._ledger.entries.items() if k.knob is Knob.AUTOGROUP}
        if not wanted and not ours:
            return []
        owners = _session_owners(table, row_groups)
        steps: list[_Step] = []
        for sid, (group, key) in owners.items():
            decision, entry = wanted.get(group), ours.get(sid)
            nice = self._effects[decision.target].autogroup_nice if decision is not None else None
            if nice is not None or entry is not None:
                step = self._session_step(key, sid, group, nice, entry, decision.text if decision else "")
                steps += [step] if step is not None else []
        living = frozenset(table.processes["sid"].tolist())
        self._ledger.drop([e.key for sid, e in ours.items() if sid not in living])
        return self._write(steps, now_ticks, events)

    def _session_step(
        self, key: ProcKey, sid: int, group: str, nice: int | None, entry: Entry | None, why: str
    ) -> _Step | None:
        if entry is not None and nice == entry.new:
            return None
        if entry is None and self._kernel.cpu_task_group(key.pid) != "/":
            return None  # inside a cgroup with the cpu controller an autogroup means nothing (sched(7))
        now = self._kernel.get_autogroup(key.pid)
        if now is None or now.id in self._foreign_sessions or self._kernel.start_ticks(key.pid) != key.start_ticks:
            return None
        if entry is None and now.nice != 0:
            return None  # somebody's choice
        if entry is not None and now.nice != entry.new:
            self._foreign_sessions.add(now.id)
            self._ledger.drop([entry.key])
            return None
        old = entry.old if entry is not None and isinstance(entry.old, int) else now.nice
        new = old if nice is None else min(max(nice, NICE_FLOOR), NICE_CEILING)
        if new == now.nice or (min(new, now.nice) < 0 and not self._abilities.may_raise):
            return None
        target = Target(key.pid, key.start_ticks, now.id, 0)
        return _Step(Change(Knob.AUTOGROUP, target, old, new, group, why), now.nice, sid)

    # --- words -----------------------------------------------------------------------------------------

    def _described(self) -> dict[str, str]:
        if self._words[0] == self._ledger.revision:
            return self._words[1]
        by_group: dict[str, list[Entry]] = {}
        for entry in self._ledger.entries.values():
            if entry.knob is not Knob.AUTOGROUP and code_of(entry.target) not in self._settled:
                continue  # kept for its heirs
            by_group.setdefault(entry.group, []).append(entry)
        self._words = self._ledger.revision, {group: describe(entries) for group, entries in by_group.items()}
        return self._words[1]


def _done(step: _Step) -> tuple[Outcome, Value | None]:
    return Outcome(step.change, Status.APPLIED), step.now


def _entry(step: _Step, now_ticks: int) -> Entry:
    c = step.change
    return Entry(c.knob, c.target, c.old, c.new, c.group, c.why, step.sid, now_ticks, step.now)


def _family(table: TaskTable) -> dict[int, Relative]:
    p = table.processes
    rows = zip(p["ppid"].tolist(), p["sid"].tolist(), p["nice"].tolist(), p["start_ticks"].tolist(), strict=True)
    return dict(zip(p["pid"].tolist(), map(Relative._make, rows), strict=True))


def _wills_of(gone: Sequence[Entry], living: Iterable[Entry], until_ticks: int) -> list[Entry]:
    """One will of each value that threads which left had, unless a living one of the session bequeaths it longer."""
    oldest: dict[tuple[int, Value], Entry] = {}
    for entry in (*living, *gone):
        if inheritable(entry):
            known = oldest.setdefault((entry.sid, entry.new), entry)
            if entry.at_ticks < known.at_ticks:
                oldest[entry.sid, entry.new] = entry
    dead = {e.key for e in gone}
    return [replace(e, until_ticks=until_ticks) for e in oldest.values() if e.key in dead]


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
