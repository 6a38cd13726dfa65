"""How good replayed decisions are, by what the recording itself knows (pure).

Three measures, and one to keep the others honest:
- agreement: how near the class comes to what a person said it should be (labels);
- coverage: of the time in which somebody would have noticed, the share in which the culprit was lowered;
- changes of classes an hour;
- needless: the share of good time in which somebody is restrained.
None of them is an effect: a culprit that is lowered on paper has not made anything faster.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from smoothtask.model.classes import PriorityClass
from smoothtask.model.frame import Frame
from smoothtask.model.group import AppGroup, Behaviour
from smoothtask.store.frames import RecordedFrame
from smoothtask_trainer.replay import Replayed

LONGEST_S = 10.0
"""A snapshot speaks for the time since the one before, up to this."""
CULPRIT_CORES = 0.3
CULPRIT_SHARE = 0.25
"""Of all cores that groups use: below this nobody is to blame alone."""
WORST_DISTANCE = PriorityClass.LATENCY_CRITICAL - PriorityClass.IDLE


@dataclass(frozen=True, slots=True)
class Measures:
    """Of one stretch of a recording. `None`: there is nothing to measure it by."""

    agreement: float | None
    """0 … 1: 1 − the distance in classes over the greatest one; every application counts the same."""
    exact: float | None
    """Share of labels that are met exactly."""
    labels: int
    coverage: float | None
    bad_s: float
    """Seconds in which somebody would have noticed and somebody is to blame."""
    unexplained_s: float
    """Bad seconds in which nobody is to blame alone."""
    changes_per_h: float
    needless: float
    hours: float


@dataclass(slots=True)
class _Tally:
    near: dict[str, list[float]] = field(default_factory=dict)
    exact: int = 0
    labels: int = 0
    bad_s: float = 0.0
    covered_s: float = 0.0
    unexplained_s: float = 0.0
    changes: int = 0
    good_s: float = 0.0
    needless_s: float = 0.0
    total_s: float = 0.0

    def result(self) -> Measures:
        """The sums as shares."""
        by_app = [sum(near) / len(near) for near in self.near.values()]
        return Measures(
            agreement=sum(by_app) / len(by_app) if by_app else None,
            exact=self.exact / self.labels if self.labels else None,
            labels=self.labels,
            coverage=self.covered_s / self.bad_s if self.bad_s else None,
            bad_s=self.bad_s,
            unexplained_s=self.unexplained_s,
            changes_per_h=self.changes / self.total_s * 3600 if self.total_s else 0.0,
            needless=self.needless_s / self.good_s if self.good_s else 0.0,
            hours=self.total_s / 3600,
        )


def blocks_of(recorded: Sequence[RecordedFrame], shares: Sequence[float]) -> list[int]:
    """The block of each snapshot: the recorded time is cut, in order, into *shares* that add up to 1."""
    total = list(accumulate(spans(recorded)))
    bounds = [share * (total[-1] if total else 0.0) for share in accumulate(shares)]
    return [next((n for n, bound in enumerate(bounds) if at <= bound), len(shares) - 1) for at in total]


def spans(recorded: Iterable[RecordedFrame]) -> Iterator[float]:
    """The seconds for which each snapshot speaks."""
    before: RecordedFrame | None = None
    for now in recorded:
        if before is None or before.run != now.run:
            yield 0.0
        else:
            yield min(LONGEST_S, max(0.0, now.frame.mono_s - before.frame.mono_s))
        before = now


def measure(
    replayed: Iterable[Replayed], blocks: Sequence[int], n_blocks: int, culprits: Mapping[int, str | None]
) -> list[Measures]:
    """The measures of each block. *culprits*: of each bad snapshot, by its place in the recording (`culprits_of`)."""
    tallies = [_Tally() for _ in range(n_blocks)]
    before: Replayed | None = None
    for place, now in enumerate(replayed):
        tally = tallies[blocks[place]]
        seconds = 0.0
        if before is not None and not now.begins:
            seconds = min(LONGEST_S, now.recorded.frame.mono_s - before.recorded.frame.mono_s)
            tally.changes += sum(
                d.target is not before.decisions[g].target for g, d in now.decisions.items() if g in before.decisions
            )
        tally.total_s += seconds
        _add_labels(tally, now)
        _add_time(tally, now, seconds, place in culprits, culprits.get(place))
        before = now
    return [t.result() for t in tallies]


def _add_labels(tally: _Tally, now: Replayed) -> None:
    apps = {g.group.id: g.group.classification.app for g in now.recorded.frame.groups}
    for said in now.recorded.said:
        decision = now.decisions.get(said.group or "")
        if said.target is None or decision is None:
            continue
        distance = abs(decision.target - said.target)
        tally.near.setdefault(apps[decision.group], []).append(1 - distance / WORST_DISTANCE)
        tally.exact += distance == 0
        tally.labels += 1


def _add_time(tally: _Tally, now: Replayed, seconds: float, bad: bool, culprit: str | None) -> None:
    if not bad:
        tally.good_s += seconds
        tally.needless_s += seconds * any(
            d.restraint and d.target < PriorityClass.NORMAL for d in now.decisions.values()
        )
    elif culprit is None:
        tally.unexplained_s += seconds
    else:
        tally.bad_s += seconds
        tally.covered_s += seconds * (now.decisions[culprit].target < PriorityClass.NORMAL)


def culprits_of(recorded: Iterable[RecordedFrame]) -> dict[int, str | None]:
    """Place of each bad snapshot → the group to blame: it takes most of what somebody in use waits for.

    A heuristic, not a cause: `None` where nobody takes a large share, or who takes it is in use.
    """
    return {place: culprit_of(r.frame) for place, r in enumerate(recorded) if r.frame.scores.bad}


def culprit_of(frame: Frame) -> str | None:
    """The group to blame if *frame* is bad."""
    total = sum(g.group.metrics.cpu for g in frame.groups)
    able = [g.group for g in frame.groups if not g.decision.protected and not _is_in_use(g.group)]
    worst = max(able, key=lambda g: g.metrics.cpu, default=None)
    if worst is None or worst.metrics.cpu < max(CULPRIT_CORES, CULPRIT_SHARE * total):
        return None
    return worst.id


def _is_in_use(group: AppGroup) -> bool:
    a = group.attention
    watched = a.focused or a.playing or a.capturing or a.fullscreen
    return watched or group.behaviour is Behaviour.STEADY or (group.starts_others and group.parent is None)
