"""Whose CPU is whose, on real processes."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

from smoothtask.bench.measure import BenchError, Helper, _Started, _used, _Watched

SPINS = "sh -c 'while :; do :; done' & wait"
CPU_S = 0.3


@pytest.fixture
def spinning() -> Iterator[psutil.Popen]:
    """A process that waits, and one below it that computes."""
    process = psutil.Popen(["sh", "-c", SPINS])
    while not process.children() or process.children()[0].cpu_times().user < CPU_S:
        time.sleep(0.01)
    yield process
    for one in (*process.children(), process):
        one.kill()
    process.wait()


@pytest.fixture
def waiting() -> Iterator[psutil.Popen]:
    """As a stage on which nothing runs."""
    process = psutil.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def test_what_smoothtask_uses_is_its_own_and_nobody_elses(spinning, waiting, tmp_path):
    watched = _Watched(tmp_path, waiting.pid, spinning.pid, _Started({}, {}, {}))
    known = _used(watched)
    unknown = _used(replace(watched, own=None))
    assert known.own_s >= CPU_S
    assert unknown.own_s == 0
    # Those of the machine only grow: what was read later holds all of it.
    assert unknown.others_s - known.others_s >= known.own_s - 0.02


def test_smoothtask_that_has_ended_is_a_sentence(waiting, tmp_path):
    gone = psutil.Popen(["true"])
    gone.wait()
    with pytest.raises(BenchError, match="SmoothTask has ended"):
        _used(_Watched(tmp_path, waiting.pid, gone.pid, _Started({}, {}, {})))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_engine_of_the_bench_says_who_it_is(tmp_path):
    (tmp_path / "held").mkdir()
    switch = Helper.start(
        "smoothtask.bench.switch", "--runtime-dir", str(tmp_path / "run"), "--held", str(tmp_path / "held")
    )
    try:
        assert switch.hear().startswith("ok")
        assert switch.ask("who") == f"ok {switch.process.pid}"
    finally:
        switch.close()
