"""Symmetric trees on numpy: the scores that CatBoost gives, to the last bit, and which features made them (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smoothtask.config.bundle import Trees

Rows = npt.NDArray[np.float32]
"""[rows, features]; NaN is "not known"."""
Scores = npt.NDArray[np.float64]
"""[rows]"""


@dataclass(frozen=True, slots=True)
class ObliviousTrees:
    """All trees as arrays. Splits that several trees share are looked at once a row.

    A tree that is less deep than the deepest has its leaves repeated, so that the bits above its own do not matter.
    """

    width: int
    features: npt.NDArray[np.intp]
    """[splits]"""
    borders: npt.NDArray[np.float32]
    """[splits]"""
    splits: npt.NDArray[np.intp]
    """[depth, trees]: which split makes bit d of a tree's leaf."""
    leaves: npt.NDArray[np.float64]
    """[trees, leaves]"""
    weights: npt.NDArray[np.float64]
    """[trees, leaves]: rows of training in each leaf."""
    scale: float
    bias: float
    nan_above: npt.NDArray[np.intp]
    """Features whose NaN is above every border."""

    def scores(self, rows: Rows) -> Scores:
        """The score of each row, float32 [rows, width]. Raises ValueError for another shape."""
        leaf = self._leaves(rows)
        leaf += np.arange(len(self.leaves), dtype=np.intp)[:, None] * self.leaves.shape[1]
        # Row by row of the transposed table: the order in which CatBoost adds.
        total: Scores = self.leaves.ravel().take(leaf).sum(axis=0)
        return self.scale * total + self.bias

    def contributions(self, row: Rows) -> tuple[float, Scores]:
        """What one row [width] scores before anything is known of it, and what each feature adds to that [width].

        Each split is credited with the change of the mean leaf that it brings (Saabas): their sum is the score.
        """
        leaf = self._leaves(row[None, :])[:, 0]
        means, weights = self.leaves, self.weights
        known = means[np.arange(len(leaf)), leaf]
        added = np.zeros(self.width)
        for depth in reversed(range(len(self.splits))):
            means, weights = _without_top_bit(means, weights, 1 << depth)
            before = means[np.arange(len(leaf)), leaf & ((1 << depth) - 1)]
            np.add.at(added, self.features[self.splits[depth]], known - before)
            known = before
        return self.scale * float(known.sum()) + self.bias, self.scale * added

    def _leaves(self, rows: Rows) -> npt.NDArray[np.intp]:
        """The leaf of each row in each tree [trees, rows]."""
        rows = np.asarray(rows, np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.width:
            raise ValueError(f"expected rows of {self.width} features, got {rows.shape}")
        if len(self.nan_above):
            rows = rows.copy()
            part = rows[:, self.nan_above]
            part[np.isnan(part)] = np.inf
            rows[:, self.nan_above] = part
        above = np.greater(rows.T[self.features], self.borders[:, None])  # NaN is above nothing
        leaf = np.zeros((self.splits.shape[1], len(rows)), np.intp)
        for depth, split in enumerate(self.splits):
            leaf |= above[split].astype(np.intp) << depth
        return leaf


def _without_top_bit(means: Scores, weights: Scores, half: int) -> tuple[Scores, Scores]:
    """Weighted means over the highest bit of the leaf's number; plain ones where nobody was in training."""
    means, weights = means.reshape(-1, 2, half), weights.reshape(-1, 2, half)
    total = weights.sum(axis=1)
    seen = total > 0
    weighted = (means * weights).sum(axis=1) / np.where(seen, total, 1.0)
    return np.where(seen, weighted, means.mean(axis=1)), total


def compiled(model: Trees) -> ObliviousTrees:
    """The trees of a checked file as arrays."""
    depth = max(1, *(len(tree.features) for tree in model.trees))
    keys = sorted({key for tree in model.trees for key in zip(tree.features, tree.borders, strict=True)} or {(0, 0.0)})
    numbers = {key: n for n, key in enumerate(keys)}
    splits = np.zeros((depth, len(model.trees)), np.intp)
    for t, tree in enumerate(model.trees):
        for d, key in enumerate(zip(tree.features, tree.borders, strict=True)):
            splits[d, t] = numbers[key]
    return ObliviousTrees(
        width=model.width,
        features=np.array([feature for feature, _ in keys], np.intp),
        borders=np.array([border for _, border in keys], np.float32),
        splits=splits,
        leaves=np.array([_repeated(tree.leaves, 1 << depth) for tree in model.trees], np.float64),
        weights=np.array([_repeated(tree.weights, 1 << depth) for tree in model.trees], np.float64),
        scale=model.scale,
        bias=model.bias,
        nan_above=np.array(sorted(model.nan_above), np.intp),
    )


def _repeated(values: Sequence[float], length: int) -> list[float]:
    return list(values) * (length // len(values))
