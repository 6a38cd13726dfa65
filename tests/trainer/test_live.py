"""The live measurement: its statistics, and one real block."""

import math
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from family import below, lives
from smoothtask.config.settings import Settings
from smoothtask_trainer.generate import RecordingError, play
from smoothtask_trainer.live import Block, best, differences, interval, lines, summary, to_json

FINITE = st.floats(-100, 100)


def blocks(**missed: list[float]) -> list[Block]:
    return [Block(arm, n, share, 1.0, 600) for arm, shares in missed.items() for n, share in enumerate(shares)]


def test_differences_are_taken_within_rounds():
    found = {d.arm: d for d in differences(blocks(now=[10, 50, 30], better=[5, 44, 26], off=[60, 99, 80]))}
    assert found["better"].mean == pytest.approx(-5.0)
    assert found["better"].high < 0  # though the rounds differ by more than the arms
    assert found["better"].verdict == "misses fewer frames"
    assert found["off"].verdict == "misses more frames"


def test_a_candidate_is_best_only_when_that_is_sure():
    assert best(blocks(now=[10, 50, 30], better=[5, 44, 26], off=[60, 99, 80])) == "better"
    assert best(blocks(now=[10, 50, 30], same=[11, 47, 31], off=[1, 1, 1])) is None
    assert best(blocks(now=[10.0, 50.0], better=[5.0, 44.9])) is None  # two rounds prove nothing


@given(st.lists(FINITE, min_size=2, max_size=30))
def test_the_interval_holds_its_mean(values):
    low, mean, high = interval(values)
    assert low <= mean <= high
    assert mean == pytest.approx(statistics.fmean(values))


def test_the_interval_covers_the_truth_as_often_as_it_says():
    chance = random.Random(1)
    held = sum(
        low <= 0 <= high for low, _, high in (interval([chance.gauss(0, 1) for _ in range(4)]) for _ in range(2000))
    )
    assert 0.93 < held / 2000 < 0.97


def test_one_value_proves_nothing():
    assert interval([3.0]) == (-math.inf, 3.0, math.inf)
    assert to_json(blocks(now=[1.0], a=[2.0]))["against_now"][0]["low"] is None


def test_frames_count_from_the_moment_that_the_hogs_begin():
    text = "".join(f"{100 + n / 10:.3f} {int(n < 30)} {n}\n" for n in range(100))
    found = summary("now", 0, text, 12.0)  # the hogs begin at 3 s
    assert (found.frames, found.missed_pct) == (70, 0.0)
    with pytest.raises(RecordingError, match="nothing"):
        summary("now", 0, "", 12.0)


def test_the_report_names_every_arm():
    said = "\n".join(lines(blocks(off=[60, 70, 80], now=[1, 2, 3], mine=[1, 2, 3])))
    assert "95 % between" in said
    assert all(arm in said for arm in ("off:", "now:", "mine:"))


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_an_interrupt_ends_the_load(tmp_path):
    code = (
        "import sys; from pathlib import Path; from smoothtask_trainer.generate import play; p = Path(sys.argv[1]); "
        "play(None, 60.0, p, p / 'frames', p / 'held')"
    )
    process = psutil.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.DEVNULL)
    started: dict[psutil.Process, str] = {}
    deadline = time.monotonic() + 20
    while "frame-loop" not in started.values():
        assert time.monotonic() < deadline
        time.sleep(0.05)
        started |= below(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) != 0
    psutil.wait_procs(list(started), timeout=10)
    assert not any(lives(p) for p in started)
    assert not (tmp_path / ".smoothtask-stage").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may measure")
def test_without_root_nothing_is_measured(tmp_path):
    with pytest.raises(RecordingError, match="needs root"):
        play(Settings(), 2.0, tmp_path, tmp_path / "frames", tmp_path / "held")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_a_block_acts_on_its_own_load_alone_and_leaves_nothing(tmp_path):
    outside = psutil.Popen(["sh", "-c", "while :; do :; done"])
    try:
        play(Settings(), 4.0, tmp_path, tmp_path / "frames", tmp_path / "held")
        assert outside.nice() == 0
    finally:
        outside.kill()
        outside.wait()
    found = summary("now", 0, (tmp_path / "frames").read_text(), 4.0)
    assert found.frames > 10
    assert not (tmp_path / ".smoothtask-stage").exists()
    assert not any(p.info["name"] in {"qzxv-worker", "frame-loop"} and str(tmp_path) in (p.info["cwd"] or "")
                   for p in psutil.process_iter(["name", "cwd"]))  # fmt: skip
