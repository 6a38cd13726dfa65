"""A kernel in memory, with the rules of inheritance of the real one: what tests of the actuator act on."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from scenery import group
from smoothtask.actuator.knobs import Cgroups, Machine, UnitManagers
from smoothtask.actuator.ledger import UNSET
from smoothtask.kernel.cgroup2 import parse_weight, sound
from smoothtask.kernel.sched import Autogroup
from smoothtask.kernel.systemd import SIGNATURES, SYSTEM, ManagerError, NoSuchUnitError, SilentError
from smoothtask.model.change import IoPrio, SchedAttr
from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Decision, Stage
from smoothtask.model.group import AppGroup
from smoothtask.model.ours import is_ours
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
    cgroup: str = "/"
    origin: str = "/"
    """The cgroup that it would be in without us."""


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
    task_group: Callable[[str], str] = lambda _cgroup: "/"
    """Where the scheduler weighs what is in a cgroup."""

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
            new.cgroup, new.origin = parent.cgroup, parent.origin
        self.threads[tid] = new
        self.sessions.setdefault(own, 0)
        return new

    def thread(self, of: Thread, tid: int) -> Thread:
        """Another thread of a process."""
        new = self.spawn(tid, of.group, of)
        new.pid, new.ppid = of.pid, of.ppid
        return new

    def setsid(self, pid: int) -> None:
        """Begin a session of its own."""
        for thread in self.threads.values():
            if thread.pid == pid:
                thread.sid = pid
        self.sessions[pid] = 0

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
        self.may_crash()
        self.writes.append((tid, value))

    def may_crash(self) -> None:
        """Just before a write, whatever it is to."""
        if self.crash_after is not None:
            self.crash_after -= 1
            if self.crash_after < 0:
                raise Crash

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

    def get_sid(self, pid: int, /) -> int | None:
        return self.threads[pid].sid if pid in self.threads else None

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
        return self.task_group(self.threads[pid].cgroup) if pid in self.threads else None

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


FILES: dict[str, dict[str, str]] = {
    "cpu": {"cpu.weight": "100", "cpu.idle": "0", "cpu.max": "max 100000"},
    "io": {"io.weight": "default 100", "io.max": ""},
    "memory": {"memory.high": "max"},
}
"""What a controller brings, and what is in there at first (Documentation/admin-guide/cgroup-v2.rst)."""


@dataclass(slots=True)
class Cgroup:
    """One cgroup; *number* is another one for another cgroup of that name."""

    number: int
    subtree: set[str] = field(default_factory=set)
    files: dict[str, str] = field(default_factory=dict)


class FakeCgroups:
    """A unified hierarchy in memory; who is where is in the threads of *kernel*."""

    def __init__(self, kernel: FakeKernel, available: Iterable[str] = ("cpu", "io", "memory")) -> None:
        self.kernel = kernel
        self.available = frozenset(available)
        self.tree: dict[str, Cgroup] = {"/": Cgroup(1)}
        self.refuse: set[str] = set()
        """Cgroups of which nothing can be written."""
        self.real_time: set[int] = set()
        """Processes that no cgroup of ours takes (RT_GROUP_SCHED)."""
        self._numbers = 1
        kernel.task_group = self.task_group

    def task_group(self, path: str) -> str:
        """The nearest cgroup that has the cpu controller."""
        while path != "/" and "cpu.weight" not in self.tree[path].files:
            path = self.above(path)
        return path

    @staticmethod
    def above(path: str) -> str:
        """The cgroup around another."""
        return path.rpartition("/")[0] or "/"

    def below(self, path: str) -> list[str]:
        """The children of a cgroup."""
        return [p for p in self.tree if p != "/" and self.above(p) == path]

    def enable(self, path: str, *names: str) -> None:
        """Give the children of *path*, and of all above it, controllers."""
        for name in set(names) & self.available:
            cgroup: str | None = path
            while cgroup is not None:
                self._add_controller(cgroup, name)
                cgroup = self.above(cgroup) if cgroup != "/" else None

    def _add_controller(self, path: str, name: str) -> None:
        if name not in self.tree[path].subtree:
            self.tree[path].subtree.add(name)
            for child in self.below(path):
                self.tree[child].files.update(FILES[name])

    def _found(self, path: str) -> Cgroup:
        assert sound(path)
        if path not in self.tree:
            raise FileNotFoundError(2, "No such file or directory")
        return self.tree[path]

    def _write(self, path: str) -> Cgroup:
        found = self._found(path)
        if path in self.refuse:
            raise PermissionError(13, "Permission denied")
        self.kernel.may_crash()
        return found

    # --- what the actuator calls

    def mounted(self) -> bool:
        return True

    def of_process(self, pid: int, /) -> str | None:
        return self.kernel.threads[pid].cgroup if pid in self.kernel.threads else None

    def weight(self, path: str, name: str = "cpu.weight", /) -> int | None:
        text = self.read(path, name)
        if text is not None and name == "cpu.weight" and self.read(path, "cpu.idle") == "1":
            return 0
        return None if text is None else parse_weight(text)

    def read(self, path: str, name: str, /) -> str | None:
        return self.tree[path].files.get(name) if path in self.tree else None

    def write(self, path: str, name: str, text: str, /) -> None:
        files = self._write(path).files
        if name not in files:
            raise FileNotFoundError(2, "No such file or directory")
        if name == "cpu.weight" and files["cpu.idle"] == "1":
            raise OSError(22, "Invalid argument")
        files[name] = capped(files[name], text) if name == "io.max" else text

    def cgroup_id(self, path: str, /) -> int | None:
        return self.tree[path].number if path in self.tree else None

    def controllers(self, path: str, /) -> frozenset[str]:
        if path == "/":
            return self.available
        return frozenset(self.tree[self.above(path)].subtree) if path in self.tree else frozenset()

    def enabled(self, path: str, /) -> frozenset[str]:
        return frozenset(self.tree[path].subtree) if path in self.tree else frozenset()

    def switch(self, path: str, changes: Sequence[str], /) -> None:
        found = self._write(path)
        if path != "/" and any(t.cgroup == path for t in self.kernel.threads.values()):
            raise OSError(16, "Device or resource busy")  # no processes inside a cgroup that has children
        for change in changes:
            name = change[1:]
            if name not in self.controllers(path):
                raise FileNotFoundError(2, "No such file or directory")
            if change[0] == "+":
                self._add_controller(path, name)
                continue
            if any(name in self.tree[child].subtree for child in self.below(path)):
                raise OSError(16, "Device or resource busy")
            found.subtree.discard(name)
            for child in self.below(path):
                for file in FILES[name]:
                    self.tree[child].files.pop(file, None)

    def pids(self, path: str, /) -> frozenset[int]:
        below = path.rstrip("/") + "/"
        return frozenset(t.pid for t in self.kernel.threads.values() if t.cgroup == path or t.cgroup.startswith(below))

    def move(self, pid: int, path: str, /) -> None:
        found = self._write(path)
        if pid not in self.kernel.threads:
            raise ProcessLookupError(3, "No such process")
        if path != "/" and found.subtree:
            raise OSError(16, "Device or resource busy")
        if pid in self.real_time and is_ours(path):
            raise OSError(22, "Invalid argument")
        self.carry(pid, path)

    def carry(self, pid: int, path: str) -> None:
        """Move a process, unconditionally."""
        for thread in self.kernel.threads.values():
            if thread.pid == pid:
                thread.cgroup = path

    def empty_into(self, path: str, home: str, /) -> int:
        moved = self.pids(path)
        for pid in sorted(moved):
            self.move(pid, home)
        return len(moved)

    def make(self, path: str, /) -> None:
        self.kernel.may_crash()
        self.born(path)

    def born(self, path: str) -> None:
        """A cgroup, and those above it, unless they are there."""
        if path in self.tree:
            return
        self.born(self.above(path))
        self._numbers += 1
        files = {file: text for name in self.tree[self.above(path)].subtree for file, text in FILES[name].items()}
        self.tree[path] = Cgroup(self._numbers, set(), files)

    def remove(self, path: str, /) -> None:
        self.kernel.may_crash()
        if path in self.tree:
            if self.below(path) or self.pids(path):
                raise OSError(16, "Device or resource busy")
            del self.tree[path]


def capped(before: str, text: str) -> str:
    """io.max after *text* (`8:0 rbps=7`) was written: what is `max` is not listed."""
    disk, _, cap = text.partition(" ")
    kind = cap.partition("=")[0]
    lines = [line for line in before.splitlines() if not line.startswith(f"{disk} {kind}=")]
    return "\n".join([*lines, *([] if cap.endswith("=max") else [text])])


@dataclass(slots=True)
class Unit:
    """A unit that a manager knows."""

    manager: int
    name: str
    cgroup: str
    properties: dict[str, Any] = field(default_factory=dict)
    original: dict[str, Any] = field(default_factory=dict)
    """What was set in it without us."""


DEFAULTS: dict[str, Any] = {name: () if kind == "a(st)" else UNSET for name, kind in SIGNATURES.items()}


class FakeManagers:
    """systemd's managers as version 252 was seen to behave; *settle* is the moment that they take."""

    def __init__(self, cgroups: FakeCgroups, uids: Iterable[int] = (SYSTEM,)) -> None:
        self.cgroups = cgroups
        self.there = set(uids)
        self.units: dict[tuple[int, str], Unit] = {}
        self.silent: set[int] = set()
        """Managers that do not answer."""
        self.refuse: set[str] = set()
        """Units that cannot be changed."""
        self.lazy = False
        """Promises scopes and never makes them."""
        self.asked: list[tuple[str, str]] = []
        self._promised: list[tuple[str, list[int]]] = []

    def unit(self, manager: int, name: str, cgroup: str, **original: Any) -> Unit:
        """A unit that runs, with what a person set in it."""
        self.cgroups.born(cgroup)
        self.units[manager, name] = made = Unit(manager, name, cgroup, {}, dict(original))
        self._set(made, original)
        return made

    def person_sets(self, manager: int, name: str, **values: Any) -> None:
        """systemctl set-property --runtime."""
        unit = self.units[manager, name]
        unit.original.update(values)
        self._set(unit, values)

    def restart(self, manager: int, name: str) -> None:
        """Its processes leave, its cgroup is made anew with what is set."""
        unit = self.units[manager, name]
        self.stop(manager, name)
        self.cgroups.born(unit.cgroup)
        self.units[manager, name] = unit
        self._set(unit, unit.properties)

    def stop(self, manager: int, name: str) -> None:
        """Its processes leave with it."""
        unit = self.units.pop((manager, name))
        for pid in self.cgroups.pids(unit.cgroup):
            self.cgroups.kernel.exit(pid)
        self.cgroups.tree.pop(unit.cgroup, None)

    def settle(self) -> None:
        """A moment later: processes are in their scopes, and scopes without any are gone."""
        for cgroup, pids in self._promised:
            for pid in pids:
                if pid in self.cgroups.kernel.threads and cgroup in self.cgroups.tree:
                    self.cgroups.carry(pid, cgroup)
        self._promised.clear()
        for key, unit in list(self.units.items()):
            if unit.name.endswith(".scope") and not self.cgroups.pids(unit.cgroup):
                del self.units[key]
                self.cgroups.tree.pop(unit.cgroup, None)

    def _set(self, unit: Unit, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            assert name in SIGNATURES
            unit.properties[name] = tuple(map(tuple, value)) if isinstance(value, list) else value
            self._realise(unit, name, value)

    def _realise(self, unit: Unit, name: str, value: Any) -> None:
        controller = "cpu" if name.startswith("CPU") else "io" if name.startswith("IO") else "memory"
        unset = value == UNSET or value in ((), [])
        if not unset:
            self.cgroups.enable(self.cgroups.above(unit.cgroup), controller)
        files = self.cgroups.tree[unit.cgroup].files
        if not FILES[controller].keys() <= files.keys():
            return
        if name == "CPUWeight" and not unset:  # unset leaves the kernel's as it was
            files["cpu.idle"] = str(int(value == 0))
            files["cpu.weight"] = str(value or 1)
        elif name == "IOWeight" and not unset and "io.weight" in FILES["io"]:
            files["io.weight"] = f"default {value}"
        elif name == "MemoryHigh":
            files["memory.high"] = "max" if unset else str(value // 4096 * 4096)
        elif name == "CPUQuotaPerSecUSec":
            files["cpu.max"] = "max 100000" if unset else f"{value // 10} 100000"
        elif name.endswith("BandwidthMax"):
            kind = "rbps" if "Read" in name else "wbps"
            kept = [line for line in files["io.max"].splitlines() if f" {kind}=" not in line]
            files["io.max"] = "\n".join([*kept, *(f"{disk} {kind}={n}" for disk, n in value if n != UNSET)])

    def _known(self, uid: int, unit: str) -> Unit:
        if (uid, unit) not in self.units:
            raise NoSuchUnitError(f"refused: NoSuchUnit: Unit {unit} not found.")
        if unit in self.refuse:
            raise ManagerError("refused: AccessDenied: Permission denied")
        return self.units[uid, unit]

    def _ask(self, uid: int, unit: str, what: str) -> None:
        if uid in self.silent or uid not in self.there:
            raise SilentError("did not answer")
        if what != "properties":
            self.cgroups.kernel.may_crash()
        self.asked.append((what, unit))

    # --- what the actuator calls

    @contextlib.contextmanager
    def patient(self) -> Iterator[None]:
        yield

    def booted(self) -> bool:
        return bool(self.there)

    def is_there(self, uid: int, /) -> bool:
        return uid in self.there and uid not in self.silent

    def properties(self, uid: int, unit: str, names: Sequence[str], /) -> dict[str, Any]:
        self._ask(uid, unit, "properties")
        known = self.units.get((uid, unit))
        found: dict[str, Any] = {**DEFAULTS, "ControlGroup": known.cgroup if known else ""}
        return {name: {**found, **(known.properties if known else {})}[name] for name in names}

    def set_properties(self, uid: int, unit: str, values: Mapping[str, Any], /) -> None:
        self._ask(uid, unit, "set")
        self._set(self._known(uid, unit), values)

    def start_scope(self, uid: int, unit: str, values: Mapping[str, Any], /) -> None:
        self._ask(uid, unit, "start")
        if (uid, unit) in self.units:
            raise ManagerError("refused: UnitExists: it was loaded already")
        if unit in self.refuse or not unit.endswith(".scope"):
            raise ManagerError("refused: AccessDenied: Permission denied")
        pids = list(values["PIDs"])
        above = next(p for p in self.cgroups.tree if p.endswith(f"/{values['Slice']}"))
        if self.lazy:
            return
        made = self.unit(uid, unit, f"{above}/{unit}")
        self._set(made, {n: v for n, v in values.items() if n in FILES_OF})
        self._promised.append((made.cgroup, pids))

    def attach(self, uid: int, unit: str, pids: Sequence[int], /) -> None:
        self._ask(uid, unit, "attach")
        cgroup = self._known(uid, unit).cgroup
        for pid in pids:
            self.cgroups.carry(pid, cgroup)


FILES_OF = frozenset(SIGNATURES) - {"PIDs", "Slice", "Description", "CollectMode"}
"""The properties that a cgroup's files follow from."""


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

    @contextlib.contextmanager
    def patient(self) -> Iterator[None]:
        yield

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
