"""Statistics of what the probes measured (pure): arrays of numbers in, numbers out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float64]
"""One row an event: when it was due (s), after how long it was done (ms), periods it took, periods missed."""

DUE, TOOK_MS, PERIODS, MISSED = range(4)
CHUNK_S: Final = 0.5
"""Events within half a second depend on each other: they are drawn together."""
RESAMPLES: Final = 1000
CONFIDENCE_PCT: Final = 95.0


@dataclass(frozen=True, slots=True)
class Spread:
    """How the times of a probe are spread, in milliseconds."""

    p50: float
    p99: float
    p99_9: float
    max: float
    count: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, and the interval of 95 % confidence around it."""

    value: float
    low: float
    high: float


def parse_rows(data: bytes) -> Rows:
    """What `probes.py` writes. Raises ValueError for another length."""
    return np.frombuffer(data, np.float64).reshape(-1, 4)


def within(rows: Rows, begin_s: float, end_s: float) -> Rows:
    """Those that were due from *begin_s* on, before *end_s*."""
    due = rows[:, DUE]
    found: Rows = rows[(due >= begin_s) & (due < end_s)]
    return found


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
    return Spread(float(p50), float(p99), float(p99_9), float(values.max()), len(values))


def missed_pct(rows: Rows) -> float:
    """Share of periods that were missed; those that ran out while one was late count as well. NaN without rows."""
    periods = float(rows[:, PERIODS].sum())
    return 100 * float(rows[:, MISSED].sum()) / periods if periods else float("nan")


def chunks(rows: Rows, chunk_s: float = CHUNK_S) -> list[Rows]:
    """*rows* of one block in pieces of *chunk_s*, in order."""
    if not len(rows):
        return []
    number = ((rows[:, DUE] - rows[0, DUE]) / chunk_s).astype(np.int64)
    return [rows[number == n] for n in np.unique(number)]


def bootstrap(
    pieces: Sequence[Rows], statistic: Callable[[Rows], float], seed: int, resamples: int = RESAMPLES
) -> Estimate:
    """*statistic* of all *pieces* together; its interval from pieces drawn with replacement (Efron, 1979).

    NaN without pieces; an interval as wide as can be where there is but one.
    """
    if not pieces:
        return Estimate(float("nan"), float("nan"), float("nan"))
    value = statistic(np.concatenate(pieces))
    if len(pieces) == 1:
        return Estimate(value, float("-inf"), float("inf"))
    found = _resampled(pieces, statistic, np.random.default_rng(seed), resamples)
    return Estimate(value, *_bounds(found))


def difference(
    one: Sequence[Rows],
    other: Sequence[Rows],
    statistic: Callable[[Rows], float],
    seed: int,
    resamples: int = RESAMPLES,
) -> Estimate:
    """*statistic* of *one* less that of *other*, each drawn for itself."""
    if not one or not other:
        return Estimate(float("nan"), float("nan"), float("nan"))
    value = statistic(np.concatenate(one)) - statistic(np.concatenate(other))
    if min(len(one), len(other)) == 1:
        return Estimate(value, float("-inf"), float("inf"))
    chance = np.random.default_rng(seed)
    first = _resampled(one, statistic, chance, resamples)
    return Estimate(value, *_bounds(first - _resampled(other, statistic, chance, resamples)))


def ratio_of_means(one: Sequence[float], other: Sequence[float], seed: int, resamples: int = RESAMPLES) -> Estimate:
    """The mean of *one* over that of *other*, with its interval; NaN where there is nothing to divide by."""
    a, b = np.asarray(one, float), np.asarray(other, float)
    if not len(a) or not len(b) or b.mean() <= 0:
        return Estimate(float("nan"), float("nan"), float("nan"))
    value = float(a.mean() / b.mean())
    if min(len(a), len(b)) == 1:
        return Estimate(value, float("-inf"), float("inf"))
    chance = np.random.default_rng(seed)
    above = chance.choice(a, (resamples, len(a))).mean(axis=1)
    below = np.maximum(chance.choice(b, (resamples, len(b))).mean(axis=1), np.finfo(float).tiny)
    return Estimate(value, *_bounds(above / below))


def p99_ms(rows: Rows) -> float:
    """Of how long they took; NaN without rows."""
    return float(np.percentile(rows[:, TOOK_MS], 99)) if len(rows) else float("nan")


def _resampled(
    pieces: Sequence[Rows], statistic: Callable[[Rows], float], chance: np.random.Generator, resamples: int
) -> npt.NDArray[np.float64]:
    drawn = chance.integers(0, len(pieces), (resamples, len(pieces)))
    return np.array([statistic(np.concatenate([pieces[i] for i in row])) for row in drawn])


def _bounds(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    tail = (100 - CONFIDENCE_PCT) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)
