"""The registry of scopes: overlapping ones are refused, and who died stands in nobody's way."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from smoothtask.config.held import Holder, ScopeHeldError, hold, holders, tidy
from smoothtask.config.paths import UnsafeDirectoryError
from smoothtask.model.scope import Scope

ANN, BOB = Scope.of_uid(1000), Scope.of_uid(1001)
HOLD = """
import sys
from pathlib import Path
from smoothtask.config.held import hold
from smoothtask.model.scope import Scope
hold(Scope.of_uid(1000), Path('/run/of-ann'), Path(sys.argv[1]))
print('held', flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "held"


def test_scopes_apart_are_held_side_by_side(folder: Path) -> None:
    release_ann, _ = hold(ANN, Path("/run/ann"), folder)
    release_bob, died = hold(BOB, Path("/run/bob"), folder)
    assert died == []
    assert holders(folder) == [
        Holder(ANN, os.getpid(), Path("/run/ann"), alive=True),
        Holder(BOB, os.getpid(), Path("/run/bob"), alive=True),
    ]
    release_ann()
    release_bob()
    assert holders(folder) == []
    assert folder.stat().st_mode & 0o7777 == 0o700


@pytest.mark.parametrize("scope", [ANN, Scope.everything(), Scope.of_cgroup("/user.slice/user-1000.slice")])
def test_an_overlapping_scope_is_refused_and_told_by_whom(folder: Path, scope: Scope) -> None:
    release, _ = hold(ANN, Path("/run/ann"), folder)
    with pytest.raises(ScopeHeldError) as refused:
        hold(scope, Path("/run/other"), folder)
    said = str(refused.value)
    assert said.startswith(f"the SmoothTask with pid {os.getpid()} (/run/ann) manages uid 1000, which overlaps with")
    assert str(scope) in said
    assert "--scope" in said
    assert len(holders(folder)) == 1, "the refused one leaves nothing"
    release()
    again, _ = hold(scope, Path("/run/other"), folder)
    again()


def test_who_was_killed_stands_in_nobodys_way_and_is_named(folder: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(ScopeHeldError, match=f"pid {child.pid} "):
        hold(ANN, Path("/run/x"), folder)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    dead = Holder(ANN, child.pid, Path("/run/of-ann"), alive=False)
    assert holders(folder) == [dead]
    release, died = hold(Scope.everything(), Path("/run/x"), folder)
    assert died == [dead]
    assert [h.alive for h in holders(folder)] == [True]
    release()


def _killed(folder: Path, runtime_dir: Path) -> None:
    child = os.fork()
    if child == 0:
        hold(ANN, runtime_dir, folder)
        os._exit(0)
    os.waitpid(child, 0)


def test_the_record_of_a_dead_one_stays_while_its_ledger_does(folder: Path, tmp_path: Path) -> None:
    """Nothing else leads `smoothtask restore` there; also not when another one holds the same scope from elsewhere."""
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann/ledger").touch()
    _killed(folder, tmp_path / "ann")
    for scope in (BOB, ANN):
        release, died = hold(scope, tmp_path / "other", folder)
        assert [d.runtime_dir for d in died] == [tmp_path / "ann"]
        assert sorted(h.alive for h in holders(folder)) == [False, True]
        release()
    tidy(folder)
    assert [h.alive for h in holders(folder)] == [False]
    (tmp_path / "ann/ledger").unlink()
    tidy(folder)
    assert holders(folder) == []


def test_a_successor_in_the_same_place_takes_the_record_over(folder: Path, tmp_path: Path) -> None:
    """It puts back what is in the ledger there."""
    (tmp_path / "ledger").touch()
    _killed(folder, tmp_path)
    release, _ = hold(ANN, tmp_path, folder)
    assert [h.alive for h in holders(folder)] == [True]
    release()
    assert holders(folder) == []


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[]", b"{}", b'{"uid": -5, "cgroup": null, "pid": 1}'])
def test_a_holder_that_cannot_be_understood_holds_everything(folder: Path, data: bytes) -> None:
    release, _ = hold(ANN, Path("/run/ann"), folder)
    (folder / ANN.slug).write_bytes(data)
    with pytest.raises(ScopeHeldError, match=r"pid unknown .* manages the whole machine"):
        hold(BOB, Path("/run/bob"), folder)
    release()


def test_no_registry_is_read_as_empty(folder: Path) -> None:
    assert holders(folder) == []
    assert not folder.exists()


def test_a_registry_that_others_may_write_to_is_not_used(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(UnsafeDirectoryError):
        hold(ANN, Path("/run/ann"), folder)
