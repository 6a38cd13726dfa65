"""Recorded moments: which are bad, which to label, where they stand on the axis, what today's policy says (pure)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from smoothtask.model.decision import Decision
from smoothtask.model.frame import Frame
from smoothtask.policy.decide import Orders, PolicyState, decide
from smoothtask.policy.parameters import PolicyParameters

BAD_P99_MS = 20.0
"""From this wake-up latency on a moment is bad, contention or not."""
SESSION = 50
"""Moments in a labelling session."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One snapshot of the log, as the axis shows it."""

    id: int
    time: float
    """Unix time."""
    cause: str
    """Why it was recorded: first, contention, change, sample or label."""
    contended: bool
    p99_ms: float | None
    psi_cpu: float | None
    labels: int
    """How many labels it has."""

    @property
    def bad(self) -> bool:
        """Whether somebody waited."""
        return self.contended or (self.p99_ms or 0.0) >= BAD_P99_MS


def neighbour(moments: Sequence[Moment], at: int, step: int) -> int:
    """The place *step* moments on, within the ends."""
    return max(0, min(len(moments) - 1, at + step))


def next_bad(moments: Sequence[Moment], at: int, step: int) -> int | None:
    """Where the next spell of bad moments begins, *step* (±1) being the direction; None without one."""
    starts = [i for i, m in enumerate(moments) if m.bad and (i == 0 or not moments[i - 1].bad)]
    found = [i for i in starts if (i > at if step > 0 else i < at)]
    return (found[0] if step > 0 else found[-1]) if found else None


def to_label(moments: Sequence[Moment], count: int = SESSION) -> tuple[int, ...]:
    """Ids of the moments that a labelling session asks about, in the order of time.

    Those where bad spells begin come first, then those recorded for a change, then others spread evenly.
    What has a label already is not asked again.
    """
    # At the first moment of a recording nothing has been measured yet.
    open_ = [i for i, m in enumerate(moments) if not m.labels and m.cause != "first"]
    starts = {i for i in open_ if moments[i].bad and (i == 0 or not moments[i - 1].bad)}
    changes = {i for i in open_ if moments[i].cause == "change"} - starts
    rest = [i for i in open_ if i not in starts and i not in changes]
    chosen: list[int] = []
    for group in (sorted(starts), sorted(changes), rest):
        chosen += _spread(group, count - len(chosen))
    return tuple(moments[i].id for i in sorted(chosen))


def _spread(places: Sequence[int], count: int) -> list[int]:
    """At most *count* of *places*, evenly."""
    if count <= 0 or len(places) <= count:
        return list(places)[: max(0, count)]
    return [places[i * len(places) // count] for i in range(count)]


def cells(moments: Sequence[Moment], width: int) -> Iterator[tuple[int, int]]:
    """The moments behind each cell of an axis of *width* cells: first place and the one after the last."""
    count = len(moments)
    for x in range(width):
        first = x * count // width
        yield first, max(first + 1, (x + 1) * count // width) if count else first


def cell_of(at: int, count: int, width: int) -> int:
    """The cell in which the moment at *at* stands."""
    return next((x for x in range(width) if (x + 1) * count // width > at), max(0, width - 1)) if count else 0


def today(frame: Frame, parameters: PolicyParameters) -> dict[str, Decision]:
    """Group → what today's rules of the policy want, from the values recorded in *frame*.

    Pins and overrides of that time are not recorded as such: where a person decided then, this is what
    would have been decided without that order. `wanted` is the answer: hysteresis has no past here.
    """
    groups = [g.group for g in frame.groups]
    decisions, _ = decide(groups, frame.contention, Orders(), PolicyState(), frame.mono_s, parameters)
    return {d.group: d for d in decisions}


def in_question(frame: Frame, now: Mapping[str, Decision]) -> str | None:
    """The group that a labelling session should ask about: of those that today's policy judges otherwise, or else of
    all, the one that wanted most of the machine."""
    asked = [g for g in frame.groups if not g.decision.protected]
    other = set(differing(frame, now))
    chosen = [g for g in asked if g.group.id in other] or asked
    busiest = max(chosen, key=lambda g: g.group.metrics.cpu + g.group.metrics.wait, default=None)
    return busiest.group.id if busiest is not None else None


def differing(frame: Frame, now: Mapping[str, Decision]) -> list[str]:
    """Ids of the groups for which something else would be wanted today."""
    return [g.group.id for g in frame.groups if g.group.id in now and now[g.group.id].wanted is not g.decision.wanted]
