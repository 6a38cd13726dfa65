"""What the benchmarks leave behind: nothing."""

import os
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "bench"))
    return __import__("harness")


def test_idle_processes_are_reaped_when_they_are_left(harness: ModuleType) -> None:
    """Not killed only: zombies would be in the next measurement."""
    for _ in range(3):
        with harness.idle_processes(200) as pids:
            assert len(pids) == 200
            assert all(Path(f"/proc/{pid}").exists() for pid in pids)
        assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


def test_who_stays_is_said(harness: ModuleType) -> None:
    with pytest.raises(TimeoutError, match=str(os.getpid())):
        harness.wait_until_gone([os.getpid()], 0.01)
