"""Recordings of real programs: what is in them, and that nothing stays behind."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from family import below, lives
from smoothtask.model.classes import PriorityClass
from smoothtask_trainer.scenes import OUGHT, PAUSE_S, SCENES, program

pytestmark = pytest.mark.skipif(
    any(shutil.which(p) is None for p in ("gcc", "make", "bash")), reason="needs gcc, make and bash"
)

RECORD = """
import sys
from pathlib import Path
from smoothtask.config.settings import Settings
from smoothtask_trainer.generate import record
made = record(Settings(), float(sys.argv[1]), Path(sys.argv[2]), seed=2, label_every_s=15.0)
print(made.looks, made.labels, *made.scenes, sep="|")
"""


def start(minutes: float, out: Path, **more: object) -> "subprocess.Popen[str]":
    """A recording in a process of its own, whose temporary folders are beside *out*."""
    environment = {**os.environ, "TMPDIR": str(out.parent)}
    words = [sys.executable, "-c", RECORD, str(minutes), str(out)]
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def wait_for(condition, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_recording_holds_what_the_stage_started_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "made.db"
    stdout, stderr = start(0.12, out).communicate(timeout=60)
    looks, labels, *scenes = stdout.strip().split("|")
    assert int(looks) > 3, stderr
    assert int(labels) > 0
    assert set(scenes) <= {s.name for s in SCENES}
    with sqlite3.connect(out) as db:
        assert db.execute("SELECT DISTINCT mode FROM snapshot").fetchall() == [("dry-run",)]
        labels_of = {label for (label,) in db.execute("SELECT DISTINCT label FROM group_profile")}
        names = {name for (name,) in db.execute("SELECT DISTINCT name FROM program")}
        busy = db.execute("SELECT max(cpu_cores) FROM app_group").fetchone()[0]
        (sources,) = db.execute("SELECT sources FROM session").fetchone()
    db.close()
    assert "init" not in names
    assert not any("python" in label.lower() or label == "SmoothTask" for label in labels_of)
    assert busy > 0.01  # frames and pages work a little, all the time
    assert "smoothtask train record" in sources
    assert "labels are those of the scenes' author" in sources
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_runs_on_when_it_is_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "made.db"
    process = start(5, out)
    started: dict[psutil.Process, str] = {}

    def has_begun() -> bool:
        started.update(below(process.pid))
        return not {"firefox", "frame-loop"}.isdisjoint(started.values())

    wait_for(has_begun)
    process.send_signal(number)
    stdout, _ = process.communicate(timeout=30)
    wait_for(lambda: not any(lives(p) for p in started))
    if number == signal.SIGINT:
        assert int(stdout.split("|")[0]) >= 1
        assert list(tmp_path.iterdir()) == [out]


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "mine.db"
    out.write_text("mine")
    process = start(1, out)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "is there already" in stderr
    assert out.read_text() == "mine"


@pytest.mark.parametrize("minutes", [0.1, 3.0, 30.0])
def test_scenes_fill_the_time_and_follow_from_the_seed(minutes: float) -> None:
    scenes = list(program(minutes, 7))
    assert scenes == list(program(minutes, 7))
    total_s = sum(s.seconds + PAUSE_S for s in scenes)
    assert 60 * minutes <= total_s + PAUSE_S
    assert total_s <= 60 * minutes + 2 * PAUSE_S
    assert minutes < 30 or {s.name for s in scenes} == {s.name for s in SCENES}


def test_the_author_never_means_more_than_interactive() -> None:
    assert all(PriorityClass.IDLE <= target <= PriorityClass.INTERACTIVE for target in OUGHT.values())
