"""The actuator on a kernel in memory: whatever happens meanwhile, restoring gives back what was."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actuator.doubles import FRESH, NO_IO, Crash, FakeKernel, Thread, decision
from smoothtask.actuator.apply import Actuator
from smoothtask.actuator.ledger import Ledger, LedgerError
from smoothtask.actuator.resolve import Abilities
from smoothtask.actuator.restore import restore
from smoothtask.model.change import Acted, IoPrio, SchedAttr, Status
from smoothtask.model.classes import DEFAULT_EFFECTS, ClassEffect, IoClass, PriorityClass
from smoothtask.model.decision import Decision
from smoothtask.model.owner import NOTHING_LEFT, Left, LeftTo

IDLE, BACKGROUND, NORMAL, INTERACTIVE, CRITICAL = PriorityClass
EFFECTS = {**DEFAULT_EFFECTS, CRITICAL: ClassEffect(-20, -20, IoClass.BEST_EFFORT, 1, 400_000, 300)}
LOWERED = SchedAttr(0, 19, 0, reset_on_fork=False)


class Rig:
    """An actuator, its ledger and its kernel."""

    def __init__(self, folder: Path) -> None:
        self.kernel = FakeKernel()
        self.path = folder / "ledger"
        self.folder = folder
        self.start()

    def start(self) -> None:
        """A daemon that begins, with what its predecessor left on disk."""
        self.ledger = Ledger.open(self.path, "boot")
        self.hands = Actuator(self.kernel.machine, self.ledger, EFFECTS, Abilities(), autogroups=True)

    def tick(self, *decisions: Decision) -> Acted:
        """Act once on everything."""
        self.kernel.now += 10
        table = self.kernel.table()
        return self.hands.act(
            decisions, self.kernel.groups(decisions), table, self.kernel.row_groups(table), True, self.kernel.now
        )

    def restore(self) -> None:
        """What `smoothtask restore` does, from the file alone."""
        ledger = Ledger.open(self.path, "boot")
        with tempfile.TemporaryDirectory(dir=self.folder) as root:
            restore(ledger, self.kernel.machine, self.kernel.write_proc(Path(root)))
        self.ledger = ledger


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """One a test."""
    return Rig(tmp_path)


def test_a_group_is_lowered_in_every_thread_and_put_back(rig: Rig) -> None:
    """And what is as it should be costs no write."""
    first = rig.kernel.spawn(10, "g")
    rig.kernel.thread(first, 11)
    acted = rig.tick(decision("g", IDLE))
    assert acted.mechanisms == {"g": "autogroup +19, nice +19, ionice idle · 2 threads"}
    assert [t.sched for t in rig.kernel.threads.values()] == [LOWERED, LOWERED]
    writes = len(rig.kernel.writes)
    assert not rig.tick(decision("g", IDLE)).outcomes
    assert len(rig.kernel.writes) == writes
    rig.tick(decision("g", NORMAL))
    assert [(t.sched, t.ioprio) for t in rig.kernel.threads.values()] == [(FRESH, NO_IO)] * 2
    assert rig.kernel.sessions == {10: 0}
    assert not rig.ledger.entries


def test_what_is_in_force_is_told_for_a_group_and_its_parts(rig: Rig) -> None:
    """From the ledger: old, new and when; nothing of others, and nothing once it is put back."""
    first = rig.kernel.spawn(10, "g")
    rig.kernel.thread(first, 11)
    rig.kernel.spawn(12, "g/x", first)
    rig.kernel.spawn(20, "other")
    rig.tick(decision("g", NORMAL), decision("g/x", IDLE), decision("other", BACKGROUND))
    told = rig.hands.in_force("g", 1_000_000.0, rig.kernel.now + 500)
    assert rig.hands.in_force("g/x", 1_000_000.0, rig.kernel.now + 500) == told
    said = {t.what: (t.old, t.new, t.at) for t in told}
    assert said["scheduling of thread 12"] == ("nice 0", "nice +19", 1_000_000.0 - 5.0)
    assert said["IO priority of thread 12"] == ("ionice none", "ionice idle", 1_000_000.0 - 5.0)
    assert not any("10" in what or "20" in what for what in said)
    rig.hands.undo_all()
    assert rig.hands.in_force("g", 0.0, 0) == ()


def test_a_protected_group_is_never_written(rig: Rig) -> None:
    """Whatever class it is said to be in."""
    rig.kernel.spawn(10, "g")
    rig.tick(decision("g", IDLE, protected=True))
    assert not rig.kernel.writes


def test_a_renice_by_a_person_is_theirs(rig: Rig) -> None:
    """Said once; our IO priority goes, too; no class change brings us back."""
    thread = rig.kernel.spawn(10, "g")
    rig.tick(decision("g", IDLE))
    rig.kernel.renice(10, 3)
    acted = rig.tick(decision("g", IDLE))
    assert acted.user_owned == {"g"}
    assert len(acted.events) == 1
    assert (thread.sched.nice, thread.ioprio) == (3, NO_IO)
    again = rig.tick(decision("g", BACKGROUND))
    assert (thread.sched.nice, thread.ioprio) == (3, NO_IO)
    assert not again.events
    rig.hands.undo_all()
    assert thread.sched.nice == 3


def test_a_session_that_a_person_changed_is_theirs(rig: Rig) -> None:
    """Also when they put it back to 0."""
    rig.kernel.spawn(10, "g")
    rig.tick(decision("g", IDLE))
    rig.kernel.sessions[10] = 0
    for target in (BACKGROUND, IDLE, NORMAL):
        rig.tick(decision("g", target))
        assert rig.kernel.sessions == {10: 0}


def test_who_ended_before_it_was_known_owns_no_session(rig: Rig) -> None:
    """In a storm's session there always is one; somebody else who lives there keeps it as it is."""
    first = rig.kernel.spawn(10, "g")
    rig.kernel.spawn(11, "", first)
    rig.tick(decision("g", BACKGROUND))
    assert rig.kernel.sessions == {10: 10}
    rig.tick(decision("g", NORMAL))
    rig.kernel.spawn(12, "other", first)
    rig.tick(decision("g", BACKGROUND), decision("other", NORMAL))
    assert rig.kernel.sessions == {10: 0}


def test_children_of_a_lowered_process_that_left_are_reached(rig: Rig) -> None:
    """They inherited from one that no entry would name any more."""
    parent = rig.kernel.spawn(10, "g")
    rig.kernel.spawn(9, "other", sid=10)
    rig.tick(decision("g", IDLE))
    child = rig.kernel.spawn(11, "?", parent)
    rig.kernel.exit(10)
    rig.tick(decision("g", IDLE))
    rig.tick(decision("g", IDLE))
    child.group = "g"
    rig.tick(decision("g", NORMAL))
    assert child.sched == FRESH
    rig.restore()
    assert (child.sched, child.ioprio) == (FRESH, NO_IO)


def test_a_child_born_while_its_parent_was_put_back(rig: Rig) -> None:
    """It is seen after the ledger has forgotten the parent."""
    parent = rig.kernel.spawn(10, "g")
    rig.tick(decision("g", IDLE))
    child = rig.kernel.spawn(11, "?", parent)
    rig.tick(decision("g", NORMAL))
    child.group = "g"
    rig.tick(decision("g", NORMAL))
    assert (parent.sched, child.sched) == (FRESH, FRESH)


def test_a_child_in_a_session_of_its_own(rig: Rig) -> None:
    """Descent counts, not the session alone."""
    parent = rig.kernel.spawn(10, "g")
    rig.tick(decision("g", IDLE))
    child = rig.kernel.spawn(11, "h", parent, sid=11)
    rig.tick(decision("g", IDLE), decision("h", NORMAL))
    assert (parent.sched, child.sched) == (LOWERED, FRESH)


def test_a_nice_that_a_person_gave_beside_a_lowered_hog(rig: Rig) -> None:
    """`nice -n 19 make` of a shell that we never changed is not ours, though the session has our 19."""
    shell = rig.kernel.spawn(10, "shell")
    rig.kernel.spawn(11, "hog", shell)
    rig.tick(decision("shell", NORMAL), decision("hog", IDLE))
    chosen = rig.kernel.spawn(12, "build", shell)
    rig.kernel.renice(12, 19)
    rig.tick(decision("shell", NORMAL), decision("hog", IDLE), decision("build", NORMAL))
    rig.restore()
    assert chosen.sched == LOWERED
    assert rig.kernel.threads[11].sched == FRESH


def test_a_refused_change_keeps_the_record_of_the_one_before(rig: Rig) -> None:
    """Lowered, then refused to be lowered further, then restored."""
    thread = rig.kernel.spawn(10, "g")
    rig.tick(decision("g", BACKGROUND))
    rig.kernel.refuse.add(10)
    acted = rig.tick(decision("g", IDLE))
    assert {o.status for o in acted.outcomes} == {Status.DENIED}
    rig.kernel.refuse.clear()
    rig.restore()
    assert (thread.sched, thread.ioprio, rig.kernel.sessions) == (FRESH, NO_IO, {10: 0})


def test_what_the_kernel_made_of_a_value_is_undone(rig: Rig) -> None:
    """A slice that it lengthened is not what we asked for, and ours all the same."""
    rig.kernel.shortest_slice_ns = 500_000
    thread = rig.kernel.spawn(10, "g")
    acted = rig.tick(decision("g", CRITICAL))
    assert Status.FAILED in {o.status for o in acted.outcomes}
    assert thread.sched == SchedAttr(0, -10, 500_000, reset_on_fork=True)
    rig.restore()
    assert thread.sched == FRESH


def test_without_a_ledger_nothing_is_changed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said once, and tried again."""
    rig.kernel.spawn(10, "g")

    def full(*_: object) -> None:
        raise LedgerError("No space left on device")

    monkeypatch.setattr(rig.ledger, "record", full)
    events = [e for _ in range(3) for e in rig.tick(decision("g", IDLE)).events]
    assert not rig.kernel.writes
    assert len(events) == 1
    monkeypatch.undo()
    rig.tick(decision("g", IDLE))
    assert rig.kernel.threads[10].sched == LOWERED


def test_a_pid_that_is_anothers_by_now(rig: Rig) -> None:
    """Is not written to, when restoring either."""
    rig.kernel.spawn(10, "g")
    rig.tick(decision("g", IDLE))
    rig.kernel.exit(10)
    other = rig.kernel.spawn(10, "?")
    other.sched = other.original = LOWERED
    rig.restore()
    assert other.sched == LOWERED


def test_a_child_whose_fork_was_under_way_is_reached(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has its parent's nice from before, and is seen only after."""
    parent = rig.kernel.spawn(10, "g")
    rig.tick(decision("g", IDLE))
    born = []

    def under_way(_seconds: float) -> None:
        if not born:
            born.append(rig.kernel.spawn(20, "g", parent))
            born[0].sched, born[0].ioprio = LOWERED, NO_IO
            (root,) = (p for p in rig.folder.iterdir() if p.is_dir())
            shutil.rmtree(root)
            root.mkdir()
            rig.kernel.write_proc(root)

    monkeypatch.setattr(time, "sleep", under_way)
    rig.restore()
    assert [t.sched for t in (parent, *born)] == [FRESH, FRESH]


@pytest.mark.parametrize("writes", range(6))
def test_killed_between_record_and_write(rig: Rig, writes: int) -> None:
    """The second change is on record, the first is still there: both are known as ours."""
    first = rig.kernel.spawn(10, "g")
    rig.kernel.thread(first, 11)
    rig.tick(decision("g", BACKGROUND))
    rig.kernel.crash_after = writes
    with contextlib.suppress(Crash):
        rig.tick(decision("g", IDLE))
        rig.tick(decision("g", CRITICAL))
    assert rig.kernel.crash_after == -1
    rig.kernel.crash_after = None
    rig.restore()
    assert [(t.sched, t.ioprio) for t in rig.kernel.threads.values()] == [(FRESH, NO_IO)] * 2
    assert rig.kernel.sessions == {10: 0}


GROUPS = ("a", "b", "b/part", "safe")
targets = st.tuples(*[st.sampled_from(list(PriorityClass))] * len(GROUPS))
pick = st.integers(0, 30)
events = st.one_of(
    st.tuples(st.just("tick"), targets),
    st.tuples(st.just("spawn"), st.sampled_from([*GROUPS, "?"])),
    st.tuples(st.just("fork"), pick, st.sampled_from(["a", "b", "b/part", "safe", "?"])),
    st.tuples(st.just("thread"), pick),
    st.tuples(st.just("exit"), pick),
    st.tuples(st.just("reuse"), pick),
    st.tuples(st.just("renice"), pick, st.sampled_from([-3, 3, 11])),
    st.tuples(st.just("kill"), st.integers(0, 6), targets),
    st.tuples(st.just("restart")),
)


class World:
    """Turns events into what happens to a rig."""

    def __init__(self, rig: Rig) -> None:
        self.rig, self.kernel = rig, rig.kernel
        self.next = 100

    def one(self, number: int) -> Thread | None:
        """Some process."""
        leaders = [t for t in self.kernel.threads.values() if t.pid == t.tid]
        return leaders[number % len(leaders)] if leaders else None

    def happen(self, event: tuple[object, ...]) -> None:
        """One event."""
        name, *rest = event
        act: Callable[..., None] = getattr(self, f"on_{name}")
        act(*rest)

    def decide(self, classes: tuple[PriorityClass, ...]) -> list[Decision]:
        return [decision(g, c, protected=g == "safe") for g, c in zip(GROUPS, classes, strict=True)]

    def on_tick(self, classes: tuple[PriorityClass, ...]) -> None:
        before = len(self.kernel.writes)
        self.rig.tick(*self.decide(classes))
        for tid, value in self.kernel.writes[before:]:
            thread = self.kernel.threads[tid]
            if thread.group == "safe" and not isinstance(value, int):
                assert value in {thread.original, NO_IO}  # only put back

    def on_spawn(self, group: str) -> None:
        self.next += 1
        self.kernel.spawn(self.next, group)

    def on_fork(self, number: int, group: str) -> None:
        self.next += 1
        if (parent := self.one(number)) is not None:
            self.kernel.spawn(self.next, group, parent)

    def on_thread(self, number: int) -> None:
        self.next += 1
        if (of := self.one(number)) is not None:
            self.kernel.thread(of, self.next)

    def on_exit(self, number: int) -> None:
        if (process := self.one(number)) is not None:
            self.kernel.exit(process.pid)

    def on_reuse(self, number: int) -> None:
        """The pid is a stranger's now, with values that look like ours."""
        process = self.one(number)
        if process is not None and process.sid != process.tid:
            self.kernel.exit(process.pid)
            self.next += 1
            stranger = self.kernel.spawn(process.pid, "?", sid=self.next)
            stranger.sched = stranger.original = SchedAttr(0, 5, 0, reset_on_fork=False)

    def on_renice(self, number: int, nice: int) -> None:
        if (process := self.one(number)) is not None:
            self.kernel.renice(process.pid, nice)

    def on_kill(self, writes: int, classes: tuple[PriorityClass, ...]) -> None:
        """The daemon dies in the middle of a tick, and another starts."""
        self.kernel.crash_after = writes
        with contextlib.suppress(Crash):
            self.rig.tick(*self.decide(classes))
        self.kernel.crash_after = None
        self.on_restart()

    def on_restart(self) -> None:
        self.rig.restore()
        self.rig.start()


@settings(deadline=None, max_examples=150)
@given(st.lists(events, max_size=40))
@example([("spawn", "a"), ("tick", (IDLE,) * 4), ("fork", 0, "?"), ("exit", 0), ("tick", (IDLE,) * 4)])
def test_whatever_happens_restoring_gives_back_what_was(happenings: list[tuple[object, ...]]) -> None:
    """Processes come, fork and go, pids are reused, people renice, the daemon is killed in between."""
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder))
        world = World(rig)
        for event in happenings:
            world.happen(event)
        rig.restore()
        for thread in rig.kernel.threads.values():
            assert thread.sched.nice == thread.original.nice, thread
            assert thread.ioprio == NO_IO, thread
            if thread.original.nice in {0, 5}:
                assert thread.sched == thread.original, thread
        assert set(rig.kernel.sessions.values()) <= {0}
        assert not rig.ledger.entries


def test_what_is_left_to_others_is_put_back_and_taken_over_again(rig: Rig) -> None:
    """Threads to one, sessions to another; the IO priority stays ours."""
    thread = rig.kernel.spawn(10, "g")
    rig.tick(decision("g", IDLE))
    rig.hands.stand_back(LeftTo(Left(threads="another sets nice", autogroups="another sets sessions")))
    acted = rig.tick(decision("g", IDLE))
    assert (thread.sched, thread.ioprio) == (FRESH, IoPrio(3, 7))
    assert rig.kernel.sessions == {10: 0}
    assert "left to others: another sets nice; another sets sessions" in acted.reasons["g"]
    rig.hands.stand_back(NOTHING_LEFT)
    rig.tick(decision("g", IDLE))
    assert (thread.sched.nice, rig.kernel.sessions) == (19, {10: 19})
    rig.hands.undo_all()
    assert (thread.sched, thread.ioprio, rig.kernel.sessions) == (FRESH, NO_IO, {10: 0})
