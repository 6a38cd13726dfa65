"""Which values a thread has from one that we changed: nice and IO priority pass to children (pure).

A value is inherited when the thread began after we wrote it, and every ancestor up to the one that we wrote it to
has it. What lost its parent is judged by its session. A child of a process that we never changed chose its own
(`nice make` beside a lowered hog), and one that left both parent and session (a daemon) is not recognised.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from smoothtask.actuator.ledger import Entry
from smoothtask.model.change import IoPrio, Knob, SchedAttr, Value

GENERATIONS = 64
FOREVER = float("inf")


class Relative(NamedTuple):
    """What is known of a process that may be somebody's parent."""

    ppid: int
    sid: int
    nice: int
    start_ticks: int


class _Will(NamedTuple):
    at_ticks: int
    until_ticks: float
    entry: Entry

    def covers(self, start_ticks: int) -> bool:
        return self.at_ticks <= start_ticks <= self.until_ticks


def _merge(one: _Will, other: _Will) -> _Will:
    older = one if one.at_ticks <= other.at_ticks else other
    longest = max(one.until_ticks, other.until_ticks)
    return older if older.until_ticks == longest else older._replace(until_ticks=longest)


class Bequests:
    """The values that children of changed threads inherit, by process and by session."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._by_pid: dict[tuple[int, Knob, Value], _Will] = {}
        self._by_sid: dict[tuple[int, Knob, Value], _Will] = {}
        seen = set()
        for entry in entries:
            thread = entry.thread
            if thread is None:
                continue
            alike = thread.pid, thread.start_ticks, entry.sid, entry.new, entry.at_ticks, entry.until_ticks
            if alike in seen:  # of the threads of a process that were changed at once, one stands for all
                continue
            seen.add(alike)
            if inheritable(entry):
                until = FOREVER if entry.until_ticks is None else entry.until_ticks
                will = _Will(entry.at_ticks, until, entry)
                for wills, who in ((self._by_pid, thread.pid), (self._by_sid, entry.sid)):
                    key = (who, entry.knob, bequest(entry.new))
                    known = wills.get(key)
                    wills[key] = will if known is None else _merge(known, will)
        self.pids = frozenset(pid for pid, _, _ in self._by_pid)
        self.sids = frozenset(sid for sid, _, _ in self._by_sid)

    def source(
        self, knob: Knob, value: Value, pid: int, start_ticks: int, family: Mapping[int, Relative]
    ) -> Entry | None:
        """The entry that a thread of *pid*, begun at *start_ticks*, has its *value* from."""
        if pid not in family:
            return None
        sid = family[pid].sid
        for _ in range(GENERATIONS):
            if (entry := self._of_process((pid, knob, value), start_ticks, family)) is not None:
                return entry
            above = family[pid].ppid
            parent = family.get(above)
            if parent is None or parent.sid != sid:  # the parent left, or the session begins here
                of_parent = self._of_process((above, knob, value), start_ticks, family)
                return of_parent or self._of_session((sid, knob, value), start_ticks, family)
            changed = (above, knob, value) in self._by_pid
            if isinstance(value, SchedAttr) and parent.nice != value.nice and not changed:
                return None  # its parent never had the value: it was chosen
            pid = above
        return None

    def _of_process(
        self, key: tuple[int, Knob, Value], start_ticks: int, family: Mapping[int, Relative]
    ) -> Entry | None:
        will, process = self._by_pid.get(key), family.get(key[0])
        if will is None or process is None or not will.covers(start_ticks):
            return None
        changed = will.entry.thread
        return will.entry if changed is not None and changed.start_ticks == process.start_ticks else None

    def _of_session(
        self, key: tuple[int, Knob, Value], start_ticks: int, family: Mapping[int, Relative]
    ) -> Entry | None:
        will, leader = self._by_sid.get(key), family.get(key[0])
        if will is None or not will.covers(start_ticks):
            return None
        changed = will.entry.thread
        began = changed.start_ticks if changed is not None else 0
        reused = leader is not None and leader.start_ticks > max(will.at_ticks, began)
        return None if reused else will.entry


def inheritable(entry: Entry) -> bool:
    """Whether children get the value: not what is raised (it resets on fork), and no session's value."""
    match entry.new:
        case SchedAttr(nice=nice):
            return nice > 0
        case IoPrio():
            return entry.new != entry.old
        case _:
            return False


def bequest(value: Value) -> Value:
    """What a child has of a parent's *value*: reset-on-fork leaves a positive nice, no slice and no flag."""
    if isinstance(value, SchedAttr) and value.reset_on_fork:
        return SchedAttr(value.policy, max(value.nice, 0), 0, reset_on_fork=False)
    return value
