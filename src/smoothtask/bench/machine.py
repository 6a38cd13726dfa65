"""The machine that something was measured on, in words."""

import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from smoothtask import __version__
from smoothtask.kernel import cgroup2
from smoothtask.model.text import sanitise

TEXT = 100


def describe(root: Path = Path("/")) -> dict[str, str]:
    """Name → value: machine, kernel, versions, date."""
    memory_kib = next((line.split()[1] for line in _lines(root / "proc/meminfo") if line.startswith("MemTotal")), "0")
    autogroup = "".join(_lines(root / "proc/sys/kernel/sched_autogroup_enabled"))
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "CPU": f"{os.cpu_count()} × {_cpu_model(_lines(root / 'proc/cpuinfo'))}",
        "memory": f"{int(memory_kib) / (1 << 20):.1f} GiB",
        "kernel": sanitise(platform.release(), TEXT),
        "system": _system(_lines(root / "etc/os-release")),
        "cgroups": "v2" if cgroup2.mounted() else "v1 or hybrid",
        "autogroups": {"1": "on", "0": "off"}.get(autogroup, "not in this kernel"),
        "load before": " ".join(f"{n:.2f}" for n in os.getloadavg()),
        "Python": platform.python_version(),
        "SmoothTask": __version__,
    }


def _cpu_model(lines: Iterable[str]) -> str:
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in {"model name", "Model", "Hardware"}:
            return sanitise(value.strip(), TEXT)
    return platform.machine()


def _system(lines: Iterable[str]) -> str:
    """os-release(5)."""
    for line in lines:
        if line.startswith("PRETTY_NAME="):
            return sanitise(line.partition("=")[2].strip('"'), TEXT)
    return "unknown"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
