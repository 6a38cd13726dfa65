"""Puts back what the ledger says is ours: on exit, after a crash, by `smoothtask restore`. Idempotent."""

import time
from collections.abc import Iterable
from itertools import chain

from smoothtask.actuator.inherit import Bequests, Relative, bequest
from smoothtask.actuator.knobs import Machine, read, same, write
from smoothtask.actuator.ledger import Entry, Key, Ledger
from smoothtask.kernel.procfs import read_stats
from smoothtask.kernel.systemd import ManagerError, NoSuchUnitError
from smoothtask.model.change import Change, ControllersTarget, HomeTarget, Knob, Outcome, Status, Target, UnitTarget

_ORDER = (Knob.HOME, Knob.UNIT, Knob.AUTOGROUP, Knob.SCHED, Knob.IOPRIO, Knob.CONTROLLERS)
"""Cgroups are emptied before the controllers that they need are turned off."""
ROUNDS = 12
FORK_S = 0.1
"""fork(2) copies a nice at its beginning and shows the child at its end; who is lowered may be kept waiting between."""
YOUNG_TICKS = 1000
SCOPE_LIMIT_S = 3.0
TICK_NS = 10_000_000


def restore(ledger: Ledger, machine: Machine, proc_root: str = "/proc") -> tuple[Outcome, ...]:
    """Newest first; a value that somebody changed since is left and said. Children that inherited are reached too."""
    newest_first = list(ledger.entries.values())
    newest_first.reverse()
    entries = sorted(newest_first, key=lambda e: _ORDER.index(e.knob))
    with machine.managers.patient():
        outcomes = [_put_back(entry, machine, proc_root) for entry in entries]
    known = {e.key for e in entries}
    parents = [*entries, *ledger.wills]
    # What inherits may go on being born while we put back: look until nobody new is found, twice.
    calm = False
    for _ in range(ROUNDS):
        bequests = Bequests(parents)
        heirs = [h for h in _heirs(bequests, machine, proc_root) if h.key not in known]
        if not heirs and (calm or not bequests.sids):
            break
        calm = not heirs
        if calm:
            time.sleep(FORK_S)
        known.update(h.key for h in heirs)
        parents += heirs
        outcomes += [o for h in heirs if (o := _put_back(h, machine, proc_root)).status is not Status.CHANGED]
    undone = {Status.APPLIED, Status.GONE, Status.CHANGED}
    ledger.wills.clear()
    ledger.drop([Key(*_key(o.change)) for o in outcomes if o.status in undone])
    return tuple(outcomes)


def _key(change: Change) -> tuple[Knob, tuple[int | str, ...]]:
    return change.knob, change.target.who


def _put_back(entry: Entry, machine: Machine, proc_root: str) -> Outcome:
    change = Change(entry.knob, entry.target, entry.new, entry.old, entry.group, "restored")
    try:
        if entry.knob is Knob.AUTOGROUP:
            return _put_back_session(entry, change, machine, proc_root)
        if isinstance(entry.target, HomeTarget) and entry.target.unit:
            _await_scope(entry, entry.target, machine)
        if not same(machine, entry.target):
            return Outcome(change, Status.GONE)
        now = read(machine, entry.knob, entry.target)
        if now == entry.old:
            return Outcome(change, Status.APPLIED, "was so already")
        if now not in entry.ours:
            return Outcome(change, Status.CHANGED, f"{_what(entry)} is somebody else's by now: {now}")
        write(machine, change)
    except NoSuchUnitError:
        return Outcome(change, Status.GONE)
    except (ProcessLookupError, FileNotFoundError) as error:
        return Outcome(change, Status.GONE, str(error) if entry.knob is Knob.HOME else "")
    except PermissionError as error:
        return Outcome(change, Status.DENIED, f"{_what(entry)}: {error.strerror}")
    except (OSError, ValueError, ManagerError) as error:
        return Outcome(change, Status.FAILED, f"{_what(entry)}: {error}")
    return Outcome(change, Status.APPLIED)


def _await_scope(entry: Entry, target: HomeTarget, machine: Machine) -> None:
    """A scope that was asked for a moment ago may be on its way: whoever asked was killed meanwhile."""
    deadline_s = time.monotonic() + SCOPE_LIMIT_S
    while not machine.cgroups.pids(target.cgroup):
        age_ticks = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // TICK_NS - entry.at_ticks
        if not 0 <= age_ticks <= YOUNG_TICKS or time.monotonic() > deadline_s:
            return
        time.sleep(0.05)


def _what(entry: Entry) -> str:
    match entry.target:
        case Target(tid=tid):
            return f"{entry.knob} of thread {tid}"
        case UnitTarget(unit=unit, name=name):
            return f"{name} of {unit}"
        case HomeTarget(cgroup=cgroup) | ControllersTarget(cgroup=cgroup):
            return f"{entry.knob} of {cgroup}"


def _put_back_session(entry: Entry, change: Change, machine: Machine, proc_root: str) -> Outcome:
    """An autogroup outlives the process it was changed through: any of its members will do."""
    target = entry.target
    if not isinstance(entry.new, int) or not isinstance(entry.old, int) or not isinstance(target, Target):
        return Outcome(change, Status.FAILED, "not an autogroup's value")
    for pid in chain([target.pid], _session_members(entry.sid, proc_root)):
        group = machine.threads.get_autogroup(pid)
        if group is None or group.id != target.tid:
            continue
        if group.nice in entry.ours and group.nice != entry.old:
            machine.threads.set_autogroup(pid, entry.old)
            return Outcome(change, Status.APPLIED)
        said = f"autogroup {group.id} has nice {group.nice} by now, which is not ours"
        return Outcome(change, Status.APPLIED if group.nice == entry.old else Status.CHANGED, said)
    return Outcome(change, Status.GONE)


def _session_members(sid: int, proc_root: str) -> Iterable[int]:
    for pid, _tid, stat in read_stats(proc_root, leaders_only=True):
        if stat.sid == sid:
            yield pid


def _heirs(bequests: Bequests, machine: Machine, proc_root: str) -> list[Entry]:
    """Threads that have a value from one that we changed: recorded nowhere, for they began since the last look."""
    if not bequests.sids:
        return []
    threads = list(read_stats(proc_root))
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
                value = machine.threads.get_sched(tid) if knob is Knob.SCHED else machine.threads.get_ioprio(tid)
            except ProcessLookupError:
                break
            source = bequests.source(knob, value, pid, stat.start_ticks, family)
            if source is not None:
                heirs.append(source._replace(target=target, old=bequest(source.old), new=value, before=None))
    return heirs
