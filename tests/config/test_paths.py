"""Flags before environment before defaults; directories that can be trusted."""

import os
from pathlib import Path

import pytest

from smoothtask.config.paths import Paths, UnsafeDirectoryError, cgroup_exists, find_paths
from smoothtask.model.scope import Scope, ScopeError


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


@pytest.mark.parametrize("scope", ["1234", "/user.slice/user-1234.slice"])
def test_a_scope_has_places_of_its_own(scope: str) -> None:
    paths = find_paths(environ={}, uid=0, scope=scope)
    slug = paths.scope.slug
    assert paths.runtime_dir == Path("/run/smoothtask/scopes") / slug
    assert paths.database == Path("/var/lib/smoothtask/scopes") / slug / "snapshots.db"
    assert paths.sockets == (paths.socket,), "the whole machine's daemon is another one"
    assert len(os.fsencode(paths.socket)) < 108
    assert find_paths(environ={"SMOOTHTASK_SCOPE": scope}, uid=0) == paths
    assert find_paths(environ={"SMOOTHTASK_SCOPE": scope}, uid=0, scope="/").scope == Scope.everything()
    person = find_paths(environ={"HOME": "/home/ann", "XDG_RUNTIME_DIR": "/run/user/7"}, uid=7, scope=scope)
    assert person.sockets == (paths.socket, Path("/run/user/7/smoothtask/scopes") / slug / "control.sock")


def test_named_directories_win_over_a_scopes_own() -> None:
    paths = find_paths(runtime_dir="/f/run", state_dir="/f/state", environ={}, uid=0, scope="root")
    assert (paths.runtime_dir, paths.state_dir, paths.scope) == (Path("/f/run"), Path("/f/state"), Scope.of_uid(0))


def test_nobody_by_that_name() -> None:
    for name in ("no-such-user", "nul\0"):
        with pytest.raises(ScopeError, match="no such user"):
            find_paths(environ={"SMOOTHTASK_SCOPE": name}, uid=0)


def test_a_scopes_directories_can_be_reached_whatever_the_umask(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path / "home"), "XDG_RUNTIME_DIR": str(tmp_path / "session")}
    paths = find_paths(environ=environ, uid=7, scope="1234")
    before = os.umask(0o077)
    try:
        paths.prepare()
    finally:
        os.umask(before)
    base = tmp_path / "session/smoothtask"
    for folder in (base, base / "scopes", base / "scopes/uid-1234"):
        assert folder.stat().st_mode & 0o7777 == 0o755
    assert paths.state_dir.parent.stat().st_mode & 0o7777 == 0o700


def test_no_two_scopes_share_a_configured_database() -> None:
    whole, one = find_paths(environ={}, uid=0), find_paths(environ={}, uid=0, scope="7")
    assert whole.database_at("/data/log.db") == Path("/data/log.db")
    assert one.database_at("/data/log.db") == Path("/data/log-uid-7.db")
    assert one.database_at(None) == one.database


def test_a_cgroup_is_there_in_any_hierarchy(tmp_path: Path) -> None:
    mounts = [str(tmp_path / "unified"), str(tmp_path)]
    (tmp_path / "unified/a").mkdir(parents=True)
    assert cgroup_exists("/a", mounts)
    assert not cgroup_exists("/b", mounts)
