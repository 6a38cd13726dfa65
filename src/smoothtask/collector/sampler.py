"""Kernel readers → one sample a tick."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from smoothtask.collector.rates import process_rates
from smoothtask.collector.system import system_metrics
from smoothtask.collector.tasks import TaskSource
from smoothtask.model.arrays import is_in
from smoothtask.model.system import LatencyStats, SystemMetrics, SystemSample, Temperature
from smoothtask.model.tasks import Array, ProcKey, TaskTable

TEMPERATURES_EVERY_S = 10.0
SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything measured at one moment."""

    tasks: TaskTable
    rates: Array
    """RATES_DTYPE, aligned with `tasks.processes`."""
    system: SystemMetrics
    elapsed_s: float
    """Since the sample before; 0 for the first."""


class Sampler:
    """Reads everything once a tick and remembers the last counters."""

    def __init__(
        self,
        tasks: TaskSource,
        read_system: Callable[[tuple[Temperature, ...]], SystemSample],
        read_temperatures: Callable[[], tuple[Temperature, ...]],
        read_latency: Callable[[float], LatencyStats | None],
    ) -> None:
        self._tasks = tasks
        self._read_system = read_system
        self._read_temperatures = read_temperatures
        self._read_latency = read_latency
        self._last: tuple[TaskTable, SystemSample] | None = None
        self._temperatures: tuple[Temperature, ...] = ()
        self._temperatures_at_s = float("-inf")

    def sample(self, mono_ns: int, boot_ns: int) -> Sample:
        """One pass over tasks and system at *mono_ns* (CLOCK_MONOTONIC), which is *boot_ns* of CLOCK_BOOTTIME."""
        now_s = mono_ns / SECOND_NS
        if now_s - self._temperatures_at_s >= TEMPERATURES_EVERY_S:
            self._temperatures, self._temperatures_at_s = self._read_temperatures(), now_s
        table = self._tasks.read(mono_ns)
        system = self._read_system(self._temperatures)
        last_table, last_system = self._last or (None, None)
        elapsed_s = 0.0 if last_table is None else (mono_ns - last_table.mono_ns) / SECOND_NS
        self._last = (table, system)
        metrics = system_metrics(
            last_system,
            system,
            elapsed_s,
            self._read_latency(now_s),
            len(table.processes),
            int(table.processes["threads"].sum()),
        )
        return Sample(table, process_rates(last_table, table, boot_ns), metrics, elapsed_s)

    def peek(self, mono_ns: int, keys: frozenset[ProcKey]) -> TaskTable:
        """The rows of a few processes between ticks; rates are not disturbed."""
        pids = [key.pid for key in keys]
        table = self._tasks.some(pids, mono_ns)
        same = [key in keys for key in table.keys()]  # noqa: SIM118 (a method of ours)
        return TaskTable(
            table.threads[is_in(table.threads["tgid"], np.array(pids))],
            table.processes[same],
            mono_ns,
            table.source,
        )
