"""What follows from what was measured, whether it is what is promised, and in one sentence (pure)."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Final

import numpy as np

from smoothtask.bench.results import Arm, Block, Check, Measured, Outcome
from smoothtask.bench.scenarios import IDLE, OFF, ON
from smoothtask.bench.stats import (
    TOOK_MS,
    Change,
    Estimate,
    Rows,
    change,
    ended_within,
    frame_times,
    mean_ms,
    mean_of,
    percentile_ms,
    ratio_change,
    share_change,
    share_of,
    spread,
    surely,
    within,
)

MOST_MISSED_PCT: Final = 2.0
MOST_OF_IDLE_P99: Final = 1.3
MOST_LOST_PCT: Final = 10.0
LEAST_LEFT: Final = 0.05
"""Share of the machine that probes and others must leave: what is lost of less says nothing."""
USED_UP: Final = 0.9
"""Share of what is left that loads use, without SmoothTask, whose work is bound by the CPU."""
ROUGHLY_PCT: Final = 0.5
"""A change of less is none in whole percent."""


_Number = Callable[[Rows], float]


def judge(all_measured: Sequence[Measured], cpus: int) -> tuple[Outcome, ...]:
    """An outcome for each scenario; the idle one is what the others are compared with."""
    idle = next((m for m in all_measured if m.scenario.name == IDLE.name), None)
    quiet = [] if idle is None else [times for arm in (ON, OFF) for times in _frame_times(idle, arm)]
    reference = percentile_ms(np.concatenate(quiet), 99) if quiet else math.nan
    return tuple(_outcome(m, reference, cpus) for m in all_measured)


def _outcome(measured: Measured, idle_p99_ms: float, cpus: int) -> Outcome:
    scenario = measured.scenario
    arms = {arm: _arm(measured, arm, cpus) for arm in (OFF, ON) if any(b.arm == arm for b in measured.blocks)}
    if len(arms) < 2:
        return Outcome(scenario.name, scenario.text, arms)
    outcome = Outcome(
        scenario.name,
        scenario.text,
        arms,
        missed_change=share_change(*(_rows(measured, "frames", arm) for arm in (ON, OFF))),
        frame_change=_change(_p99_ms, (_frame_times(measured, arm) for arm in (ON, OFF))),
        sound_change=share_change(*(_rows(measured, "audio", arm) for arm in (ON, OFF))),
        key_change=_change(_p95_ms, (_rows(measured, "typing", arm) for arm in (ON, OFF))),
        start_change=_change(mean_ms, (_rows(measured, "start", arm) for arm in (ON, OFF))),
        watts_change=_watts_change(measured),
        done_change=_work_change(measured, measured.blocks[0].work, lambda _: 1.0),
        work_change={
            role: found
            for role in measured.blocks[0].work
            if (found := _work_change(measured, (role,), lambda _: 1.0)) is not None
        },
        lost_pct=_lost(measured, cpus) if scenario.loads and _is_left(arms.values(), cpus) else None,
    )
    return replace(outcome, checks=tuple(_checks(outcome, idle_p99_ms)))


def _arm(measured: Measured, arm: str, cpus: int) -> Arm:
    blocks = _blocks(measured, arm)
    times = _frame_times(measured, arm)
    watts = [b.watts for b in blocks if b.watts is not None]
    return Arm(
        missed=share_of(_rows(measured, "frames", arm)),
        frame=spread(np.concatenate(times)[:, TOOK_MS]),
        frame_p99=mean_of([_p99_ms(rows) for rows in times]),
        probes={role: spread(np.concatenate(_rows(measured, role, arm))[:, TOOK_MS]) for role in measured.rows},
        broken=share_of(_rows(measured, "audio", arm)),
        work={role: fmean(b.work[role] for b in blocks) for role in blocks[0].work},
        probe_cores=fmean(b.probe_cores for b in blocks),
        other_cores=fmean(b.other_cores for b in blocks),
        own_cores=fmean(b.own_cores for b in blocks),
        left_cores=fmean(_left(b, cpus) for b in blocks),
        load_cores={role: fmean(b.cores[role] for b in blocks) for role in blocks[0].cores},
        watts=fmean(watts) if watts else None,
        blocks=len(blocks),
    )


def _blocks(measured: Measured, arm: str) -> list[Block]:
    """One a round."""
    return [b for b in measured.blocks if b.arm == arm]


def _rows(measured: Measured, role: str, arm: str) -> list[Rows]:
    """The events of each block."""
    of = ended_within if role == "start" else within
    return [of(measured.rows[role], b.begin_s, b.end_s) for b in _blocks(measured, arm)]


def _frame_times(measured: Measured, arm: str) -> list[Rows]:
    return [frame_times(rows) for rows in _rows(measured, "frames", arm)]


def _p99_ms(rows: Rows) -> float:
    return percentile_ms(rows, 99)


def _p95_ms(rows: Rows) -> float:
    """A short block has a few dozen keys: of them p99 would be the slowest one."""
    return percentile_ms(rows, 95)


def _change(number: _Number, arms: Iterable[Sequence[Rows]]) -> Change:
    on, off = arms
    return change([number(rows) for rows in on], [number(rows) for rows in off])


def _watts_change(measured: Measured) -> Change | None:
    on, off = ([b.watts for b in _blocks(measured, arm) if b.watts is not None] for arm in (ON, OFF))
    return change(on, off) if 2 * len(on) == 2 * len(off) == len(measured.blocks) else None


def _work_change(measured: Measured, roles: Iterable[str], per: Callable[[Block], float]) -> Change | None:
    """In percent, of what is done for each unit of *per*; `None` without loads.

    Of several loads each counts by the CPU that it has when off: what one gets less of and another more is not lost.
    What gets nothing done when off cannot be compared.
    """
    off = _blocks(measured, OFF)
    known = [role for role in roles if any(b.work[role] and b.cores[role] for b in off)]
    if not known:
        return None
    on, done = ([[b.work[role] / per(b) for b in _blocks(measured, arm)] for role in known] for arm in (ON, OFF))
    return ratio_change(on, done, [fmean(b.cores[role] for b in off) for role in known])


def _lost(measured: Measured, cpus: int) -> Estimate | None:
    """In percent; what is left is what work is measured by only where the loads use it up."""
    off = _blocks(measured, OFF)
    used, left = (
        fmean(map(of, off)) for of in (lambda b: sum(b.cores.values()), lambda b: _left(b, cpus) - b.own_cores)
    )
    bound = used >= USED_UP * left
    found = _work_change(measured, measured.blocks[0].work, (lambda b: _left(b, cpus)) if bound else lambda _: 1.0)
    return None if found is None else Estimate(-found.value, -found.high, -found.low)


def _is_left(arms: Iterable[Arm], cpus: int) -> bool:
    """Whether probes and others leave the loads anything to speak of."""
    return all(arm.left_cores > LEAST_LEFT * cpus for arm in arms)


def _left(block: Block, cpus: int) -> float:
    """CPUs; never so few that a ratio says nothing. What SmoothTask uses it takes from the loads: it stays in."""
    return max(LEAST_LEFT * cpus, cpus - block.probe_cores - block.other_cores)


def _checks(outcome: Outcome, idle_p99_ms: float) -> Iterator[Check]:
    on = outcome.arms[ON]
    yield Check("frames missed", on.missed.value, MOST_MISSED_PCT, " %")
    if math.isfinite(idle_p99_ms):
        p99_ms = math.nan if on.frame is None else on.frame.p99
        yield Check("frame p99 / idle", p99_ms / idle_p99_ms, MOST_OF_IDLE_P99, "")
    if outcome.lost_pct is not None:
        yield Check("throughput lost", outcome.lost_pct.value, MOST_LOST_PCT, " %")
    worse = [("surely more sound broken", outcome.sound_change, " points")]
    if outcome.name == IDLE.name:  # where nothing runs, nothing at all may be worse
        worse += [
            ("surely more missed", outcome.missed_change, " points"),
            ("surely longer frame p99", outcome.frame_change, " ms"),
            ("surely more power", outcome.watts_change, " W"),
        ]
    for name, found, unit in worse:
        if found is not None:
            yield Check(name, math.nan if math.isnan(found.low) else max(0.0, found.low), 0.0, unit)


@dataclass(frozen=True, slots=True)
class _Told:
    """A change, as a sentence has it."""

    what: str
    where: str
    unit: str
    change: Change
    sure: bool
    """Though that many changes were looked at."""

    @property
    def better(self) -> bool:
        return self.change.high < 0

    @property
    def worse(self) -> bool:
        return self.change.low > 0

    def __str__(self) -> str:
        return f"{self.what} in {self.where} ({self.change.value:+.2g} {self.unit})"


def verdict(outcomes: Sequence[Outcome]) -> str:
    """One sentence. What is called sure holds, all of it together, at 95 %: frames, and all the rest."""
    both = [o for o in outcomes if ON in o.arms and OFF in o.arms]
    loaded = [o for o in both if o.name != IDLE.name]
    if not loaded:
        return "Nothing was switched: this is how the machine fares without SmoothTask."
    frames = _told([("frames", o, o.missed_change, "points") for o in both])
    rest = _told(
        [("sound", o, o.sound_change, "points") for o in both]
        + [("frame times", o, o.frame_change, "ms") for o in both]
        + [("typing", o, o.key_change, "ms") for o in both]
        + [("program starts", o, o.start_change, "ms") for o in both]
        + [("power", o, o.watts_change, "W") for o in both if o.name == IDLE.name]
    )
    known = [o for o in loaded if not any(math.isnan(o.arms[arm].missed.value) for arm in (OFF, ON))]
    if not known:
        return "No frame was drawn while a load ran: nothing can be said of it."
    off, on = (fmean(o.arms[arm].missed.value for o in known) for arm in (OFF, ON))
    said = f"{on:.1f} % of frames are missed with SmoothTask and {off:.1f} % without it, over {_loads(len(known))}"
    parts = [said + _fewer(frames)]
    parts += _listed("surely worse", [str(t) for t in (*frames, *rest) if t.worse and t.sure])
    parts += _listed("perhaps worse", [str(t) for t in (*frames, *rest) if t.worse and not t.sure])
    return "; ".join([*parts, *_background(loaded)]) + "."


def _told(changes: Sequence[tuple[str, Outcome, Change | None, str]]) -> list[_Told]:
    known = [(what, o.name, unit, found) for what, o, found, unit in changes if found is not None]
    sure = surely([found.p for *_, found in known])
    return [_Told(*one, sure=is_sure) for one, is_sure in zip(known, sure, strict=True)]


def _fewer(frames: Sequence[_Told]) -> str:
    """In which loads."""
    if all(math.isnan(t.change.p) for t in frames):
        return " (too few rounds to say more)"
    found = _listed("surely fewer in", [t.where for t in frames if t.better and t.sure], "")
    found += _listed("perhaps fewer in", [t.where for t in frames if t.better and not t.sure], "")
    if not found and not any(t.worse for t in frames):
        return " (no difference can be told)"
    return f" ({', '.join(found)})" if found else ""


def _listed(head: str, names: Sequence[str], mark: str = ":") -> list[str]:
    return [f"{head}{mark} {', '.join(names)}"] if names else []


def _background(loaded: Sequence[Outcome]) -> list[str]:
    """What the loads get done, where that can be said."""
    known = [
        (o.lost_pct.value, o.done_change.value)
        for o in loaded
        if o.lost_pct is not None and o.done_change is not None and math.isfinite(o.lost_pct.value)
    ]
    if not known:
        return []
    lost, done = (fmean(column) for column in zip(*known, strict=True))
    return [f"of the CPU that was left to it, the background made {_amount(-lost)} ({_amount(done)} in all)"]


def _amount(pct: float) -> str:
    if abs(pct) < ROUGHLY_PCT:
        return "as much"
    return f"{pct:.0f} % more" if pct > 0 else f"{-pct:.0f} % less"


def _loads(count: int) -> str:
    return f"{count} load{'s' * (count > 1)}"
