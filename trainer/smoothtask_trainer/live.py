"""`smoothtask tune --live`: measures candidates on this machine, with a load that it starts and stops.

In each round every arm has one block, in an order drawn by lot: `off` (the load alone), `now` (the settings in force)
and the candidates. In a block a 60 Hz frame loop runs in a terminal; from a quarter on, unknown programs hog beside
it. An engine with the arm's settings acts on what the block started and on nothing else, and puts all back. Counted
is the share of missed frames from the moment that the hogs begin: how soon something is done counts as well.
"""

import math
import random
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from smoothtask.config.settings import Settings
from smoothtask_trainer.generate import RecordingError, play
from smoothtask_trainer.scenes import LIVE_BEGIN
from smoothtask_trainer.space import Value, with_values

OFF, NOW = "off", "now"
LEAST_ROUNDS = 3
# Student's t for 95 %, two-sided, by degrees of freedom (NIST e-Handbook of Statistical Methods 1.3.6.7.2).
_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
_T95_MANY = 1.96


@dataclass(frozen=True, slots=True)
class Block:
    """What was measured in one block."""

    arm: str
    round: int
    missed_pct: float
    late_p99_ms: float
    frames: int


@dataclass(frozen=True, slots=True)
class Difference:
    """An arm against `now`, in points of missed frames: negative is better."""

    arm: str
    mean: float
    low: float
    high: float
    """95 % confidence, from the differences within rounds."""
    rounds: int

    @property
    def verdict(self) -> str:
        """In words."""
        if self.high < 0:
            return "misses fewer frames"
        return "misses more frames" if self.low > 0 else "no difference can be told"


def measure_live(
    settings: Settings,
    candidates: Mapping[str, Mapping[str, Value]],
    held: Path,
    *,
    rounds: int = 4,
    seconds: float = 12.0,
    seed: int = 1,
    tell: Callable[[str], None] = lambda _text: None,
) -> list[Block]:
    """Every block of every round. *candidates*: name → `section.name` → value. *held*: see `Paths.held`.

    Raises RecordingError where no load can be started, and what `daemon.build` raises. An interrupt ends all.
    """
    arms: dict[str, Settings | None] = {OFF: None, NOW: settings}
    arms |= {name: with_values(settings, values) for name, values in candidates.items()}
    chance, blocks = random.Random(seed), list[Block]()  # noqa: S311 - not for secrets
    for number in range(rounds):
        order = list(arms)
        chance.shuffle(order)
        for arm in order:
            block = _block(arm, number, arms[arm], seconds, held)
            blocks.append(block)
            tell(f"round {number + 1} of {rounds}, {arm}: {block.missed_pct:.1f} % of {block.frames} frames missed")
    return blocks


def _block(arm: str, number: int, settings: Settings | None, seconds: float, held: Path) -> Block:
    with tempfile.TemporaryDirectory(prefix="smoothtask-live-") as folder:
        output = Path(folder, "frames")
        play(settings, seconds, Path(folder), output, held)
        return summary(arm, number, output.read_text(encoding="utf-8"), seconds)


def summary(arm: str, number: int, text: str, seconds: float) -> Block:
    """The frames of *text* (see `actor.c`) from the moment that the hogs begin. Raises RecordingError without any."""
    frames = [(float(at), missed == "1", float(late)) for at, missed, late in map(str.split, text.splitlines())]
    if not frames:
        raise RecordingError("the frame loop has drawn nothing")
    from_s = frames[0][0] + LIVE_BEGIN * seconds
    counted = [(missed, late) for at, missed, late in frames if at >= from_s]
    late = sorted(late for _, late in counted)
    share = 100 * sum(missed for missed, _ in counted) / max(1, len(counted))
    return Block(arm, number, share, late[len(late) * 99 // 100] if late else math.nan, len(counted))


def differences(blocks: Sequence[Block]) -> list[Difference]:
    """Each arm against `now`, paired by round: what the machine did beside cancels out."""
    by = {(b.arm, b.round): b.missed_pct for b in blocks}
    rounds = sorted({b.round for b in blocks})
    found = []
    for arm in dict.fromkeys(b.arm for b in blocks):
        if arm != NOW:
            low, mean, high = interval([by[arm, r] - by[NOW, r] for r in rounds if (NOW, r) in by and (arm, r) in by])
            found.append(Difference(arm, mean, low, high, len(rounds)))
    return found


def best(blocks: Sequence[Block]) -> str | None:
    """The candidate that surely misses the fewest frames; `None` when none is surely better than now."""
    better = [d for d in differences(blocks) if d.arm != OFF and d.high < 0 and d.rounds >= LEAST_ROUNDS]
    return min(better, key=lambda d: d.mean).arm if better else None


def to_json(blocks: Sequence[Block]) -> dict[str, Any]:
    """Everything, as plain values."""
    compared = [{**asdict(d), "verdict": d.verdict} for d in differences(blocks)]
    for one in compared:
        one.update({k: None for k in ("mean", "low", "high") if not math.isfinite(one[k])})
    return {"blocks": [asdict(b) for b in blocks], "against_now": compared}


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """(low, mean, high) of 95 % confidence; without bounds for fewer than two values."""
    mean = statistics.fmean(values) if values else math.nan
    if len(values) < 2:
        return -math.inf, mean, math.inf
    t = _T95[len(values) - 2] if len(values) - 2 < len(_T95) else _T95_MANY
    half = t * statistics.stdev(values) / math.sqrt(len(values))
    return mean - half, mean, mean + half


def lines(blocks: Sequence[Block]) -> list[str]:
    """For a person."""
    said = []
    for arm in sorted({b.arm for b in blocks}, key=lambda a: (a != OFF, a != NOW, a)):
        mine = [b for b in blocks if b.arm == arm]
        missed = statistics.fmean(b.missed_pct for b in mine)
        late = statistics.fmean(b.late_p99_ms for b in mine)
        said.append(f"{arm:>12}: {missed:5.1f} % of frames missed, p99 {late:.1f} ms late, {len(mine)} blocks")
    return said + [
        f"{d.arm:>12}: {d.mean:+.1f} points against now, 95 % between {d.low:+.1f} and {d.high:+.1f}: {d.verdict}"
        for d in differences(blocks)
    ]
