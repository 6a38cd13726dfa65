"""Recorded snapshots through today's policy: what would have been decided under other parameters (pure).

What this can tell is what the policy would *decide*. What that would have *caused* is not in the recording: the load,
the waiting and the responsiveness stay as they were under the policy that was recorded.

What the log does not hold is put back as far as it follows from the rest:
- pins, overrides and lessons come back as the class that they asked for, for as long as they decided;
- protection by the configuration, and what was out of scope, stay as they were;
- ticks between two snapshots were recorded neither for contention nor for a change: in them groups and machine do
  what they did in the snapshot before, or if somebody waited then, nothing that anybody waits for;
- a group that came in such a tick begins in the class that it was recorded in;
- a group without a row in a snapshot did nothing: its last row holds, and its ages go on.
What cannot be put back, and so can differ: exec events, which let a class settle between two ticks; a limit that a
person changed while recording; the state of a policy that ran before the log begins.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Contention, Decision, Override, Stage
from smoothtask.model.frame import Frame, GroupFrame
from smoothtask.model.group import AppGroup
from smoothtask.model.person import PersonMetrics
from smoothtask.model.system import Pressure, SystemMetrics
from smoothtask.policy.contention import ContentionState, assess
from smoothtask.policy.decide import Orders, PolicyState, Standing, decide
from smoothtask.policy.parameters import PolicyParameters
from smoothtask.policy.ranking import Opinions
from smoothtask.store.frames import RecordedFrame

ORDERED = (Stage.PIN, Stage.OVERRIDE)
Look = Callable[[Sequence[AppGroup], SystemMetrics, PersonMetrics, Contention], Opinions]
_CALM = SystemMetrics((), 0, 0, 0, 0, (0.0, 0.0, 0.0), Pressure(), None, None, None, (), None, 0, 0)
FILLED_TICKS = 40
"""Between two snapshots, at most: a sleep of the machine is no tick."""
A_WHILE_S = 120.0
"""A longer gap than this is a new beginning."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One snapshot with what is decided now."""

    recorded: RecordedFrame
    decisions: dict[str, Decision]
    """By group."""
    contention: Contention
    begins: bool
    """The first after a beginning: the policy's memory is what the snapshot tells of it."""


@dataclass(slots=True)
class _Memory:
    """What the policy remembers from tick to tick."""

    policy: PolicyState = field(default_factory=PolicyState)
    contention: ContentionState = field(default_factory=ContentionState)
    opinions: Opinions | None = None
    """Of the snapshot before, until the next is looked at."""


def replay(
    recorded: Iterable[RecordedFrame], parameters: PolicyParameters, look: Look | None = None
) -> Iterator[Replayed]:
    """Every snapshot of *recorded*, decided under *parameters*; *look*: with what a model says of it."""
    memory, before, rows = _Memory(), None, Rows()
    for now in recorded:
        begins = before is None or _is_apart(before, now)
        if before is None or begins:
            memory, rows = _remembered(now.frame), Rows()
        else:
            _fill(memory, before.frame, now.frame, parameters)
            _admit(memory, now.frame)
        groups = rows.aged(now)
        if look is not None:
            memory.opinions = look(groups, now.frame.system, now.frame.person, now.frame.contention)
        decisions, contention = _decide(memory, now.frame, groups, now.frame.mono_s, now.frame.system, parameters)
        yield Replayed(now, {d.group: d for d in decisions}, contention, begins)
        before = now


def _is_apart(before: RecordedFrame, now: RecordedFrame) -> bool:
    return now.run != before.run or not 0 < now.frame.mono_s - before.frame.mono_s < A_WHILE_S


def _remembered(frame: Frame) -> _Memory:
    """What a policy that decided *frame* remembered of the ticks before; nothing at the start of a run."""
    if frame.seq <= 1:
        return _Memory()
    now_s = frame.mono_s
    standings = {
        g.group.id: Standing(g.decision.target, now_s - g.decision.since_s, g.decision.wanted) for g in frame.groups
    }
    c = frame.contention
    held = ContentionState(c.active, now_s - c.since_s, now_s if c.active else float("-inf"), c.reasons)
    return _Memory(PolicyState(standings), held)


def _decide(
    memory: _Memory,
    frame: Frame,
    groups: tuple[AppGroup, ...],
    now_s: float,
    system: SystemMetrics | None,
    parameters: PolicyParameters,
    *,
    new_breaks: bool = True,
) -> tuple[tuple[Decision, ...], Contention]:
    """One tick at *now_s*; without *system*, a calm one. *new_breaks*: the sound of *frame* breaks up now."""
    if system is None:
        contention, memory.contention = assess(memory.contention, _CALM, (), now_s, parameters.contention)
    else:
        breaks = frame.person.sound_breaks if new_breaks else 0
        contention, memory.contention = assess(memory.contention, system, groups, now_s, parameters.contention, breaks)
    decisions, memory.policy = decide(
        groups, contention, _orders(frame), memory.policy, now_s, parameters, closed_in(frame), frame.person,
        memory.opinions,
    )  # fmt: skip
    return decisions, contention


def _fill(memory: _Memory, before: Frame, now: Frame, parameters: PolicyParameters) -> None:
    """The ticks between two snapshots, as far as anything is pending in them."""
    ticks = now.seq - before.seq
    groups = tuple(g.group for g in before.groups)
    system = None if before.contention.active else before.system
    for n in range(1, min(ticks, FILLED_TICKS)):
        if not memory.contention.active and all(s.candidate == s.target for s in memory.policy.standings.values()):
            return
        now_s = before.mono_s + n * (now.mono_s - before.mono_s) / ticks
        _decide(memory, before, groups, now_s, system, parameters, new_breaks=False)


def _admit(memory: _Memory, now: Frame) -> None:
    """Groups that came in a tick that was not recorded have been in their class since then."""
    came = {
        g.group.id: Standing(g.decision.target, now.mono_s - g.decision.since_s, g.decision.target)
        for g in now.groups
        if g.decision.since_s > 0 and g.group.id not in memory.policy.standings
    }
    if came:
        memory.policy = PolicyState({**memory.policy.standings, **came})


def _orders(frame: Frame) -> Orders:
    """Pins and overrides, as what they asked for."""
    return Orders(overrides={
        g.group.id: Override(g.group.id, g.decision.wanted, g.group.uid, None)
        for g in frame.groups if g.decision.decided_by in (*ORDERED, Stage.LEARNT)
    })  # fmt: skip


def closed_in(frame: Frame) -> dict[str, str]:
    """Groups that were protected by what the log does not keep: the configuration or the scope."""
    return {g.group.id: _why(g) for g in frame.groups if g.decision.protected and not g.group.classification.protected}


def _why(shown: GroupFrame) -> str:
    return shown.decision.reasons[0].text if shown.decision.reasons else "was protected when this was recorded"


class Rows:
    """Ages of groups whose row is older than the snapshot."""

    def __init__(self) -> None:
        self._read_s: dict[str, float] = {}

    def aged(self, now: RecordedFrame) -> tuple[AppGroup, ...]:
        """The groups of *now*, those without a row of its own as much older as their row is."""
        at_s = now.frame.mono_s
        self._read_s = {
            g.group.id: at_s if g.group.id in now.fresh else self._read_s.get(g.group.id, at_s)
            for g in now.frame.groups
        }
        return tuple(_older(g.group, at_s - self._read_s[g.group.id]) for g in now.frame.groups)


def _older(group: AppGroup, seconds: float) -> AppGroup:
    if seconds == 0:
        return group
    a = group.attention
    lost_s = None if a.unfocused_s is None else a.unfocused_s + seconds
    return replace(group, started_s=group.started_s + seconds, attention=replace(a, unfocused_s=lost_s))


# --- how far a replay under the recorded parameters can be believed ------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """A decision that came out otherwise than it was recorded."""

    snapshot: int
    group: str
    label: str
    recorded: PriorityClass
    replayed: PriorityClass
    why: str


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Recorded decisions against those of a replay."""

    decisions: int
    differences: tuple[Difference, ...]
    contention_differs: int
    """Snapshots in which somebody waits in one and not in the other."""
    snapshots: int

    @property
    def share(self) -> float:
        """Of decisions that came out as recorded; 1 for none at all."""
        return 1 - len(self.differences) / self.decisions if self.decisions else 1.0


def fidelity(replayed: Iterable[Replayed]) -> Fidelity:
    """What differs, and why, as far as that can be told."""
    decisions = snapshots = contention = 0
    found: list[Difference] = []
    for one in replayed:
        snapshots += 1
        shown = one.recorded.frame
        waits_differ = one.contention.active != shown.contention.active
        contention += waits_differ
        for g in shown.groups:
            decisions += 1
            now = one.decisions[g.group.id]
            if now.target is not g.decision.target:
                why = _cause(g.decision, now, begins=one.begins, waits_differ=waits_differ)
                found.append(
                    Difference(one.recorded.snapshot, g.group.id, g.group.label, g.decision.target, now.target, why)
                )
    return Fidelity(decisions, tuple(found), contention, snapshots)


def _cause(recorded: Decision, now: Decision, *, begins: bool, waits_differ: bool) -> str:
    if begins:
        return "what the policy remembered before the log begins is not in it"
    if waits_differ:
        return "whether somebody waited comes out otherwise"
    if recorded.wanted is now.wanted:
        return "it settled at another tick (ticks that were not recorded, exec events)"
    return "another rule decided"
