"""Which recorded moments are trained on, and which are kept apart: by time and by session, never by row (pure).

Two snapshots a second apart are nearly the same: a split by row would test on what was trained on. So runs are cut at
long gaps and into stretches of at most a tenth of all moments; the newest stretches are for the test, those before
them for validation, the rest for training. Where a run goes on over such a border, what lies next to it is left out.
"""

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

GAP_S = 600.0
"""A longer pause begins another session."""
PIECES = 10
TEST_SHARE, VALIDATION_SHARE = 0.2, 0.15
EMBARGO_S, EMBARGO_SHARE = 30.0, 0.25
"""At such a border, but not more than this share of the stretch."""


class Part(StrEnum):
    """What a moment is for."""

    TRAIN = "train"
    VALIDATE = "validate"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive moments of one run."""

    run: str
    begin_s: float
    """Unix time."""
    end_s: float
    moments: int
    part: Part = Part.TRAIN


@dataclass(frozen=True, slots=True)
class Plan:
    """Every stretch, the oldest first, and what it is for."""

    stretches: tuple[Stretch, ...]

    def place(self, run: str, time_s: float) -> tuple[int, Part] | None:
        """The stretch of a moment and its part; `None` for one too near to another part's."""
        for n, s in enumerate(self.stretches):
            if s.run == run and s.begin_s <= time_s <= s.end_s:
                return (n, s.part) if not self._is_at_border(n, time_s) else None
        return None

    def _is_at_border(self, n: int, time_s: float) -> bool:
        """Whether a stretch of another part ended in the same run a moment before."""
        this = self.stretches[n]
        embargo_s = min(EMBARGO_S, EMBARGO_SHARE * (this.end_s - this.begin_s))
        return any(
            s.run == this.run and s.part is not this.part and 0 <= time_s - s.end_s < embargo_s for s in self.stretches
        )


def plan(moments: Iterable[tuple[str, float]], is_tested: Callable[[str], bool] = lambda _run: False) -> Plan:
    """What each of *moments* (run, Unix time; each run in order) is for. *is_tested*: runs for the test alone."""
    times: dict[str, array[float]] = {}
    for run, time_s in moments:
        times.setdefault(run, array("d")).append(time_s)
    longest = max(1, sum(map(len, times.values())) // PIECES)
    cut = [s for run, at in times.items() for s in _stretches(run, at, longest)]
    cut.sort(key=lambda s: (s.begin_s, s.run))
    held_out = [s for s in cut if is_tested(s.run)]
    rest = [s for s in cut if not is_tested(s.run)]
    total = sum(s.moments for s in rest)
    parts = dict.fromkeys(held_out, Part.TEST)
    if not held_out:
        parts.update(_newest(rest, TEST_SHARE * total, Part.TEST))
    left = [s for s in rest if s not in parts]
    parts.update(_newest(left, VALIDATION_SHARE * total, Part.VALIDATE))
    return Plan(tuple(Stretch(s.run, s.begin_s, s.end_s, s.moments, parts.get(s, Part.TRAIN)) for s in cut))


def _stretches(run: str, times: "array[float]", longest: int) -> list[Stretch]:
    sessions: list[list[float]] = []
    for time_s in times:
        if not sessions or time_s - sessions[-1][-1] > GAP_S:
            sessions.append([])
        sessions[-1].append(time_s)
    found = []
    for session in sessions:
        pieces = -(-len(session) // longest)
        numbered = ((n * pieces // len(session), time_s) for n, time_s in enumerate(session))
        for _, piece in groupby(numbered, key=lambda item: item[0]):
            at = [time_s for _, time_s in piece]
            found.append(Stretch(run, min(at), max(at), len(at)))
    return found


def _newest(stretches: list[Stretch], enough: float, part: Part) -> dict[Stretch, Part]:
    """The newest of *stretches* until there are *enough* moments in them, and one is left for training."""
    taken: dict[Stretch, Part] = {}
    moments = 0
    for stretch in reversed(stretches[1:]):
        if moments >= enough:
            break
        taken[stretch] = part
        moments += stretch.moments
    return taken
