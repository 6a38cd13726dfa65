"""Statistics of what the probes measured (pure): arrays of numbers in, numbers out.

What is independent is a block, not a frame: all frames of one share whatever else went on in its seconds. So each block
gives one number, and what SmoothTask changes is that number when on, less that when off, of the same round; the
intervals are Student's (1908) over rounds. They hold however much the rounds differ; few rounds make them wide.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist, fmean, stdev
from typing import Final

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float64]
"""One row an event: when it was due (s), after how long it was done (ms), periods it took, periods missed."""

DUE, TOOK_MS, PERIODS, MISSED = range(4)
CONFIDENCE: Final = 0.95
FEWEST_FOR_P99_9: Final = 1000
"""Of fewer it is the largest one."""
_Z: Final = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True, slots=True)
class Spread:
    """How the times of a probe are spread, in milliseconds."""

    p50: float
    p99: float
    p99_9: float | None
    """`None` of fewer than a thousand."""
    max: float
    count: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, and the interval of 95 % confidence around it; infinite where there are too few rounds to say."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Change(Estimate):
    """On less off."""

    p: float
    """How likely at least so large a change, in either direction, is by chance alone; NaN where that cannot be said."""


UNKNOWN: Final = Estimate(math.nan, math.nan, math.nan)


def parse_rows(data: bytes) -> Rows:
    """What `probes.py` writes. Raises ValueError for another length."""
    return np.frombuffer(data, np.float64).reshape(-1, 4)


def within(rows: Rows, begin_s: float, end_s: float) -> Rows:
    """Those that were due from *begin_s* on, before *end_s*; where none was, the one that ran all through that time."""
    due = rows[:, DUE]
    found: Rows = rows[(due >= begin_s) & (due < end_s)]
    return found if len(found) else rows[(due < begin_s) & (_done_s(rows) >= end_s)]


def ended_within(rows: Rows, begin_s: float, end_s: float) -> Rows:
    """Those that were done from *begin_s* on, before *end_s*: of what takes longer than a block, none is lost."""
    done_s = _done_s(rows)
    found: Rows = rows[(done_s >= begin_s) & (done_s < end_s)]
    return found


def _done_s(rows: Rows) -> npt.NDArray[np.float64]:
    done: npt.NDArray[np.float64] = rows[:, DUE] + rows[:, TOOK_MS] / 1000
    return done


def frame_times(rows: Rows) -> Rows:
    """*rows* of one block with the time since the one before was done, as a display's frame times are counted."""
    done = 1000 * rows[:, DUE] + rows[:, TOOK_MS]
    found = rows[1:].copy()
    found[:, TOOK_MS] = np.diff(done)
    return found


def spread(values: npt.NDArray[np.float64]) -> Spread | None:
    """`None` without any."""
    if not len(values):
        return None
    p50, p99, p99_9 = np.percentile(values, [50, 99, 99.9])
    rare = float(p99_9) if len(values) >= FEWEST_FOR_P99_9 else None
    return Spread(float(p50), float(p99), rare, float(values.max()), len(values))


def missed_pct(rows: Rows) -> float:
    """Share of periods that were missed; those that ran out while one was late count as well. NaN without rows."""
    periods = float(rows[:, PERIODS].sum())
    return 100 * float(rows[:, MISSED].sum()) / periods if periods else float("nan")


def percentile_ms(rows: Rows, pct: float) -> float:
    """Of how long they took; NaN without rows."""
    return float(np.percentile(rows[:, TOOK_MS], pct)) if len(rows) else math.nan


def mean_ms(rows: Rows) -> float:
    """Of how long they took; NaN without rows."""
    return float(rows[:, TOOK_MS].mean()) if len(rows) else math.nan


def mean_of(blocks: Sequence[float]) -> Estimate:
    """The mean of a number of each block; NaN stands for a block that has none."""
    known = [number for number in blocks if not math.isnan(number)]
    return _student(known, fmean(known) if known else math.nan)


def share_of(blocks: Sequence[Rows]) -> Estimate:
    """Percent missed, from block to block; never surer than so many independent periods would be (Wilson, 1927)."""
    found = mean_of([missed_pct(rows) for rows in blocks])
    if math.isnan(found.value):
        return UNKNOWN
    low, high = _wilson_pct(blocks)
    return Estimate(found.value, max(0.0, min(found.low, low)), min(100.0, max(found.high, high)))


def change(on: Sequence[float], off: Sequence[float]) -> Change:
    """The mean of the differences; *on* and *off* hold one number a round, NaN for one that has none."""
    differences = [a - b for a, b in zip(on, off, strict=True) if not math.isnan(a - b)]
    found = mean_of(differences)
    return Change(found.value, found.low, found.high, _chance(differences))


def share_change(on: Sequence[Rows], off: Sequence[Rows]) -> Change:
    """Points of percent missed, one block a round; never surer than independent periods would be (Newcombe, 1998)."""
    found = change([missed_pct(rows) for rows in on], [missed_pct(rows) for rows in off])
    if math.isnan(found.value):
        return found
    share, off_share = share_of(on).value, share_of(off).value
    (low, high), (off_low, off_high) = _wilson_pct(on), _wilson_pct(off)
    down, up = math.hypot(share - low, off_high - off_share), math.hypot(high - share, off_share - off_low)
    return Change(found.value, min(found.low, found.value - down), max(found.high, found.value + up), found.p)


def ratio_change(
    on: Sequence[Sequence[float]], off: Sequence[Sequence[float]], weights: Sequence[float] = (1.0,)
) -> Change:
    """In percent, by how much the mean when on exceeds that when off; of several things their mean, by *weights*.

    *on* and *off* hold of each thing one number a round. The interval is that of a ratio estimator, from what each
    round leaves of the ratio of the means (Cochran, 1977, 6.3). NaN where there is nothing to divide by.
    """
    if not off or not all(len(b) and fmean(b) > 0 for b in off) or not sum(weights) > 0:
        return Change(math.nan, math.nan, math.nan, math.nan)
    ratios = [fmean(a) / fmean(b) for a, b in zip(on, off, strict=True)]
    parts = [w / sum(weights) for w in weights]
    value = sum(p * (ratio - 1) for p, ratio in zip(parts, ratios, strict=True))
    left = [
        sum(p * (a[n] - r * b[n]) / fmean(b) for p, r, a, b in zip(parts, ratios, on, off, strict=True))
        for n in range(len(on[0]))
    ]
    found = _student([100 * (value + one) for one in left], 100 * value)
    return Change(found.value, found.low, found.high, _chance([100 * (value + one) for one in left]))


def surely(chances: Sequence[float], level: float = 1 - CONFIDENCE) -> list[bool]:
    """Which of several changes are no chance, so that all that is said holds together (Holm, 1979)."""
    ranked = sorted(range(len(chances)), key=lambda n: (math.isnan(chances[n]), chances[n]))
    said = [False] * len(chances)
    for rank, n in enumerate(ranked):
        if not chances[n] <= level / (len(chances) - rank):
            break
        said[n] = True
    return said


def within_t(t: float, freedom: int) -> float:
    """Share of Student's distribution within ±*t*, for whole degrees of *freedom* (Abramowitz and Stegun, 26.7.3-4)."""
    angle, odd = math.atan(t / math.sqrt(freedom)), freedom % 2
    term, total = math.cos(angle) if odd else 1.0, 0.0
    for k in range(1, freedom // 2 + 1):
        total += term
        term *= math.cos(angle) ** 2 * (2 * k - 1 + odd) / (2 * k + odd)
    share = 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return min(1.0, share)


@cache
def t_quantile(freedom: int, confidence: float = CONFIDENCE) -> float:
    """The t within whose ± lies *confidence*."""
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        inside = within_t(math.sqrt(freedom) * math.tan(middle), freedom) < confidence
        low, high = (middle, high) if inside else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def _student(values: Sequence[float], value: float) -> Estimate:
    if math.isnan(value):
        return UNKNOWN
    if len(values) == 1:
        return Estimate(value, -math.inf, math.inf)
    reach = t_quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Estimate(value, value - reach, value + reach)


def _chance(differences: Sequence[float]) -> float:
    if len(differences) < 2 or not math.isfinite(mean := fmean(differences)):
        return math.nan
    error = stdev(differences) / math.sqrt(len(differences))
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return 1 - within_t(abs(mean) / error, len(differences) - 1)


def _wilson_pct(blocks: Sequence[Rows]) -> tuple[float, float]:
    """The interval of a share of independent periods; NaN without any."""
    periods = sum(float(rows[:, PERIODS].sum()) for rows in blocks)
    if not periods:
        return math.nan, math.nan
    share = sum(float(rows[:, MISSED].sum()) for rows in blocks) / periods
    middle = (share + _Z**2 / (2 * periods)) / (1 + _Z**2 / periods)
    reach = _Z / (1 + _Z**2 / periods) * math.sqrt(share * (1 - share) / periods + _Z**2 / (4 * periods**2))
    return 100 * max(0.0, middle - reach), 100 * min(1.0, middle + reach)
