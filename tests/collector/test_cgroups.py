"""Paths of cgroup numbers, on made-up trees: cgroup v2, and a hybrid machine."""

from pathlib import Path

import pytest

from smoothtask.collector.cgroups import cgroup_exists, numbers_tell, path_of


def tree(root: Path, *cgroups: str) -> str:
    for cgroup in cgroups:
        Path(f"{root}{cgroup}").mkdir(parents=True)
    return str(root)


def process(root: Path, pid: int, text: str) -> str:
    (root / "proc" / str(pid)).mkdir(parents=True)
    (root / "proc" / str(pid) / "cgroup").write_text(text)
    return str(root / "proc")


def test_a_number_is_the_path_of_a_process_that_is_still_there(tmp_path: Path) -> None:
    cgroups = tree(tmp_path / "cg", "/a/b", "/c")
    proc = process(tmp_path, 5, "0::/a/b\n")
    number = Path(cgroups, "a/b").stat().st_ino
    assert path_of(number, 5, cgroups, proc) == "/a/b"
    assert path_of(Path(cgroups, "c").stat().st_ino, 5, cgroups, proc) is None, "it has moved"
    assert path_of(number, 6, cgroups, proc) is None, "it has gone"
    Path(cgroups, "a/b").rmdir()
    assert path_of(number, 5, cgroups, proc) is None, "its cgroup has gone"


@pytest.mark.parametrize("hierarchy", ["", "/unified", "/systemd"])
def test_a_cgroup_is_there_in_any_hierarchy(tmp_path: Path, hierarchy: str) -> None:
    cgroups = tree(tmp_path, f"{hierarchy}/a/b")
    assert cgroup_exists("/a/b", cgroups)
    assert not cgroup_exists("/a/c", cgroups)


def test_numbers_tell_under_cgroup_v2_alone(tmp_path: Path) -> None:
    assert not numbers_tell(str(tmp_path))
    (tmp_path / "cgroup.controllers").touch()
    assert numbers_tell(str(tmp_path))
