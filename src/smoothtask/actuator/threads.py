"""Scheduling attributes and IO priority of every thread: the rung that works everywhere, within one task group."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from smoothtask.actuator.inherit import Bequests, Relative, inheritable
from smoothtask.actuator.knobs import Machine
from smoothtask.actuator.ledger import Entry, Key, Ledger, LedgerError
from smoothtask.actuator.mechanism import Tick
from smoothtask.actuator.plan import UNTOUCHED, Intent, Settled, View, code_of, make_plan, thread_codes, view_of
from smoothtask.actuator.resolve import Abilities, Held, Leave, Move, resolve_ioprio, resolve_sched
from smoothtask.actuator.writer import Step, Writer
from smoothtask.model.change import Change, IoPrio, Knob, Outcome, SchedAttr, Status, Value
from smoothtask.model.classes import ClassEffect
from smoothtask.model.decision import Decision
from smoothtask.model.tasks import TaskTable

REMEMBER_TICKS = 2000
"""How long a value that is no longer in force may turn up in children born before: some ticks of 5 s."""


class _Found(NamedTuple):
    """A thread's values as they are now."""

    intent: Intent
    sched: SchedAttr
    ioprio: IoPrio


class Threads:
    """Holds what is known of each thread; a thread that is as it should be costs nothing."""

    def __init__(self, machine: Machine, writer: Writer, abilities: Abilities) -> None:
        self._kernel = machine.threads
        self._writer = writer
        self._ledger: Ledger = writer.ledger
        self._abilities = abilities
        self._settled: dict[int, Settled] = {}
        self._view = View()
        self._left_alone: dict[int, tuple[str, bool]] = {}
        """Thread → its group, and whether somebody changed what we had set."""
        self._bequests = (-1, Bequests(()))
        """Of which revision of the ledger, and what they are; the same for the one below."""
        self._recorded: tuple[int, frozenset[int]] = (-1, frozenset())
        self._family: dict[int, Relative] = {}

    @property
    def user_owned(self) -> frozenset[str]:
        """Groups in which somebody else changed what we had set."""
        return frozenset(group for group, by_others in self._left_alone.values() if by_others)

    def is_settled(self, code: int) -> bool:
        """Whether a thread lives and is cared for."""
        return code in self._settled

    def apply(
        self,
        wanted: Mapping[str, int],
        effects: Mapping[int, ClassEffect],
        decisions: Mapping[str, Decision],
        tick: Tick,
    ) -> list[Outcome]:
        """Bring every thread to what is *wanted* of its group: a key of *effects*, or UNTOUCHED.

        *decisions*: by group, to say why.
        """
        self._ledger.expire(tick.now_ticks)
        bequests = self._inheritances()
        intents = make_plan(tick.table, tick.row_groups, wanted, self._view, bequests.pids, bequests.sids)
        if intents and bequests.sids:
            self._family = _family(tick.table) if tick.complete else {**self._family, **_family(tick.table)}
        outcomes = self._bring(intents, effects, decisions, bequests, tick)
        if tick.complete:
            self._forget_dead(tick.table, tick.now_ticks)
        if intents:
            self._view = view_of(self._settled)
        return outcomes

    def look_again(self, codes: Iterable[int]) -> None:
        """Forget how these threads were left: the next turn looks at them."""
        for code in codes:
            self._settled.pop(code, None)
        self._view = view_of(self._settled)

    def undone(self, entry: Entry, outcome: Outcome) -> None:
        """See `Mechanism.undone`."""
        thread = entry.thread
        if thread is not None and outcome.status is Status.CHANGED:
            self._left_alone[code_of(thread)] = (entry.group, True)

    def forget(self) -> None:
        """Everything was put back; whom others changed stays known."""
        self._settled.clear()
        self._left_alone = {code: owner for code, owner in self._left_alone.items() if owner[1]}
        self._view = View()

    def recorded_codes(self) -> frozenset[int]:
        """The threads that the ledger names."""
        ledger = self._ledger
        if self._recorded[0] != ledger.revision:
            codes = (code_of(t) for e in ledger.entries.values() if (t := e.thread) is not None)
            self._recorded = ledger.revision, frozenset(codes)
        return self._recorded[1]

    def _inheritances(self) -> Bequests:
        ledger = self._ledger
        if self._bequests[0] != ledger.revision:
            self._bequests = ledger.revision, Bequests([*ledger.entries.values(), *ledger.wills])
        return self._bequests[1]

    def _bring(
        self,
        intents: Sequence[Intent],
        effects: Mapping[int, ClassEffect],
        decisions: Mapping[str, Decision],
        bequests: Bequests,
        tick: Tick,
    ) -> list[Outcome]:
        steps: list[Step] = []
        whys = {g: decisions[g].text for g in {i.group for i in intents} & decisions.keys()}
        for intent in intents:
            found = self._find(intent)
            if found is None:
                self._settled.pop(code_of(intent.target), None)
                continue
            effect = None if intent.wanted == UNTOUCHED else effects[intent.wanted]
            steps += self._resolve(found, effect, whys.get(intent.group, ""), bequests, tick.events)
            self._settled[code_of(intent.target)] = Settled(intent.wanted, found.sched.nice)
        outcomes = self._writer.write(steps, tick.now_ticks, tick.events, self._wills(steps, tick.now_ticks))
        for outcome in outcomes:
            self._note(outcome, tick.events)
        if len(outcomes) < len(steps):  # the ledger cannot be kept: tried again
            for step in steps:
                if not step.puts_back:
                    self._settled.pop(code_of(step.change.thread), None)
        return outcomes

    def _find(self, intent: Intent) -> _Found | None:
        """Read a thread's values. Whether it is still the one that the plan meant is seen before it is written."""
        tid = intent.target.tid
        try:
            return _Found(intent, self._kernel.get_sched(tid), self._kernel.get_ioprio(tid))
        except ProcessLookupError:
            return None

    def _resolve(
        self, found: _Found, effect: ClassEffect | None, why: str, bequests: Bequests, events: list[str]
    ) -> list[Step]:
        intent, code = found.intent, code_of(found.intent.target)
        if self._left_alone.pop(code, ("", False))[1]:
            self._left_alone[code] = (intent.group, True)
            return []
        answers = self._answers(found, effect, bequests)
        theirs = [a for a in answers.values() if isinstance(a, Leave) and a.changed_by_others]
        if theirs:  # all of a thread that somebody else cares for is theirs: what else is ours there is put back
            events.append(f"{intent.group}: thread {intent.target.tid} is left alone: {theirs[0].why}")
            answers = self._answers(found, None, bequests)
        steps = []
        for knob, answer in answers.items():
            if isinstance(answer, Leave):
                self._ledger.drop([_key(knob, intent)])
                self._left_alone.setdefault(code, (intent.group, bool(theirs)))
            elif answer is not None:
                now = found.sched if knob is Knob.SCHED else found.ioprio
                change = Change(knob, intent.target, answer.old, answer.new, intent.group, why)
                steps.append(Step(change, now, intent.sid))
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
        entry = self._ledger.entries.get(_key(knob, intent))
        if entry is not None:
            return Held(entry.old, entry.new), False
        now: Value = found.sched if knob is Knob.SCHED else found.ioprio
        target = intent.target
        return None, bequests.source(knob, now, target.pid, target.tid_start_ticks, self._family) is not None

    def _wills(self, steps: Sequence[Step], now_ticks: int) -> list[Entry]:
        """The values of ours that *steps* end, once a process."""
        wills: dict[tuple[int, Value, int], Entry] = {}
        for step in steps:
            target = step.change.thread
            who = target.pid, step.now, step.sid
            if step.now not in (step.change.new, step.change.old) and who not in wills:
                held = self._ledger.entries.get(step.key)
                since = held.at_ticks if held is not None else target.tid_start_ticks
                ended = step.entry(since)._replace(new=step.now, before=None, until_ticks=now_ticks + REMEMBER_TICKS)
                if inheritable(ended):
                    wills[who] = ended
        return list(wills.values())

    def _note(self, outcome: Outcome, events: list[str]) -> None:
        change, code = outcome.change, code_of(outcome.change.thread)
        if outcome.status in {Status.DENIED, Status.FAILED}:
            events.append(f"{change.group}: {change.knob} of {change.thread.tid}: {outcome.detail}")
            self._left_alone[code] = (change.group, False)
        elif outcome.status is Status.APPLIED and isinstance(change.new, SchedAttr) and code in self._settled:
            self._settled[code] = Settled(self._settled[code].wanted, change.new.nice)

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
        if not self.recorded_codes() <= living:
            threads = [(e, code_of(t)) for e in self._ledger.entries.values() if (t := e.thread) is not None]
            gone = [e for e, code in threads if code not in living]
            with contextlib.suppress(LedgerError):  # the entries stay, and are tried again
                heirs_of = _wills_of(gone, (e for e, code in threads if code in living), now_ticks + REMEMBER_TICKS)
                self._ledger.record((), heirs_of)
                self._ledger.drop([e.key for e in gone])
        if dead:
            self._view = view_of(self._settled)


def _key(knob: Knob, intent: Intent) -> Key:
    return Key(knob, intent.target.who)


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
    return [e._replace(until_ticks=until_ticks) for e in oldest.values() if e.key in dead]
