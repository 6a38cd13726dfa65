"""Columns, order and theme are chosen, remembered, and whatever a file says cannot break the dashboard."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.model.classes import PriorityClass
from smoothtask_tui.app import Dashboard
from smoothtask_tui.columns import TITLES, layout
from smoothtask_tui.palette import LIGHT
from smoothtask_tui.prefs import Prefs, dump, parse
from smoothtask_tui.remembered import read_prefs, write_prefs
from smoothtask_tui.rows import SortKey
from smoothtask_tui.screens.columns import ColumnsScreen
from smoothtask_tui.screens.save import screen_lines
from tui.fakes import FakeClient, frame, group

PREFS = st.builds(
    Prefs,
    theme=st.sampled_from(["", LIGHT.name]),
    sort=st.sampled_from(SortKey),
    reverse=st.booleans(),
    columns=st.lists(st.sampled_from(TITLES), unique=True).map(tuple),
)
JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(
    st.sampled_from(["theme", "sort", "columns", "reverse", "x"]), x))  # fmt: skip


@given(PREFS)
def test_what_is_written_is_read_back(prefs):
    assert parse(dump(prefs)) == prefs


@given(JSON.map(json.dumps) | st.text())
def test_any_text_gives_usable_preferences(text):
    prefs = parse(text)
    assert set(prefs.columns) <= set(TITLES)
    assert parse(dump(prefs)) == prefs


@given(st.lists(st.sampled_from(TITLES), unique=True, min_size=1), st.integers(20, 300))
def test_chosen_columns_keep_their_order_fit_and_have_the_name(titles, width):
    placed = layout(width, titles)
    shown = [c.title for c, _ in placed]
    assert "APPLICATION" in shown
    assert [t for t in titles if t in shown] == [t for t in shown if t in titles]
    assert sum(w + 1 for _, w in placed) <= width


def test_the_file_is_private_and_replaced_as_a_whole(tmp_path):
    path = tmp_path / "state" / "dashboard.json"
    write_prefs(path, Prefs(columns=("CPU%",)))
    assert read_prefs(path) == Prefs(columns=("CPU%",))
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["dashboard.json"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[" * 100_000, b'{"columns": "CPU%", "sort": []}'])
def test_a_damaged_file_is_as_none(tmp_path, content):
    path = tmp_path / "dashboard.json"
    path.write_bytes(content)
    assert read_prefs(path) == Prefs()


def app_with(path: Path | None) -> tuple[Dashboard, FakeClient]:
    client = FakeClient(frame(group("a", label="Alpha", target=PriorityClass.IDLE)))
    return Dashboard(client, prefs_path=path), client


async def test_choices_take_effect_and_are_there_at_the_next_start(tmp_path):
    path = tmp_path / "dashboard.json"
    app, _ = app_with(path)
    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.press("N", "f2", "C")
        await pilot.pause()
        assert isinstance(app.screen, ColumnsScreen)
        await pilot.press("down", "space", "down", "left")  # CLASS is hidden, BY moves to its left
        await pilot.press("escape")
        await pilot.pause()
    chosen = app.main.groups.view.columns
    assert "CLASS" not in chosen
    fitting = [c.title for c, _ in layout(119)]
    assert set(fitting) - set(chosen) == {"CLASS"}
    again, _ = app_with(path)
    assert again.main.groups.view.columns == chosen
    assert again.main.groups.view.sort is SortKey.NAME
    assert again.theme == app.theme == LIGHT.name


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 30), (200, 60)])
async def test_hiding_one_column_loses_no_other(width, height):
    app, _ = app_with(None)
    async with app.run_test(size=(width, height)) as pilot:
        await pilot.pause()
        groups = app.main.groups
        before = [c.title for c, _ in layout(groups.size.width - 1)]
        assert "MRK" in before
        await pilot.press("C")
        await pilot.pause()
        shown = "\n".join(screen_lines(app.screen))
        assert {t for t in TITLES if f"[x] {t} " in shown} == set(before)
        await pilot.press(*["down"] * TITLES.index("MRK"), "space", "escape")
        await pilot.pause()
        now = [c.title for c, _ in layout(groups.size.width - 1, groups.view.columns)]
        assert now == [t for t in before if t != "MRK"]


async def test_the_application_cannot_be_hidden_and_0_is_automatic_again(tmp_path):
    app, _ = app_with(tmp_path / "x.json")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("C", "space", "down", "space")
        await pilot.pause()
        assert "APPLICATION" in app.main.groups.view.columns
        await pilot.press("0", "escape")
        await pilot.pause()
        assert app.main.groups.view.columns == ()


async def test_a_directory_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    app, _ = app_with(tmp_path / "file" / "dashboard.json")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("f2")
        await pilot.pause()
        assert any("not remembered" in n.message for n in app._notifications)


async def test_without_a_place_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app, _ = app_with(None)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f2", "N")
        await pilot.pause()
    assert list(tmp_path.iterdir()) == []
