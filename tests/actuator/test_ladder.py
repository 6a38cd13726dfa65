"""The whole ladder on a machine in memory: whatever happens meanwhile, restoring gives back what was."""

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuator.desktop import APPS, TERMINAL, UID, Desktop, limited
from actuator.doubles import NO_IO, Crash, Thread, decision
from smoothtask.actuator.ledger import UNSET
from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Decision
from smoothtask.model.ours import is_ours

IDLE, BACKGROUND, NORMAL, INTERACTIVE, CRITICAL = PriorityClass
GROUPS = ("browser", "music", "shell", "build", "game")
UNITS = ("browser.service", "music.scope")
THEIRS = (77, 333, 4444)
"""Weights that are never ours."""

classes = st.tuples(*[st.sampled_from(list(PriorityClass))] * len(GROUPS))
pick = st.integers(0, 30)
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("tick"), classes, st.booleans(), st.booleans()),
        st.tuples(st.just("fork"), pick, st.sampled_from([*GROUPS, "?"])),
        st.tuples(st.just("regroup"), pick, st.sampled_from(GROUPS)),
        st.tuples(st.just("exit"), pick),
        st.tuples(st.just("renice"), pick, st.sampled_from([3, 11])),
        st.tuples(st.just("person_sets"), st.sampled_from(UNITS), st.sampled_from(THEIRS)),
        st.tuples(st.just("restart_unit"), st.just(UNITS[0])),
        st.tuples(st.just("silence"), st.booleans()),
        st.tuples(st.just("refuse"), st.booleans()),
        st.tuples(st.just("real_time"), pick),
        st.tuples(st.just("kill"), st.integers(0, 12), classes),
        st.tuples(st.just("restart")),
        st.tuples(st.just("stop")),
    ),
    max_size=25,
)


class World:
    """Turns events into what happens to a desktop."""

    def __init__(self, folder: Path, systemd: bool) -> None:
        self.desk = Desktop(folder, systemd)
        if systemd:
            self.desk.unit(UNITS[0], "browser")
            self.desk.unit(UNITS[1], "music")
            self.desk.managers.unit(UID, TERMINAL.rpartition("/")[2], TERMINAL)
        home = TERMINAL if systemd else "/home"
        shell = self.desk.process("shell", home)
        self.desk.process("shell", home)
        for group in ("build", "game"):
            self.desk.process(group, parent=shell).group = group

    def one(self, number: int) -> Thread | None:
        """Some process."""
        leaders = [t for t in self.desk.kernel.threads.values() if t.pid == t.tid]
        return leaders[number % len(leaders)] if leaders else None

    def happen(self, event: tuple[object, ...]) -> None:
        """One event."""
        name, *rest = event
        act: Callable[..., None] = getattr(self, f"on_{name}")
        act(*rest)
        self.desk.managers.settle()

    @staticmethod
    def decide(targets: tuple[PriorityClass, ...], limits: bool = False) -> list[Decision]:
        return [
            limited(g, t, cpu_pct=50, memory_high_bytes=1 << 30, io_read_bps=1000) if limits else decision(g, t)
            for g, t in zip(GROUPS, targets, strict=True)
        ]

    def on_tick(self, targets: tuple[PriorityClass, ...], limits: bool, complete: bool) -> None:
        self.desk.tick(*self.decide(targets, limits), complete=complete)
        if complete and not limits and not self.desk.managers.silent:
            for cgroup in filter(is_ours, self.desk.cgroups.tree):
                assert_unlimited(self.desk, cgroup)

    def on_real_time(self, number: int) -> None:
        """No cgroup of ours takes the process from now on."""
        process = self.one(number)
        if process is not None:
            self.desk.cgroups.real_time ^= {process.pid}

    def on_fork(self, number: int, group: str) -> None:
        parent = self.one(number)
        if parent is not None:
            self.desk.process(group, parent=parent)

    def on_regroup(self, number: int, group: str) -> None:
        """The process is seen as another application's from now on."""
        process = self.one(number)
        if process is not None:
            process.group = group

    def on_exit(self, number: int) -> None:
        process = self.one(number)
        if process is not None:
            self.desk.kernel.exit(process.pid)

    def on_renice(self, number: int, nice: int) -> None:
        process = self.one(number)
        if process is not None:
            self.desk.kernel.renice(process.pid, nice)

    def on_person_sets(self, unit: str, weight: int) -> None:
        if (UID, unit) in self.desk.managers.units:
            self.desk.managers.person_sets(UID, unit, CPUWeight=weight)

    def on_restart_unit(self, unit: str) -> None:
        if (UID, unit) in self.desk.managers.units:
            self.desk.managers.restart(UID, unit)
            self.desk.process(unit.partition(".")[0], f"{APPS}/{unit}")

    def on_silence(self, silent: bool) -> None:
        self.desk.managers.silent = {UID} if silent else set()

    def on_refuse(self, refuse: bool) -> None:
        self.desk.managers.refuse = set(UNITS) if refuse else set()

    def on_kill(self, writes: int, targets: tuple[PriorityClass, ...]) -> None:
        """The daemon dies in the middle of a tick; what it did is undone from the file, and another starts."""
        self.desk.kernel.crash_after = writes
        with contextlib.suppress(Crash):
            self.desk.tick(*self.decide(targets))
            self.desk.tick(*self.decide(tuple(reversed(targets))))
        self.desk.kernel.crash_after = None
        self.on_restart()

    def on_restart(self) -> None:
        self.desk.restore()
        self.desk.start()

    def on_stop(self) -> None:
        """An orderly end."""
        self.desk.undo_all()
        self.desk.hands.close()
        self.desk.start()


def assert_unlimited(desk: Desktop, cgroup: str) -> None:
    """No limit is in force there."""
    assert desk.cgroups.read(cgroup, "cpu.max") in {None, "max 100000"}
    assert desk.cgroups.read(cgroup, "memory.high") in {None, "max"}
    assert desk.cgroups.read(cgroup, "io.max") in {None, ""}


def assert_as_without_us(desk: Desktop) -> None:
    """Every thread, session, cgroup and unit, but for what its person changed or took away."""
    for thread in desk.kernel.threads.values():
        assert thread.sched.nice == thread.original.nice, thread
        assert thread.ioprio == NO_IO, thread
        assert thread.cgroup == thread.origin or thread.origin not in desk.cgroups.tree, thread
    assert set(desk.kernel.sessions.values()) <= {0}
    for unit in desk.managers.units.values():
        if is_ours(unit.cgroup):  # where they came from is gone
            assert desk.cgroups.weight(unit.cgroup) == 100
            assert desk.cgroups.weight(unit.cgroup, "io.weight") in {None, 100}
        else:
            assert {n: v for n, v in unit.properties.items() if v not in (UNSET, ())} == unit.original
            weight = desk.cgroups.weight(unit.cgroup)
            assert weight in {None, unit.original.get("CPUWeight", 100)}
            assert desk.cgroups.weight(unit.cgroup, "io.weight") in {None, 100}
        assert_unlimited(desk, unit.cgroup)
    for cgroup in desk.cgroups.tree:
        assert not is_ours(cgroup) or desk.cgroups.pids(cgroup), "an empty cgroup of ours is left"
    assert not desk.ledger.entries


def play(events: list[tuple[object, ...]], systemd: bool) -> None:
    """Let everything happen, and restore."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), systemd)
        for event in events:
            world.happen(event)
        world.desk.managers.silent.clear()
        world.desk.managers.refuse.clear()
        world.desk.restore()
        assert_as_without_us(world.desk)
        if not systemd:
            assert not world.desk.cgroups.enabled("/")
            assert not any(is_ours(c) for c in world.desk.cgroups.tree)


@settings(deadline=None, max_examples=120)
@given(happenings)
def test_whatever_happens_on_a_desktop(events: list[tuple[object, ...]]) -> None:
    """Units, scopes and threads; managers that refuse or fall silent; people who set things; kills at any write."""
    play(events, systemd=True)


@settings(deadline=None, max_examples=80)
@given(
    happenings.map(lambda es: [e for e in es if e[0] not in {"person_sets", "restart_unit", "silence", "refuse"}]),
)
def test_whatever_happens_without_systemd(events: list[tuple[object, ...]]) -> None:
    """A tree of our own, and controllers turned on for it."""
    play(events, systemd=False)


def test_the_first_rung_that_is_effective(tmp_path: Path) -> None:
    """An application in its unit, a build in a scope of its own, one in the root by its session and its threads."""
    desk = World(tmp_path, systemd=True).desk
    desk.process("game", "/")
    acted = desk.ticks(2, *(decision(g, IDLE) for g in ("browser", "build", "game")))[-1]
    assert acted.mechanisms["browser"] == "CPUWeight 25, IOWeight 10 on browser.service"
    assert "on smoothtask-" in acted.mechanisms["build"]
    assert "nice +19" in acted.mechanisms["game"]
    assert acted.reasons.keys() == {"browser", "build", "game"}


def test_a_rung_that_fails_leaves_no_group_out(tmp_path: Path) -> None:
    """Each falls to the next, in the same tick."""
    desk = World(tmp_path, systemd=True).desk
    desk.managers.refuse |= set(UNITS)
    acted = desk.tick(*(decision(g, IDLE) for g in ("browser", "music")))
    assert all("nice +19" in acted.mechanisms[g] for g in ("browser", "music"))


def test_limits_without_a_cgroup_are_said(tmp_path: Path) -> None:
    """Threads have none."""
    desk = Desktop(tmp_path)
    desk.process("a", "/")
    acted = desk.tick(limited("a", IDLE, cpu_pct=10))
    assert acted.reasons["a"].endswith(" · limits need a cgroup of its own")


@pytest.mark.parametrize("target", [IDLE, CRITICAL])
def test_protected_is_untouched_on_every_rung(tmp_path: Path, target: PriorityClass) -> None:
    """Whatever class it is said to be in."""
    desk = World(tmp_path, systemd=True).desk
    desk.ticks(2, *(decision(g, target, protected=True) for g in GROUPS))
    assert not desk.kernel.writes
    assert {what for what, _ in desk.managers.asked} <= {"properties"}
