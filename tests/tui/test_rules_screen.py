"""The rules on the screen, and rules made from applications: saved, refused, taken back."""

import asyncio
import contextlib
import unicodedata
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual import events

from smoothtask.classifier.layers import RuleFiles
from smoothtask.classifier.reading import load
from smoothtask.classifier.saving import NAME, OwnRules
from smoothtask.model.classes import PriorityClass
from smoothtask.model.command import Command, Detail, ListRules, Reload, Reply
from smoothtask.model.detail import Clues, GroupDetail, RuleUses
from smoothtask.model.text import sanitise
from smoothtask_tui.messages import Answered
from smoothtask_tui.rulelist import RuleSort, Which
from smoothtask_tui.screens.group import GroupScreen
from smoothtask_tui.screens.making import MakeRuleScreen
from smoothtask_tui.screens.ordering import GroupsScreen
from smoothtask_tui.screens.rules import RulesScreen
from tui.driving import A, B, C, Driver, dashboard
from tui.fakes import frame, group
from tui.test_dashboard import HOSTILE
from tui.test_rulelist import USES, use

SIZES = [(60, 15), (80, 24), (200, 60)]
CLUES = Clues(exe="/opt/alpha", name="alpha", unit="alpha.service")
SLOW_S = 40.0
"""Lint reads thousands of rules in a child."""


def telling(uses: RuleUses | str = USES, clues: Clues = CLUES, *, whole: bool = True, name: str = "a") -> Any:
    """An engine that knows *uses* and *clues*."""

    def answer(command: Command) -> Reply:
        if isinstance(command, ListRules):
            return Reply(False, uses) if isinstance(uses, str) else Reply(True, "", asdict(uses))
        if isinstance(command, Detail):
            return Reply(True, "", asdict(GroupDetail(name, whole, 1.0, clues=clues)))
        return Reply(True, f"done: {command.op}")

    return answer


@pytest.fixture
def own(tmp_path: Path) -> OwnRules:
    """The machine's layer, in a folder of the test's."""
    files = RuleFiles(tmp_path / "run", user=tmp_path / "rules.d", ananicy=None, homes=False)
    return OwnRules.of(files, 0, tmp_path)


@contextlib.asynccontextmanager
async def rules(own: OwnRules, *groups: Any, uses: RuleUses | str = USES, **more: Any) -> AsyncIterator[Driver]:
    """The rules screen, answered."""
    async with dashboard(*groups, own_rules=own, log_path=own.folder / "no.db", **more) as d:
        d.client.answer = telling(uses)
        await d.press("r")
        await d.until(lambda: isinstance(d.app.screen, RulesScreen) and bool(screen(d).uses or screen(d).problem))
        yield d


def screen(d: Driver) -> RulesScreen:
    assert isinstance(d.app.screen, RulesScreen)
    return d.app.screen


def making(d: Driver) -> MakeRuleScreen:
    assert isinstance(d.app.screen, MakeRuleScreen)
    return d.app.screen


async def make(d: Driver, *keys: str) -> MakeRuleScreen:
    """Begin a rule from what is under the cursor, until its difference is there."""
    await d.press(*keys, "A")
    await d.until(lambda: isinstance(d.app.screen, MakeRuleScreen) and making(d).offers is not None)
    await d.until(lambda: bool(making(d).proposal or making(d).problem or not making(d).offers))
    return making(d)


async def slowly(d: Driver, true: Any) -> None:
    """Until it is so, though lint takes its time."""
    deadline = asyncio.get_running_loop().time() + SLOW_S
    while not true():
        assert asyncio.get_running_loop().time() < deadline, d.screen_text
        await d.pilot.pause(0.05)


# --- the list ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_rules_are_shown_with_what_they_match(own: OwnRules, size: tuple[int, int]) -> None:
    async with rules(own, size=size) as d:
        for part in ("Rules", "alpha", "▲I interact", "vendor", "GROUPS▼"):
            assert part in d.screen_text, part
        assert screen(d).cursor == ("vendor", "alpha")
        assert ("/rules/vendor.yaml:7" in d.screen_text) is (size[1] >= 18)
        assert all(cell_len(row) <= size[0] for row in d.screen_text.split("\n"))


async def test_never_matched_filter_sort_and_back(own: OwnRules) -> None:
    async with rules(own, size=(120, 30)) as d:
        await d.press("n", "n")
        assert screen(d).view.which is Which.NEVER
        assert [r.use.id for r in screen(d).rows] == ["gamma"]
        assert "that never matched" in d.screen_text
        await d.press("escape")
        await d.press("slash", *"layer", "colon", *"user", "enter")
        assert [r.use.id for r in screen(d).rows] == ["gamma"]
        await d.press("escape", "f6", "r")
        assert screen(d).view.sort is RuleSort.RULE
        assert [r.use.id for r in screen(d).rows] == ["alpha", "beta", "delta", "gamma"]
        await d.press("I")
        assert screen(d).rows[0].use.id == "gamma"
        await d.press("escape")
        assert isinstance(d.app.screen, GroupsScreen)


async def test_the_cursor_is_a_rule_and_not_a_place(own: OwnRules) -> None:
    """More groups of another rule move it up; the cursor stays with its rule."""
    async with rules(own) as d:
        await d.press("end")
        assert screen(d).cursor == ("user", "gamma")
        gamma = group("g", label="Gamma")
        source = replace(gamma.group.classification.source, layer="user")  # type: ignore[type-var]
        known = replace(gamma, group=replace(gamma.group, classification=replace(
            gamma.group.classification, app="gamma", source=source)))  # fmt: skip
        await d.push(frame(known, group("x", label="Other"), seq=2))
        assert screen(d).rows[0].use.id == "gamma"
        assert screen(d).cursor == ("user", "gamma")
        await d.press("enter")
        await d.until(lambda: isinstance(d.app.screen, GroupsScreen))
        assert d.app.main.groups.view.filter == "layer=user app=gamma"
        assert d.rows == ["g"]


async def test_a_rule_without_groups_says_so(own: OwnRules) -> None:
    async with rules(own) as d:
        await d.press("end", "enter")
        assert "no group is of the rule gamma now" in d.status
        assert isinstance(d.app.screen, RulesScreen)


async def test_thousands_of_rules_scroll(own: OwnRules) -> None:
    many = RuleUses(tuple(use(f"r{i:05}") for i in range(5000)), 0.0)
    async with rules(own, size=(80, 24), uses=many) as d:
        await d.press("end")
        assert "r04999" in d.screen_text
        await d.press("pageup", "up")
        assert screen(d).cursor is not None
        assert screen(d).cursor[1] in d.screen_text  # type: ignore[index]
        await d.pilot._post_mouse_events([events.MouseScrollUp], "#report", offset=(3, 3), button=0)
        await d.pilot.pause()
        assert sum("▲I interact" in row for row in d.screen_text.split("\n")) >= 15


async def test_an_engine_without_rules_is_said(own: OwnRules) -> None:
    async with rules(own, uses="unknown op 'rules'") as d:
        assert "unknown op 'rules'" in d.screen_text
        await d.press("down", "enter", "n", "I", "pagedown")


async def test_lint_of_all_layers_is_shown_with_file_and_line(own: OwnRules) -> None:
    own.folder.mkdir(parents=True)
    (own.folder / "mine.yaml").write_text("applications:\n  - id: x\n    type: nonsense\n    match: [{name: x}]\n")
    async with rules(own, size=(200, 60)) as d:
        await d.press("l")
        await slowly(d, lambda: screen(d).findings is not None)
        assert f"{own.folder}/mine.yaml:3: error: applications[0].type: undefined type nonsense" in d.screen_text
        assert "1 of them errors" in d.status
        await d.press("l")
        assert "GROUPS▼" in d.screen_text


# --- making one ------------------------------------------------------------------------------------------------


async def test_a_rule_is_made_shown_saved_followed_and_taken_back(own: OwnRules) -> None:
    """Difference first; the save is whole; the engine is told; undo removes it, redo brings it back."""
    async with dashboard(own_rules=own, size=(100, 40)) as d:
        d.client.answer = telling()
        s = await make(d)
        for part in ("(•) exe /opt/alpha", "( ) unit alpha.service", "( ) name alpha", "+applications:", "a new file"):
            assert part in d.screen_text, part
        assert not own.folder.exists()
        await d.press("down", "down", "4")
        await d.until(lambda: s.proposal is not None and "BACKGROUND" in s.proposal.after)
        await d.press("s")
        await slowly(d, lambda: isinstance(d.app.screen, GroupsScreen))
        await d.until(lambda: Reload() in d.client.asked)
        found = {r.id: r for r in load(own.files).rules.rules}["alpha-local"]
        assert (found.target, found.certain, found.source.layer) == (PriorityClass.BACKGROUND, True, "user")
        await d.press("r")
        await d.until(lambda: isinstance(d.app.screen, RulesScreen))
        assert len(d.app.made.done) == 1
        await d.press("z")
        await d.until(lambda: not (own.folder / NAME).exists())
        await d.press("Y")
        await d.until((own.folder / NAME).exists)
        await d.press("z")
        await d.until(lambda: not (own.folder / NAME).exists())
        await d.press("z")
        await d.until(lambda: "no rule was saved here" in d.status)


async def test_a_type_can_be_typed_and_lint_refuses_with_the_line(own: OwnRules) -> None:
    """The beginning of a known type is enough; one that is nowhere is refused at the save."""
    async with dashboard(own_rules=own, size=(110, 40)) as d:
        d.client.answer = telling()
        s = await make(d)
        await d.press("t", *"inde", "enter")
        await d.until(lambda: s.proposal is not None and "type: indexer" in s.proposal.after)
        await d.press("t", *"zzz", "enter")
        await d.until(lambda: s.proposal is not None and "type: zzz" in s.proposal.after)
        await d.press("s")
        await slowly(d, lambda: "not saved" in d.screen_text)
        assert f"{own.folder / NAME}:" in d.screen_text
        assert "undefined type zzz" in d.screen_text
        assert isinstance(d.app.screen, MakeRuleScreen)
        assert not own.folder.exists()


async def test_each_type_says_what_it_is(own: OwnRules) -> None:
    """From the rule files alone, those of a person's own too; ↓ goes through what fits, names and descriptions."""
    own.folder.mkdir(parents=True)
    (own.folder / "mine.yaml").write_text('types: {observatory: {description: "Looks at \\e[31m stars"}}\n')
    async with dashboard(own_rules=own, size=(110, 40)) as d:
        d.client.answer = telling()
        s = await make(d)
        await d.until(lambda: "observatory" in s.kinds)
        await d.press("t", *"stars")
        assert "observatory" in d.screen_text
        assert "Looks at \ufffd[31m stars" in d.screen_text
        await d.press("down", "enter")
        await d.until(lambda: s.proposal is not None and "type: observatory" in s.proposal.after)
        await d.press("t", *"torrent")
        assert "A torrent client with a window" in d.screen_text
        await d.press("down", "down", "down", "enter")  # the second, round to the first, the second
        await d.until(lambda: s.proposal is not None and "type: torrent-daemon" in s.proposal.after)
        assert "A torrent client without one" in d.screen_text
        await d.press("t", *"qqq")
        assert "none is called so" in d.screen_text
        await d.press("down", "escape")
        assert "the rule" in d.screen_text


async def test_warnings_ask_once_more(own: OwnRules) -> None:
    """An interpreter's name alone says nothing: that is said, and s again saves."""
    async with dashboard(own_rules=own, size=(110, 40)) as d:
        d.client.answer = telling(clues=Clues(name="python3"))
        await make(d)
        await d.press("s")
        await slowly(d, lambda: "s again saves" in d.status)
        assert "interpreter's name alone" in d.screen_text
        await d.press("s")
        await slowly(d, (own.folder / NAME).exists)


async def test_leaving_and_a_file_that_changed_meanwhile_save_nothing(own: OwnRules) -> None:
    async with dashboard(own_rules=own, size=(100, 40)) as d:
        d.client.answer = telling()
        await make(d)
        await d.press("escape")
        await make(d)
        own.folder.mkdir()
        (own.folder / NAME).write_text("# somebody else's\n")
        await d.press("s")
        await slowly(d, lambda: "changed meanwhile" in d.status)
        assert (own.folder / NAME).read_text() == "# somebody else's\n"


async def test_of_what_is_protected_or_somebody_elses_no_rule_is_made(own: OwnRules) -> None:
    guarded = replace(A, decision=replace(A.decision, protected=True))
    async with dashboard(guarded, B, own_rules=own) as d:
        d.client.answer = telling(clues=Clues(), whole=False)
        await d.press("A")
        assert isinstance(d.app.screen, GroupsScreen)
        assert "protected" in d.status
        await make(d, "down")
        assert "it is somebody else's" in d.screen_text
        await d.press("s", "down", "1")
        assert not own.folder.exists()


async def test_a_broken_file_of_ones_own_is_said_with_its_line(own: OwnRules) -> None:
    own.folder.mkdir(parents=True)
    (own.folder / NAME).write_text("applications:\n\t- x\n")
    async with dashboard(own_rules=own, size=(110, 30)) as d:
        d.client.answer = telling()
        await make(d)
        assert f"{own.folder / NAME}:2: not YAML" in d.screen_text
        await d.press("s")
        assert "not YAML" in d.status


async def test_an_answer_about_another_group_is_not_taken_for_this_one(own: OwnRules) -> None:
    """The list asks about what is unfolded there; its answer may come first."""
    async with dashboard(own_rules=own, size=(100, 40)) as d:
        d.client.answer = lambda c: Reply(isinstance(c, ListRules), "busy")
        await d.press("A")
        await d.until(lambda: isinstance(d.app.screen, MakeRuleScreen))
        s = making(d)
        s.offers = None
        other = GroupDetail("b", True, 1.0, clues=Clues(exe="/bin/other"))
        s.post_message(Answered(Detail("b"), Reply(True, "", asdict(other))))
        s.post_message(Answered(Detail("a"), Reply(True, "", asdict(replace(other, group="a", clues=CLUES)))))
        await d.until(lambda: bool(s.offers))
        assert "/bin/other" not in d.screen_text


async def test_a_rule_is_about_the_group_it_was_begun_for(own: OwnRules) -> None:
    """Begun in the details, while the list turned round and the group exited."""
    async with dashboard(own_rules=own, size=(100, 40)) as d:
        d.client.answer = telling()
        await d.press("enter")
        await d.until(lambda: isinstance(d.app.screen, GroupScreen))
        s = await make(d)
        await d.push(frame(C, B, seq=2))
        await d.press("5")
        await d.until(lambda: s.proposal is not None and "IDLE" in s.proposal.after)
        assert "alpha-local" in d.screen_text
        await d.press("escape")
        await d.until(lambda: isinstance(d.app.screen, GroupScreen))
        await d.press("A")
        assert "has exited" in d.status


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_names_in_rules_and_in_making_one(own: OwnRules, size: tuple[int, int]) -> None:
    names = [sanitise(n) for n in HOSTILE]
    uses = RuleUses(tuple(use(f"r{i}", label=n, type=n or "x", file=n) for i, n in enumerate(names)), 0.0)

    def fine(d: Driver) -> None:
        assert all(cell_len(row) <= size[0] for row in d.screen_text.split("\n"))
        assert not [c for c in d.screen_text if unicodedata.category(c) in {"Cc", "Cf", "Cs"} and c != "\n"]

    async with rules(own, size=size, uses=uses) as d:
        for _ in names:
            await d.press("down")
            fine(d)
    for label, clues in ((names[0], names[:4]), (names[5], names[4:8])):
        async with dashboard(group("a", label=label), own_rules=own, size=size) as d:
            exe, name, unit, script = clues
            d.client.answer = telling(uses, Clues(exe=exe, name=name, unit=unit, script=script))
            s = await make(d)
            for _ in s.offers or ():
                fine(d)
                await d.press("down", "pagedown")
                await d.until(lambda s=s: bool(s.proposal or s.problem))  # type: ignore[misc]
            fine(d)
