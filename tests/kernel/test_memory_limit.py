"""A cgroup with a memory limit, in whichever hierarchy has the controller."""

import os
import subprocess
from pathlib import Path

import pytest

from smoothtask.kernel import cgroup2, memory_limit

NAME = f"/smoothtask-test-{os.getpid()}"
LIMIT = 64 << 20


def test_the_first_version_is_used_where_the_second_is_not_mounted(tmp_path: Path) -> None:
    assert memory_limit.hierarchy(str(tmp_path / "none"), str(tmp_path)) is None
    (tmp_path / memory_limit.FILE_V1).touch()
    assert memory_limit.hierarchy(str(tmp_path / "none"), str(tmp_path)) == (str(tmp_path), "memory.limit_in_bytes")


def test_the_second_version_counts_only_where_its_top_hands_the_controller_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / memory_limit.FILE_V1).touch()
    monkeypatch.setattr(cgroup2, "mounted", lambda root: True)
    (tmp_path / "cgroup.subtree_control").write_text("cpu io\n")
    assert memory_limit.hierarchy(str(tmp_path), str(tmp_path)) is None
    (tmp_path / "cgroup.subtree_control").write_text("cpu io memory\n")
    assert memory_limit.hierarchy(str(tmp_path), str(tmp_path)) == (str(tmp_path), "memory.max")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_real_process_is_limited() -> None:
    where = memory_limit.hierarchy()
    if where is None:
        pytest.skip("no memory controller here")
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        memory_limit.limit(where, NAME, LIMIT, sleeper.pid)
        assert cgroup2.read(NAME, where.file, where.root) == str(LIMIT)
        assert cgroup2.pids(NAME, where.root) == {sleeper.pid}
    finally:
        sleeper.kill()
        sleeper.wait()
        cgroup2.remove(NAME, where.root)
