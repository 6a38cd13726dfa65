"""Sessions as a whole: lowered while one application owns them, whoever leaves or joins meanwhile."""

from pathlib import Path
from unittest.mock import patch

import pytest

from actuator.desktop import Desktop
from actuator.doubles import FakeKernel, Thread, decision
from smoothtask.model.change import Knob
from smoothtask.model.classes import PriorityClass

IDLE, BACKGROUND, NORMAL, INTERACTIVE, CRITICAL = PriorityClass


@pytest.fixture
def desk(tmp_path: Path) -> Desktop:
    """One a test."""
    return Desktop(tmp_path)


def pair(desk: Desktop) -> tuple[Thread, Thread]:
    """Two processes of a session in the root whose leader has left."""
    shell = desk.process("shell")
    first, second = desk.process("game", parent=shell), desk.process("game", parent=shell)
    first.group = second.group = "game"
    desk.kernel.exit(shell.pid)
    return first, second


def test_who_begins_a_session_after_the_pass_takes_nothing_along(desk: Desktop) -> None:
    """The table says the old session, the kernel would change the new one."""
    first, _second = pair(desk)
    table = desk.kernel.table()
    desk.kernel.setsid(first.pid)
    with patch.object(FakeKernel, "table", lambda _: table):
        desk.tick(decision("game", IDLE))
    assert set(desk.kernel.sessions.values()) == {0}
    assert not desk.ledger.of(Knob.AUTOGROUP)


@pytest.mark.parametrize("leaves", ["begins a session", "exits"])
@pytest.mark.parametrize("target", [IDLE, BACKGROUND, NORMAL])
def test_who_leaves_just_before_the_write(desk: Desktop, target: PriorityClass, leaves: str) -> None:
    """Nothing is written through it; what is in force stays known, and the next tick asks another of the session."""
    first, second = pair(desk)
    if target is not IDLE:
        desk.tick(decision("game", IDLE))
    sid, record, done = second.sid, desk.ledger.record, []

    def leave(*about: object) -> None:
        record(*about)  # type: ignore[arg-type]
        if not done:
            done.append(True)
            if leaves == "exits":
                desk.kernel.exit(first.pid)
            else:
                desk.kernel.setsid(first.pid)

    with patch.object(desk.ledger, "record", leave):
        desk.tick(decision("game", target))
    assert desk.kernel.sessions.get(first.pid, 0) == 0
    desk.tick(decision("game", target))
    wanted = {IDLE: 19, BACKGROUND: 10, NORMAL: 0}[target]
    assert desk.kernel.sessions[sid] == wanted
    assert desk.undo_all() == ()
    assert set(desk.kernel.sessions.values()) == {0}
    assert not desk.ledger.entries


def test_a_session_that_is_shared_by_now_is_put_back(desk: Desktop) -> None:
    """Another application began in it, and is not to be lowered with the first."""
    first, _second = pair(desk)
    desk.tick(decision("game", IDLE))
    assert desk.kernel.sessions[first.sid] == 19
    desk.process("program", parent=first)
    desk.tick(decision("game", IDLE), decision("program", INTERACTIVE))
    assert desk.kernel.sessions[first.sid] == 0
    assert not desk.ledger.of(Knob.AUTOGROUP)
