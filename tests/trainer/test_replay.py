"""Replay: under the recorded parameters the recorded decisions come out, and other parameters change some."""

import shutil
from dataclasses import replace

import pytest

from smoothtask.config.settings import Settings
from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Override, Pin
from smoothtask.policy.decide import Orders
from smoothtask.policy.parameters import ContentionLimits, Hysteresis
from smoothtask.store.frames import read_frames
from smoothtask_trainer.replay import fidelity, replay
from trainer.recordings import RULES, busy, calm, recorded


def test_the_parameters_of_the_recording_give_its_decisions(tmp_path):
    log = tmp_path / "log.db"
    recorded(log, [*calm(25), *busy(12), *calm(40), *busy(3), *calm(30)])
    frames = list(read_frames(log))
    found = fidelity(replay(frames, RULES))
    targets = {g.decision.target for f in frames for g in f.frame.groups}
    assert {PriorityClass.INTERACTIVE, PriorityClass.BACKGROUND, PriorityClass.NORMAL} <= targets
    assert len(frames) < 110  # so that there are ticks to fill in
    assert found.differences == ()
    assert found.contention_differs == 0
    assert found.decisions == 3 * len(frames)


def test_other_parameters_give_other_decisions_and_the_differences_have_names(tmp_path):
    log = tmp_path / "log.db"
    recorded(log, [*calm(5), *busy(20, pressure=30.0), *calm(20)])
    deaf = replace(RULES, contention=ContentionLimits(cpu_some_pct=90.0, group_wait=50.0))
    found = fidelity(replay(read_frames(log), deaf))
    assert found.contention_differs >= 20
    assert {d.label for d in found.differences} == {"Vim", "FFmpeg", "worker"}
    assert all(d.why == "whether somebody waited comes out otherwise" for d in found.differences if d.snapshot < 20)
    slow = replace(RULES, hysteresis=Hysteresis(snapshots=3, min_class_s=12.0))
    late = fidelity(replay(read_frames(log), slow)).differences
    assert {d.label for d in late} == {"Vim", "FFmpeg"}  # what hogs is lowered at once, whatever the hysteresis
    assert any("settled at another tick" in d.why for d in late)


def test_pins_and_overrides_hold_in_a_replay(tmp_path):
    log = tmp_path / "log.db"
    orders = Orders(
        (Pin("ffmpeg", PriorityClass.IDLE, 0, 1.0),),
        {"unit:worker": Override("unit:worker", PriorityClass.INTERACTIVE, 0, None)},
    )
    recorded(log, [*calm(12), *busy(8)], orders)
    last = list(replay(read_frames(log), RULES))[-1]
    assert last.decisions["unit:ffmpeg"].target is PriorityClass.IDLE
    assert last.decisions["unit:worker"].target is PriorityClass.INTERACTIVE
    assert fidelity(replay(read_frames(log), RULES)).differences == ()


def test_a_log_that_begins_in_the_middle_goes_on_from_what_its_first_snapshot_tells(tmp_path):
    log = tmp_path / "log.db"
    recorded(log, [*calm(5), *busy(20), *calm(30)])
    later = [f for f in read_frames(log) if f.frame.seq > 15]
    assert fidelity(replay(later, RULES)).differences == ()


def test_a_pause_of_the_machine_is_a_new_beginning(tmp_path):
    log = tmp_path / "log.db"
    recorded(log, [*calm(5), *busy(10)])
    frames = list(read_frames(log))
    apart = [replace(f, frame=replace(f.frame, mono_s=f.frame.mono_s + 1000 * (n > 8))) for n, f in enumerate(frames)]
    assert [n for n, r in enumerate(replay(apart, RULES)) if r.begins] == [0, 9]


@pytest.mark.skipif(shutil.which("gcc") is None or shutil.which("make") is None, reason="needs gcc and make")
def test_a_real_recording_is_replayed_to_the_decisions_that_were_made(tmp_path, monkeypatch):
    from smoothtask_trainer.generate import record

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    made = tmp_path / "made.db"
    record(Settings(), 0.12, made, seed=11, quiet=True)
    found = fidelity(replay(read_frames(made), RULES))
    assert found.snapshots >= 3
    assert found.share >= 0.99, found.differences
