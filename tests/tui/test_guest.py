"""An ordinary user at somebody else's daemon sees what they may do, and is not offered the rest."""

import os
from dataclasses import replace

import pytest

from smoothtask.model.classes import PriorityClass
from smoothtask.model.command import LabelGroup, SetOverride
from smoothtask.model.rights import Rights
from tui.driving import dashboard
from tui.fakes import frame, group

ME = 1000
MINE, THEIRS = group("a", label="Mine", cpu=0.9), group("b", label="Theirs", cpu=0.5)
THEIRS = replace(THEIRS, group=replace(THEIRS.group, uid=4711))


def seen_by(uid, monkeypatch, **rights):
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    return dashboard(first=frame(MINE, THEIRS, rights=Rights(0, **rights)), size=(120, 30))


async def test_what_is_mine_may_be_lowered_and_what_may_not_be_chosen_is_marked(monkeypatch):
    async with seen_by(ME, monkeypatch) as d:
        assert "your own applications are yours to order, up to NORMAL" in d.screen_text
        await d.press("c")
        assert "critical✗" in d.status
        assert "background✗" not in d.status
        await d.press("2")
        assert "only root may raise above NORMAL" in d.status
        assert d.client.asked == []
        await d.press("c", "4")
        await d.asked()
        assert d.client.asked == [SetOverride("a", PriorityClass.BACKGROUND)]
        await d.press("l", "1")  # a label changes nothing
        await d.asked(2)
        assert d.client.asked[1] == LabelGroup("a", PriorityClass.LATENCY_CRITICAL)


@pytest.mark.parametrize("key", ["c", "o", "p", "l"])
async def test_what_is_somebody_elses_is_marked_and_no_menu_opens(monkeypatch, key):
    async with seen_by(ME, monkeypatch) as d:
        row = next(line for line in d.screen_text.splitlines() if "Theirs" in line)
        assert "✗" in row
        await d.press("down", key)
        assert not d.app.main.status.is_open
        assert "Theirs belongs to uid 4711" in d.status


async def test_where_users_may_raise_it_is_offered(monkeypatch):
    async with seen_by(ME, monkeypatch, may_raise=True) as d:
        await d.press("c")
        assert "✗" not in d.status
        assert "up to NORMAL" not in d.screen_text


async def test_undo_counts_what_the_person_who_looks_can_take_back(monkeypatch):
    """The engine tells of root's orders: a guest's are those of this dashboard; rules and deeds by hand count."""
    for uid, count in ((ME, 1), (0, 3)):
        monkeypatch.setattr(os, "geteuid", lambda uid=uid: uid)
        async with dashboard(first=frame(MINE, rights=Rights(0), undo_depth=3), size=(120, 30)) as d:
            assert ("z undo" in d.screen_text) is (uid == 0)
            await d.press("f8")
            await d.asked()
            await d.push(frame(MINE, rights=Rights(0), undo_depth=3, seq=2))
            assert f"z undo ({count})" in d.screen_text
            d.app.deeds.did("rule")
            await d.push(frame(MINE, rights=Rights(0), undo_depth=3, seq=3))
            assert f"z undo ({count + 1})" in d.screen_text
            await d.press("enter")
            await d.until(lambda text=f"z undo ({count + 1})": text in d.screen_text)


async def test_root_and_whoever_runs_the_engine_see_no_limits(monkeypatch):
    async with seen_by(0, monkeypatch) as d:
        assert "✗" not in d.screen_text
        assert "yours to order" not in d.screen_text
