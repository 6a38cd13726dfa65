"""Owners on made-up machines, and as real processes."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from scenery import identity
from smoothtask.kernel.owners import (
    parse_profile,
    parse_sched_ext,
    read_processes,
    read_sched_ext,
    recognise,
    uses_gamemode,
)
from smoothtask.model.owner import Owner, OwnerKind
from smoothtask.model.tasks import ProcKey


def test_a_name_alone_proves_nothing() -> None:
    assert recognise(identity(7, name="ananicy-cpp", uid=0, exe="/usr/bin/sleep")) is None
    assert recognise(identity(7, uid=1000, exe="/home/x/ananicy-cpp")) is None
    assert recognise(identity(7, uid=0, exe="/usr/bin/ananicy-cpp", container="abc")) is None
    assert recognise(identity(7, uid=0, exe="/usr/bin/ananicy-cpp")) == Owner(OwnerKind.ANANICY, "ananicy-cpp", 0, 7)
    script = identity(7, uid=0, exe="/usr/bin/python3.11", cmdline=("python3", "/usr/bin/ananicy", "start"))
    assert recognise(script) == Owner(OwnerKind.ANANICY, "ananicy", 0, 7)
    assert recognise(identity(7, uid=1000, exe="/usr/bin/gamemoded")) == Owner(OwnerKind.GAMEMODE, "gamemoded", 1000, 7)


def test_sched_ext(tmp_path: Path) -> None:
    assert read_sched_ext(tmp_path) is None
    (tmp_path / "sys/kernel/sched_ext/root").mkdir(parents=True)
    (tmp_path / "sys/kernel/sched_ext/state").write_text("enabled\n")
    (tmp_path / "sys/kernel/sched_ext/root/ops").write_text("lavd\n")
    assert read_sched_ext(tmp_path) == Owner(OwnerKind.SCHED_EXT, "lavd")
    assert parse_sched_ext("disabled", None, None) is None
    assert parse_sched_ext("enabled", "lavd", "0") is None


def test_profiles_of_tuned() -> None:
    assert parse_profile("[main]\ninclude=base, more\n[scheduler]\ngroup.x=0:f:10:*:^x\n") == (True, ("base", "more"))
    assert parse_profile("[scheduler]\nsched_wakeup_granularity_ns=1\n") == (False, ())
    assert parse_profile("]broken") == (False, ())


def test_gamemode_counts_for_the_process_that_was_meant(tmp_path: Path) -> None:
    """By the library it has loaded, whatever version; a pid that was given again is not it."""
    folder = tmp_path / "7"
    folder.mkdir()
    (folder / "stat").write_text(f"7 (g) S {' '.join(['0'] * 18)} 700 0\n")
    line = "7f00-7f01 r-xp 00000000 08:01 12 /usr/lib/libgamemode"
    for text, uses in ((f"{line}auto.so.0.0.0\n", True), (f"{line}.so.0 (deleted)\n", True), (f"{line}.txt\n", False)):
        (folder / "maps").write_text(text)
        assert uses_gamemode(ProcKey(7, 700), str(tmp_path)) is uses
    (folder / "maps").write_text(f"{line}.so.0\n")
    assert not uses_gamemode(ProcKey(7, 701), str(tmp_path))
    assert not uses_gamemode(ProcKey(8, 700), str(tmp_path))


@pytest.mark.root
@pytest.mark.parametrize(("user", "is_owner"), [("root", True), ("nobody", False)])
def test_a_real_process_counts_only_when_it_is_root_s(user: str, is_owner: bool) -> None:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    copy = folder / "ananicy-cpp"
    shutil.copy("/usr/bin/sleep", copy)
    process = None
    try:
        process = subprocess.Popen([copy, "60"], executable=copy, user=user)
        mine = [i for i in read_processes() if i.key.pid == process.pid]
        assert len(mine) == 1
        assert (recognise(mine[0]) is not None) is is_owner
    finally:
        if process is not None:
            process.kill()
            process.wait()
        shutil.rmtree(folder)
