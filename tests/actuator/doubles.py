"""A kernel in memory, with the rules of inheritance of the real one: what tests of the actuator act on."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from scenery import group
from smoothtask.actuator.knobs import Cgroups, Machine, UnitManagers
from smoothtask.kernel.sched import Autogroup
from smoothtask.model.change import IoPrio, SchedAttr
from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Decision, Stage
from smoothtask.model.group import AppGroup
from smoothtask.model.tasks import PROCESS_DTYPE, THREAD_DTYPE, TaskTable

FRESH = SchedAttr(0, 0, 0, reset_on_fork=False)
NO_IO = IoPrio(0, 0)


@dataclass(slots=True)
class Thread:
    """One thread; a process is its leader (pid == tid)."""

    pid: int
    tid: int
    start: int
    ppid: int
    sid: int
    group: str
    sched: SchedAttr = FRESH
    ioprio: IoPrio = NO_IO
    original: SchedAttr = FRESH
    """What it would have without us."""


@dataclass(slots=True)
class FakeKernel:
    """Threads by tid; *refuse* and *altered* make writes fail or turn out otherwise."""

    threads: dict[int, Thread] = field(default_factory=dict)
    sessions: dict[int, int] = field(default_factory=dict)
    now: int = 1000
    writes: list[tuple[int, object]] = field(default_factory=list)
    refuse: set[int] = field(default_factory=set)
    shortest_slice_ns: int = 100_000
    crash_after: int | None = None
    """Raise Crash at this many writes from now."""

    def spawn(self, tid: int, group: str, parent: Thread | None = None, sid: int | None = None) -> Thread:
        """A process, by fork when it has a *parent*."""
        self.now += 10
        own = sid if sid is not None else parent.sid if parent is not None else tid
        new = Thread(tid, tid, self.now, parent.tid if parent else 1, own, group)
        if parent is not None:
            had = parent.sched
            reset = SchedAttr(had.policy, max(had.nice, 0), 0, reset_on_fork=False)  # kernel/sched/core.c: sched_fork()
            new.sched = reset if had.reset_on_fork else had
            new.ioprio, new.original = parent.ioprio, parent.original
        self.threads[tid] = new
        self.sessions.setdefault(own, 0)
        return new

    def thread(self, of: Thread, tid: int) -> Thread:
        """Another thread of a process."""
        new = self.spawn(tid, of.group, of)
        new.pid, new.ppid = of.pid, of.ppid
        return new

    def exit(self, pid: int) -> None:
        """With all its threads; its children become init's."""
        for t in [t for t in self.threads.values() if t.pid == pid]:
            del self.threads[t.tid]
        for t in self.threads.values():
            t.ppid = 1 if t.ppid == pid else t.ppid
        living = {t.sid for t in self.threads.values()}
        self.sessions = {s: n for s, n in self.sessions.items() if s in living}

    def renice(self, tid: int, nice: int) -> None:
        """By a person."""
        t = self.threads[tid]
        t.sched = t.sched._replace(nice=nice)
        t.original = t.original._replace(nice=nice)

    # --- what the actuator calls

    def _of(self, tid: int) -> Thread:
        if tid not in self.threads:
            raise ProcessLookupError(3, "No such process")
        return self.threads[tid]

    def _count(self, tid: int, value: object) -> None:
        if tid in self.refuse:
            raise PermissionError(1, "Operation not permitted")
        if self.crash_after is not None:
            self.crash_after -= 1
            if self.crash_after < 0:
                raise Crash
        self.writes.append((tid, value))

    def get_sched(self, tid: int, /) -> SchedAttr:
        return self._of(tid).sched

    def set_sched(self, tid: int, attr: SchedAttr, /) -> None:
        assert attr.policy in {0, 3, 5}
        assert -10 <= attr.nice <= 19
        thread = self._of(tid)
        self._count(tid, attr)
        longer = max(attr.slice_ns, self.shortest_slice_ns) if attr.slice_ns else 0
        thread.sched = attr._replace(slice_ns=longer)

    def get_ioprio(self, tid: int, /) -> IoPrio:
        return self._of(tid).ioprio

    def set_ioprio(self, tid: int, prio: IoPrio, /) -> None:
        assert prio.io_class != 1
        thread = self._of(tid)
        self._count(tid, prio)
        thread.ioprio = prio

    def get_autogroup(self, pid: int, /) -> Autogroup | None:
        return Autogroup(self.threads[pid].sid, self.sessions[self.threads[pid].sid]) if pid in self.threads else None

    def set_autogroup(self, pid: int, nice: int, /) -> None:
        assert -10 <= nice <= 19
        sid = self._of(pid).sid
        self._count(pid, nice)
        self.sessions[sid] = nice

    def start_ticks(self, pid: int, tid: int | None = None, /) -> int | None:
        found = self.threads.get(pid if tid is None else tid)
        return found.start if found is not None and found.pid == pid else None

    def cpu_task_group(self, pid: int, /) -> str | None:
        return "/" if pid in self.threads else None

    @property
    def machine(self) -> Machine:
        """This kernel, on a machine without cgroup v2 and systemd."""
        return Machine(self, cast("Cgroups", NoCgroups()), cast("UnitManagers", NoManagers()))

    def groups(self, decisions: Iterable[Decision]) -> list[AppGroup]:
        """A group for each decision."""
        roots = {t.group: t.pid for t in reversed(self.threads.values())}
        return [group(d.group, root_pid=roots.get(d.group, 0)) for d in decisions]

    # --- what the collector and restore see

    def table(self) -> TaskTable:
        """One pass over every task."""
        ordered = sorted(self.threads.values(), key=lambda t: (t.pid, t.tid))
        leaders = [t for t in ordered if t.pid == t.tid]
        threads, processes = np.zeros(len(ordered), THREAD_DTYPE), np.zeros(len(leaders), PROCESS_DTYPE)
        for row, t in zip(threads, ordered, strict=True):
            row["tgid"], row["tid"], row["start_ticks"] = t.pid, t.tid, t.start
            row["nice"], row["policy"] = t.sched.nice, t.sched.policy
        for row, t in zip(processes, leaders, strict=True):
            row["pid"], row["ppid"], row["start_ticks"], row["sid"] = t.pid, t.ppid, t.start, t.sid
            row["nice"] = t.sched.nice
        return TaskTable(threads, processes, self.now, "fake")

    def row_groups(self, table: TaskTable) -> list[str]:
        """As the grouper would say."""
        return [self.threads[pid].group for pid in table.processes["pid"].tolist()]

    def write_proc(self, root: Path) -> str:
        """A /proc with a stat file of every thread."""
        for t in self.threads.values():
            folder = root / str(t.pid) / "task" / str(t.tid)
            folder.mkdir(parents=True)
            fields = ["0"] * 50
            fields[0], fields[1], fields[3] = "S", str(t.ppid), str(t.sid)
            fields[16], fields[19], fields[38] = str(t.sched.nice), str(t.start), str(t.sched.policy)
            (folder / "stat").write_text(f"{t.tid} (x) {' '.join(fields)}")
        return str(root)


class NoCgroups:
    """A machine whose cgroups are not the unified ones."""

    def mounted(self) -> bool:
        return False

    def controllers(self, path: str, /) -> frozenset[str]:
        return frozenset()

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} of a cgroup on a machine that has none")


class NoManagers:
    """A machine without systemd."""

    def booted(self) -> bool:
        return False

    def is_there(self, uid: int, /) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} of a manager on a machine that has none")


class Crash(BaseException):
    """The daemon was killed."""


def decision(group: str, target: PriorityClass, protected: bool = False) -> Decision:
    """What policy would say."""
    target = PriorityClass.NORMAL if protected else target
    made = Decision(group, target, target, Stage.RULE, ())
    return replace(made, protected=protected)
