"""What was measured, what follows from it, and whether it is what is promised (pure)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from smoothtask.bench.scenarios import IDLE, OFF, ON, Scenario
from smoothtask.bench.stats import (
    TOOK_MS,
    Estimate,
    Rows,
    Spread,
    bootstrap,
    chunks,
    difference,
    frame_times,
    missed_pct,
    p99_ms,
    ratio_of_means,
    spread,
    within,
)

MOST_MISSED_PCT: Final = 2.0
MOST_OF_IDLE_P99: Final = 1.3
MOST_LOST_PCT: Final = 10.0
LEAST_LEFT: Final = 0.05
"""Share of the machine that probes and others must leave: what is lost of less says nothing."""


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
    watts: float | None = None
    """Of the processors, by RAPL."""
    cores: Mapping[str, float] = field(default_factory=dict)
    """Role of a load → CPUs that it used, its children included."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One scenario as it was run."""

    scenario: Scenario
    blocks: tuple[Block, ...]
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
    """Frame times: from one to the next."""
    frame_p99: Estimate
    probes: Mapping[str, Spread | None]
    """Role → its response times."""
    broken: Estimate
    """Periods of sound that were not filled in time, in percent."""
    work: Mapping[str, float]
    probe_cores: float
    other_cores: float
    left_cores: float
    """CPUs that neither used: what there was for the loads."""
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
    missed_change: Estimate | None = None
    """Points of missed frames: on less off."""
    frame_change: Estimate | None = None
    """Of the frame times' p99, in milliseconds."""
    lost_pct: Estimate | None = None
    """Throughput that the background loses beyond the CPU that the probes, and others, took back.

    `None` where they leave none.
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


def judge(all_measured: Sequence[Measured], cpus: int, seed: int) -> tuple[Outcome, ...]:
    """An outcome for each scenario; the idle one is what the others are compared with."""
    idle = next((m for m in all_measured if m.scenario.name == IDLE.name), None)
    reference = math.nan
    if idle is not None:
        quiet = _pieces(idle, "frames", (ON, OFF), as_frames=True)
        reference = p99_ms(np.concatenate(quiet)) if quiet else math.nan
    return tuple(_outcome(m, reference, cpus, seed) for m in all_measured)


def _outcome(measured: Measured, idle_p99_ms: float, cpus: int, seed: int) -> Outcome:
    scenario = measured.scenario
    arms = {arm: _arm(measured, arm, cpus, seed) for arm in (OFF, ON) if any(b.arm == arm for b in measured.blocks)}
    plain = {arm: _pieces(measured, "frames", (arm,)) for arm in arms}
    times = {arm: _pieces(measured, "frames", (arm,), as_frames=True) for arm in arms}
    both = len(arms) == 2
    lost = _lost(measured, cpus, seed) if both and scenario.loads and _is_left(arms.values(), cpus) else None
    change = difference(plain[ON], plain[OFF], missed_pct, seed) if both else None
    return Outcome(
        scenario.name,
        scenario.text,
        arms,
        change,
        difference(times[ON], times[OFF], p99_ms, seed) if both else None,
        lost,
        _checks(arms[ON], idle_p99_ms, lost, None if scenario.loads else change) if ON in arms else (),
    )


def _arm(measured: Measured, arm: str, cpus: int, seed: int) -> Arm:
    blocks = [b for b in measured.blocks if b.arm == arm]
    frames = _pieces(measured, "frames", (arm,), as_frames=True)
    watts = [b.watts for b in blocks if b.watts is not None]
    return Arm(
        missed=bootstrap(_pieces(measured, "frames", (arm,)), missed_pct, seed),
        frame=spread(np.concatenate(frames)[:, TOOK_MS]) if frames else None,
        frame_p99=bootstrap(frames, p99_ms, seed),
        probes={role: _spread_of(measured, role, arm) for role in measured.rows},
        broken=bootstrap(_pieces(measured, "audio", (arm,)), missed_pct, seed),
        work={role: _mean([b.work[role] for b in blocks]) for role in blocks[0].work},
        probe_cores=_mean([b.probe_cores for b in blocks]),
        other_cores=_mean([b.other_cores for b in blocks]),
        left_cores=_mean([_left(b, cpus) for b in blocks]),
        load_cores={role: _mean([b.cores[role] for b in blocks]) for role in blocks[0].cores},
        watts=_mean(watts) if watts else None,
        blocks=len(blocks),
    )


def _pieces(measured: Measured, role: str, arms: Sequence[str], *, as_frames: bool = False) -> list[Rows]:
    """The events of the blocks of *arms*, in chunks."""
    found: list[Rows] = []
    for block in measured.blocks:
        if block.arm in arms:
            rows = within(measured.rows[role], block.begin_s, block.end_s)
            found += chunks(frame_times(rows) if as_frames else rows)
    return found


def _spread_of(measured: Measured, role: str, arm: str) -> Spread | None:
    pieces = _pieces(measured, role, (arm,))
    return spread(np.concatenate(pieces)[:, TOOK_MS]) if pieces else None


def _lost(measured: Measured, cpus: int, seed: int) -> Estimate:
    """In percent: each load's work against the CPU that probes and others leave in its blocks.

    Of several at once each counts by the CPU that it has when off: what one gets less of and another more is not lost.
    """
    ratios, weights = [], []
    for role in measured.blocks[0].work:
        done = {arm: [b.work[role] / _left(b, cpus) for b in measured.blocks if b.arm == arm] for arm in (ON, OFF)}
        ratio = ratio_of_means(done[ON], done[OFF], seed)
        if math.isfinite(ratio.value):
            ratios.append((ratio.value, ratio.low, ratio.high))
            weights.append(_mean([b.cores.get(role, 1.0) for b in measured.blocks if b.arm == OFF]))
    if not sum(weights):
        return Estimate(math.nan, math.nan, math.nan)
    # The interval is the loads' own, weighed alike: wider than that of the sum, for they are drawn apart.
    value, low, high = (100 * (1 - float(np.average([r[i] for r in ratios], weights=weights))) for i in range(3))
    return Estimate(value, high, low)


def _is_left(arms: Iterable[Arm], cpus: int) -> bool:
    """Whether probes and others leave the loads anything to speak of."""
    return all(arm.left_cores > LEAST_LEFT * cpus for arm in arms)


def _left(block: Block, cpus: int) -> float:
    """CPUs; never so few that a ratio says nothing."""
    return max(LEAST_LEFT * cpus, cpus - block.probe_cores - block.other_cores)


def _checks(on: Arm, idle_p99_ms: float, lost: Estimate | None, harm: Estimate | None) -> tuple[Check, ...]:
    """*harm*: what changes where nothing runs, which must not be for the worse."""
    found = [Check("frames missed", on.missed.value, MOST_MISSED_PCT, " %")]
    if harm is not None:
        found.append(Check("surely more missed", max(0.0, harm.low), 0.0, " points"))
    if math.isfinite(idle_p99_ms):
        found.append(Check("frame p99 / idle", on.frame_p99.value / idle_p99_ms, MOST_OF_IDLE_P99, ""))
    if lost is not None:
        found.append(Check("throughput lost", lost.value, MOST_LOST_PCT, " %"))
    return tuple(found)


def verdict(outcomes: Sequence[Outcome]) -> str:
    """One sentence."""
    loaded = [o for o in outcomes if ON in o.arms and OFF in o.arms and o.name != IDLE.name]
    if not loaded:
        return "Nothing was switched: this is how the machine fares without SmoothTask."
    off, on = (_mean([o.arms[arm].missed.value for o in loaded]) for arm in (OFF, ON))
    lost = _mean([o.lost_pct.value for o in loaded if o.lost_pct is not None and math.isfinite(o.lost_pct.value)])
    better = [o.name for o in loaded if o.missed_change is not None and o.missed_change.high < 0]
    worse = [o.name for o in loaded if o.missed_change is not None and o.missed_change.low > 0]
    loads = f"{len(loaded)} load{'s' * (len(loaded) > 1)}"
    said = f"{on:.1f} % of frames are missed with SmoothTask and {off:.1f} % without it, over {loads}"
    if better:
        said += f" (surely fewer in {', '.join(better)})"
    if worse:
        said += f"; surely more in {', '.join(worse)}"
    if not better and not worse:
        said += " (no difference can be told)"
    return f"{said}; what runs in the background gets {_less(lost)} done."


def _less(lost_pct: float) -> str:
    return f"{lost_pct:.0f} % less" if lost_pct >= 0 else f"{-lost_pct:.0f} % more"


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


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
