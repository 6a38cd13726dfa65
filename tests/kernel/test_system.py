"""kernel.system on this machine, and on recorded files."""

import os
from collections import namedtuple
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.kernel.system import (
    parse_cpu_times,
    parse_loadavg,
    parse_meminfo,
    read_system,
    read_temperatures,
)
from smoothtask.model.system import CpuTimes, Pressure, Temperature

STAT = """\
cpu  70 0 14 400 20 1 2 3 4 0
cpu0 50 10 20 300 20 1 2 17 40 0
cpu3 1 0 0 99 0 0 0 0 0 0
intr 12345 0 0
ctxt 99
"""


def test_cores_are_at_their_number() -> None:
    """User, nice, system, interrupts and stolen time are busy; guest time is not counted twice."""
    cores = parse_cpu_times(STAT)
    assert cores == (CpuTimes(1.0, 3.2), CpuTimes(0, 0), CpuTimes(0, 0), CpuTimes(0.01, 0.99))


@given(st.lists(st.lists(st.integers(0, 2**50), min_size=10, max_size=10), max_size=8))
def test_no_tick_is_lost(table: list[list[int]]) -> None:
    """Busy and idle add up to the first eight fields, whatever they are."""
    text = "cpu  1 2 3 4\n" + "".join(f"cpu{n} {' '.join(map(str, row))}\n" for n, row in enumerate(table))
    cores = parse_cpu_times(text + "intr 0\n")
    assert len(cores) == len(table)
    for core, row in zip(cores, table, strict=True):
        assert core.busy_s + core.idle_s == pytest.approx(sum(row[:8]) / 100)


def test_meminfo_takes_sizes_only() -> None:
    """Sizes become bytes; counts of pages, and lines that are none, are left out."""
    text = "MemTotal:        2048 kB\nHugePages_Total:       7\nActive(anon):   1 kB\nnonsense\n"
    assert parse_meminfo(text) == {"MemTotal": 2048 * 1024, "Active(anon)": 1024}


def test_loadavg() -> None:
    """Three averages; what follows is not asked for."""
    assert parse_loadavg("0.50 1.25 3.00 2/811 4711\n") == (0.5, 1.25, 3.0)


def test_this_machine_is_read_as_psutil_reads_it() -> None:
    """Cores, memory and load are those that psutil sees."""
    sample = read_system()
    assert len(sample.cores) >= len(os.sched_getaffinity(0))
    assert sample.mem_total_bytes == psutil.virtual_memory().total
    assert sample.swap_total_bytes == psutil.swap_memory().total
    assert 0 < sample.mem_available_bytes <= sample.mem_total_bytes
    assert 0 <= sample.swap_used_bytes <= sample.swap_total_bytes
    for core, times in zip(sample.cores, psutil.cpu_times(percpu=True), strict=False):
        assert core.idle_s == pytest.approx(times.idle + times.iowait, abs=2)
        busy = times.user + times.nice + times.system + times.irq + times.softirq + times.steal
        assert core.busy_s == pytest.approx(busy, abs=2)


def test_a_recorded_tree_is_as_good_as_a_machine(tmp_path: Path) -> None:
    """Every file comes from the root given; temperatures are passed through."""
    (tmp_path / "stat").write_text(STAT)
    (tmp_path / "meminfo").write_text("MemTotal: 10 kB\nMemFree: 4 kB\nSwapTotal: 8 kB\nSwapFree: 5 kB\n")
    (tmp_path / "loadavg").write_text("1.00 2.00 3.00 1/2 3\n")
    hot = (Temperature("cpu", 99.0),)
    sample = read_system(str(tmp_path), hot)
    assert sample.mem_available_bytes == 4 * 1024  # a kernel before 3.14 has no MemAvailable
    assert sample.swap_used_bytes == 3 * 1024
    assert sample.load == (1.0, 2.0, 3.0)
    assert sample.pressure == Pressure()
    assert sample.temperatures == hot


def test_without_proc_there_is_an_error(tmp_path: Path) -> None:
    """Nothing is made up."""
    with pytest.raises(FileNotFoundError):
        read_system(str(tmp_path))


def test_temperatures_are_sanitised_and_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A label is a driver's text, and a sensor may have no value or a senseless one."""
    reading = namedtuple("reading", "label current high critical")  # noqa: PYI024 (as psutil has it)
    sensors = {
        "k10temp": [reading("Tctl", 40.5, None, None), reading("", None, None, None)],
        "nvme": [reading("a\x1b[31m", 61.0, None, None), reading("b", float("nan"), None, None)],
    }
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: sensors)
    assert read_temperatures() == (Temperature("nvme a\ufffd[31m", 61.0), Temperature("k10temp Tctl", 40.5))


def test_this_machines_sensors_can_be_read() -> None:
    """As many as psutil finds; none is an answer too."""
    found = sum(map(len, psutil.sensors_temperatures().values()))
    assert len(read_temperatures()) <= found
