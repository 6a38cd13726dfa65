"""A model is trained from the dashboard, in a process of its own, and what became of it is said."""

import json
import os
from pathlib import Path

import pytest

from smoothtask.config.paths import find_paths
from smoothtask.kernel.sched import start_ticks
from smoothtask.model.classes import PriorityClass
from smoothtask_tui.training import begin, end_of, how_far, unlearnt
from trainer.recordings import busy, recorded
from tui.driving import dashboard

pytest.importorskip("catboost")


def me():
    return {"pid": os.getpid(), "start_ticks": start_ticks(os.getpid())}


def paths_in(folder: Path):
    (folder / "c").write_text("mode: dry-run\n")
    return find_paths(str(folder / "c"), str(folder / "run"), str(folder / "state"))


async def test_while_one_is_trained_the_key_says_how_far_that_is(tmp_path):
    paths = paths_in(tmp_path)
    paths.training.mkdir(parents=True)
    told = {**me(), "state": "running", "text": "tree 30 of 300 at most"}
    (paths.training / "progress.json").write_text(json.dumps(told))
    async with dashboard(paths=paths, log_path=tmp_path / "a.db") as d:
        await d.press("b")
        assert "training: tree 30 of 300" in d.status


async def test_a_key_begins_a_training_and_what_became_of_it_is_said(tmp_path, monkeypatch):
    """Of a log with too little in it nothing can; `tests/trainer/test_background.py` trains to the end."""
    monkeypatch.setattr("tui.driving.LIMIT_S", 300.0)  # at idle priority, beside whatever runs here
    paths, log = paths_in(tmp_path), tmp_path / "a.db"
    recorded(log, busy(5))
    async with dashboard(paths=paths, log_path=log) as d:
        await d.press("b")
        await d.until(lambda: "train a model" in d.status)
        await d.press("y")
        await d.until(lambda: "too little recorded" in d.status)


async def test_no_training_begins_where_nobody_means_it(tmp_path, monkeypatch):
    """Not on screens where the key means something else or nothing, and not by one key alone."""
    begun = []
    monkeypatch.setattr("smoothtask_tui.training.begin", lambda *_: begun.append(1) or "not here")
    async with dashboard(paths=paths_in(tmp_path), log_path=tmp_path / "a.db") as d:
        for screen in ("f1", "g", "r", "C"):
            await d.press(screen, "b", "y", "escape")
            await d.until(lambda: d.app.screen is d.app.main)
        await d.press("b")
        await d.until(lambda: "train a model" in d.status)
        await d.press("n")
        assert not begun
        await d.press("enter", "b")
        await d.until(lambda: "train a model" in d.status)
        await d.press("y")
        await d.until(lambda: begun == [1])


def test_words_since_the_last_training_are_counted(tmp_path):
    paths, log = paths_in(tmp_path), tmp_path / "a.db"
    assert unlearnt(paths, log) == 0
    recorded(log, busy(45), labels={"unit:ffmpeg": PriorityClass.IDLE})  # one every 20 s, from 1e9 s on
    assert unlearnt(paths, log) == 2
    paths.training.mkdir(parents=True)
    for started, count in ((1e9 + 20, 1), (2e9, 0), ("x", 2)):
        (paths.training / "progress.json").write_text(json.dumps({"started_at": started}))
        assert unlearnt(paths, log) == count


async def test_when_there_is_enough_new_training_is_offered(tmp_path, monkeypatch):
    """Several words at once must not step over the number; after a training it begins anew."""
    said = []
    async with dashboard(paths=paths_in(tmp_path), log_path=tmp_path / "a.db") as d:
        monkeypatch.setattr(d.app, "notify", lambda text, **_: said.append(text))
        for count, offered in ((19, 0), (22, 1), (23, 1), (39, 1), (60, 2), (1, 2), (20, 3)):
            monkeypatch.setattr("smoothtask_tui.training.unlearnt", lambda _paths, _log, n=count: n)
            d.app._offer_training()
            await d.app.workers.wait_for_complete([w for w in d.app.workers if w.name == "labels"])
            assert len([text for text in said if "b trains a model" in text]) == offered, count


def test_what_cannot_begin_is_a_sentence(tmp_path):
    paths = paths_in(tmp_path)
    paths.state_dir.mkdir()
    (paths.state_dir / "training").write_text("in the way")
    assert "training" in str(begin(paths, tmp_path / "none.db"))


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", '{"pid": "x"}', '{"pid": 1}', '{"pid": 1, "state": "running", "text": ""}'),
        '{"pid": 1, "start_ticks": 1, "state": [], "text": {}}',
        json.dumps({"pid": 10**300, "start_ticks": 1, "state": "running", "text": ""}),
    ],
)
def test_a_progress_that_makes_no_sense_is_none_or_no_markup(tmp_path, text):
    paths = paths_in(tmp_path)
    paths.training.mkdir(parents=True)
    (paths.training / "progress.json").write_text(text)
    now = how_far(paths)
    assert now is None or now.state in {"[]", "failed"}


def test_another_process_with_the_pid_is_not_the_training(tmp_path):
    paths = paths_in(tmp_path)
    paths.training.mkdir(parents=True)
    told = {**me(), "state": "running", "text": "tree 3"}
    told["start_ticks"] += 1
    (paths.training / "progress.json").write_text(json.dumps(told))
    now = how_far(paths)
    assert now is not None
    assert (now.state, "ended early" in now.text) == ("failed", True)
    reply = end_of(paths, now, lambda: False)
    assert reply is not None
    assert not reply.ok


def test_nobody_waits_for_a_dashboard_that_ends(tmp_path):
    paths = paths_in(tmp_path)
    paths.training.mkdir(parents=True)
    (paths.training / "progress.json").write_text(json.dumps({**me(), "state": "running", "text": "\x1b[31mx"}))
    now = how_far(paths)
    assert now is not None
    assert "\x1b" not in now.text
    assert end_of(paths, now, lambda: True) is None
