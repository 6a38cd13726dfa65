"""The machine as a whole: CPU time of each core, memory, load, pressure and temperatures."""

import math

import psutil

from smoothtask.kernel.psi import read_pressure
from smoothtask.model.system import CpuTimes, SystemSample, Temperature
from smoothtask.model.tasks import USER_HZ
from smoothtask.model.text import sanitise

KIB = 1024
OFFLINE = CpuTimes(0.0, 0.0)


def parse_cpu_times(text: str) -> tuple[CpuTimes, ...]:
    """Times of each core by its number, from /proc/stat (proc(5)); a core that is offline is all zero.

    Time stolen by a hypervisor counts as busy: nobody here could use it. Guest time is in user already.
    """
    cores: dict[int, CpuTimes] = {}
    for line in text.splitlines():
        if not line.startswith("cpu"):
            break
        name, *fields = line.split()
        if name == "cpu":
            continue
        ticks = [int(field) for field in fields[:8]]  # user nice system idle iowait irq softirq steal
        idle = sum(ticks[3:5])
        cores[int(name[3:])] = CpuTimes((sum(ticks) - idle) / USER_HZ, idle / USER_HZ)
    return tuple(cores.get(number, OFFLINE) for number in range(max(cores, default=-1) + 1))


def parse_meminfo(text: str) -> dict[str, int]:
    """Bytes by field of /proc/meminfo; the fields that count pages or nothing at all are left out."""
    values = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            values[name] = int(value[:-3]) * KIB
    return values


def parse_loadavg(text: str) -> tuple[float, float, float]:
    """Load over 1, 5 and 15 minutes, from /proc/loadavg."""
    one, five, fifteen = text.split(maxsplit=3)[:3]
    return float(one), float(five), float(fifteen)


def read_system(proc_root: str = "/proc", temperatures: tuple[Temperature, ...] = ()) -> SystemSample:
    """Read everything but *temperatures*, which cost too much for each tick: the caller keeps them.

    Raise OSError where /proc is not mounted, KeyError without MemTotal (no Linux since 2.6 lacks it).
    """
    memory = parse_meminfo(_read(f"{proc_root}/meminfo"))
    return SystemSample(
        cores=parse_cpu_times(_read(f"{proc_root}/stat")),
        mem_total_bytes=memory["MemTotal"],
        mem_available_bytes=memory.get("MemAvailable", memory.get("MemFree", 0)),
        swap_total_bytes=memory.get("SwapTotal", 0),
        swap_used_bytes=memory.get("SwapTotal", 0) - memory.get("SwapFree", 0),
        load=parse_loadavg(_read(f"{proc_root}/loadavg")),
        pressure=read_pressure(proc_root),
        temperatures=temperatures,
    )


def _read(path: str) -> str:
    with open(path, "rb", buffering=0) as file:
        return file.read().decode("ascii")


def read_temperatures() -> tuple[Temperature, ...]:
    """Read every sensor of hwmon(5) through psutil, the hottest first; `()` where there are none.

    A sensor read takes up to milliseconds on some boards: call it every ten seconds, not every tick.
    """
    found = [
        Temperature(sanitise(f"{chip} {sensor.label}".strip(), 40), float(sensor.current))
        for chip, sensors in psutil.sensors_temperatures().items()
        for sensor in sensors
        if sensor.current is not None and math.isfinite(sensor.current)
    ]
    return tuple(sorted(found, key=lambda temperature: -temperature.celsius))
