"""How good scores are: in order, in classes, and against what people said; with intervals (pure).

Snapshots that follow one another are alike, so that intervals come from whole blocks of half a minute that are drawn
again and again (a block bootstrap), not from rows. What the rules alone would do is measured in the same way.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from smoothtask.model.classes import PriorityClass
from smoothtask_trainer.dataset import NOTHING_SAID
from smoothtask_trainer.table import Data

Numbers = npt.NDArray[np.float64]
Cuts = tuple[float, float, float, float]

BLOCK_S = 30.0
DRAWS = 1000
CLASSES = tuple(c.name for c in PriorityClass)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Pairs of one snapshot whose order is known, and which of them come in that order; a tie is half of one."""

    right: Numbers
    """Weight in the right order, by query."""
    total: Numbers
    blocks: npt.NDArray[np.int64]
    """Which block each query is of."""

    @property
    def share(self) -> float | None:
        """0 … 1; `None` without any pair."""
        total = float(self.total.sum())
        return float(self.right.sum()) / total if total else None


def agreement(
    scores: npt.NDArray[Any], data: Data, classes: npt.NDArray[np.int8], weight: npt.NDArray[np.float32] | None = None
) -> Agreement:
    """How the order of *scores* agrees with that of *classes* (−1: not known), within queries."""
    weight = np.ones(len(data), np.float32) if weight is None else weight
    right, total, blocks = [], [], []
    numbers = blocks_of(data)
    for rows in queries(data):
        known = rows[classes[rows] != NOTHING_SAID]
        above = classes[known][:, None] > classes[known][None, :]
        if not above.any():
            continue
        counts = np.maximum(weight[known][:, None], weight[known][None, :]) * above
        difference = scores[known][:, None] - scores[known][None, :]
        met = np.where(difference > 0, 1.0, np.where(difference == 0, 0.5, 0.0))
        right.append(float((counts * met).sum()))
        total.append(float(counts.sum()))
        blocks.append(numbers[rows[0]])
    return Agreement(np.array(right), np.array(total), np.array(blocks, np.int64))


def queries(data: Data) -> Iterator[npt.NDArray[np.intp]]:
    """The rows of each query."""
    bounds = [0, *(np.flatnonzero(np.diff(data.query)) + 1).tolist(), len(data)]
    for begin, end in pairwise(bounds):
        yield np.arange(begin, end)


def blocks_of(data: Data) -> npt.NDArray[np.int64]:
    """The block of each row: a run, and half a minute of it."""
    keys = [f"{run}@{time_s // BLOCK_S:.0f}" for run, time_s in zip(data.run, data.time_s, strict=True)]
    return np.unique(keys, return_inverse=True)[1].astype(np.int64) if keys else np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Margin:
    """How much better one thing is than another."""

    value: float
    low: float
    high: float
    """95 %, by blocks that are drawn again."""
    blocks: int


def margin(one: Agreement, other: Agreement, seed: int = 1) -> Margin | None:
    """By how much more *one* agrees than *other*, on the same pairs; `None` without any."""
    if one.share is None or other.share is None:
        return None
    names, of_query = np.unique(one.blocks, return_inverse=True)
    gains = np.bincount(of_query, one.right - other.right, len(names))
    totals = np.bincount(of_query, one.total, len(names))
    drawn = np.random.default_rng(seed).integers(len(names), size=(DRAWS, len(names)))
    values = gains[drawn].sum(axis=1) / totals[drawn].sum(axis=1)
    low, high = np.percentile(values, [2.5, 97.5]).tolist()
    return Margin(one.share - other.share, low, high, len(names))


def ndcg(scores: npt.NDArray[Any], data: Data, k: int) -> float | None:
    """Normalised discounted cumulative gain at *k* against the targets; queries all of one class do not count."""
    found = []
    for rows in queries(data):
        target = data.target[rows].astype(float)
        if target.min() == target.max():
            continue
        discount = 1 / np.log2(np.arange(2, min(k, len(rows)) + 2))
        got = target[np.argsort(-scores[rows], kind="stable")][:k]
        best = np.sort(target)[::-1][:k]
        found.append((((2**got) - 1) @ discount) / (((2**best) - 1) @ discount))
    return float(np.mean(found)) if found else None


def calibrated(scores: Numbers, target: npt.NDArray[np.int8], weight: npt.NDArray[np.float32]) -> Cuts:
    """Scores from which on a group is BACKGROUND, NORMAL, … : those that put the least weight into a wrong class.

    A class of which there is no example is out of reach, so that nobody gets a class that was never shown.
    """
    order = np.argsort(scores, kind="stable")
    s, t, w = scores[order], target[order], weight[order].astype(np.float64)
    reach = float(np.ptp(s)) + 1.0
    cuts = []
    for border in range(1, len(CLASSES)):
        above = t >= border
        if above.all() or not above.any():
            cuts.append(float(s[0]) - reach if above.all() else float(s[-1]) + reach)
            continue
        # Cutting before row n puts rows before it below: wrong are those of them that are above, and the others after.
        wrong = np.concatenate([[0.0], np.cumsum(w * above)]) + np.concatenate(
            [np.cumsum((w * ~above)[::-1])[::-1], [0.0]]
        )
        places = np.flatnonzero(np.concatenate([[True], s[1:] > s[:-1], [True]]))
        best = wrong[places].min()
        chosen = places[np.flatnonzero(wrong[places] <= best + 1e-9)]
        place = int(chosen[len(chosen) // 2])
        cuts.append(_between(s, place))
    first, second, third, fourth = np.maximum.accumulate(cuts).tolist()
    return first, second, third, fourth


def _between(s: Numbers, place: int) -> float:
    if place == 0:
        return float(s[0]) - 1e-6
    return float(s[-1]) + 1e-6 if place == len(s) else float(s[place - 1] + s[place]) / 2


def classes_of(scores: Numbers, cuts: Cuts) -> npt.NDArray[np.int8]:
    """The class that each score is cut into."""
    return np.searchsorted(np.array(cuts), scores, side="right").astype(np.int8)


def confusion(expected: npt.NDArray[np.int8], got: npt.NDArray[np.int8]) -> list[list[int]]:
    """Rows by what was expected, columns by what came out, IDLE first."""
    n = len(CLASSES)
    return np.bincount(expected.astype(np.intp) * n + got, minlength=n * n).reshape(n, n).tolist()


def met(expected: npt.NDArray[np.int8], got: npt.NDArray[np.int8]) -> dict[str, float]:
    """Share of classes that are met, the mean of that over classes, and the share that is at most one off."""
    if not len(expected):
        return {}
    each = [float((got[expected == c] == c).mean()) for c in np.unique(expected)]
    off = np.abs(got.astype(int) - expected)
    return {"exact": float((off == 0).mean()), "balanced": float(np.mean(each)), "within_one": float((off <= 1).mean())}


def measured(scores: Numbers, data: Data, cuts: Cuts, seed: int = 1) -> dict[str, Any]:
    """Everything about *scores* of *data*, beside the rules, as plain numbers."""
    classes, said = classes_of(scores, cuts), data.said != NOTHING_SAID
    ours, rules = (agreement(s, data, data.said) for s in (scores, data.teacher))
    ours_by_class = agreement(classes, data, data.said)
    better = margin(ours, rules, seed)
    return {
        "queries": data.queries,
        "rows": len(data),
        "ndcg_at_5": ndcg(scores, data, 5),
        "ndcg_at_10": ndcg(scores, data, 10),
        "labels": {
            "rows": int(said.sum()),
            "pairs": int(ours.total.sum()),
            "agreement": ours.share,
            "agreement_of_classes": ours_by_class.share,
            "rules_agreement": rules.share,
            "margin": None if better is None else better.value,
            "margin_low": None if better is None else better.low,
            "margin_high": None if better is None else better.high,
            "blocks": 0 if better is None else better.blocks,
            "classes": met(data.said[said], classes[said]),
            "rules_classes": met(data.said[said], data.teacher[said]),
        },
        "teacher": {**met(data.teacher, classes), "confusion": confusion(data.teacher, classes)},
        "targets": met(data.target, classes),
    }
