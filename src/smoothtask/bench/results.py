"""What was measured, and what follows from it (values; `judge.py` makes the ones of the others)."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from smoothtask.bench.scenarios import Scenario
from smoothtask.bench.stats import Change, Estimate, Rows, Spread


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of time in which nothing was switched."""

    arm: str
    begin_s: float
    end_s: float
    """CLOCK_MONOTONIC, as the probes count."""
    work: Mapping[str, float]
    """Role of a load → what it got done a second."""
    probe_cores: float
    """CPUs that the probes used."""
    other_cores: float = 0.0
    """CPUs that everybody else on the machine used, or a hypervisor took."""
    own_cores: float = 0.0
    """CPUs that SmoothTask used, whoever switched it."""
    watts: float | None = None
    """Of the processors, by RAPL."""
    cores: Mapping[str, float] = field(default_factory=dict)
    """Role of a load → CPUs that it used, its children included."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One scenario as it was run."""

    scenario: Scenario
    blocks: tuple[Block, ...]
    """Round after round, each arm once."""
    rows: Mapping[str, Rows]
    """Role of a probe → its events."""
    seconds: float = 0.0
    """That it took, all in all."""


@dataclass(frozen=True, slots=True)
class Arm:
    """A scenario with SmoothTask on, or off."""

    missed: Estimate
    """Frames, in percent."""
    frame: Spread | None
    """Frame times, from one to the next, of all blocks."""
    frame_p99: Estimate
    """Of the blocks' own."""
    probes: Mapping[str, Spread | None]
    """Role → its response times."""
    broken: Estimate
    """Periods of sound that were not filled in time, in percent."""
    work: Mapping[str, float]
    probe_cores: float
    other_cores: float
    own_cores: float
    """CPUs that SmoothTask used: for the loads they are lost."""
    left_cores: float
    """CPUs that neither probes nor others used: what there was for the loads, and SmoothTask."""
    load_cores: Mapping[str, float]
    """Role of a load → CPUs that it used."""
    watts: float | None
    blocks: int


@dataclass(frozen=True, slots=True)
class Check:
    """A promise against a measured value."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def holds(self) -> bool:
        """False as well where nothing could be measured."""
        return self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scenario says."""

    name: str
    text: str
    arms: Mapping[str, Arm] = field(default_factory=dict)
    missed_change: Change | None = None
    """Points of missed frames: on less off, as all changes."""
    frame_change: Change | None = None
    """Of the frame times' p99, in milliseconds."""
    sound_change: Change | None = None
    """Points of periods of sound that were not filled in time."""
    key_change: Change | None = None
    """Of the keys' p95, in milliseconds."""
    start_change: Change | None = None
    """Of what a start takes in the mean, in milliseconds."""
    watts_change: Change | None = None
    """`None` as well where they are not measured."""
    done_change: Change | None = None
    """Of what the loads get done, all in all, in percent."""
    work_change: Mapping[str, Change] = field(default_factory=dict)
    """The same of each load, by its role."""
    lost_pct: Estimate | None = None
    """Throughput that the background loses beyond the CPU that the probes, and others, took back.

    Of loads that do not use up what is left to them: all that they lose. `None` where nothing is left.
    """
    checks: tuple[Check, ...] = ()
    skipped: str = ""
    """Why it was not run."""


@dataclass(frozen=True, slots=True)
class Report:
    """The whole run."""

    outcomes: tuple[Outcome, ...]
    machine: Mapping[str, str]
    seed: int
    how: str
    """Who switched what: the engine of the bench, a daemon, or nobody."""
    notes: tuple[str, ...] = ()
    """What a reader must know of this run."""
    verdict: str = ""


def to_json(report: Report) -> dict[str, Any]:
    """Everything, as plain values; what is not finite is null."""
    data: dict[str, Any] = _finite(asdict(report))
    for outcome, shown in zip(report.outcomes, data["outcomes"], strict=True):
        shown["checks"] = [
            {**c, "holds": check.holds} for c, check in zip(shown["checks"], outcome.checks, strict=True)
        ]
    return data


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
