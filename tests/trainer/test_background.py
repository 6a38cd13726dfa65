"""Training behind whoever asked for it: one at a time, at idle priority, and it says how it went."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from smoothtask.cli import main
from smoothtask.cli.exits import FAILED, OK, TOO_LITTLE
from smoothtask.config import bundle
from smoothtask.kernel import sched
from smoothtask.model.classes import PriorityClass
from smoothtask.ranker.shelf import Shelf
from smoothtask_trainer import background
from smoothtask_trainer.background import BusyError, Reporter, only_one, read
from trainer.recordings import busy, calm, recorded


@pytest.fixture
def places(tmp_path: Path) -> list[str]:
    return [
        "--state-dir",
        str(tmp_path / "state"),
        "--runtime-dir",
        str(tmp_path / "run"),
        "--config",
        str(tmp_path / "c"),
    ]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "c").write_text("mode: dry-run\n")
    path = tmp_path / "a.db"
    recorded(path, [*busy(60), *calm(20)] * 6, labels={"unit:ffmpeg": PriorityClass.IDLE})
    return path


def test_only_one_at_a_time(tmp_path: Path) -> None:
    with only_one(tmp_path):
        Reporter(tmp_path).tell("tree 3")
        with (
            pytest.raises(BusyError, match=rf"another training runs \(pid {os.getpid()}: tree 3\)"),
            only_one(tmp_path),
        ):
            pass
    with only_one(tmp_path):
        pass


def test_progress_of_a_process_that_is_gone_is_a_failure(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    Reporter(tmp_path).tell("tree 3")
    now = read(tmp_path)
    assert now is not None
    assert now.state == "running"
    gone = subprocess.Popen(["true"])
    gone.wait()
    data = json.loads((tmp_path / background.PROGRESS).read_text())
    for other in ({"pid": gone.pid}, {"start_ticks": data["start_ticks"] + 1}):  # gone, and its pid used again
        (tmp_path / background.PROGRESS).write_text(json.dumps({**data, **other}))
        later = read(tmp_path)
        assert later is not None
        assert later.state == "failed"
    for broken in ("", "[]", '{"state": 1}', "nonsense"):
        (tmp_path / background.PROGRESS).write_text(broken)
        assert read(tmp_path) is None


def test_it_steps_back_behind_everybody() -> None:
    code = (
        "import os, psutil; from smoothtask_trainer.background import step_back; step_back();"
        "print(os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0) == os.SCHED_IDLE,"
        " psutil.Process().ionice().ioclass == psutil.IOPRIO_CLASS_IDLE)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["19", "True", "True"]


@pytest.mark.skipif(not sched.autogroups_enabled(), reason="no autogroups here")
def test_its_session_steps_back_too() -> None:
    """Where sessions are scheduled as groups, nice counts within one alone."""
    code = (
        "import os; from smoothtask.kernel import sched; from smoothtask_trainer.background import step_back;"
        "step_back(); print(sched.get_autogroup(os.getpid()).nice)"
    )
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=True, start_new_session=True)
    assert done.stdout == "19\n"


def hurry(pid: int) -> None:
    """Nobody waits here but this test: root may put the session of *pid* back in line."""
    if os.geteuid() == 0 and sched.autogroups_enabled():
        with contextlib.suppress(OSError):  # it ends just now
            sched.set_autogroup(pid, 0)


def test_a_model_is_trained_behind_and_put_to_use(
    places: list[str], log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--from", str(log), "--every", "1", "--trees", "20", "--depth", "3", "--threads", "1", *places]
    assert main([*words, "--now", "--json"]) == OK
    begun = json.loads(capsys.readouterr().out)
    pid = begun["pid"]
    assert main([*words, "--now"]) == FAILED
    assert "another training runs" in capsys.readouterr().err
    deadline = time.monotonic() + 300  # at idle priority, beside whatever runs here
    while (now := read(tmp_path / "state" / "training")) is None or now.state == "running":
        assert time.monotonic() < deadline
        hurry(pid)
        time.sleep(0.1)
    os.waitpid(pid, 0)
    assert now.state == "done", (tmp_path / "state/training" / background.LOG).read_text()
    assert (now.pid, now.start_ticks) == (pid, begun["start_ticks"])
    assert main(["train", "--progress", *places]) == OK
    assert "a new model is installed" in capsys.readouterr().out
    shelf = Shelf(tmp_path / "state" / "models")
    assert shelf.read_current() is not None
    assert not shelf.loading()
    (made,) = [p for p in (tmp_path / "state" / "training").iterdir() if p.is_dir()]
    assert (made / bundle.MANIFEST).read_bytes() == (shelf.folder / bundle.CURRENT / bundle.MANIFEST).read_bytes()


def test_too_little_has_a_status_of_its_own_and_uses_nothing(
    places: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c").write_text("mode: dry-run\n")
    recorded(tmp_path / "a.db", busy(5))
    assert main(["train", "--from", str(tmp_path / "a.db"), *places]) == TOO_LITTLE
    assert "snapshots to train, 60 are the least" in capsys.readouterr().err
    assert not (tmp_path / "state" / "models").exists()


def test_the_table_is_made_and_described_by_the_command(
    places: list[str], log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t.parquet"
    assert main(["train", "data", str(log), "--out", str(out), "--json", *places]) == OK
    assert json.loads(capsys.readouterr().out)["parts"]["test"]["queries"] > 0
    assert main(["train", "data", str(out), "--out", str(tmp_path / "again.parquet"), *places]) == OK
    assert "queries of" in capsys.readouterr().out
    assert main(["train", "data", str(tmp_path / "none"), "--out", str(out), *places]) == FAILED
    assert "there is no snapshot log" in capsys.readouterr().err
