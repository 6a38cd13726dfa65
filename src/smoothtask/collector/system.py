"""Two samples of the machine → what happened between them (pure)."""

from smoothtask.model.system import (
    CpuTimes,
    LatencyStats,
    Psi,
    SystemMetrics,
    SystemSample,
)

_NEVER_RAN = CpuTimes(0.0, 0.0)


def system_metrics(
    prev: SystemSample | None,
    cur: SystemSample,
    elapsed_s: float,
    latency: LatencyStats | None,
    processes: int,
    threads: int,
) -> SystemMetrics:
    """Make rates of two samples that are *elapsed_s* apart. The first sample has no rates: 0 % and `None`."""
    before = prev.cores if prev else ()
    known = before[: len(cur.cores)] + (_NEVER_RAN,) * (len(cur.cores) - len(before))
    old = prev.pressure if prev else None
    return SystemMetrics(
        cpu_pct=tuple(map(busy_pct, known, cur.cores)),
        mem_total_bytes=cur.mem_total_bytes,
        mem_available_bytes=cur.mem_available_bytes,
        swap_total_bytes=cur.swap_total_bytes,
        swap_used_bytes=cur.swap_used_bytes,
        load=cur.load,
        pressure=cur.pressure,
        cpu_some_pct=stall_pct(old.cpu if old else None, cur.pressure.cpu, elapsed_s),
        io_some_pct=stall_pct(old.io if old else None, cur.pressure.io, elapsed_s),
        memory_some_pct=stall_pct(old.memory if old else None, cur.pressure.memory, elapsed_s),
        temperatures=cur.temperatures,
        latency=latency,
        processes=processes,
        threads=threads,
    )


def busy_pct(before: CpuTimes, now: CpuTimes) -> float:
    """Busy share of one core, 0 … 100; 0 for a core that is offline now or was a moment ago.

    iowait, and with it idle, may run backwards (proc(5)); that counts as no time at all.
    """
    if _NEVER_RAN in {before, now}:
        return 0.0
    busy_s = max(0.0, now.busy_s - before.busy_s)
    idle_s = max(0.0, now.idle_s - before.idle_s)
    return 100 * (busy_s / (busy_s + idle_s)) if busy_s else 0.0


def stall_pct(before: Psi | None, now: Psi | None, elapsed_s: float) -> float | None:
    """Share of *elapsed_s* in which somebody waited, 0 … 100; `None` where either reading is missing."""
    if before is None or now is None or elapsed_s <= 0:
        return None
    stalled_us = now.some.total_us - before.some.total_us
    return min(100.0, max(0.0, stalled_us / (elapsed_s * 10_000)))
