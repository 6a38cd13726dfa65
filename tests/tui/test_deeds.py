"""Undo takes back the newest deed, wherever it was done: by the engine, by hand, or in the rules."""

import errno
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.classifier import saving
from smoothtask.classifier.layers import RuleFiles
from smoothtask.classifier.making import Condition, Draft, MakingError
from smoothtask.classifier.saving import NAME, OwnRules
from smoothtask.kernel.sched import start_ticks
from smoothtask.model.classes import PriorityClass
from smoothtask.model.command import Detail, Explain, ListRules, Redo, Reload, Reply, SetOverride, Undo
from smoothtask.model.detail import Clues, GroupDetail
from smoothtask.model.tasks import ProcKey
from smoothtask_tui.byhand import Reniced
from smoothtask_tui.deeds import KEPT, Deeds
from smoothtask_tui.messages import RuleSaved
from smoothtask_tui.screens.making import MakeRuleScreen
from tui.driving import A, B, C, Driver, dashboard
from tui.fakes import frame
from tui.test_dashboard import sleeper
from tui.test_rules_screen import making, slowly

OWN = os.getpriority(os.PRIO_PROCESS, 0)
HAND = Reniced("x", 5, {ProcKey(1, 2): {1: 0}})


def test_the_newest_has_its_turn_and_nothing_means_the_engine() -> None:
    """What an earlier dashboard did, only the engine can know."""
    deeds = Deeds()
    assert (deeds.to_undo, deeds.to_redo) == ("engine", "engine")
    deeds.did("engine")
    deeds.did(HAND)
    deeds.did("rule")
    deeds.undid("rule")
    assert (deeds.to_undo, deeds.to_redo) == (HAND, "rule")
    deeds.redid("rule")
    assert deeds.to_undo == "rule"
    deeds.undid("engine")  # by another way: the others keep their order
    assert deeds.done == [HAND, "rule"]
    deeds.did("engine")
    assert deeds.undone == []
    deeds.lost("engine", again=False)
    assert deeds.to_undo == "rule"
    deeds.lost("engine", again=True)  # never was there


@given(st.lists(st.sampled_from(["did", "undid", "redid"])))
def test_as_many_come_back_as_were_taken_back(steps: list[str]) -> None:
    """Whatever the order; and there is a limit."""
    deeds = Deeds()
    done = undone = 0
    for step in steps:
        getattr(deeds, step)("engine")
        if step == "did":
            done, undone = min(KEPT, done + 1), 0
        elif step == "undid" and done:
            done, undone = done - 1, undone + 1
        elif step == "redid" and undone:
            done, undone = done + 1, undone - 1
        assert (len(deeds.done), len(deeds.undone)) == (done, undone)


async def test_undo_goes_back_through_rules_nice_values_and_orders(tmp_path: Path) -> None:
    """In the opposite order, and redo forwards again."""
    files = RuleFiles(tmp_path / "run", user=tmp_path / "rules.d", ananicy=None, homes=False)
    own = OwnRules.of(files, 0, tmp_path)
    with sleeper() as (child, shown):

        def answer(command: Any) -> Reply:
            if isinstance(command, Explain):
                return Reply(True, "", {"processes": [asdict(shown)]})
            if isinstance(command, Detail):
                return Reply(True, "", asdict(GroupDetail("b", True, 1.0, clues=Clues(exe="/bin/beta"))))
            return Reply(not isinstance(command, ListRules), f"done: {command.op}")

        async with dashboard(own_rules=own, size=(110, 40)) as d:
            d.client.answer = answer
            await d.press("down", "f7")
            await d.asked()
            key, nice = ("5", 10) if OWN != 10 else ("6", 19)
            await d.press("R", key)
            await d.until(lambda: os.getpriority(os.PRIO_PROCESS, child.pid) == nice)
            await d.until(lambda: "undo takes it back" in d.status)
            await d.press("A")
            await d.until(lambda: isinstance(d.app.screen, MakeRuleScreen) and making(d).proposal is not None)
            await d.press("s")
            await slowly(d, (own.folder / NAME).exists)
            await d.until(lambda: d.app.deeds.to_undo == "rule")
            await d.press("z")
            await d.until(lambda: d.app.deeds.to_undo != "rule")
            assert not (own.folder / NAME).exists()
            await d.press("z")
            await d.until(lambda: os.getpriority(os.PRIO_PROCESS, child.pid) == OWN)
            await d.until(lambda: d.app.deeds.to_undo == "engine")
            await d.press("z")
            await d.until(lambda: Undo() in d.client.asked)
            await d.until(lambda: not d.app.deeds.done)
            await d.press("Y")
            await d.until(lambda: Redo() in d.client.asked)
            await d.press("Y")
            await d.until(lambda: os.getpriority(os.PRIO_PROCESS, child.pid) == nice)


async def test_nice_that_was_ours_already_is_not_put_back_to_our_own_value() -> None:
    """It would stay lowered for good: nobody would know any more that it was us."""
    lowered = replace(B, mechanism="nice +19 · 1 thread")
    with sleeper() as (child, shown):
        async with dashboard(lowered) as d:
            d.client.answer = lambda c: Reply(True, f"done: {c.op}", {"processes": [asdict(shown)]})
            await d.press("R", "5")
            await d.until(lambda: "has nice +10 by your hand" in d.status)
            assert "undo" not in d.status
            await d.press("z")
            await d.until(lambda: d.client.asked == [Undo()])
            assert os.getpriority(os.PRIO_PROCESS, child.pid) == 10


async def test_by_hand_all_that_are_marked_are_meant_but_for_the_protected() -> None:
    with sleeper() as (one, shown), sleeper() as (two, other):
        guarded = replace(C, decision=replace(C.decision, protected=True))
        async with dashboard(A, B, guarded) as d:
            processes = {"a": replace(shown, group="a"), "b": other}
            d.client.answer = lambda c: Reply(True, "", {"processes": [asdict(processes[c.target])]})
            await d.press("space", "space", "space", "R", "4")
            await d.until(lambda: "2 applications has nice +5" in d.status or "(2 of 2 processes)" in d.status)
            assert {os.getpriority(os.PRIO_PROCESS, p.pid) for p in (one, two)} == {5}
            await d.press("f9", "t")
            assert "all 4 processes of 2 applications: sure?" in d.status
            await d.push(frame(B, guarded, seq=2))  # a exits while it is asked
            await d.press("y")
            await d.until(lambda: two.poll() is not None)
            assert one.poll() is None


def test_nice_values_of_a_process_that_is_gone_are_not_put_back() -> None:
    """Another process may have its pid."""
    with sleeper() as (child, _):
        start = start_ticks(child.pid)
        assert start is not None
        gone = Reniced("x", 0, {ProcKey(child.pid, start + 1): {child.pid: 5}})
        assert not gone.take_back().ok
        assert not gone.again().ok
        assert os.getpriority(os.PRIO_PROCESS, child.pid) == OWN


async def test_an_engine_that_forgot_does_not_stand_in_the_way() -> None:
    """A daemon that was started anew has nothing to undo."""
    async with dashboard() as d:
        await d.press("f7")
        await d.asked()
        await d.until(lambda: d.app.deeds.to_undo == "engine" and bool(d.app.deeds.done))
        d.client.answer = lambda _: Reply(False, "nothing to undo")
        await d.press("z")
        await d.until(lambda: not d.app.deeds.done)
        assert d.client.asked == [SetOverride("a", PriorityClass.LATENCY_CRITICAL), Undo()]


RULE = Draft("x-local", "X", "batch", PriorityClass.IDLE, Condition((("exe", "/opt/x"),), ""))


def rules_in(folder: Path) -> OwnRules:
    return OwnRules.of(RuleFiles(folder / "run", user=folder / "rules.d", ananicy=None, homes=False), 0, folder)


async def save_rule(d: Driver) -> None:
    """Save it as the screen does. The engine's answer to reading it, which root sees, hides no later sentence."""
    proposal = d.app.made.propose(RULE)
    assert not isinstance(proposal, str)
    asked = d.client.asked.count(Reload())
    d.app.on_rule_saved(RuleSaved(d.app.made.save(proposal)))
    assert d.app.deeds.to_undo == "rule"
    if os.geteuid() == 0:
        await d.until(lambda: d.client.asked.count(Reload()) > asked and "done: reload" in d.status)


async def test_a_rule_that_cannot_be_taken_back_does_not_stand_in_the_way(tmp_path: Path) -> None:
    """Somebody has changed the file since: that is said once, and what was done before the rule has its turn."""
    own = rules_in(tmp_path)
    async with dashboard(own_rules=own) as d:
        await d.press("f7")
        await d.until(lambda: bool(d.app.deeds.done))
        await save_rule(d)
        saved = (own.folder / NAME).read_text()
        (own.folder / NAME).write_text("# somebody else's\n")
        await d.press("z")
        await d.until(lambda: "changed meanwhile" in d.status)
        assert (d.app.deeds.done, d.app.deeds.undone) == (["engine"], [])
        await d.press("z")
        await d.until(lambda: Undo() in d.client.asked and not d.app.deeds.done)
        # The same for redo; a link instead of the file is a change as well.
        (own.folder / NAME).unlink()
        await save_rule(d)
        reloads = d.client.asked.count(Reload())
        await d.press("z")
        await d.until(lambda: d.app.deeds.undone == ["rule"])
        if os.geteuid() == 0:
            await d.until(lambda: d.client.asked.count(Reload()) > reloads and "done: reload" in d.status)
        (tmp_path / "elsewhere").write_text(saved)
        (own.folder / NAME).symlink_to(tmp_path / "elsewhere")
        await d.press("Y")
        await d.until(lambda: "changed meanwhile" in d.status)
        assert d.app.deeds.undone == []
        assert d.app.made.undone == []


async def test_a_rule_that_cannot_be_taken_back_just_now_can_be_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full or a file that may not be read for a moment: undo and redo keep their turn."""
    own = rules_in(tmp_path)
    own.folder.mkdir()
    (own.folder / NAME).write_text("# mine\n")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def unreadable(path: Path) -> None:
        raise MakingError(f"{path} cannot be read") from PermissionError()

    async with dashboard(own_rules=own) as d:
        await save_rule(d)
        for key, left, said in (("z", "done", "undone:"), ("Y", "undone", "saved again:")):
            for name, failing, why in (("_write", full, "No space left"), ("_read", unreadable, "cannot be read")):
                with monkeypatch.context() as patch:
                    patch.setattr(saving, name, failing)
                    await d.press(key)
                    await d.until(lambda why=why: why in d.status)
                assert getattr(d.app.deeds, left) == ["rule"]
            await d.press(key)
            await d.until(lambda left=left: getattr(d.app.deeds, left) == [])
            await d.until(lambda said=said: any(said in n.message for n in d.app._notifications))
            if os.geteuid() == 0:
                await d.until(lambda: "done: reload" in d.status)
            assert ("x-local" in (own.folder / NAME).read_text()) is (key == "Y")
