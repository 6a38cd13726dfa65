"""collector.system: two samples and what happened between them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.collector.system import busy_pct, stall_pct, system_metrics
from smoothtask.model.system import CpuTimes, Pressure, Psi, PsiLine, SystemSample, Temperature


def psi(total_us: int) -> Psi:
    return Psi(PsiLine(0.0, 0.0, total_us))


def sample(*cores: tuple[float, float], pressure: Pressure | None = None) -> SystemSample:
    return SystemSample(
        cores=tuple(CpuTimes(busy, idle) for busy, idle in cores),
        mem_total_bytes=100,
        mem_available_bytes=60,
        swap_total_bytes=10,
        swap_used_bytes=1,
        load=(1.0, 2.0, 3.0),
        pressure=pressure or Pressure(),
        temperatures=(Temperature("cpu", 50.0),),
    )


def test_rates_of_two_samples() -> None:
    """Busy shares by core, pressure from the totals, all else as it is now."""
    before = sample((10, 10), (5, 5), pressure=Pressure(cpu=psi(1_000_000), io=psi(0)))
    now = sample((11, 11), (5, 7), pressure=Pressure(cpu=psi(1_500_000), io=psi(0), memory=psi(3)))
    metrics = system_metrics(before, now, 2.0, None, 40, 90)
    assert metrics.cpu_pct == (50.0, 0.0)
    assert metrics.cpu_some_pct == 25.0
    assert metrics.io_some_pct == 0.0
    assert metrics.memory_some_pct is None  # it was not known before
    assert metrics.pressure is now.pressure
    assert (metrics.processes, metrics.threads) == (40, 90)
    assert metrics.temperatures == now.temperatures
    assert metrics.mem_available_bytes == 60
    assert metrics.load == (1.0, 2.0, 3.0)


def test_the_first_sample_has_no_rates() -> None:
    """Counters since boot are not what happens now."""
    metrics = system_metrics(None, sample((10, 10), pressure=Pressure(cpu=psi(5))), 0.0, None, 1, 1)
    assert metrics.cpu_pct == (0.0,)
    assert metrics.cpu_some_pct is None


def test_cores_come_and_go() -> None:
    """A core that is offline, or came back with its old counters, is 0 %; its neighbours keep their place."""
    all_on = sample((10, 10), (20, 20), (30, 30))
    middle_off = sample((11, 10), (0, 0), (30, 31))
    last_off = sample((12, 10), (20, 21))
    assert system_metrics(all_on, middle_off, 1.0, None, 1, 1).cpu_pct == (100.0, 0.0, 0.0)
    assert system_metrics(middle_off, last_off, 1.0, None, 1, 1).cpu_pct == (100.0, 0.0)
    assert system_metrics(last_off, all_on, 1.0, None, 1, 1).cpu_pct[2] == 0.0


seconds = st.floats(0, 1e9)


@given(seconds, seconds, seconds, seconds)
def test_a_share_is_a_share(busy: float, idle: float, busy_after: float, idle_after: float) -> None:
    """0 … 100 whatever the counters do; iowait is known to run backwards."""
    assert 0 <= busy_pct(CpuTimes(busy, idle), CpuTimes(busy_after, idle_after)) <= 100


@given(st.integers(0, 2**63), st.integers(0, 2**63), st.floats(0, 1e6))
def test_a_stall_is_a_share(before: int, after: int, elapsed_s: float) -> None:
    """The kernel's total is taken a moment before or after our clock; more than all of the time is all of it."""
    share = stall_pct(psi(before), psi(after), elapsed_s)
    assert share is None or 0 <= share <= 100


def test_idle_that_runs_backwards_is_no_time() -> None:
    """All that is left is busy."""
    assert busy_pct(CpuTimes(1, 10), CpuTimes(2, 9)) == pytest.approx(100)
