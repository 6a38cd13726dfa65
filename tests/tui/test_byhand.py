"""By hand on real processes: each is hit once, what is protected or ours is told apart by part, undo keeps its word."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace

import pytest

from smoothtask.kernel.sched import start_ticks
from smoothtask.model.classes import NICE_CEILING
from smoothtask.model.command import Command, Explain, Reply
from smoothtask.model.frame import GroupFrame, ProcessFrame
from smoothtask.model.process import ProcKey
from smoothtask_tui.byhand import ByHand, carry_out
from smoothtask_tui.menus import Nice, Send
from tui.driving import PART, A, B, dashboard
from tui.fakes import frame, process
from tui.test_dashboard import sleeper

OWN = os.getpriority(os.PRIO_PROCESS, 0)
STEP = 1 if OWN + 3 <= NICE_CEILING else -1
TO = OWN + 3 * STEP
"""Another value than ours, and one that exists; upwards where only root may."""
pytestmark = pytest.mark.skipif(STEP < 0 and os.geteuid() != 0, reason="only root may lower a nice value")
PLAIN = replace(A, mechanism="-")
SON = replace(PART, mechanism="-")


@contextlib.contextmanager
def sleepers() -> Iterator[tuple[ProcessFrame, ProcessFrame]]:
    """One real process of the application a, one of its part a/x."""
    with sleeper() as (_, of_it), sleeper() as (_, of_part):
        yield replace(of_it, group="a"), replace(of_part, group="a/x")


def answers(*processes: ProcessFrame, **more: int) -> Callable[[Command], Reply]:
    """As the engine does it: an application's processes are its parts' as well."""

    def ask(command: Command) -> Reply:
        assert isinstance(command, Explain)
        of = [p for p in processes if p.group == command.target or p.group.startswith(f"{command.target}/")]
        return Reply(True, "", {"processes": [asdict(p) for p in of], **more})

    return ask


def by_hand(deed: Send | Nice, *groups: str, known: tuple[GroupFrame, ...] = (PLAIN, SON)) -> ByHand:
    return ByHand(deed, groups, "Alpha", {g.group.id: g for g in known})


def nices(*processes: ProcessFrame) -> list[int]:
    return [os.getpriority(os.PRIO_PROCESS, p.pid) for p in processes]


def test_an_application_and_its_part_are_hit_once_and_undo_takes_it_back() -> None:
    with sleepers() as both:
        done = carry_out(by_hand(Nice(TO), "a", "a/x"), answers(*both))
        assert "(2 of 2 processes)" in done.reply.message
        assert nices(*both) == [TO] * 2
        assert done.undo is not None
        assert done.undo.take_back().ok
        assert nices(*both) == [OWN] * 2
        sent: list[ProcKey] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("smoothtask_tui.byhand.send_signal", lambda key, _: sent.append(key))
            carry_out(by_hand(Send(1), "a/x", "a"), answers(*both))
        assert len(sent) == len(set(sent)) == 2


def test_what_smoothtask_lowered_in_a_part_is_not_put_back_to_its_value() -> None:
    """Of the others undo still knows."""
    lowered = replace(SON, mechanism="nice +5 · 1 thread")
    with sleepers() as (own, of_part):
        os.setpriority(os.PRIO_PROCESS, of_part.pid, OWN + STEP)
        done = carry_out(by_hand(Nice(TO), "a", known=(PLAIN, lowered)), answers(own, of_part))
        assert "undo takes 1 of them back" in done.reply.message
        assert done.undo is not None
        done.undo.take_back()
        assert nices(own, of_part) == [OWN, TO]


def test_a_part_that_the_frame_does_not_know_yet_may_be_ours() -> None:
    with sleepers() as both:
        done = carry_out(by_hand(Nice(TO), "a/x", known=(PLAIN,)), answers(*both))
        assert done.reply.ok
        assert done.undo is None


def test_a_protected_part_is_left_alone_by_what_is_done_to_its_application() -> None:
    guarded = replace(SON, decision=replace(SON.decision, protected=True))
    with sleepers() as (own, of_part):
        what = by_hand(Nice(TO), "a", known=(PLAIN, guarded))
        done = carry_out(what, answers(own, of_part))
        assert nices(own, of_part) == [TO, OWN]
        assert "(1 of 1 processes); part x is protected: not from here" in done.reply.message
        done = carry_out(what, answers(of_part))
        assert not done.reply.ok
        assert done.reply.message == "part x is protected: not from here"


def test_processes_beyond_those_that_the_engine_names_are_counted() -> None:
    with sleepers() as both:
        ask = answers(*both, more_processes=100)
        for deed, again in ((Send(signal.SIGCONT), False), (Nice(TO), False), (Send(signal.SIGTERM), True)):
            done = carry_out(by_hand(deed, "a"), ask)
            assert "(2 of 102 processes): the engine names only the busiest" in done.reply.message
            assert ("do it again for the others" in done.reply.message) is again


def test_the_same_nice_value_again_is_no_deed() -> None:
    """Undo still puts back what there was before the first."""
    with sleepers() as both:
        first = carry_out(by_hand(Nice(TO), "a"), answers(*both))
        second = carry_out(by_hand(Nice(TO), "a"), answers(*both))
        assert second.reply.ok
        assert second.undo is None
        assert first.undo is not None
        assert first.undo.take_back().ok
        assert nices(*both) == [OWN] * 2


@pytest.mark.root
def test_an_ordinary_user_is_not_promised_an_undo_that_only_root_could_do() -> None:
    """What they raise they cannot lower again."""
    with subprocess.Popen(["sleep", "60"], user=65534) as child:
        os.setpriority(os.PRIO_PROCESS, child.pid, 0)
        theirs = replace(process(child.pid, "a"), start_ticks=start_ticks(child.pid) or 0)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                os.setuid(65534)
                done = carry_out(by_hand(Nice(10), "a"), answers(theirs))
                os.write(writing, f"{done.undo} {done.reply.ok} {done.reply.message}".encode())
            os._exit(0)
        os.close(writing)
        os.waitpid(pid, 0)
        with os.fdopen(reading) as told:
            said = told.read()
        assert said.startswith("None True Alpha has nice +10")
        assert said.endswith("only root can lower it again")
        assert nices(theirs) == [10]
        child.kill()


async def test_parts_are_counted_before_they_are_killed() -> None:
    with sleepers() as both:
        async with dashboard(first=frame(PLAIN, SON, B, processes=both)) as d:
            d.client.answer = answers(*both)
            await d.press("f9", "t")
            assert "TERM to all 4 processes of Alpha: sure?" in d.status
            await d.press("escape", "space", "space", "f9", "t")
            assert "TERM to all 4 processes of 2 applications: sure?" in d.status


async def test_one_process_of_a_part_that_is_ours_is_not_put_back() -> None:
    lowered = replace(SON, mechanism="nice +5 · 1 thread")
    with sleepers() as (own, of_part):
        async with dashboard(first=frame(PLAIN, lowered, processes=(own, of_part))) as d:
            await d.press("down", "right", "down", "R", "6")
            await d.until(lambda: "has nice +19 by your hand" in d.status)
            assert "undo" not in d.status
            assert d.app.deeds.done == []
