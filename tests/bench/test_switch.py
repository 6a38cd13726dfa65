"""The engine that the bench switches."""

import os
import time
from collections.abc import Iterator
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


def probes() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if any(w.endswith("probe_main.py") for w in p.cmdline())]


def test_off_counts_nothing_and_probes_nothing(ours: Ours) -> None:
    meters = ours._loop.engine.meters
    assert isinstance(meters, Meters)
    for _ in range(3):  # one a tick, as somebody waits
        meters.follow(time.monotonic(), True)
    if not meters.attached:
        pytest.skip("no BPF meters here")
    assert len(probes()) == 1
    assert ours._pause(True) == "ok"
    assert not meters.attached
    assert probes() == []
    assert ours._pause(False) == "ok"
    assert len(probes()) == 1
    meters.follow(time.monotonic(), True)
    assert meters.attached  # it can again
