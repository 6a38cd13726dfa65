"""Which values a thread has from one that we changed: nice and IO priority pass to children (pure).

A value is inherited when the thread began after we wrote it, and every ancestor up to the one that we wrote it to
has it. What lost its parent is judged by its session. A child of a process that we never changed chose its own
(`nice make` beside a lowered hog), and one that left both parent and session (a daemon) is not recognised.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from smoothtask.actuator.ledger import Entry
from smoothtask.model.change import IoPrio, Knob, SchedAttr, Value

GENERATIONS = 64


class Relative(NamedTuple):
    """What is known of a process that may be somebody's parent."""

    ppid: int
    sid: int
    nice: int


class _Will(NamedTuple):
    at_ticks: int
    entry: Entry


class Bequests:
    """The values that children of changed threads inherit, by process and by session."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._by_pid: dict[tuple[int, Knob, Value], _Will] = {}
        self._by_sid: dict[tuple[int, Knob, Value], _Will] = {}
        for entry in _with_earlier(entries):
            if inheritable(entry):
                will = _Will(entry.at_ticks, entry)
                for wills, who in ((self._by_pid, entry.target.pid), (self._by_sid, entry.sid)):
                    key = (who, entry.knob, entry.new)
                    wills[key] = min(wills.get(key, will), will, key=lambda w: w.at_ticks)
        self.pids = frozenset(pid for pid, _, _ in self._by_pid)
        self.sids = frozenset(sid for sid, _, _ in self._by_sid)

    def source(
        self, knob: Knob, value: Value, pid: int, start_ticks: int, family: Mapping[int, Relative]
    ) -> Entry | None:
        """The entry that a thread of *pid*, begun at *start_ticks*, has its *value* from."""
        own_sid = family[pid].sid if pid in family else None
        for _ in range(GENERATIONS):
            will = self._by_pid.get((pid, knob, value))
            if will is not None and will.at_ticks <= start_ticks:
                return will.entry
            parent = family.get(family[pid].ppid) if pid in family else None
            if parent is None or parent.sid != own_sid:
                # The parent left, or the session begins here; one step up may still be a parent that we changed.
                above = self._by_pid.get((family[pid].ppid, knob, value)) if pid in family else None
                will = above or (None if own_sid is None else self._by_sid.get((own_sid, knob, value)))
                return will.entry if will is not None and will.at_ticks <= start_ticks else None
            pid = family[pid].ppid
            if isinstance(value, SchedAttr) and parent.nice != value.nice and not self._was_changed(pid, knob, value):
                return None
        return None

    def _was_changed(self, pid: int, knob: Knob, value: Value) -> bool:
        return (pid, knob, value) in self._by_pid


def _with_earlier(entries: Iterable[Entry]) -> Iterator[Entry]:
    """*entries*, and what children may have got before the last write: since when is not recorded."""
    for entry in entries:
        yield entry
        if entry.before not in (None, entry.old, entry.new):
            yield replace(entry, new=entry.before, before=None, at_ticks=0)


def inheritable(entry: Entry) -> bool:
    """Whether children get the value: not what is raised (it resets on fork), and no session's value."""
    match entry.new:
        case SchedAttr(nice=nice, reset_on_fork=reset):
            return nice > 0 and not reset
        case IoPrio():
            return entry.new != entry.old
        case _:
            return False
