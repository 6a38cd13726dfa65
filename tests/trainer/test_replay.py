"""Replay: under the recorded parameters the recorded decisions come out, and other parameters change some."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from scenery import classification, known
from smoothtask.config.settings import Settings
from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Override, Pin
from smoothtask.model.frame import Frame, GroupFrame, Mode, SelfCost
from smoothtask.model.group import AppGroup, Behaviour, GroupMetrics
from smoothtask.model.system import Pressure, SystemMetrics
from smoothtask.policy.contention import ContentionState, assess
from smoothtask.policy.decide import Orders, PolicyState, decide
from smoothtask.policy.parameters import ContentionLimits, Hysteresis, PolicyParameters
from smoothtask.store.frames import read_frames
from smoothtask.store.log import SnapshotLog
from smoothtask_trainer.replay import fidelity, replay

RULES = PolicyParameters()
NO_ORDERS = Orders()
EDITOR = known("vim", label="Vim", type="editor", target=PriorityClass.INTERACTIVE, certain=False)
ENCODER = known("ffmpeg", label="FFmpeg", type="batch", target=PriorityClass.BACKGROUND, certain=False)
HOG = classification("exe:/usr/bin/worker", label="worker")


def group(group_id: str, c, cpu: float = 0.0, wait: float = 0.0, behaviour: Behaviour = Behaviour.QUIET) -> AppGroup:
    metrics = GroupMetrics(1, 1, cpu, wait, 20.0, 1.0, 0.0, 0.0, 1 << 20)
    return AppGroup(group_id, None, c.label, 10, 1000, c, metrics, behaviour, 4.0, 100.0)


def system(pressure_pct: float) -> SystemMetrics:
    return SystemMetrics(
        (50.0, 50.0), 1 << 33, 1 << 32, 0, 0, (1.0, 1.0, 1.0), Pressure(), pressure_pct, 0.0, 0.0, (), None, 9, 9
    )


def recorded(path: Path, ticks: list[tuple[float, list[AppGroup]]], orders: Orders = NO_ORDERS) -> None:
    """Decide *ticks* (pressure, groups), one a second, as the engine does, and offer each frame to a log at *path*."""
    log = SnapshotLog(path, salt_path=path.with_suffix(".salt"), anonymise=False, on_problem=pytest.fail)
    policy, waiting = PolicyState(), ContentionState()
    for n, (pressure, groups) in enumerate(ticks):
        now_s = 1000.0 + n
        contention, waiting = assess(waiting, system(pressure), groups, now_s, RULES.contention)
        decisions, policy = decide(groups, contention, orders, policy, now_s, RULES)
        shown = tuple(GroupFrame(g, d, "-") for g, d in zip(groups, decisions, strict=True))
        log.offer(
            Frame(
                n + 1, 1e9 + n, now_s, Mode.DRY_RUN, "", system(pressure), contention, shown, (), (),
                SelfCost(0.1, 1.0, 1 << 20, 1.0),
            )
        )  # fmt: skip
    log.close()


def busy(seconds: int, pressure: float = 50.0) -> list[tuple[float, list[AppGroup]]]:
    groups = [
        group("unit:vim", EDITOR, 0.1, 0.1, Behaviour.STEADY),
        group("unit:ffmpeg", ENCODER, 1.5, 0.5, Behaviour.HOG),
        group("unit:worker", HOG, 1.0, 1.0, Behaviour.HOG),
    ]
    return [(pressure, groups)] * seconds


def calm(seconds: int) -> list[tuple[float, list[AppGroup]]]:
    return [(0.0, [group("unit:vim", EDITOR), group("unit:ffmpeg", ENCODER), group("unit:worker", HOG)])] * seconds


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
