"""`smoothtask restore` says with its status whether everything is put back, whatever is wrong with one ledger."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from smoothtask.actuator.ledger import Entry, Ledger
from smoothtask.cli import main
from smoothtask.config.held import hold
from smoothtask.config.paths import Paths, find_paths
from smoothtask.daemon import restoring
from smoothtask.daemon.process import lock
from smoothtask.daemon.restoring import restore_all
from smoothtask.kernel import sched
from smoothtask.model.change import Change, Knob, Outcome, SchedAttr, Status, Target
from smoothtask.model.scope import Scope

GONE = Target(1 << 22, 1, 1 << 22, 1)
"""A thread of no process: above the highest pid."""


def leave(folder: Path) -> Path:
    """A ledger with something in force, as of a daemon that died."""
    folder.mkdir()
    ledger = Ledger.open(folder / "ledger", sched.boot_id())
    old, new = SchedAttr(0, 0, 0, False), SchedAttr(0, 19, 0, False)
    ledger.record([Entry(Knob.SCHED, GONE, old, new, "g", "because", 7, 100)])
    ledger.close()
    return folder


def die(uid: int, folder: Path, held: Path) -> None:
    """A daemon of *uid* dies with its record and its ledger left behind."""
    child = os.fork()
    if child == 0:
        hold(Scope.of_uid(uid), folder, held)
        os._exit(0)
    os.waitpid(child, 0)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Of the whole machine, nothing of which is ours."""
    found = find_paths(runtime_dir=str(tmp_path / "run"), state_dir=str(tmp_path / "state"))
    return replace(found, runtime_named=False, held=tmp_path / "held")


def test_a_ledger_that_cannot_be_used_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ledger").mkdir()
    options = ["restore", "--runtime-dir", str(tmp_path), "--state-dir", str(tmp_path / "state")]
    assert main(options) == 1
    assert capsys.readouterr().err == f"cannot restore: {tmp_path}/ledger: Is a directory\n"
    assert main([*options, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


@pytest.mark.parametrize(
    ("status", "expected"), [(Status.FAILED, 1), (Status.DENIED, 1), (Status.CHANGED, 0), (Status.GONE, 0)]
)
def test_what_stays_in_force_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: Status, expected: int
) -> None:
    def outcomes(ledger: Ledger, *_: object) -> tuple[Outcome, ...]:
        entries = ledger.entries.values()
        return tuple(Outcome(Change(e.knob, e.target, e.new, e.old, e.group, ""), status, "so it is") for e in entries)

    monkeypatch.setattr(restoring, "restore", outcomes)
    assert main(["restore", "--runtime-dir", str(leave(tmp_path / "run"))]) == expected


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root restores for every scope")
@pytest.mark.parametrize("wrong", ["locked", "a folder", "no folder to lock in"])
def test_a_dead_daemon_that_cannot_be_helped_does_not_keep_another_from_it(
    tmp_path: Path, paths: Paths, wrong: str
) -> None:
    first, second = leave(tmp_path / "1000"), leave(tmp_path / "2000")
    die(1000, first, paths.held)
    die(2000, second, paths.held)
    release: Callable[[], None] = lambda: None  # noqa: E731
    if wrong == "locked":
        release = lock(first / "lock")
    elif wrong == "a folder":
        (first / "ledger").unlink()
        (first / "ledger").mkdir()
    else:
        (first / "lock").mkdir()
    restored = restore_all(paths)
    release()
    assert not restored.whole
    assert restored.said[1] == "uid 2000: restored: 1 of processes that are gone"
    assert not (second / "ledger").exists()
    assert [p.name for p in paths.held.iterdir() if "2000" in p.name] == [], "it is settled"
    assert [p.name for p in paths.held.iterdir() if "1000" in p.name], "the way to the other one's ledger is kept"


def test_a_daemon_that_runs_here_is_no_success(tmp_path: Path, paths: Paths) -> None:
    release = lock(leave(paths.runtime_dir) / "lock")
    restored = restore_all(paths)
    release()
    assert not restored.whole
    assert restored.said[0].startswith(f"another SmoothTask runs here (pid {os.getpid()}")
    assert restored.said[0].endswith("`smoothtask pause` makes it undo its changes")
