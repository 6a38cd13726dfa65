"""Orders can be taken back and done again, in the order of each person's own deeds."""

from typing import Any

from scenery import IDLE, INTERACTIVE, group
from smoothtask.engine.people import Labels, People
from smoothtask.model.classes import Limits
from smoothtask.model.command import Caller, LabelMoment, PinApp, SetOverride, Unpin
from smoothtask.model.decision import Pin

ROOT, ANN = Caller(0), Caller(1000)
G = group()
APP = "name:prog"


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
        if self.broken or row not in self.rows:
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
    assert p.pin(PinApp(G.id, IDLE, Limits(cpu_pct=50)), G, ROOT, 1.0).ok
    pinned = p.pins
    assert p.unpin(Unpin(G.id), APP, ROOT).ok
    assert p.override(SetOverride(G.id, INTERACTIVE), G, ROOT, 1.0).ok
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
    p.pin(PinApp(G.id, IDLE), G, ANN, 1.0)
    p.undo(ANN)
    assert not p.redo(ROOT).ok
    p.override(SetOverride(G.id, IDLE), G, ANN, 1.0)
    assert not p.redo(ANN).ok
    assert p.pins == ()


def test_limits_that_nothing_can_live_with_are_refused() -> None:
    """Nothing is pinned then."""
    p = people()
    reply = p.pin(PinApp(G.id, IDLE, Limits(cpu_pct=1)), G, ROOT, 1.0)
    assert (reply.ok, p.pins, p.undo_depth(0)) == (False, (), 0)
    assert reply.message.startswith("cpu: expected 5%")


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


def test_what_was_done_elsewhere_is_taken_back_in_its_order() -> None:
    """Pause and dry-run are the engine's; undo takes them back like the rest."""
    p = people()
    state: list[str] = []
    p.override(SetOverride(G.id, INTERACTIVE), G, ROOT, 1.0)
    p.remember(ROOT, "pause", lambda: state.append("paused"), lambda: state.append("resumed"))
    assert p.undo(ROOT).message == "undone: pause; redo brings it back"
    assert p.overrides
    assert p.redo(ROOT).message == "done again: pause; undo takes it back"
    assert p.undo(ROOT).ok
    assert p.undo(ROOT).ok
    assert not p.overrides
    assert state == ["resumed", "paused", "resumed"]
