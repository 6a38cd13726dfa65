"""Recorded snapshots → queries to learn from: what is known of each group, what its class should be, and who says so.

A query is one snapshot; its objects are the groups that may be touched. What each ought to be, in rising authority:
- the teacher: what the rules want today, without anybody's orders and before hysteresis;
- a bad moment (somebody would have noticed, or said that it was laggy): who took most is one class too high, and who
  is in use is INTERACTIVE at least. Lowered further than BACKGROUND is only who was BACKGROUND in effect by then;
- a pin or an override, for as long as it decided;
- a label.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from smoothtask.model.classes import PriorityClass
from smoothtask.model.frame import Frame, GroupFrame, Mode
from smoothtask.model.group import AppGroup
from smoothtask.policy import features
from smoothtask.policy.decide import Orders, PolicyState, decide
from smoothtask.policy.features import Matrix
from smoothtask.policy.parameters import Hysteresis, PolicyParameters
from smoothtask.store.frames import RecordedFrame, read_frames, reading
from smoothtask_trainer.measures import culprit_of
from smoothtask_trainer.replay import ORDERED, Rows, closed_in

TEACHER, BAD, ORDER, LABEL = "teacher", "bad moment", "order", "label"
WEIGHTS = {TEACHER: 1.0, BAD: 3.0, ORDER: 5.0, LABEL: 20.0}
NOTHING_SAID = -1
LAGGY = "laggy"


@dataclass(frozen=True, slots=True)
class Query:
    """One snapshot; the arrays have one entry a group."""

    run: str
    """Of which recording and process; moments of one run are not independent."""
    time_s: float
    """Unix time."""
    bad: bool
    apps: tuple[str, ...]
    labels: tuple[str, ...]
    """For people."""
    matrix: Matrix
    teacher: npt.NDArray[np.int8]
    """0 IDLE … 4 LATENCY_CRITICAL."""
    target: npt.NDArray[np.int8]
    said: npt.NDArray[np.int8]
    """The class that a person named at this snapshot, or `NOTHING_SAID`."""
    sources: tuple[str, ...]
    """Whose word the target is."""

    @property
    def weight(self) -> npt.NDArray[np.float32]:
        """How much each target counts."""
        return np.array([WEIGHTS[s] for s in self.sources], np.float32)


@dataclass(slots=True)
class Tally:
    """What became of the snapshots that were read."""

    read: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    """Why → snapshots."""


@dataclass(frozen=True, slots=True)
class LogSource:
    """One snapshot log."""

    path: Path
    machine: str
    """Name of this recording, unlike the others'."""
    parameters: PolicyParameters
    every_s: float = 5.0
    """Snapshots in between are nearly the same; those in which something changes or is said are kept."""

    def moments(self) -> Iterator[tuple[str, float]]:
        """(run, Unix time) of each snapshot, in order. Raises RecordError."""
        with reading(self.path) as db:
            rows = db.execute(
                "SELECT s.run_id, p.time_s FROM snapshot p JOIN session s ON s.id = p.session_id ORDER BY p.id"
            )
            for run, time_s in rows:
                yield self._run(run), time_s

    def queries(self, tally: Tally) -> Iterator[Query]:
        """What there is to learn, in order; memory does not grow with the log. Raises RecordError."""
        reader = _Reader(self.parameters)
        run, last_s, before = None, 0.0, None
        for one in read_frames(self.path):
            tally.read += 1
            if one.run != run:
                run, before = one.run, None
                reader = _Reader(self.parameters)
            made = reader.query(self._run(one.run), one)
            if made is None:
                tally.dropped["fewer than two groups that may be touched"] += 1
                continue
            soon = one.frame.mono_s - last_s < self.every_s
            if before is not None and soon and not one.said and _is_alike(before, made):
                tally.dropped["nearly the same as the one before"] += 1
                continue
            last_s, before = one.frame.mono_s, made
            tally.kept += 1
            yield made

    def _run(self, run: int) -> str:
        return f"{self.machine}:{run}"


def _is_alike(before: Query, now: Query) -> bool:
    same = before.apps == now.apps and before.bad == now.bad and before.sources == now.sources
    return same and bool((before.target == now.target).all())


class _Reader:
    """Turns the snapshots of one run into queries."""

    def __init__(self, parameters: PolicyParameters) -> None:
        self._rows = Rows()
        self._state = PolicyState()
        # What is wanted holds at once: hysteresis is no part of what is to be learnt.
        self._parameters = replace(parameters, hysteresis=Hysteresis(1, 0.0))

    def query(self, run: str, one: RecordedFrame) -> Query | None:
        """*one* as a query, if there is anything to put in order."""
        frame = one.frame
        groups = self._rows.aged(one)
        wanted = self._teacher(frame, groups)
        rows = [n for n, g in enumerate(frame.groups) if not g.decision.protected]
        if len(rows) < 2:
            return None
        bad = frame.scores.bad or any(s.verdict == LAGGY for s in one.said)
        culprit = culprit_of(frame) if bad else None
        said = {s.group: s.target for s in one.said if s.target is not None}
        judged = [_target(frame, frame.groups[n], wanted[n], culprit, said, bad=bad) for n in rows]
        return Query(
            run=run,
            time_s=frame.time,
            bad=bad,
            apps=tuple(groups[n].classification.app for n in rows),
            labels=tuple(groups[n].label for n in rows),
            matrix=features.features(groups, frame.system, frame.person, frame.contention)[rows],
            teacher=np.array([wanted[n] for n in rows], np.int8),
            target=np.array([target for target, _ in judged], np.int8),
            said=np.array([_number(said.get(groups[n].id)) for n in rows], np.int8),
            sources=tuple(source for _, source in judged),
        )

    def _teacher(self, frame: Frame, groups: tuple[AppGroup, ...]) -> list[PriorityClass]:
        decisions, self._state = decide(
            groups,
            frame.contention,
            Orders(),
            self._state,
            frame.mono_s,
            self._parameters,
            closed_in(frame),
            frame.person,
        )
        return [d.wanted for d in decisions]


def _number(said: PriorityClass | None) -> int:
    return NOTHING_SAID if said is None else said


def _target(
    frame: Frame,
    shown: GroupFrame,
    teacher: PriorityClass,
    culprit: str | None,
    said: dict[str | None, PriorityClass],
    *,
    bad: bool,
) -> tuple[PriorityClass, str]:
    """What a group ought to be, and who says so."""
    group, decision = shown.group, shown.decision
    if group.id in said:
        return said[group.id], LABEL
    if decision.decided_by in ORDERED:
        return decision.wanted, ORDER
    if bad and group.id == culprit:
        in_effect = frame.mode in {Mode.RULES_ONLY, Mode.HYBRID} and decision.target <= PriorityClass.BACKGROUND
        most = PriorityClass.IDLE if in_effect else PriorityClass.BACKGROUND
        return min(teacher, most), BAD
    if bad and (group.attention.focused or group.attention.playing):
        return max(teacher, PriorityClass.INTERACTIVE), BAD
    return teacher, TEACHER
