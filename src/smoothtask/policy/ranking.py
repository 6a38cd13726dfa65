"""A model's scores → classes, bounded by what the rules say (pure)."""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from smoothtask.model.classes import PriorityClass

REACH = 1
"""Classes that a model may be away from the rules."""

Cuts = tuple[float, float, float, float]
"""A score from the n-th on is at least class n + 1; they do not fall."""


def _unexplained(_group: str) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Opinions:
    """What a model says at one tick."""

    model: str
    """Its id."""
    cuts: Cuts
    scores: Mapping[str, float]
    """Group → score."""
    why: Callable[[str], tuple[str, ...]] = _unexplained
    """Group → the features that mattered most, in words. Asked only where the class changes."""

    def coordinate(self, group: str, rules: PriorityClass) -> float | None:
        """Where *group* is on the line of classes, at most one from *rules*; `None` when it was not scored."""
        score = self.scores.get(group)
        if score is None:
            return None
        return max(float(rules - REACH), min(float(rules + REACH), coordinate(score, self.cuts)))


def coordinate(score: float, cuts: Cuts) -> float:
    """Where *score* is on the line of classes, 0 (IDLE) … 4: each cut is halfway between two classes.

    Below the first and above the last cut it goes on as in the interval beside it.
    """
    place = bisect_right(cuts, score)
    lower, upper = max(0, place - 1), min(3, place)
    if lower == upper:  # outside: the nearest interval tells how far a class is
        lower, upper = (0, 1) if place == 0 else (2, 3)
    gap = cuts[upper] - cuts[lower]
    if gap <= 0:
        return float(place)
    value = 0.5 + lower + (score - cuts[lower]) / gap
    return max(0.0, min(4.0, max(place - 0.5, min(place + 0.4999, value))))


def cuts_at(percentiles: tuple[float, ...], shares: Cuts) -> Cuts:
    """The scores at *shares* (0 … 100) of a reference with those *percentiles* (0, 1, … 100)."""
    a, b, c, d = (_interpolated(percentiles, share) for share in shares)
    return a, b, c, d


def _interpolated(percentiles: tuple[float, ...], share: float) -> float:
    place = min(int(share), len(percentiles) - 2)
    low, high = percentiles[place], percentiles[place + 1]
    return low + (high - low) * (share - place)
