"""The engine that the bench switches."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from smoothtask.bench.scoped import private
from smoothtask.bench.switch import Ours
from smoothtask.collector.meters import Meters
from smoothtask.config.settings import load_settings


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Ours]:
    """One that has not ticked: it acts on nobody."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    made = Ours(load_settings(None), private(tmp_path))
    yield made
    made._loop.on_stop()


def has_probe() -> bool:
    """A child that has begun to be one; others may end meanwhile."""
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if any(word.endswith("probe_main.py") for word in child.cmdline()):
                return True
    return False


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_off_counts_nothing_and_probes_nothing(ours: Ours) -> None:
    meters = ours._loop.engine.meters
    assert isinstance(meters, Meters)
    for _ in range(3):  # one a tick, as somebody waits
        meters.follow(time.monotonic(), watched=False, waits=True)
    if not meters.attached:
        pytest.skip("no BPF meters here")
    assert until(has_probe)
    assert ours._pause(True) == "ok"
    assert not meters.attached
    assert not has_probe()
    assert ours._pause(False) == "ok"
    assert until(has_probe)
    meters.follow(time.monotonic(), watched=True, waits=False)
    assert meters.attached  # it can again
