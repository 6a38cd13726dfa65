"""Ledger first, then the system, then a look at what became of it: the one place that changes anything."""

import contextlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from smoothtask.actuator.knobs import Machine, attempt
from smoothtask.actuator.ledger import THREAD_KNOBS, Entry, Key, Ledger, LedgerError
from smoothtask.model.change import AnyTarget, Change, Knob, Outcome, Status, Value


class Step(NamedTuple):
    """A change, and the value that it was resolved from."""

    change: Change
    now: Value
    sid: int = 0
    act: Callable[[], None] | None = None
    """How it is done, where that takes more than writing the value; it may fail half way."""

    @property
    def key(self) -> Key:
        """What it is about."""
        return Key(self.change.knob, self.change.target.who)

    @property
    def puts_back(self) -> bool:
        """Whether nothing is ours there afterwards."""
        return self.change.old == self.change.new

    def entry(self, at_ticks: int) -> Entry:
        """The record that undoes it."""
        c = self.change
        return Entry(c.knob, c.target, c.old, c.new, c.group, c.why, self.sid, at_ticks, self.now)


class Writer:
    """Nothing is written that is not in the ledger."""

    def __init__(self, machine: Machine, ledger: Ledger) -> None:
        self._machine = machine
        self.ledger = ledger
        self._broken = False

    def write(
        self, steps: Sequence[Step], now_ticks: int, events: list[str], wills: Sequence[Entry] = ()
    ) -> list[Outcome]:
        """Carry out *steps*, in order. What could not be recorded is not done, and has no outcome."""
        entries = {s.key: s.entry(now_ticks) for s in steps if not s.puts_back}
        try:
            self.ledger.record(list(entries.values()), wills)
            self._broken = False
        except LedgerError as error:
            if not self._broken:
                events.append(f"nothing is changed any more: {error}")
            self._broken = True
            steps = [s for s in steps if s.puts_back]  # putting back needs no record
        outcomes, amended, finished = [], [], []
        seen: AnyTarget | None = None
        for step in steps:
            if step.now == step.change.new:
                outcome, actual = Outcome(step.change, Status.APPLIED), step.now
            else:
                known = step.change.target == seen
                outcome, actual_or_none = attempt(self._machine, step.change, step.act, known=known)
                seen = None if outcome.status is Status.GONE else step.change.target
                actual = step.now if actual_or_none is None else actual_or_none
            outcomes.append(outcome)
            if step.act is not None and outcome.status is not Status.APPLIED:
                continue  # it may be half done: the record stays, and undoes it
            # Of a session another process may live on.
            if outcome.status is Status.GONE and step.change.knob is not Knob.AUTOGROUP:
                if step.change.knob not in THREAD_KNOBS:  # a thread's heirs may live: forgotten with the dead
                    finished.append(step.key)
            elif actual == step.change.old:
                finished.append(step.key)
            elif outcome.status is not Status.APPLIED and step.key in entries:
                # Refused, or made something else of: what is there now is still our doing.
                amended.append(entries[step.key]._replace(new=actual))
        with contextlib.suppress(LedgerError):  # the record from before the write undoes it just as well
            self.ledger.record([e for e in amended if e.new != e.old])
        self.ledger.drop([*finished, *(e.key for e in amended if e.new == e.old)])
        return outcomes
