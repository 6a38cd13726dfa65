"""Orders can be taken back and done again, in the order of each person's own deeds."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scenery import CONTENDED, IDLE, INTERACTIVE, NORMAL, QUIET, group, system
from smoothtask.engine.lessons import Labels, Lessons
from smoothtask.engine.people import PINS_OF_USER, People
from smoothtask.model.classes import Limits, PriorityClass
from smoothtask.model.command import Caller, Forget, LabelGroup, LabelMoment, PinApp, SetOverride, Unpin
from smoothtask.model.decision import Contention, Decision, Pin, Stage
from smoothtask.model.frame import Frame, GroupFrame, Mode, SelfCost
from smoothtask.model.group import AppGroup
from smoothtask.model.lesson import Attended, Situation, Source
from smoothtask.model.person import Attention
from smoothtask.policy.decide import PolicyState, decide
from smoothtask.policy.parameters import PolicyParameters

ROOT, ANN, BOB = Caller(0), Caller(1000), Caller(1001)
G = group()
APP = "name:prog"


def shown(about: AppGroup) -> GroupFrame:
    """*about*, decided to be NORMAL."""
    return GroupFrame(about, Decision(about.id, NORMAL, NORMAL, Stage.DEFAULT, ()), "-")


def moment(*groups: AppGroup, time: float = 1.0, contention: Contention = QUIET) -> Frame:
    """A frame of *groups*."""
    frames = tuple(map(shown, groups))
    cost = SelfCost(0.0, 0.0, 0, 1.0)
    return Frame(1, time, 1.0, Mode.RULES_ONLY, "", system(), contention, frames, (), (), cost)


FRAME, FOUND = moment(G), shown(G)


class Log:
    """Labels as the snapshot log keeps them."""

    def __init__(self) -> None:
        self.rows: set[int] = set()
        self.broken = False

    def add(self, *_: Any) -> int:
        """The next one."""
        self.rows.add(len(self.rows) + 1)
        return len(self.rows)

    def remove(self, row: int) -> object | None:
        """What was removed."""
        if self.broken:
            raise OSError("the disk is full")
        if row not in self.rows:
            return None
        self.rows.remove(row)
        return (row,)

    def put_back(self, removed: tuple[int]) -> bool:
        """Under the same id."""
        self.rows.add(removed[0])
        return True


def people(log: Log | None = None) -> People:
    """Nobody has ordered anything yet."""
    log = log or Log()
    return People((), lambda _pins: None, Labels(log.add, log.add, log.remove, log.put_back))


def test_each_order_is_undone_and_done_again() -> None:
    """Pins, unpins and overrides; the newest first."""
    p = people()
    assert p.pin(PinApp(G.id, IDLE, Limits(cpu_pct=50)), FRAME, FOUND, ROOT).ok
    pinned = p.pins
    assert p.unpin(Unpin(G.id), APP, ROOT).ok
    assert p.override(SetOverride(G.id, INTERACTIVE), FRAME, FOUND, ROOT, 1.0).ok
    states = [(p.pins, dict(p.overrides))]
    for _ in range(3):
        assert p.undo(ROOT).ok
        states.append((p.pins, dict(p.overrides)))
    assert [(len(pins), len(overrides)) for pins, overrides in states] == [(0, 1), (0, 0), (1, 0), (0, 0)]
    assert states[2][0] == pinned == (Pin(APP, IDLE, 0, 1.0, Limits(cpu_pct=50)),)
    assert not p.undo(ROOT).ok
    for state in reversed(states[:3]):
        assert p.redo(ROOT).ok
        assert (p.pins, p.overrides) == state
    assert p.redo(ROOT).message == "nothing to redo"


def test_a_new_deed_ends_what_could_be_done_again() -> None:
    """And nobody redoes what another person undid."""
    p = people()
    p.pin(PinApp(G.id, IDLE), FRAME, FOUND, ANN)
    p.undo(ANN)
    assert not p.redo(ROOT).ok
    p.override(SetOverride(G.id, IDLE), FRAME, FOUND, ANN, 1.0)
    assert not p.redo(ANN).ok
    assert p.pins == ()


def test_limits_that_nothing_can_live_with_are_refused() -> None:
    """Nothing is pinned then."""
    p = people()
    reply = p.pin(PinApp(G.id, IDLE, Limits(cpu_pct=1)), FRAME, FOUND, ROOT)
    assert (reply.ok, p.pins, p.undo_depth(0)) == (False, (), 0)
    assert reply.message.startswith("cpu: expected 5%")


def test_nobody_pins_without_end() -> None:
    """What is pinned may be pinned otherwise, and unpinning makes room; others have room of their own."""
    p = people()
    full = tuple(Pin(f"name:{n}", IDLE, 1000, 1.0) for n in range(PINS_OF_USER))
    p.pins = full
    reply = p.pin(PinApp(G.id, IDLE), FRAME, FOUND, ANN)
    assert (reply.ok, p.pins, p.undo_depth(1000)) == (False, full, 0)
    assert p.pin(PinApp(G.id, IDLE), FRAME, FOUND, BOB).ok
    first = shown(group(c=replace(G.classification, app="name:0")))
    assert p.pin(PinApp(G.id, INTERACTIVE), FRAME, first, ANN).ok
    assert p.unpin(Unpin("name:0"), "name:0", ANN).ok
    assert p.pin(PinApp(G.id, IDLE), FRAME, FOUND, ANN).ok


def test_a_label_comes_back_as_the_same_one() -> None:
    """And a log that cannot be written keeps the deed where it was."""
    log = Log()
    p = people(log)
    frame: Any = None
    assert p.label_moment(LabelMoment("laggy"), frame, ANN).ok
    assert p.undo(ANN).ok
    assert log.rows == set()
    assert p.redo(ANN).ok
    assert log.rows == {1}
    log.broken = True
    assert "could not be undone" in p.undo(ANN).message
    log.broken = False
    assert p.undo(ANN).ok


@given(st.lists(st.sampled_from(["undo", "redo", "pins", "log", "retention"]), max_size=20))
def test_a_disk_that_is_full_for_a_while_blocks_nothing_for_good(turns: list[str]) -> None:
    """A pin, its label and its lesson stand and go together; what could not be undone can be later."""
    log = Log()
    p = people(log)
    full = False

    def save(_pins: object) -> None:
        if full:
            raise OSError(28, "No space left on device")

    p.save_pins = save
    other = shown(group("proc:11-1100", replace(G.classification, app="name:other")))
    assert p.override(SetOverride(other.group.id, INTERACTIVE), FRAME, other, ROOT, 1.0).ok
    assert p.pin(PinApp(G.id, IDLE), FRAME, FOUND, ROOT).ok
    rows, lost = set(log.rows), False
    for turn in turns:
        if turn == "pins":
            full = not full
        elif turn == "log":
            log.broken = not log.broken
        elif turn == "retention":
            lost = True
            log.rows.clear()
        else:
            (p.undo if turn == "undo" else p.redo)(ROOT)
            said = len(p.lessons_for(ROOT))
            assert (len(p.overrides), len(p.pins)) == (min(said, 1), max(said - 1, 0))
            assert lost or log.rows == set(sorted(rows)[:said])
    full = log.broken = False
    while p.undo_depth(0):
        assert p.undo(ROOT).ok
    assert (p.pins, p.overrides, p.lessons_for(ROOT), log.rows) == ((), {}, (), set())


def test_what_was_done_elsewhere_is_taken_back_in_its_order() -> None:
    """Pause and dry-run are the engine's; undo takes them back like the rest."""
    p = people()
    state: list[str] = []
    p.override(SetOverride(G.id, INTERACTIVE), FRAME, FOUND, ROOT, 1.0)
    p.remember(ROOT, "pause", lambda: state.append("paused"), lambda: state.append("resumed"))
    assert p.undo(ROOT).message == "undone: pause; redo brings it back"
    assert p.overrides
    assert p.redo(ROOT).message == "done again: pause; undo takes it back"
    assert p.undo(ROOT).ok
    assert p.undo(ROOT).ok
    assert not p.overrides
    assert state == ["resumed", "paused", "resumed"]


def wanted(p: People, about: AppGroup, contention: Contention = CONTENDED) -> PriorityClass:
    """What is decided for *about* with what *p* holds, once it has lasted."""
    state = PolicyState()
    for n in range(10):
        (decision,), state = decide((about,), contention, p.orders, state, 100.0 + n, PolicyParameters())
    return decision.target


def label(p: People, caller: Caller, target: PriorityClass, about: AppGroup = G, *, time: float = 1.0) -> None:
    """Somebody labels *about* while somebody waits."""
    frame = moment(about, time=time, contention=CONTENDED)
    assert p.label_group(LabelGroup(about.id, target), frame, frame.groups[0], caller).ok


def test_after_three_labels_the_application_follows_and_undo_takes_them_back() -> None:
    """At once, without a pin, and others are not dragged along."""
    log = Log()
    p = people(log)
    targets = [wanted(p, G)]
    for n in range(3):
        label(p, ANN, IDLE, time=100.0 * n)
        targets.append(wanted(p, G))
    assert targets == [NORMAL, NORMAL, PriorityClass.BACKGROUND, IDLE]
    another = group(c=replace(G.classification, app="name:other"))
    assert wanted(p, another) is NORMAL
    assert wanted(p, group(uid=1001)) is NORMAL
    assert p.undo(ANN).ok
    assert (wanted(p, G), len(log.rows)) == (PriorityClass.BACKGROUND, 2)
    assert p.redo(ANN).ok
    assert (wanted(p, G), len(log.rows)) == (IDLE, 3)


def test_pins_and_overrides_teach_too() -> None:
    """What was pinned three times follows after the pin is gone; situations are those of the moment."""
    p = people()
    seen = group(attention=Attention(visible=True))
    for n in range(3):
        frame = moment(seen, time=100.0 * n, contention=CONTENDED)
        assert p.pin(PinApp(seen.id, IDLE), frame, frame.groups[0], ANN).ok
        assert p.override(SetOverride(seen.id, INTERACTIVE), frame, frame.groups[0], BOB, 1.0).ok
    assert p.unpin(Unpin(seen.id), APP, ANN).ok
    p.overrides.clear()
    lessons = p.lessons_for(ROOT)
    assert {x.situation for x in lessons} == {Situation(Attended.VISIBLE, contended=True)}
    assert {(x.uid, x.source, x.target) for x in lessons} == {
        (1000, Source.PIN, IDLE),
        (1001, Source.OVERRIDE, INTERACTIVE),
    }
    assert wanted(p, seen) is IDLE


def test_each_sees_and_forgets_their_own_lessons_and_root_all() -> None:
    """And forgetting is undone like everything else."""
    p = people()
    for caller in (ANN, ANN, BOB, ROOT):
        label(p, caller, IDLE, time=1000.0 * caller.uid)
    assert [len(p.lessons_for(c)) for c in (ANN, BOB, ROOT)] == [2, 1, 4]
    assert p.forget(Forget(APP), ANN).ok
    assert [len(p.lessons_for(c)) for c in (ANN, BOB, ROOT)] == [0, 1, 2]
    assert not p.forget(Forget(APP), ANN).ok
    assert p.undo(ANN).ok
    assert len(p.lessons_for(ANN)) == 2
    assert p.forget(Forget(APP), ROOT).ok
    assert p.lessons_for(ROOT) == ()


def test_a_lesson_that_cannot_be_saved_is_kept_in_memory_and_says_so() -> None:
    """Nothing that was said is lost while the daemon runs."""
    p = people()

    def full(_lessons: object) -> None:
        raise OSError(28, "No space left on device")

    p.lessons = Lessons(save=full)
    reply = p.label_group(LabelGroup(G.id, IDLE), FRAME, FOUND, ANN)
    assert reply.ok
    assert "in memory only: No space left" in reply.message
    assert len(p.lessons_for(ANN)) == 1


def test_a_label_counts_where_nothing_is_recorded() -> None:
    """It says that no trainer will see it."""
    off = Labels(lambda *_: None, lambda *_: None, lambda _: None, lambda _: False)
    p = People((), lambda _pins: None, off)
    reply = p.label_group(LabelGroup(G.id, IDLE), FRAME, FOUND, ANN)
    assert reply.ok
    assert "not recorded" in reply.message
    assert p.undo(ANN).ok
    assert p.lessons_for(ROOT) == ()
