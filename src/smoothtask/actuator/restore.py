"""Puts back what the ledger says is ours: on exit, after a crash, by `smoothtask restore`. Idempotent."""

import os
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from smoothtask.actuator.inherit import Bequests, Relative, bequest
from smoothtask.actuator.ledger import Entry, Key, Ledger
from smoothtask.kernel.procfs import Stat, parse_stat
from smoothtask.model.change import Change, IoPrio, Knob, Outcome, SchedAttr, Status, Target

if TYPE_CHECKING:
    from smoothtask.actuator.apply import Kernel


def restore(ledger: Ledger, kernel: "Kernel", proc_root: str = "/proc") -> tuple[Outcome, ...]:
    """Newest first; a value that somebody changed since is left and said. Children that inherited are reached too."""
    entries = list(reversed(ledger.entries.values()))
    outcomes = [_put_back(entry, kernel, proc_root) for entry in entries]
    known = {e.key for e in entries}
    parents = [*entries, *ledger.wills]
    # What inherits may go on being born while we put back: look until nobody new is found.
    for _ in range(5):
        heirs = [h for h in _heirs(Bequests(parents), kernel, proc_root) if h.key not in known]
        if not heirs:
            break
        known.update(h.key for h in heirs)
        parents += heirs
        outcomes += [o for h in heirs if (o := _put_back(h, kernel, proc_root)).status is not Status.CHANGED]
    undone = {Status.APPLIED, Status.GONE, Status.CHANGED}
    ledger.wills.clear()
    ledger.drop([Key(*_key(o.change)) for o in outcomes if o.status in undone])
    return tuple(outcomes)


def _key(change: Change) -> tuple[Knob, int, int]:
    return change.knob, change.target.tid, change.target.tid_start_ticks


def _put_back(entry: Entry, kernel: "Kernel", proc_root: str) -> Outcome:
    change = Change(entry.knob, entry.target, entry.new, entry.old, entry.group, "restored")
    try:
        if entry.knob is Knob.AUTOGROUP:
            return _put_back_session(entry, change, kernel, proc_root)
        t = entry.target
        if kernel.start_ticks(t.pid, t.tid) != t.tid_start_ticks:
            return Outcome(change, Status.GONE)
        now = kernel.get_sched(t.tid) if entry.knob is Knob.SCHED else kernel.get_ioprio(t.tid)
        if now == entry.old:
            return Outcome(change, Status.APPLIED, "was so already")
        if now not in entry.ours:
            return Outcome(change, Status.CHANGED, f"{entry.knob} of thread {t.tid} is somebody else's by now: {now}")
        if isinstance(entry.old, SchedAttr):
            kernel.set_sched(t.tid, entry.old)
        elif isinstance(entry.old, IoPrio):
            kernel.set_ioprio(t.tid, entry.old)
    except (ProcessLookupError, FileNotFoundError):
        return Outcome(change, Status.GONE)
    except PermissionError as error:
        return Outcome(change, Status.DENIED, f"thread {entry.target.tid}: {error.strerror}")
    except (OSError, ValueError) as error:
        return Outcome(change, Status.FAILED, f"thread {entry.target.tid}: {error}")
    return Outcome(change, Status.APPLIED)


def _put_back_session(entry: Entry, change: Change, kernel: "Kernel", proc_root: str) -> Outcome:
    """An autogroup outlives the process it was changed through: any of its members will do."""
    if not isinstance(entry.new, int) or not isinstance(entry.old, int):
        return Outcome(change, Status.FAILED, "not an autogroup's value")
    for pid in chain([entry.target.pid], _session_members(entry.sid, proc_root)):
        group = kernel.get_autogroup(pid)
        if group is None or group.id != entry.target.tid:
            continue
        if group.nice in entry.ours and group.nice != entry.old:
            kernel.set_autogroup(pid, entry.old)
            return Outcome(change, Status.APPLIED)
        said = f"autogroup {group.id} has nice {group.nice} by now, which is not ours"
        return Outcome(change, Status.APPLIED if group.nice == entry.old else Status.CHANGED, said)
    return Outcome(change, Status.GONE)


def _session_members(sid: int, proc_root: str) -> Iterable[int]:
    for pid, _tid, stat in _all_threads(proc_root, leaders_only=True):
        if stat.sid == sid:
            yield pid


def _heirs(bequests: Bequests, kernel: "Kernel", proc_root: str) -> list[Entry]:
    """Threads that have a value from one that we changed: recorded nowhere, for they began since the last look."""
    if not bequests.sids:
        return []
    threads = list(_all_threads(proc_root))
    family = {pid: Relative(s.ppid, s.sid, s.nice, s.start_ticks) for pid, tid, s in threads if pid == tid}
    heirs = []
    for pid, tid, stat in threads:
        if pid not in family:
            continue
        target = Target(pid, family[pid].start_ticks, tid, stat.start_ticks)
        for knob in (Knob.SCHED, Knob.IOPRIO):
            if knob is Knob.SCHED and stat.nice <= 0:
                continue
            try:
                value = kernel.get_sched(tid) if knob is Knob.SCHED else kernel.get_ioprio(tid)
            except ProcessLookupError:
                break
            source = bequests.source(knob, value, pid, stat.start_ticks, family)
            if source is not None:
                heirs.append(replace(source, target=target, old=bequest(source.old), new=value, before=None))
    return heirs


def _all_threads(proc_root: str, leaders_only: bool = False) -> Iterable[tuple[int, int, Stat]]:
    for name in os.listdir(proc_root):
        if not name.isdecimal():
            continue
        try:
            tids = [name] if leaders_only else os.listdir(f"{proc_root}/{name}/task")
        except (FileNotFoundError, ProcessLookupError):
            continue
        for tid in tids:
            try:
                with open(f"{proc_root}/{name}/task/{tid}/stat", "rb", buffering=0) as file:
                    stat = parse_stat(file.read(4096))
            except (FileNotFoundError, ProcessLookupError):
                continue  # this thread left; the others of its process did not
            yield int(name), int(tid), stat
