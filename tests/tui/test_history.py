"""The history screen over a real snapshot log: as it was, bad moments, labels, undo, and logs that cannot be used."""

import asyncio
import contextlib
import os
import pwd
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from smoothtask.config.paths import find_paths
from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Contention, Stage
from smoothtask.model.frame import Frame, GroupPressure
from smoothtask.policy.parameters import PolicyParameters
from smoothtask.store.log import SnapshotLog
from smoothtask_tui import savefile
from smoothtask_tui.app import Dashboard
from smoothtask_tui.recorded import (
    RecordError,
    add_label,
    read_moments,
    read_parameters,
    read_past,
    remove_label,
    told_log,
)
from smoothtask_tui.screens.history import HistoryScreen
from tui.fakes import FakeClient, frame, group, process

LIMIT_S = 10.0
WAITS = Contention(active=True, since_s=1.0, reasons=("cpu pressure 40 %",))


def recorded_frames() -> list[Frame]:
    """Calm, three ticks of contention, calm; Beta is calmed by a pin, then exits."""
    a = group("a", label="Alpha", cpu=0.9)
    b = group("b", label="Beta", cpu=0.5)
    calmed = group("b", label="Beta", cpu=0.4, target=PriorityClass.IDLE, stage=Stage.PIN)
    part = group("a/x", label="part x", cpu=0.2, parent="a")
    busy = process(7, "a", "alpha --work")
    return [
        frame(a, b, part, seq=1, processes=(busy,)),
        *(frame(a, calmed, part, seq=s, contention=WAITS, processes=(busy,)) for s in (2, 3, 4)),
        *(frame(a, seq=s, contention=WAITS) for s in (5,)),
    ]


def write_log(path: Path, frames: list[Frame]) -> None:
    problems: list[str] = []
    log = SnapshotLog(path, salt_path=path.with_name("salt"), anonymise=False, on_problem=problems.append)
    assert all(log.offer(f) for f in frames)
    log.close()
    assert problems == []


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "snapshots.db"
    write_log(path, recorded_frames())
    return path


class Driver:
    def __init__(self, app: Dashboard, pilot: object) -> None:
        self.app, self.pilot = app, pilot

    @property
    def screen(self) -> HistoryScreen:
        screen = self.app.screen
        assert isinstance(screen, HistoryScreen)
        return screen

    async def until(self, true: Callable[[], bool]) -> None:
        deadline = asyncio.get_running_loop().time() + LIMIT_S
        while not true():
            assert asyncio.get_running_loop().time() < deadline, self.text
            await self.pilot.pause(0.01)

    async def at(self, moment: int) -> None:
        await self.until(lambda: self.screen.shown is not None and self.screen.shown.id == moment)
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    @property
    def status(self) -> str:
        return self.screen.status.lines[0].text

    @property
    def text(self) -> str:
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(s.text for s in strip) for strip in strips)


@contextlib.asynccontextmanager
async def history(log: Path, size: tuple[int, int] = (140, 40)) -> AsyncIterator[Driver]:
    client = FakeClient()
    app = Dashboard(client, log_path=log)
    async with app.run_test(size=size) as pilot:
        client.push(frame(group("live")))
        await pilot.press("H")
        driver = Driver(app, pilot)
        await driver.until(lambda: isinstance(app.screen, HistoryScreen))
        yield driver
        assert client.asked == []
    assert client.ended.wait(LIMIT_S)


# --- the log ------------------------------------------------------------------------------------


def test_a_moment_is_read_as_it_was(log):
    moments = read_moments(log)
    assert [m.id for m in moments] == [1, 2, 3, 4, 5]
    assert [m.bad for m in moments] == [False, True, True, True, True]
    first = recorded_frames()[0]
    shown = read_past(log, 1).frame
    assert [g.group.label for g in shown.groups] == ["Alpha", "Beta", "part x"]
    was = {g.group.id: g for g in first.groups}
    for g in shown.groups:
        assert g.group.metrics == was[g.group.id].group.metrics
        assert g.decision == was[g.group.id].decision
        assert g.group.parent == was[g.group.id].group.parent
    assert shown.processes == first.processes
    assert shown.system.latency == first.system.latency
    assert (shown.mode, shown.time) == (first.mode, first.time)


def test_groups_without_a_row_of_their_own_still_hold_and_exited_ones_are_gone(tmp_path):
    quiet = group("q", label="Quiet", cpu=0.0, vcsw=0.0)
    loud = group("l", label="Loud", cpu=1.0)
    frames = [frame(quiet, loud, seq=s, contention=WAITS) for s in (1, 2)] + [frame(quiet, seq=3, contention=WAITS)]
    path = tmp_path / "s.db"
    write_log(path, frames)
    assert [g.group.id for g in read_past(path, 2).frame.groups] == ["q", "l"]
    assert [g.group.id for g in read_past(path, 3).frame.groups] == ["q"]


def test_labels_are_written_read_and_removed(log):
    label = add_label(log, 3, 1000, 5.0, group="b", target=PriorityClass.BACKGROUND)
    verdict = add_label(log, 3, 1000, 6.0, verdict="laggy")
    assert read_past(log, 3).labels == ("Beta should be BACKGROUND", "this was laggy")
    assert [m.labels for m in read_moments(log)] == [0, 0, 2, 0, 0]
    remove_label(log, label)
    remove_label(log, verdict)
    assert read_past(log, 3).labels == ()
    with pytest.raises(RecordError, match="gone already"):
        remove_label(log, label)
    db = sqlite3.connect(log)
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    db.close()


def test_a_labelled_moment_has_all_its_groups_when_its_neighbours_are_forgotten(tmp_path):
    quiet = group("q", label="Quiet", cpu=0.0, vcsw=0.0)
    loud = group("l", label="Loud", cpu=1.0)
    path = tmp_path / "s.db"
    write_log(path, [frame(quiet, loud, seq=s, contention=WAITS) for s in (1, 2, 3)])
    before = read_past(path, 2)
    add_label(path, 2, 0, 5.0, group="q", target=PriorityClass.IDLE)
    with contextlib.closing(sqlite3.connect(path)) as db:
        for table in ("process", "decision", "app_group"):
            db.execute(f"DELETE FROM {table} WHERE snapshot_id = 1")
        db.execute("DELETE FROM snapshot WHERE id = 1")
        db.commit()
    after = read_past(path, 2)
    assert [g.group for g in after.frame.groups] == [g.group for g in before.frame.groups]
    assert after.labels == ("Quiet should be IDLE",)


def test_a_label_beside_a_log_that_is_open_for_recording_disturbs_nothing(tmp_path):
    path = tmp_path / "s.db"
    problems: list[str] = []
    log = SnapshotLog(path, salt_path=tmp_path / "salt", anonymise=False, on_problem=problems.append)
    log.offer(frame(group("a"), seq=1))
    log.flush()
    add_label(path, 1, 0, 5.0, verdict="fine")
    log.offer(frame(group("a"), seq=2, contention=WAITS))
    log.close()
    assert problems == []
    assert [m.labels for m in read_moments(path)] == [1, 0]


def test_what_cannot_be_labelled_says_why(log):
    with pytest.raises(RecordError, match="no longer kept"):
        add_label(log, 99, 0, 1.0, verdict="fine")
    with pytest.raises(RecordError, match="not in this snapshot"):
        add_label(log, 5, 0, 1.0, group="b", target=PriorityClass.IDLE)
    with pytest.raises(RecordError, match="no longer kept"):
        read_past(log, 99)


def test_files_that_are_no_log_say_so(tmp_path):
    with pytest.raises(RecordError, match="there is no snapshot log"):
        read_moments(tmp_path / "none.db")
    other = tmp_path / "other.db"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE t (x)")
    db.close()
    with pytest.raises(RecordError, match="not a snapshot log"):
        read_moments(other)
    text = tmp_path / "text.db"
    text.write_text("hello " * 500)
    with pytest.raises(RecordError, match="cannot be read"):
        read_moments(text)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_log_of_root_says_that_root_can_read_it(log):
    log.chmod(0)
    with pytest.raises(RecordError, match="root"):
        read_moments(log)


# --- the screen ---------------------------------------------------------------------------------


async def test_pressure_of_an_applications_own_cgroup_is_shown_as_it_was(tmp_path):
    path, alpha = tmp_path / "snapshots.db", group("a", label="Alpha", cpu=0.9)
    then = replace(alpha, pressure=GroupPressure(1.0, 42.0, 0.0))
    write_log(path, [frame(then, seq=1, contention=WAITS), frame(alpha, seq=2, contention=WAITS)])
    async with history(path, (200, 60)) as h:
        await h.at(2)
        assert " 42i " not in h.text
        await h.press("left")
        await h.at(1)
        row = next(text for text in h.text.splitlines() if "Alpha" in text)
        assert " 42i " in row


async def test_it_opens_at_the_newest_moment_and_scrubs(log):
    async with history(log) as d:
        await d.at(5)
        assert "5 of 5" in d.text
        await d.press("left")
        await d.at(4)
        assert "Beta" in d.text
        assert "somebody waits" in d.text
        await d.press("home")
        await d.at(1)
        assert "smooth" in d.screen.timeline.lines[0].text
        await d.press("b")
        await d.at(2)
        await d.press("escape")
        assert d.app.screen is d.app.main


async def test_a_click_on_the_axis_goes_there(log):
    async with history(log) as d:
        await d.at(5)
        await d.pilot.click("#timeline", offset=(1, 1))
        await d.at(1)


async def test_today_is_shown_where_it_differs(log):
    async with history(log) as d:
        await d.at(5)
        await d.press("left")
        await d.at(4)
        await d.press("d")
        assert d.screen.groups.cursor == "b"
        assert "then IDLE" in d.text
        assert "NORMAL" in d.text


async def test_a_labelling_session_by_keys(log):
    async with history(log) as d:
        await d.at(5)
        await d.press("n")
        await d.at(2)  # at the first moment of a recording nothing has been measured yet
        assert d.screen.groups.cursor == "b"  # judged otherwise today
        assert "was IDLE right for Beta? 1–5 what was, l laggy, f fine, n next" in d.status
        await d.press("l")
        await d.until(lambda: "labelled 1 of 4" in d.text)
        await d.press("n")
        await d.at(3)
        await d.press("4")
        await d.until(lambda: "labelled 2 of 4" in d.text)
        assert read_past(log, 2).labels == ("this was laggy",)
        assert read_past(log, 3).labels == ("Beta should be BACKGROUND",)
        await d.press("u")
        await d.until(lambda: "labelled 1 of 4" in d.text)
        assert read_past(log, 3).labels == ()
        await d.press("u")
        await d.until(lambda: "labelled 0 of 4" in d.text)
        await d.press("u")
        assert "no label to take back" in d.status


async def test_fifty_moments_are_labelled_with_two_keys_each(tmp_path):
    """The cursor is on the group in question: nobody has to look for it."""
    path = tmp_path / "snapshots.db"
    calm, busy = group("a", label="Alpha", cpu=0.1), group("b", label="Beta", cpu=0.9)
    write_log(path, [frame(calm, busy, seq=s, contention=WAITS) for s in range(1, 61)])
    async with history(path) as d:
        await d.at(60)
        await d.until(lambda: len(d.screen.questions) == 50)
        for count in range(1, 51):
            await d.press("n")
            await d.until(
                lambda: d.screen.shown.id == d.screen.moments[d.screen.at].id and d.screen.groups.cursor == "b"
            )
            await d.press("4")
            await d.until(lambda count=count: f"labelled {count} of 50" in d.text)
        assert all(read_past(path, q).labels == ("Beta should be BACKGROUND",) for q in d.screen.questions[:50:7])
        await d.press("n")
        assert "that was the last question" in d.status


async def test_the_past_is_sorted_and_saved_as_the_present_is(log, tmp_path, monkeypatch):
    entry = pwd.struct_passwd(("me", "x", os.geteuid(), os.getegid(), "", str(tmp_path), "/bin/sh"))
    monkeypatch.setattr(savefile, "_person", lambda: entry)
    async with history(log) as d:
        await d.at(5)
        await d.press("left", "left")
        await d.at(3)
        await d.press("N")
        assert [r.label for r in d.screen.groups.listing.rows][:1] == ["Alpha"]
        await d.press("N")
        assert [r.label for r in d.screen.groups.listing.rows][:1] == ["Beta"]
        await d.press("E", "j")
        await d.until(lambda: bool(list(tmp_path.glob("smoothtask-history-*.json"))))


def test_a_log_that_a_daemon_names_is_believed_when_it_is_roots_or_ours(log, tmp_path):
    assert told_log(str(log)) == log
    assert told_log("") is None
    assert told_log("relative.db") is None
    assert told_log(str(tmp_path / "not there")) is None
    if os.geteuid() == 0:
        os.chown(log, 4711, -1)
        assert told_log(str(log)) is None


def test_today_is_judged_by_the_configuration(tmp_path):
    (tmp_path / "config.yaml").write_text("contention: {cpu_some_pct: 33}\n")
    paths = find_paths(str(tmp_path / "config.yaml"))
    assert read_parameters(paths).contention.cpu_some_pct == 33
    (tmp_path / "config.yaml").write_text("contention: {nonsense: 1}\n")
    assert read_parameters(paths) == PolicyParameters()


async def test_a_key_is_never_about_a_moment_that_the_axis_has_left(log):
    async with history(log) as d:
        await d.at(5)
        d.screen.at = 0  # as between a key and the end of the reading
        await d.press("f")
        assert "still being read" in d.status
        assert all(m.labels == 0 for m in read_moments(log))


async def test_without_a_log_it_says_so_and_can_be_left(tmp_path):
    async with history(tmp_path / "none.db") as d:
        await d.until(lambda: "there is no snapshot log" in d.status)
        await d.press("n", "l", "left", "b", "d", "u", "1")
        await d.press("escape")
        assert d.app.screen is d.app.main


async def test_live_frames_do_not_change_the_past(log):
    async with history(log) as d:
        await d.at(5)
        before = d.text
        d.app.client.push(frame(group("new", label="Newcomer"), seq=99))
        await d.until(lambda: d.app.scene.frame is not None and d.app.scene.frame.seq == 99)
        await d.pilot.pause()
        assert d.text == before


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (200, 60), (300, 100)])
async def test_every_size_shows_the_list(log, size):
    async with history(log, size) as d:
        await d.at(5)
        assert "Alpha" in d.text


async def test_hostile_names_are_drawn_as_text(tmp_path):
    path = tmp_path / "s.db"
    evil = group("e", label="[red]x[/nope] \u202e日本")
    write_log(path, [replace(frame(evil), contention=WAITS)])
    async with history(path) as d:
        await d.at(1)
        assert "[red]x[/nope]" in d.text
        assert "\u202e" not in d.text
