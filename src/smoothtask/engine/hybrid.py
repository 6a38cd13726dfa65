"""Hybrid mode: the groups of a tick → what the model in use says of them, and which features made it say so."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import expm1, isnan
from pathlib import Path
from typing import Any

import numpy as np

from smoothtask.config.settings import Settings
from smoothtask.model.decision import Contention
from smoothtask.model.group import AppGroup
from smoothtask.model.person import PersonMetrics
from smoothtask.model.system import SystemMetrics
from smoothtask.policy.features import FEATURES, Encoding, Matrix, features, schema_hash
from smoothtask.policy.personal import class_at
from smoothtask.policy.ranking import Cuts, Opinions, coordinate, cuts_at
from smoothtask.ranker.checks import Expected, Model
from smoothtask.ranker.oblivious import Scores
from smoothtask.ranker.serving import Ranker
from smoothtask.ranker.shelf import Shelf

NAMED, SHOWN = 3, 8
"""Features in a reason, and in an explanation."""


def expected() -> Expected:
    """The features as they are here."""
    columns = tuple((f.name, f.unit, f.encoding, f.missing, f.lo, f.hi) for f in FEATURES)
    return Expected(schema_hash(), columns)


@dataclass(slots=True)
class Seen:
    """A model, and what it last looked at."""

    model: Model
    shares: Cuts | None = None
    """Percentiles of the reference at which classes begin; `None`: the model's own calibrated cuts."""
    _rows: dict[str, Any] = field(default_factory=dict)
    """Group → its features at the last look."""
    _reasons: dict[tuple[str, int], tuple[str, ...]] = field(default_factory=dict)
    """(group, class) → the features that mattered when it came there."""

    @property
    def cuts(self) -> Cuts:
        """The scores at which classes begin."""
        scale = self.model.manifest.scale
        return scale.cuts if self.shares is None else cuts_at(scale.percentiles, self.shares)

    def look(
        self, groups: Sequence[AppGroup], system: SystemMetrics, person: PersonMetrics, contention: Contention
    ) -> Opinions:
        """What it says of *groups*, which are all that there are."""
        rows = features(groups, system, person, contention)
        return self.opinions(groups, rows, self.model.evaluator.scores(rows))

    def opinions(self, groups: Sequence[AppGroup], rows: Matrix, scores: Scores) -> Opinions:
        """The same of features and scores that are there already."""
        self._rows = {g.id: row for g, row in zip(groups, rows, strict=True)}
        self._reasons = {key: why for key, why in self._reasons.items() if key[0] in self._rows}
        by_group = dict(zip(self._rows, scores.tolist(), strict=True))
        cuts = self.cuts

        def why(group: str) -> tuple[str, ...]:
            key = (group, bisect_right(cuts, by_group[group]))
            if key not in self._reasons:
                row = self._rows[group]
                self._reasons[key] = tuple(_worded(n, float(row[n])) for n, _ in _most(self.model, row, NAMED))
            return self._reasons[key]

        return Opinions(self.model.id, cuts, by_group, why)

    def explanation(self, group: str) -> dict[str, Any] | None:
        """How it came to its score of *group* at the last look, as JSON values; `None` when it gave none."""
        row = self._rows.get(group)
        if row is None:
            return None
        base, added = self.model.trees.contributions(row)
        score = base + float(added.sum())
        return {
            "model": self.model.id,
            "score": round(score, 4),
            "class": class_at(coordinate(score, self.cuts)).name,
            "usual": round(base, 4),
            "features": [_told(n, float(row[n]), by) for n, by in _most(self.model, row, SHOWN)],
        }


@dataclass(slots=True)
class Hybrid:
    """Whatever model is in use, from tick to tick."""

    ranker: Ranker
    shares: Cuts | None = None
    seen: Seen | None = None
    """`None` while rules decide alone."""

    def opinions(
        self, groups: Sequence[AppGroup], system: SystemMetrics, person: PersonMetrics, contention: Contention
    ) -> Opinions | None:
        """What the model says of *groups*, which are all that there are; `None`: rules decide alone."""
        model = self.ranker.model
        if model is None or not groups:
            self.seen = None
            return None
        rows = features(groups, system, person, contention)
        scores = self.ranker.scores(rows)
        if scores is None:
            self.seen = None
            return None
        if self.seen is None or self.seen.model is not model:
            self.seen = Seen(model, self.shares)
        return self.seen.opinions(groups, rows, scores)

    def explanation(self, group: str) -> dict[str, Any] | None:
        """See `Seen.explanation`."""
        return None if self.seen is None else self.seen.explanation(group)


def start(
    settings: Settings, models: Path, boot_id: str, say: Callable[[str, str], None], on_swap: Callable[[], None]
) -> Hybrid:
    """Hybrid mode as *settings* want it, `off` aside. See `Ranker` for *say* and *on_swap*."""
    assert settings.ranker.evaluator != "off"  # noqa: S101 - nobody asks then
    ranker = Ranker(Shelf(models, boot_id), expected(), settings.ranker.evaluator, say, on_swap)
    ranker.start()
    return Hybrid(ranker, shares_of(settings))


def shares_of(settings: Settings) -> Cuts | None:
    """Where classes begin, if not at a model's calibrated cuts."""
    return settings.ranker.percentiles if settings.ranker.classes == "percentiles" else None


def _most(model: Model, row: Any, number: int) -> list[tuple[int, float]]:
    """The features that moved the score of *row* most, and by how much."""
    _, added = model.trees.contributions(row)
    order = np.argsort(-np.abs(added), kind="stable")[:number]
    return [(int(n), float(added[n])) for n in order if added[n] != 0]


def _worded(number: int, value: float) -> str:
    """A feature in a reason: whether it holds, or what it is about."""
    f = FEATURES[number]
    if f.encoding not in {Encoding.FLAG, Encoding.ONE_HOT}:
        return f.text
    return f"unknown whether {f.text}" if isnan(value) else f.text if value else f"not that {f.text}"


def _told(number: int, value: float, by: float) -> dict[str, Any]:
    """One feature for people: its value in its own unit, and what it adds to the score."""
    f = FEATURES[number]
    plain = expm1(value) if f.encoding == Encoding.LOG1P and not isnan(value) else value
    return {
        "name": f.name,
        "text": f.text,
        "value": None if isnan(plain) else round(plain, 4),
        "unit": f.unit,
        "adds": round(by, 4),
    }
