"""Finding something in the list: search, pid, user, follow, freeze, and saving what is shown."""

import csv
import io
import json
import os
import pwd
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.model.classes import PriorityClass
from smoothtask.model.command import Explain, Pause, Rehearse, Reply, SetOverride, Unpin
from smoothtask.model.frame import Mark, Mode
from smoothtask_tui import savefile
from smoothtask_tui.export import as_csv, as_json, as_text
from tui.driving import PART, A, B, C, dashboard
from tui.fakes import frame, group, process


async def test_search_moves_the_cursor_and_hides_nothing():
    async with dashboard(A, B, C, group("g", label="Gamma Ray", cpu=0.01)) as d:
        await d.press("f3", "g", "a", "m")
        assert d.cursor == "c"
        assert len(d.rows) == 4
        await d.press("f3")
        assert d.cursor == "g"
        await d.press("f3")
        assert d.cursor == "c"
        await d.press("enter")
        assert not d.app.main.status.is_open
        await d.press("f3")
        assert d.cursor == "g"  # goes on with what was sought


async def test_digits_find_a_process_that_the_frame_tells_of():
    shown = replace(frame(A, B, C), processes=(process(4711, "c"), process(47, "b")))
    async with dashboard(first=shown) as d:
        await d.press("4", "7")
        assert d.cursor == "b#47.4700"
        await d.press("1", "1")
        assert d.cursor == "c#4711.471100"
        await d.press("x")  # not a digit: nothing
        assert d.app.main.status.text == "4711"


@pytest.mark.parametrize("key", ["escape", "down"])
async def test_digits_that_are_not_meant_leave_the_list_as_it_was(key):
    """Typing shows, Enter goes there: with neither a filter is lost nor something unfolded."""
    shown = replace(frame(A, PART, B, C), processes=(process(4711, "a/x"), process(47, "b")))
    async with dashboard(first=shown) as d:
        await d.press("slash", *"alpha", "enter", "left")
        assert (d.rows, d.cursor) == (["a"], "a")
        await d.press("4", "7")  # of another application than the filter shows
        assert (d.rows, d.cursor) == (["a"], "a")
        await d.press("1", "1")
        assert d.cursor == "a/x#4711.471100"
        await d.press(key)
        assert (d.rows, d.cursor) == (["a"], "a")
        assert d.app.main.groups.view.filter == "alpha"
        await d.press("4", "7", "enter")
        assert d.cursor == "b#47.4700"
        assert d.app.main.groups.view.filter == ""


async def test_a_search_without_a_match_says_so():
    async with dashboard(A, B, C) as d:
        await d.press("f3", *"beta")
        assert "nothing that is shown" not in d.status
        await d.press("x")
        assert "nothing that is shown is called so" in d.status
        assert d.cursor == "b"
        await d.press("f3")
        assert "nothing that is shown is called so" in d.status
        await d.press("backspace")
        assert "nothing that is shown" not in d.status


async def test_a_pid_that_is_not_shown_is_asked_for_and_a_filter_does_not_hide_it():
    async with dashboard(A, B, C) as d:
        quiet = process(99, "b")
        asked = []

        def answer(command):
            asked.append(command)
            known = isinstance(command, Explain) and command.target == "99"
            return Reply(True, "x", {"processes": [asdict(quiet)]}) if known else Reply(False, "no group is called 98")

        d.client.answer = answer
        await d.press("slash", *"alpha", "enter")
        await d.press("9", "9", "enter")
        await d.until(lambda: d.cursor == "b#99.9900")
        assert Explain("99") in asked
        await d.press("9", "8", "enter")
        await d.until(lambda: "there is no process 98" in d.status)


async def test_the_applications_of_one_user():
    theirs = replace(B, group=replace(B.group, uid=0))
    async with dashboard(A, theirs, C) as d:
        await d.press("u")
        assert "(2)" in d.status
        assert "root (1)" in d.status
        await d.press("2")
        assert d.rows == ["b"]
        await d.press("u", "0")
        assert len(d.rows) == 3


async def test_one_user_is_not_everybody_whose_name_begins_so(monkeypatch):
    monkeypatch.setattr("smoothtask_tui.screens.finding.user_name", {1: "ann", 2: "anna"}.__getitem__)
    monkeypatch.setattr("smoothtask_tui.widgets.grouplist.user_name", {1: "ann", 2: "anna"}.__getitem__)
    ann, anna = (replace(g, group=replace(g.group, uid=uid)) for g, uid in ((A, 1), (B, 2)))
    async with dashboard(ann, anna) as d:
        await d.press("u", "1")
        assert d.rows == ["a"]
        await d.press("escape", "slash", *"user:ann", "enter")
        assert d.rows == ["a", "b"]


async def test_following_keeps_the_row_in_the_middle_and_the_order_free():
    many = [group(f"g{i:02}", cpu=1.0 - i / 100) for i in range(60)]
    async with dashboard(*many) as d:
        await d.press("F", "down", "down")
        assert "following" in d.screen_text
        assert d.app.main.groups.hold_left == 0
        followed = d.cursor
        await d.push(frame(*[replace(g, group=replace(g.group, metrics=replace(g.group.metrics, cpu=0.0)))
                             if g.group.id == followed else g for g in many], seq=2))  # fmt: skip
        assert d.cursor == followed
        assert d.rows[-1] == followed
        assert "g02" in d.screen_text
        await d.press("escape")
        assert "following" not in d.screen_text


async def test_a_frozen_picture_stays_and_orders_still_go_to_what_lives():
    async with dashboard(A, B, C) as d:
        await d.press("Z")
        assert "frozen" in d.screen_text
        d.client.push(frame(A, group("new", label="Newcomer"), seq=2))
        await d.until(lambda: d.app.scene.newest.seq == 2)
        assert "Newcomer" not in d.screen_text
        await d.press("f7")
        await d.asked()
        await d.press("down", "f7", "p")  # b has exited meanwhile
        assert "it has exited" in d.status
        assert d.client.asked == [SetOverride("a", PriorityClass.LATENCY_CRITICAL)]
        await d.press("escape")
        assert "Newcomer" in d.screen_text


async def test_orders_go_by_the_newest_frame_while_the_picture_is_frozen():
    """The class, the pins, the mode: what was so when the picture was frozen is not what is ordered about."""
    async with dashboard(A, B, C) as d:
        await d.press("Z", "down", "down", "f7")
        await d.asked()
        raised = replace(C, decision=replace(C.decision, target=PriorityClass.BACKGROUND))
        pinned = replace(raised, marks=frozenset({Mark.PINNED}))
        d.client.push(frame(A, pinned, seq=2, mode=Mode.PAUSED))
        await d.until(lambda: d.app.scene.newest.seq == 2)
        assert "PAUSED" not in d.screen_text
        await d.press("f7", "p", "a", "D")
        await d.asked(5)
        assert d.client.asked == [
            SetOverride("c", PriorityClass.BACKGROUND),
            SetOverride("c", PriorityClass.NORMAL),
            Unpin("c"),
            Pause(on=False),
            Rehearse(on=True),
        ]


# --- saving ----------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path, monkeypatch):
    entry = pwd.struct_passwd(("me", "x", os.geteuid(), os.getegid(), "", str(tmp_path), "/bin/sh"))
    monkeypatch.setattr(savefile, "_person", lambda: entry)
    return tmp_path


@pytest.mark.parametrize(("key", "ending"), [("t", "txt"), ("c", "csv"), ("j", "json")])
async def test_what_is_shown_is_saved(home, key, ending):
    async with dashboard(A, PART, group("e", label="=cmd|'/C calc'!A0", cpu=0.7)) as d:
        await d.press("E", key)
        await d.until(lambda: "saved as" in d.status)
        (path,) = home.iterdir()
        assert path.suffix == f".{ending}"
        assert path.stat().st_mode & 0o777 == 0o600
        text = path.read_text()
        assert "Alpha" in text
        if key == "c":
            rows = list(csv.DictReader(io.StringIO(text)))
            assert [r["name"] for r in rows] == ["Alpha", "part x", "'=cmd|'/C calc'!A0"]
            assert float(rows[0]["cpu_pct"]) == pytest.approx(110.0)
        if key == "j":
            assert [r["kind"] for r in json.loads(text)["rows"]] == ["application", "part", "application"]


async def test_a_view_of_text_alone_says_so(home):
    async with dashboard() as d:
        await d.press("f1")
        await d.press("E", "c")
        await d.pilot.pause()
        assert list(home.iterdir()) == []
        await d.press("E", "t")
        await d.until(lambda: len(list(home.iterdir())) == 1)


async def test_leaving_the_question_saves_nothing(home):
    async with dashboard() as d:
        await d.press("E", "escape")
        assert list(home.iterdir()) == []
        await d.press("down")
        assert d.cursor == "b"


def test_a_file_or_link_that_is_there_is_not_written_over(home):
    target = home / "target"
    target.write_text("mine")
    (home / "link").symlink_to(target)
    (home / "file").write_text("mine")
    for name in ("link", "file"):
        with pytest.raises(FileExistsError):
            savefile.save(name, "new")
    assert target.read_text() == (home / "file").read_text() == "mine"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
def test_under_sudo_the_file_is_the_callers_and_no_link_leads_root_away(tmp_path, monkeypatch):
    nobody = pwd.getpwnam("nobody")
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    for folder in [home, *home.parents]:
        if folder.owner() == "root" and folder.stat().st_mode & 0o1 == 0:
            folder.chmod(folder.stat().st_mode | 0o111)
    secret = tmp_path / "secret"
    secret.write_text("root's")
    secret.chmod(0o600)
    entry = pwd.struct_passwd((*nobody[:5], str(home), nobody[6]))
    monkeypatch.setenv("SUDO_UID", str(nobody.pw_uid))
    monkeypatch.setattr(savefile.pwd, "getpwuid", lambda uid: entry if uid == nobody.pw_uid else None)
    path = savefile.save("x.txt", "hello\n")
    assert (path.read_text(), path.stat().st_uid) == ("hello\n", nobody.pw_uid)
    (home / "evil").symlink_to(secret)
    with pytest.raises(OSError, match="evil"):
        savefile.save("evil", "overwritten")
    assert secret.read_text() == "root's"


sanitised = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]))


@given(st.lists(st.dictionaries(st.sampled_from("abc"), sanitised | st.integers(), min_size=1), min_size=1))
def test_csv_and_json_are_read_back(records):
    read = list(csv.DictReader(io.StringIO(as_csv(records), newline="")))
    assert len(read) == len([r for r in records if r])
    for row in read:
        assert not any(v[:1] in "=+@" and len(v) > 1 for v in row.values() if v)
    assert json.loads(as_json("x", 1.0, records))["rows"] == records


def test_text_has_no_trailing_blanks():
    assert as_text(["a  ", "", "  "]) == "a\n"


async def test_suspending_undoes_what_this_process_changed_and_goes_on_after(monkeypatch):
    async with dashboard() as d:
        d.client.ends_with_us = True
        stopped = []
        monkeypatch.setattr(d.app, "action_suspend_process", lambda: stopped.append(list(d.client.asked)))
        await d.press("ctrl+z")
        await d.asked(2)
        assert d.client.asked == [Pause(True, passing=True), Pause(False, passing=True)]
        assert [c.on for c in stopped[0]] == [True]


async def test_an_engine_elsewhere_goes_on_while_we_are_suspended(monkeypatch):
    async with dashboard() as d:
        stopped = []
        monkeypatch.setattr(d.app, "action_suspend_process", lambda: stopped.append(1))
        await d.press("ctrl+z")
        assert stopped == [1]
        assert d.client.asked == []
