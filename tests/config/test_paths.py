"""Flags before environment before defaults; directories that can be trusted."""

import os
from pathlib import Path

import pytest

from smoothtask.config.paths import Paths, UnsafeDirectoryError, find_paths


def test_root_uses_the_systems_places() -> None:
    paths = find_paths(environ={}, uid=0)
    assert paths.socket == Path("/run/smoothtask/control.sock")
    assert paths.sockets == (paths.socket,)
    assert paths.database == Path("/var/lib/smoothtask/snapshots.db")
    assert paths.config_file == Path("/etc/smoothtask/config.yaml")
    assert not paths.config_required


def test_a_person_uses_their_own_and_finds_the_systems_daemon_first() -> None:
    paths = find_paths(environ={"HOME": "/home/ann", "XDG_RUNTIME_DIR": "/run/user/7"}, uid=7)
    assert paths.socket == Path("/run/user/7/smoothtask/control.sock")
    assert paths.sockets == (Path("/run/smoothtask/control.sock"), paths.socket)
    assert paths.state_dir == Path("/home/ann/.local/state/smoothtask")
    assert paths.config_file == Path("/home/ann/.config/smoothtask/config.yaml")
    assert find_paths(environ={"HOME": "/home/ann"}, uid=7).runtime_dir == Path("/tmp/smoothtask-7")


def test_flags_come_before_the_environment() -> None:
    environ = {"SMOOTHTASK_RUNTIME_DIR": "/e/run", "SMOOTHTASK_STATE_DIR": "/e/state", "SMOOTHTASK_CONFIG": "/e/c"}
    paths = find_paths(environ=environ, uid=0)
    assert (paths.runtime_dir, paths.state_dir, paths.config_file) == (Path("/e/run"), Path("/e/state"), Path("/e/c"))
    assert paths.config_required
    flags = find_paths("/f/c", "/f/run", "/f/state", environ, uid=7)
    assert (flags.runtime_dir, flags.state_dir, flags.config_file) == (Path("/f/run"), Path("/f/state"), Path("/f/c"))
    assert flags.sockets == (Path("/f/run/control.sock"),), "a named directory is the only one that is asked"


def paths_in(folder: Path) -> Paths:
    return Paths(folder / "deep/run", folder / "state", folder / "config.yaml")


def test_directories_are_made_with_their_modes_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        paths_in(tmp_path).prepare()
    finally:
        os.umask(before)
    assert (tmp_path / "deep/run").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "state").stat().st_mode & 0o7777 == 0o700
    paths_in(tmp_path).prepare()  # again: they are ours


@pytest.mark.parametrize("kind", ["link", "file", "writable"])
def test_a_directory_that_cannot_be_trusted_is_refused(tmp_path: Path, kind: str) -> None:
    state = tmp_path / "state"
    if kind == "link":
        (tmp_path / "elsewhere").mkdir()
        state.symlink_to("elsewhere")
    elif kind == "file":
        state.touch()
    else:
        state.mkdir()
        state.chmod(0o777)
    with pytest.raises(UnsafeDirectoryError):
        paths_in(tmp_path).prepare()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a directory away")
def test_somebody_elses_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(0o700)
    os.chown(tmp_path / "state", 65534, 65534)
    with pytest.raises(UnsafeDirectoryError, match="belongs to uid 65534"):
        paths_in(tmp_path).prepare()
