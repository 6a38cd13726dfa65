"""Scopes beside an application's scope, and a tree of our own: made, kept to the group, and emptied again."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from actuator.desktop import APPS, TERMINAL, UID, USER, Desktop, limited
from actuator.doubles import FILES, Crash, decision
from smoothtask.actuator.homes import RETRY_TICKS
from smoothtask.actuator.ledger import UNSET, LedgerError
from smoothtask.actuator.trees import files
from smoothtask.kernel.systemd import SilentError
from smoothtask.model.change import Caps, Knob, Status, Value
from smoothtask.model.classes import PriorityClass
from smoothtask.model.ours import is_ours

IDLE, BACKGROUND, NORMAL, INTERACTIVE, CRITICAL = PriorityClass


@pytest.fixture
def desk(tmp_path: Path) -> Desktop:
    """A terminal's scope with a shell and a build in it."""
    return with_build(Desktop(tmp_path))


@pytest.fixture
def bare(tmp_path: Path) -> Desktop:
    """The same on a machine without systemd."""
    return with_build(Desktop(tmp_path, systemd=False), "/work")


def with_build(desk: Desktop, cgroup: str = TERMINAL) -> Desktop:
    """The shell is 101, the build 102 and 103."""
    if cgroup == TERMINAL:
        desk.managers.unit(UID, TERMINAL.rpartition("/")[2], TERMINAL)
    shell = desk.process("shell", cgroup)
    make = desk.process("build", parent=shell)
    make.group = "build"
    desk.process("build", parent=make)
    return desk


def where(desk: Desktop) -> dict[int, str]:
    """Pid → its cgroup's name."""
    return {t.pid: t.cgroup.rpartition("/")[2] for t in desk.kernel.threads.values()}


def ours(desk: Desktop) -> list[str]:
    """The cgroups that we made."""
    return [c for c in desk.cgroups.tree if is_ours(c)]


def at_home(desk: Desktop) -> bool:
    """Whether nothing of ours is left."""
    return all(t.cgroup == t.origin for t in desk.kernel.threads.values()) and not ours(desk)


def test_a_build_gets_a_scope_and_goes_home(desk: Desktop) -> None:
    """With its children, beside where it was; the shell stays."""
    acted = desk.ticks(3, decision("build", IDLE), decision("shell", NORMAL))
    [scope] = ours(desk)
    assert scope.startswith(f"{APPS}/smoothtask-102-")
    assert where(desk)[101] == "vte-spawn.scope"
    assert where(desk)[102] == where(desk)[103] == scope.rpartition("/")[2]
    assert desk.cgroups.weight(scope) == 25
    assert acted[-1].mechanisms["build"].startswith("CPUWeight 25, IOWeight 10 on smoothtask-102-")
    assert acted[-1].reasons["build"] == (
        "a scope of its own beside vte-spawn.scope: its weight counts against every unit of app.slice"
    )
    assert not [e for a in acted for e in a.events]
    desk.tick(decision("build", NORMAL))
    assert at_home(desk)
    assert not desk.ledger.entries


@pytest.mark.parametrize("kind", ["desk", "bare"])
def test_another_class_is_another_weight(kind: str, request: pytest.FixtureRequest) -> None:
    """Nobody is moved for it."""
    desk: Desktop = request.getfixturevalue(kind)
    desk.ticks(2, decision("build", IDLE))
    desk.ticks(2, decision("build", BACKGROUND))
    [scope] = [c for c in ours(desk) if desk.cgroups.pids(c) and c != "/smoothtask"]
    assert desk.cgroups.weight(scope) == 50
    desk.tick(limited("build", BACKGROUND, cpu_idle=True))
    assert desk.cgroups.weight(scope) == 0
    desk.tick(decision("build", BACKGROUND))
    assert desk.cgroups.weight(scope) == 50
    assert desk.undo_all() == ()
    assert at_home(desk)


@pytest.mark.parametrize("kind", ["desk", "bare"])
def test_what_is_raised_is_not_moved(kind: str, request: pytest.FixtureRequest) -> None:
    """A scope is for what is lowered: a raised one goes home."""
    desk: Desktop = request.getfixturevalue(kind)
    desk.ticks(2, decision("build", IDLE))
    desk.ticks(2, decision("build", INTERACTIVE))
    assert all(t.cgroup == t.origin for t in desk.kernel.threads.values())
    assert {t.sched.nice for t in desk.kernel.threads.values() if t.group == "build"} == {-4}


@pytest.mark.parametrize("kind", ["desk", "bare"])
def test_a_process_of_another_application_is_brought_home(kind: str, request: pytest.FixtureRequest) -> None:
    """The build starts what it built."""
    desk: Desktop = request.getfixturevalue(kind)
    desk.ticks(2, decision("build", IDLE))
    child = desk.process("program", parent=desk.kernel.threads[102])
    assert is_ours(child.cgroup)
    acted = desk.tick(decision("build", IDLE), decision("program", NORMAL))
    assert child.cgroup == child.origin
    assert acted.events == (f"build: process {child.pid} is another application's by now, and was brought home",)


@pytest.mark.parametrize("kind", ["desk", "bare"])
def test_members_born_outside_are_fetched(kind: str, request: pytest.FixtureRequest) -> None:
    """The shell started another one."""
    desk: Desktop = request.getfixturevalue(kind)
    desk.ticks(2, decision("build", IDLE))
    late = desk.process("build", parent=desk.kernel.threads[101])
    late.group = "build"
    desk.ticks(2, decision("build", IDLE))
    assert late.cgroup == desk.kernel.threads[102].cgroup != late.origin
    desk.restore()
    assert at_home(desk)


@pytest.mark.parametrize("kind", ["desk", "bare"])
def test_everybody_left(kind: str, request: pytest.FixtureRequest) -> None:
    """The scope goes with them, and what is remembered of it."""
    desk: Desktop = request.getfixturevalue(kind)
    desk.ticks(2, decision("build", IDLE))
    for pid in (102, 103):
        desk.kernel.exit(pid)
    desk.ticks(8)
    assert [c for c in ours(desk) if c != "/smoothtask"] == []
    assert not desk.ledger.of(Knob.HOME)


def test_a_scope_that_is_never_made(desk: Desktop) -> None:
    """Said once, and the threads are lowered in its place."""
    desk.managers.lazy = True
    acted = desk.ticks(12, decision("build", IDLE))
    events = [e for a in acted for e in a.events]
    assert len(events) == 1
    assert "systemd did not move its processes" in events[0]
    assert "nice +19" in acted[-1].mechanisms["build"]
    assert not desk.ledger.of(Knob.HOME)
    desk.restore()
    assert {t.sched.nice for t in desk.kernel.threads.values()} == {0}


def test_a_scope_that_is_refused(desk: Desktop) -> None:
    """The same, at once."""
    desk.managers.refuse.add(f"smoothtask-102-{desk.kernel.threads[102].start}.scope")
    acted = desk.ticks(6, decision("build", IDLE))
    assert [len(a.events) for a in acted] == [1, 0, 0, 0, 0, 0]
    assert "nice +19" in acted[0].mechanisms["build"]
    assert not desk.ledger.of(Knob.HOME)


def test_a_manager_that_falls_silent(desk: Desktop) -> None:
    """While the scope is there it holds; it is emptied without the manager."""
    desk.ticks(2, decision("build", IDLE))
    desk.managers.silent.add(UID)
    acted = desk.ticks(3, decision("build", IDLE))
    assert "CPUWeight 25" in acted[-1].mechanisms["build"]
    desk.tick(decision("build", NORMAL))
    assert at_home(desk)


def test_no_manager_no_scope(desk: Desktop) -> None:
    """It does not answer from the first: threads."""
    desk.managers.silent.add(UID)
    acted = desk.ticks(2, decision("build", IDLE))
    assert not ours(desk)
    assert "nice +19" in acted[-1].mechanisms["build"]


@pytest.mark.parametrize(
    "cgroup",
    [
        "/user.slice/user-1000.slice/session-2.scope",
        f"{APPS}/gnome-terminal.service",
        f"{USER}/init.scope",
        f"{APPS}/a.service/inner.scope",
        "/user.slice/user-1000.slice/user@1001.service/app.slice/x.scope",
        "/system.slice/docker-1234.scope",
        f"{APPS}/smoothtask-9-9.scope",
        "/",
    ],
)
def test_where_no_scope_is_made(tmp_path: Path, cgroup: str) -> None:
    """logind counts a session's processes, a service's manager stops what it finds in it, a container is nobody's."""
    desk = with_build(Desktop(tmp_path), cgroup)
    before = set(desk.cgroups.tree)
    desk.ticks(2, decision("build", IDLE))
    assert set(desk.cgroups.tree) == before
    assert {t.cgroup for t in desk.kernel.threads.values()} == {cgroup}


def test_a_group_in_two_scopes_stays_there(desk: Desktop) -> None:
    """There is no one place that it came from."""
    other = desk.managers.unit(UID, "other.scope", f"{APPS}/other.scope")
    desk.process("build", other.cgroup)
    desk.process("x", other.cgroup)
    desk.ticks(2, decision("build", IDLE))
    assert not ours(desk)


def test_the_scope_that_they_came_from_is_gone(desk: Desktop) -> None:
    """They stay where they are, which is said, and nothing fails."""
    desk.ticks(2, decision("build", IDLE))
    desk.kernel.exit(101)
    desk.managers.settle()
    assert TERMINAL not in desk.cgroups.tree
    acted = desk.tick(decision("build", NORMAL))
    assert any("is gone: its processes stay in smoothtask-102-" in e for e in acted.events)
    assert desk.cgroups.weight(desk.kernel.threads[102].cgroup) == 100
    assert desk.cgroups.weight(desk.kernel.threads[102].cgroup, "io.weight") == 100
    assert not desk.ledger.of(Knob.HOME)
    assert not desk.ticks(2, decision("build", NORMAL))[-1].events


def test_another_scope_of_that_name_is_not_where_they_came_from(desk: Desktop) -> None:
    """Its number is another."""
    desk.ticks(2, decision("build", IDLE))
    desk.kernel.exit(101)
    desk.managers.settle()
    desk.managers.unit(UID, TERMINAL.rpartition("/")[2], TERMINAL)
    desk.process("x", TERMINAL)
    desk.restore()
    assert is_ours(desk.kernel.threads[102].cgroup)


def test_threads_born_before_the_scope_are_not_lowered_twice(desk: Desktop) -> None:
    """The weight says it all."""
    desk.ticks(3, decision("build", IDLE))
    assert {t.sched.nice for t in desk.kernel.threads.values()} == {0}


# --- what fails half way, or once


def test_a_start_that_fails_half_way_is_undone(bare: Desktop) -> None:
    """The second cannot be moved: the first comes home, and their threads are lowered in its place."""
    bare.cgroups.real_time.add(103)
    acted = bare.ticks(12, decision("build", IDLE))
    events = [e for a in acted for e in a.events]
    assert len(events) == 1
    assert events[0].endswith("Invalid argument")
    assert "nice +19" in acted[0].mechanisms["build"]
    assert at_home(bare)
    assert not bare.ledger.of(Knob.HOME)
    bare.tick(decision("build", NORMAL))
    assert bare.undo_all() == ()
    assert not bare.ledger.entries


def test_a_start_that_fails_half_way_is_undone_at_the_end(bare: Desktop) -> None:
    """By the record that stays."""
    bare.cgroups.real_time.add(103)
    bare.tick(decision("build", IDLE))
    assert is_ours(bare.kernel.threads[102].cgroup)
    bare.restore()
    assert at_home(bare)
    assert not bare.ledger.entries


def test_one_that_cannot_be_moved_keeps_no_other_back(bare: Desktop) -> None:
    """Two more were started by the shell."""
    bare.ticks(2, decision("build", IDLE))
    late = [bare.process("build", parent=bare.kernel.threads[101]) for _ in range(2)]
    bare.cgroups.real_time.add(late[0].pid)
    acted = bare.ticks(4, decision("build", IDLE))
    assert not is_ours(late[0].cgroup)
    assert is_ours(late[1].cgroup)
    assert [e for a in acted for e in a.events] == [
        f"build: {n} processes stay where they are: [Errno 22] Invalid argument" for n in (2, 1)
    ]


def test_a_scope_that_comes_late_from_a_silent_manager_is_emptied(desk: Desktop) -> None:
    """It did not answer, and did it all the same."""
    start, asked = desk.managers.start_scope, []

    def late(uid: int, unit: str, values: Mapping[str, Any], /) -> None:
        asked.append(unit)
        start(uid, unit, values)
        raise SilentError("did not answer")

    desk.managers.start_scope = late  # type: ignore[method-assign]
    acted = desk.ticks(3, decision("build", IDLE))
    assert len(asked) == 1
    assert "nice +19" in acted[0].mechanisms["build"]
    assert at_home(desk)
    assert not desk.ledger.of(Knob.HOME)


def busy(desk: Desktop) -> Callable[[], None]:
    """A program makes cgroups in the terminal's scope (`Delegate=`): no process may come back; what undoes that."""
    desk.cgroups.enable(TERMINAL, "memory")
    return desk.cgroups.tree[TERMINAL].subtree.clear


def test_a_scope_that_cannot_be_emptied_is_tried_again(desk: Desktop) -> None:
    """Said once; whoever must wait in it is lowered no more."""
    desk.ticks(2, limited("build", BACKGROUND, cpu_pct=50, memory_high_bytes=1 << 30, io_read_bps=7))
    undo = busy(desk)
    acted = desk.ticks(12, decision("build", NORMAL))
    [event] = [e for a in acted for e in a.events]
    assert event.endswith("its processes stay there for now: Device or resource busy")
    [scope] = ours(desk)
    assert unlimited(desk, scope)
    assert desk.cgroups.weight(scope) == 100
    undo()
    desk.kernel.now += RETRY_TICKS
    desk.tick(decision("build", NORMAL))
    assert at_home(desk)
    assert not desk.ledger.entries


def test_a_scope_that_cannot_be_emptied_holds_when_it_is_wanted_again(desk: Desktop) -> None:
    """Its processes are there."""
    desk.ticks(2, decision("build", IDLE))
    busy(desk)
    desk.ticks(2, decision("build", NORMAL))
    acted = desk.tick(decision("build", BACKGROUND))
    assert acted.mechanisms["build"].startswith("CPUWeight 50, IOWeight 50 on smoothtask-102-")
    assert desk.cgroups.weight(ours(desk)[0]) == 50


def test_what_a_predecessor_could_not_empty(desk: Desktop) -> None:
    """Is emptied by the next daemon when that can be."""
    desk.ticks(2, decision("build", IDLE))
    undo = busy(desk)
    assert Status.FAILED in {o.status for o in desk.restore()}
    desk.start()
    undo()
    desk.tick(decision("build", NORMAL))
    assert at_home(desk)
    assert not desk.ledger.entries


def test_what_a_pause_could_not_empty(desk: Desktop) -> None:
    """Is emptied at a later look."""
    desk.ticks(2, decision("build", IDLE))
    undo = busy(desk)
    assert desk.undo_all()
    undo()
    desk.tick(decision("build", NORMAL))
    assert at_home(desk)
    assert not desk.ledger.entries


def unlimited(desk: Desktop, cgroup: str) -> bool:
    """Whether no limit is in force there."""
    found = [desk.cgroups.read(cgroup, name) for name in ("cpu.max", "memory.high", "io.max")]
    return found == ["max 100000", "max", ""]


@pytest.mark.parametrize("kind", ["desk", "bare"])
def test_a_limit_that_is_lifted_is_lifted(kind: str, request: pytest.FixtureRequest) -> None:
    """In the scope, and in the tree, while the weight stays."""
    desk: Desktop = request.getfixturevalue(kind)
    limits = {"cpu_pct": 50, "memory_high_bytes": 1 << 30, "io_read_bps": 7, "io_write_bps": 8}
    desk.ticks(2, limited("build", BACKGROUND, **limits))
    cgroup = desk.kernel.threads[102].cgroup
    assert not unlimited(desk, cgroup)
    acted = desk.tick(decision("build", BACKGROUND))
    assert desk.kernel.threads[102].cgroup == cgroup
    assert unlimited(desk, cgroup)
    assert desk.cgroups.weight(cgroup) == 50
    assert acted.mechanisms["build"].startswith("CPUWeight 50, IOWeight 50 on ")


def test_a_tree_where_io_has_no_weights(bare: Desktop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without io.cost: the CPU is weighed all the same, and threads get an IO priority."""
    monkeypatch.setitem(FILES, "io", {"io.max": ""})
    acted = bare.ticks(2, decision("build", IDLE))
    assert not [e for a in acted for e in a.events]
    cgroup = bare.kernel.threads[102].cgroup
    assert is_ours(cgroup)
    assert bare.cgroups.weight(cgroup) == 25
    assert acted[-1].mechanisms["build"] == f"CPUWeight 25 on {cgroup}, ionice idle · 2 threads"
    bare.tick(decision("build", NORMAL))
    assert at_home(bare)


def test_a_tree_without_a_file_is_refused(bare: Desktop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, not at every tick, and nothing of it stays."""
    monkeypatch.setitem(FILES, "cpu", {"cpu.weight": "100", "cpu.idle": "0"})
    wish = limited("build", BACKGROUND, cpu_pct=50)
    acted = bare.ticks(4, wish)
    assert [len(a.events) for a in acted] == [1, 0, 0, 0]
    assert "nice +10" in acted[-1].mechanisms["build"]
    assert at_home(bare)


@pytest.mark.parametrize("kind", ["desk", "bare"])
def test_an_unwritable_ledger_is_not_the_managers_fault(kind: str, request: pytest.FixtureRequest) -> None:
    """It is said once, and the cgroup is made when it can be kept again."""
    desk: Desktop = request.getfixturevalue(kind)
    with patch.object(desk.ledger, "record", side_effect=LedgerError("No space left on device")):
        acted = desk.ticks(12, decision("build", IDLE))
    assert [e for a in acted for e in a.events] == ["nothing is changed any more: No space left on device"]
    assert not ours(desk)
    desk.ticks(2, decision("build", IDLE))
    assert is_ours(desk.kernel.threads[102].cgroup)


# --- a tree of our own


def test_a_tree_of_our_own(bare: Desktop) -> None:
    """Controllers are turned on for it, and off when it goes."""
    acted = bare.ticks(2, decision("build", IDLE))
    assert bare.cgroups.enabled("/") == {"cpu", "io", "memory"}
    [leaf] = [c for c in ours(bare) if c != "/smoothtask"]
    assert {t.cgroup for t in bare.kernel.threads.values() if t.group == "build"} == {leaf}
    assert bare.cgroups.weight(leaf) == 25
    assert bare.cgroups.read(leaf, "io.weight") == "default 10"
    assert f"on {leaf}" in acted[-1].mechanisms["build"]
    assert "counts as one against everybody else" in acted[-1].reasons["build"]
    assert not [e for a in acted for e in a.events]
    assert bare.undo_all() == ()
    assert at_home(bare)
    assert bare.cgroups.enabled("/") == frozenset()
    assert not bare.ledger.entries


def test_controllers_that_were_on_stay_on(bare: Desktop) -> None:
    """Only what was off is ours."""
    bare.cgroups.enable("/", "cpu")
    bare.ticks(2, decision("build", IDLE))
    bare.restore()
    assert at_home(bare)
    assert bare.cgroups.enabled("/") == {"cpu"}


def test_the_tree_goes_though_nothing_had_to_be_turned_on(bare: Desktop) -> None:
    """With the last group in it."""
    bare.cgroups.enable("/", "cpu", "io", "memory")
    bare.process("other", "/elsewhere")
    bare.ticks(2, decision("build", IDLE), decision("other", IDLE))
    bare.tick(decision("build", IDLE))
    assert len(ours(bare)) == 2
    bare.tick()
    assert at_home(bare)
    assert bare.cgroups.enabled("/") == {"cpu", "io", "memory"}


def test_a_tree_that_cannot_be_made(bare: Desktop) -> None:
    """Said once; the threads are lowered, and nothing stays behind."""
    bare.cgroups.refuse.add("/")
    acted = bare.ticks(4, decision("build", IDLE))
    assert [bool(a.events) for a in acted] == [True, False, False, False]
    assert "nice +19" in acted[0].mechanisms["build"]
    bare.restore()
    assert not bare.ledger.entries
    assert {t.cgroup for t in bare.kernel.threads.values()} == {"/work"}


@pytest.mark.parametrize("writes", range(14))
@pytest.mark.parametrize("kind", ["desk", "bare"])
def test_killed_at_any_write(kind: str, writes: int, request: pytest.FixtureRequest) -> None:
    """Half a tree is taken down as well."""
    desk: Desktop = request.getfixturevalue(kind)
    desk.kernel.crash_after = writes
    try:
        desk.ticks(2, decision("build", IDLE))
        desk.ticks(2, decision("build", BACKGROUND))
        desk.ticks(2, decision("build", NORMAL))
    except Crash:
        pass
    desk.kernel.crash_after = None
    outcomes = desk.restore()
    assert at_home(desk), (outcomes, desk.ledger.entries)
    assert not desk.cgroups.enabled("/") or desk.managers.there
    assert not desk.ledger.entries
    assert {o.status for o in outcomes} <= {Status.APPLIED, Status.GONE}


def test_the_files_of_a_cgroup() -> None:
    """As Documentation/admin-guide/cgroup-v2.rst has them."""
    caps = Caps((("8:0", 7), ("8:16", 8)))
    values: dict[str, Value] = {
        "CPUWeight": 25,
        "IOWeight": 10,
        "MemoryHigh": 4096,
        "CPUQuotaPerSecUSec": 1_500_000,
        "IOReadBandwidthMax": caps,
        "IOWriteBandwidthMax": caps,
    }
    assert files(values) == [
        ("cpu.idle", "0"),
        ("cpu.weight", "25"),
        ("io.weight", "default 10"),
        ("memory.high", "4096"),
        ("cpu.max", "150000 100000"),
        ("io.max", "8:0 rbps=7"),
        ("io.max", "8:16 rbps=8"),
        ("io.max", "8:0 wbps=7"),
        ("io.max", "8:16 wbps=8"),
    ]
    assert files({"CPUWeight": 0}) == [("cpu.idle", "1")]
    unset: dict[str, Value] = {
        "MemoryHigh": UNSET,
        "CPUQuotaPerSecUSec": UNSET,
        "IOReadBandwidthMax": Caps((("8:0", UNSET),)),
    }
    assert files(unset) == [("memory.high", "max"), ("cpu.max", "max 100000"), ("io.max", "8:0 rbps=max")]
