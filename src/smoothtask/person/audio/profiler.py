"""What PipeWire's profiler says of each cycle, and what a window of cycles adds up to: pure.

Where breaks are told depends on the version. From 0.3.72 on each block ends with its count of xruns, and its status
says nothing of them. Before, a block that was not finished at the end of the cycle has a status other than 3; so
late cycles are counted, in windows only. Neither tells of cycles that a starved server never began: the times at
which the driver woke its graph do (the driver's own clock does not: it catches up).
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from smoothtask.person.audio.pod import Object, Pod

_INFO, _CLOCK, _DRIVER, _FOLLOWER = 0x10001, 0x10002, 0x10003, 0x20001
"""spa/param/profiler.h"""
_FINISHED: Final = 3
_MAX_BLOCKS: Final = 512
_MAX_COUNT: Final = 1 << 31
_MAX_COUNTERS: Final = 4 * _MAX_BLOCKS
_MAX_GAPS: Final = 1024
_ALWAYS: Final = 0
"""In place of a driver's start: it counts across pauses."""
_DEVICE: Final = -1
"""The same, for what its device counts."""
SETTLE_NS: Final = 250_000_000
"""A stream's first cycles are late for everybody."""
_HEARD_LATE_NS: Final = 1_000_000_000
"""How late we may hear of a start when the machine is busy."""
_LONGEST_GAP_NS: Final = 5_000_000_000
"""A longer one is no stall: the driver's clock jumped."""
_HIGH_SHARE: Final = 0.9
_MAX_LOAD: Final = 10.0
"""PipeWire 1.4 says 10,000 now and then."""


@dataclass(frozen=True, slots=True)
class Block:
    """One node's part of a cycle."""

    node: int
    late: bool
    """Not finished at the end of the cycle; before 0.3.72 only."""
    xruns: int | None
    """Since the node began; from 0.3.72 on."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """One turn of a driver's graph."""

    driver: int
    rate_hz: int
    quantum: int
    load: float
    device_xruns: int
    """What the device itself counted."""
    woken_ns: int
    """CLOCK_MONOTONIC moment at which the driver woke its graph."""
    blocks: tuple[Block, ...]
    """The driver's first."""


def parse_cycles(pod: Pod) -> list[Cycle]:
    """Those in one message of the profiler; what makes no sense is left out."""
    if isinstance(pod, Object):
        cycle = _cycle(pod)
        return [] if cycle is None else [cycle]
    return [cycle for part in pod for cycle in parse_cycles(part)] if isinstance(pod, list) else []


def _cycle(item: Object) -> Cycle | None:
    parts = {key: value for key, value in item.properties if key != _FOLLOWER}
    match parts.get(_INFO), parts.get(_CLOCK), parts.get(_DRIVER):
        case (
            [int(), float(load), float(), float(), int(device_xruns), *_],
            [int(), int(), str(), int(), (int(), int(rate_hz)), int(), int(quantum), *_],
            [int(node), str(), int(), int(woken_ns), *_] as driver,
        ) if 0 < rate_hz <= 1 << 22 and 0 < quantum <= 1 << 22 and 0 <= device_xruns < _MAX_COUNT:
            followers = [value for key, value in item.properties if key == _FOLLOWER][: _MAX_BLOCKS - 1]
            blocks = tuple(block for block in map(_block, (driver, *followers)) if block is not None)
            return Cycle(node, rate_hz, quantum, load, device_xruns, woken_ns, blocks)
    return None


def _block(part: Pod) -> Block | None:
    match part:
        case [int(node), str(), int(), int(), int(), int(), int(), (int(), int()), int(xruns), *_]:
            return Block(node, late=False, xruns=xruns) if 0 <= xruns < _MAX_COUNT else None
        case [int(node), str(), int(), int(), int(), int(), int(status), *_]:
            return Block(node, late=status != _FINISHED, xruns=None)
    return None


@dataclass(frozen=True, slots=True)
class Window:
    """What some cycles in a row add up to."""

    quantum: int
    rate_hz: int
    """Of the driver with the shortest cycles."""
    load: float
    """The highest of the drivers'; of one's cycles nine in ten needed less."""
    xruns: int
    """Of whichever block had most, for each driver."""
    missing_cycles: int
    stream_xruns: Mapping[int, int]
    """By node, where there were any."""


class _Gap(NamedTuple):
    """Between two wake-ups of a driver, longer than a cycle."""

    from_ns: int
    to_ns: int
    cycles: int
    """Whole ones that would have fitted in."""


@dataclass(slots=True)
class _Driver:
    """One driver in one window."""

    quantum: int
    rate_hz: int
    loads: list[float] = field(default_factory=list)
    woken_ns: int | None = None
    gaps: list[_Gap] = field(default_factory=list)
    device_xruns: int = 0
    breaks: dict[int, int] = field(default_factory=dict)
    """By node."""

    @property
    def cycle_s(self) -> float:
        return self.quantum / self.rate_hz

    def wake(self, woken_ns: int) -> None:
        """The next cycle begins."""
        if self.woken_ns is not None and 0 < woken_ns - self.woken_ns <= _LONGEST_GAP_NS:
            missing = int((woken_ns - self.woken_ns) / 1e9 / self.cycle_s + 1e-6) - 1
            if missing > 0 and len(self.gaps) < _MAX_GAPS:
                self.gaps.append(_Gap(self.woken_ns, woken_ns, missing))
        self.woken_ns = woken_ns

    def missing(self, starts_ns: Collection[int]) -> int:
        """Cycles that were not begun in time. A driver sleeps until the next of its streams starts: that is no gap."""
        return sum(
            gap.cycles
            for gap in self.gaps
            if not any(gap.from_ns <= start_ns <= gap.to_ns + _HEARD_LATE_NS for start_ns in starts_ns)
        )

    @property
    def high_load(self) -> float:
        loads = sorted(load for load in self.loads if math.isfinite(load))
        return min(max(loads[int(_HIGH_SHARE * len(loads))], 0.0), _MAX_LOAD) if loads else 0.0


class Meter:
    """Adds cycles up, one window after the other.

    *starts* is what is known of the streams at that moment: node → CLOCK_MONOTONIC nanoseconds at which it began to
    run, for those that run.
    """

    def __init__(self) -> None:
        self._drivers: dict[int, _Driver] = {}
        self._counts: dict[tuple[int, int], int] = {}
        """(node, its start or the like) → its newest count of xruns: what rises between windows counts, too."""
        self.cycles = 0
        """In this window."""

    def begin(self) -> None:
        """A window begins."""
        self._drivers = {}
        self.cycles = 0

    def add(self, cycle: Cycle, starts: Mapping[int, int]) -> None:
        """One more cycle."""
        driver = self._drivers.get(cycle.driver)
        if driver is None:
            if len(self._drivers) >= _MAX_BLOCKS:
                return
            driver = self._drivers[cycle.driver] = _Driver(cycle.quantum, cycle.rate_hz)
        self.cycles += 1
        newest_start_ns = max(starts.values(), default=0)
        driver.wake(cycle.woken_ns)
        driver.quantum, driver.rate_hz = cycle.quantum, cycle.rate_hz
        driver.loads.append(cycle.load)
        driver.device_xruns += self._risen((cycle.driver, _DEVICE), cycle.device_xruns)
        for block in cycle.blocks:
            is_driver = block.node == cycle.driver
            start_ns = newest_start_ns if is_driver else starts.get(block.node)
            if start_ns is None:
                continue
            settled = cycle.woken_ns >= start_ns + SETTLE_NS
            broken = self._broken(block, _ALWAYS if is_driver else start_ns, settled)
            if broken:
                driver.breaks[block.node] = driver.breaks.get(block.node, 0) + broken

    def end(self, starts: Mapping[int, int]) -> Window | None:
        """What this window had; `None`: not one cycle. That a stream was late in its very last cycle is no break."""
        drivers, self._drivers = self._drivers, {}
        self._counts = {
            key: count for key, count in self._counts.items() if key[1] in {_ALWAYS, _DEVICE, starts.get(key[0])}
        }
        if not drivers:
            return None
        stream_xruns = {
            node: count for driver in drivers.values() for node, count in driver.breaks.items() if node in starts
        }
        xruns = 0
        for number, driver in drivers.items():
            lasting = [count for node, count in driver.breaks.items() if node == number or node in starts]
            xruns += max(driver.device_xruns, *lasting, 0)
        fastest = min(drivers.values(), key=lambda driver: driver.cycle_s)
        return Window(
            quantum=fastest.quantum,
            rate_hz=fastest.rate_hz,
            load=max(driver.high_load for driver in drivers.values()),
            xruns=xruns,
            missing_cycles=sum(driver.missing(starts.values()) for driver in drivers.values()),
            stream_xruns=stream_xruns,
        )

    def _broken(self, block: Block, start_ns: int, settled: bool) -> int:
        """How often this block broke up since its cycle before."""
        if block.xruns is None:
            return int(block.late and settled)
        risen = self._risen((block.node, start_ns), block.xruns)
        return risen if settled else 0

    def _risen(self, key: tuple[int, int], count: int) -> int:
        before = self._counts.get(key)
        if before is None and len(self._counts) >= _MAX_COUNTERS:
            return 0
        self._counts[key] = count
        return 0 if before is None else max(0, count - before)
