"""The machine as a whole at one moment."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PsiLine:
    """One line of /proc/pressure/* (Documentation/accounting/psi.rst)."""

    avg10_pct: float
    avg60_pct: float
    total_us: int


@dataclass(frozen=True, slots=True)
class Psi:
    """`some`: at least one task waited; `full`: none could run. `full` is absent for cpu before 5.13."""

    some: PsiLine
    full: PsiLine | None = None


@dataclass(frozen=True, slots=True)
class Pressure:
    """PSI by resource; `None` where the kernel offers none (psi=0, CONFIG_PSI=n)."""

    cpu: Psi | None = None
    io: Psi | None = None
    memory: Psi | None = None


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Cumulative seconds of one core, from /proc/stat."""

    busy_s: float
    idle_s: float
    """idle and iowait."""


@dataclass(frozen=True, slots=True)
class Temperature:
    """One sensor, °C."""

    label: str
    celsius: float


@dataclass(frozen=True, slots=True)
class SystemSample:
    """Raw counters and gauges: rates come second (`collector.rates`)."""

    cores: tuple[CpuTimes, ...]
    mem_total_bytes: int
    mem_available_bytes: int
    swap_total_bytes: int
    swap_used_bytes: int
    load: tuple[float, float, float]
    pressure: Pressure
    temperatures: tuple[Temperature, ...] = ()


@dataclass(frozen=True, slots=True)
class LatencyStats:
    """How late a sleeping process was woken, over the probe's window (milliseconds)."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    samples: int
    window_s: float


@dataclass(frozen=True, slots=True)
class SystemMetrics:
    """What is shown and recorded of the machine for one tick."""

    cpu_pct: tuple[float, ...]
    """Busy share of each core, 0 … 100, since the tick before."""
    mem_total_bytes: int
    mem_available_bytes: int
    swap_total_bytes: int
    swap_used_bytes: int
    load: tuple[float, float, float]
    pressure: Pressure
    cpu_some_pct: float | None
    """Share of the last interval in which somebody waited for a CPU, from the PSI total: no 10 s lag."""
    io_some_pct: float | None
    memory_some_pct: float | None
    temperatures: tuple[Temperature, ...]
    latency: LatencyStats | None
    processes: int
    threads: int
