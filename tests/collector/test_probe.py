"""The probe process and its reader: what is measured, what is shown of it, and that it goes when it should."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.collector import probe
from smoothtask.collector.probe import (
    LatencyProbe,
    ProbeUnavailable,
    bucket_middles_ms,
    percentiles_ms,
    read_memory,
)
from smoothtask.collector.probe_main import (
    BACKLOG,
    BUCKETS,
    HEADER_BYTES,
    PERIOD_NS,
    SIZE_BYTES,
    SLOTS,
    bucket_of,
    record,
    slept_through,
    slot_of,
)
from smoothtask.model.system import LatencyStats

SECOND = 1_000_000_000
MS = 1_000_000


class Memory:
    """The shared memory as the probe writes it."""

    def __init__(self) -> None:
        self.data = bytearray(SIZE_BYTES)
        self.slots = memoryview(self.data)[HEADER_BYTES:].cast("I")

    def wake(self, second: int, late_ns: int, units: int = 1) -> None:
        record(self.slots, slot_of(self.slots, second), late_ns, units)

    def sleep_until(self, deadline_ns: int) -> None:
        memoryview(self.data)[:HEADER_BYTES].cast("Q")[0] = deadline_ns

    def read(self, now_ns: int, window_s: float = 10.0) -> LatencyStats | None:
        return read_memory(bytes(self.data), now_ns, window_s)


@given(st.integers(0, 60 * SECOND))
def test_a_bucket_is_near_to_what_it_holds(late_ns: int) -> None:
    """The middle of a bucket is within 6.25 %, or 1 µs."""
    middle_ns = bucket_middles_ms()[bucket_of(late_ns)] * 1e6
    assert abs(middle_ns - late_ns) <= max(0.0625 * late_ns, 1024) + 1e-3


@given(st.integers(0, 2**63), st.integers(0, 2**63))
def test_buckets_are_in_order(one: int, other: int) -> None:
    """A greater lateness is never in a lower bucket, and there is one for each."""
    low, high = sorted((one, other))
    assert 0 <= bucket_of(low) <= bucket_of(high) < BUCKETS


@given(st.lists(st.integers(1 * MS, 900 * MS), min_size=1, max_size=200))
def test_percentiles_are_near_to_the_exact_ones(values: list[int]) -> None:
    """Within 6.25 % of the value of that rank."""
    counts = np.bincount([bucket_of(value) for value in values], minlength=BUCKETS).astype(np.int64)
    ordered = sorted(values)
    exact = [ordered[(len(values) * percent + 99) // 100 - 1] / MS for percent in (50, 95, 99)]
    assert percentiles_ms(counts) == pytest.approx(exact, rel=0.0625 + 1e-9)


def test_what_was_slept_through_counts() -> None:
    """A wake-up 90 ms late is five late units: 90, 70, 50, 30 and 10 ms."""
    assert [ns // MS for ns in slept_through(90 * MS)] == [70, 50, 30, 10]
    assert list(slept_through(PERIOD_NS)) == []
    assert len(slept_through(3600 * SECOND)) < BACKLOG
    memory = Memory()
    memory.wake(100, 90 * MS)
    stats = memory.read(100 * SECOND)
    assert stats is not None
    assert stats.samples == 1
    assert stats.p50_ms == pytest.approx(50, rel=0.0625)
    assert stats.p99_ms == pytest.approx(90, rel=0.0625)
    assert stats.max_ms == 90


def test_calm_wake_ups_count_for_the_time_they_stand_for() -> None:
    """One late unit among as many as a calm second has is its share of time, not of wake-ups."""
    memory = Memory()
    for _ in range(10):
        memory.wake(100, 50_000, units=5)
    memory.wake(100, 10 * MS)
    stats = memory.read(100 * SECOND)
    assert stats is not None
    assert stats.samples == 11
    assert stats.p95_ms < 0.1  # 1 of 51 is less than 5 %
    assert stats.p99_ms == pytest.approx(10, rel=0.0625)


def test_the_window_slides() -> None:
    """Both histogram and maximum forget what is older; a slot that is used again forgets its past."""
    memory = Memory()
    memory.wake(100, 500 * MS)
    for second in range(101, 120):
        memory.wake(second, 1 * MS)
    assert memory.read(109 * SECOND).max_ms == 500  # type: ignore[union-attr]
    after = memory.read(110 * SECOND)
    assert after is not None
    assert after.max_ms == 1
    assert after.window_s == 10
    memory.wake(100 + SLOTS, 2 * MS)
    again = memory.read((100 + SLOTS) * SECOND, 1.0)
    assert again is not None
    assert (again.samples, again.max_ms) == (1, 2)


def test_nothing_measured_is_none() -> None:
    """Neither an empty memory nor an old one has percentiles."""
    memory = Memory()
    assert memory.read(5 * SECOND) is None
    memory.wake(100, MS)
    assert memory.read(300 * SECOND) is None


def test_starvation_shows_while_it_lasts() -> None:
    """A probe that should have woken 500 ms ago counts as 500 ms late now, and as 25 late units."""
    memory = Memory()
    memory.wake(100, 10_000, units=1)
    memory.sleep_until(100 * SECOND)
    stats = memory.read(100 * SECOND + 500 * MS)
    assert stats is not None
    assert stats.max_ms == 500
    assert stats.p50_ms > 200
    assert memory.read(100 * SECOND - 1).max_ms == 0.01  # type: ignore[union-attr]


def test_a_window_must_fit() -> None:
    """Longer than the memory is refused, and so is less than its resolution."""
    for window_s in (0.5, 61):
        with pytest.raises(ValueError, match="window"):
            LatencyProbe(window_s)


@pytest.fixture
def running() -> Iterator[LatencyProbe]:
    """A started probe."""
    latency = LatencyProbe()
    latency.start()
    yield latency
    latency.stop()


def wait_for(condition: Callable[[], object], seconds: float = 10) -> None:
    """Until *condition* is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def measured(latency: LatencyProbe) -> LatencyStats | None:
    return latency.read(time.monotonic())


def gone(pid: int) -> bool:
    """Whether *pid* ran to its end, reaped or not."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_it_measures_this_machine(running: LatencyProbe) -> None:
    """Percentiles are in order and the process is what it promises to be: small, precise, quiet."""
    wait_for(lambda: (stats := measured(running)) and stats.samples >= 3)
    stats = measured(running)
    assert stats is not None
    assert 0 < stats.p50_ms <= stats.p95_ms <= stats.p99_ms <= stats.max_ms
    status = Path(f"/proc/{running.pid}/status").read_text()
    rss_kib = int(status.split("VmRSS:")[1].split()[0])
    assert rss_kib <= 14 * 1024
    assert Path(f"/proc/{running.pid}/timerslack_ns").read_text().strip() == "1000"
    assert os.getpgid(running.pid or 0) == running.pid  # no Ctrl-C of a terminal reaches it
    assert os.getsid(running.pid or 0) == os.getsid(0)
    assert running.trouble == ""


def test_a_frozen_probe_shows_as_starved(running: LatencyProbe) -> None:
    """While it is stopped its lateness grows, and after it the greatest stays in the window."""
    wait_for(lambda: measured(running))
    pid = running.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: (stats := measured(running)) and stats.max_ms >= 300)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: (stats := measured(running)) and stats.p50_ms < 300)
    assert measured(running).max_ms >= 300  # type: ignore[union-attr]


def test_a_dead_probe_is_started_again_with_patience(running: LatencyProbe) -> None:
    """After 1 s, then 2; and the reason can be read meanwhile."""
    wait_for(lambda: measured(running))
    now_s = time.monotonic()
    for wait_s in (1, 2):
        first = running.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: not running.alive)
        assert running.read(now_s) is None
        assert f"status -9, next try in {wait_s} s" in running.trouble
        assert running.read(now_s + wait_s - 0.01) is None
        assert not running.alive
        assert running.read(now_s + wait_s) is None
        assert running.alive
        assert running.pid != first
        assert running.trouble == ""
        now_s += wait_s
    wait_for(lambda: measured(running))


def test_stop_ends_it_for_good(running: LatencyProbe) -> None:
    """No process and no descriptor stays, and no reading either; stopping twice is no mistake."""
    descriptors = len(os.listdir("/proc/self/fd"))
    pid = running.pid
    running.stop()
    running.stop()
    assert not Path(f"/proc/{pid}").exists()
    assert measured(running) is None
    assert not running.alive
    running.start()
    assert running.alive
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_it_does_not_outlive_its_parent() -> None:
    """The parent is killed, and has no chance to say goodbye."""
    program = (
        "import time\nfrom smoothtask.collector.probe import LatencyProbe\n"
        "probe = LatencyProbe()\nprobe.start()\nprint(probe.pid, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        with closing(parent.stdout):
            pid = int(parent.stdout.readline())
        assert not gone(pid)
        parent.kill()
    wait_for(lambda: gone(pid))


def test_one_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """No interpreter, no probe."""
    monkeypatch.setattr(probe.sys, "executable", "/nonexistent/python")  # type: ignore[attr-defined]
    latency = LatencyProbe()
    with pytest.raises(ProbeUnavailable, match="No such file"):
        latency.start()
    assert "No such file" in latency.trouble
    assert not latency.alive
