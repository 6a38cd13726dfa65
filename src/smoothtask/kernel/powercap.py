"""Energy of the processor: RAPL counters below /sys/class/powercap (Documentation/power/powercap/powercap.rst)."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class EnergyCounter:
    """One package at one moment."""

    zone: str
    microjoules: int
    wraps_at: int
    """The highest value; what comes next is 0."""


def read_energy(root: Path = Path("/")) -> tuple[EnergyCounter, ...]:
    """The counter of each package; none where there is no RAPL, or where only root may read it and we are not.

    `intel-rapl` is the driver of AMD's processors, too. Parts of a package (`intel-rapl:0:1`) are in its counter;
    `psys` is the whole machine, of which the packages are a part; `intel-rapl-mmio` is the same once more.
    """
    counters = []
    for zone in sorted((root / "sys/class/powercap").glob("intel-rapl:*")):
        if zone.name.count(":") != 1:
            continue
        try:
            name = (zone / "name").read_text().strip()
            if name.startswith("package"):
                used = int((zone / "energy_uj").read_text())
                counters.append(EnergyCounter(zone.name, used, int((zone / "max_energy_range_uj").read_text())))
        except (OSError, ValueError):  # not readable, or a driver that has gone
            continue
    return tuple(counters)


def joules_between(before: tuple[EnergyCounter, ...], now: tuple[EnergyCounter, ...]) -> float | None:
    """What all packages used between two readings; `None` unless both have the same packages, at least one.

    A counter may wrap around once in between: at 100 W that takes 40 minutes on most processors.
    """
    if not now or [c.zone for c in before] != [c.zone for c in now]:
        return None
    used = 0
    for old, new in zip(before, now, strict=True):
        step = new.microjoules - old.microjoules
        used += step if step >= 0 else step + new.wraps_at + 1
    return max(0, used) / 1e6
