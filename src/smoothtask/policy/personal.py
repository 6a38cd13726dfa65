"""What a person has said of an application before → how far its class moves now (pure).

Rule 1: a lesson is a class that somebody wanted in a situation. What is learnt is not a direction but that class, so
        that rules or a model which have come to the same change nothing twice.
Rule 2: one lesson alone moves nothing, and few move little: their mean is believed as far as n ÷ (n + 1), at most two
        classes away.
Rule 3: lessons of the same situation count whole, those of others less; where a rule is certain, those of others
        count nothing.
Rule 4: a person's lessons are about their own processes, and raise no higher than that person may.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor
from types import MappingProxyType

from smoothtask.model.classes import PriorityClass
from smoothtask.model.group import AppGroup
from smoothtask.model.lesson import Attended, Lesson, Situation, Source
from smoothtask.policy.parameters import PersonLimits

DOUBT = 1.0
"""So many lessons weigh as much as what rules or model say."""
ONCE = 1.0
"""What was said so often may have been a slip."""
SAME_PLACE, ELSEWHERE = 2 / 3, 1 / 3
"""Weight of a lesson when only contention differs, and when the person's attention does."""
REACH = 2.0
"""Classes that lessons move at most."""
KEPT_IN_SITUATION = 8
"""The newest; older ones of the same situation are forgotten, so that a person may change their mind."""
KEPT_OF_USER, KEPT = 500, 5000
CORRECTION_S = 60.0
"""What is said otherwise so soon was a slip before."""


WEIGHTS = {Source.LABEL: 1.0, Source.PIN: 1.0, Source.OVERRIDE: 0.5}
"""An override says that it is for now."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """All lessons, by application."""

    by_app: Mapping[str, tuple[Lesson, ...]] = field(default_factory=lambda: MappingProxyType({}))
    lifted: frozenset[int] | None = None
    """Who may raise above NORMAL; `None`: everybody."""

    def of(self, group: AppGroup) -> tuple[Lesson, ...]:
        """The lessons for *group*: its owner's own; without any, the administrator's."""
        lessons = self.by_app.get(group.classification.app)
        if lessons is None:
            return ()
        own = tuple(x for x in lessons if x.uid == group.uid)
        return own or tuple(x for x in lessons if x.uid == 0)


NOTHING_LEARNT = Learnt()


def indexed(lessons: Iterable[Lesson], lifted: frozenset[int] | None = None) -> Learnt:
    """*lessons* by application."""
    by_app: dict[str, list[Lesson]] = {}
    for lesson in lessons:
        by_app.setdefault(lesson.app, []).append(lesson)
    return Learnt(MappingProxyType({app: tuple(some) for app, some in by_app.items()}), lifted)


@dataclass(frozen=True, slots=True)
class Pull:
    """What the lessons make of one class."""

    target: PriorityClass
    """Where they move it."""
    lessons: int
    """Of how many."""
    text: str


def pull(learnt: Learnt, group: AppGroup, situation: Situation, coordinate: float, *, certain: bool) -> Pull | None:
    """Where lessons move *group* from *coordinate*; `None` when they say nothing of it here.

    *certain*: a certain rule put it there, which only lessons of this very situation may correct.
    """
    lessons = learnt.of(group)
    weighed = [(w, x) for x in lessons if (w := _weight(x, situation, certain=certain)) > 0]
    if not weighed:
        return None
    total = sum(w for w, _ in weighed)
    if total <= ONCE:
        return None
    mean = sum(w * x.target for w, x in weighed) / total
    moved = max(-REACH, min(REACH, (mean - coordinate) * total / (total + DOUBT)))
    uid = weighed[0][1].uid
    wanted = coordinate + moved
    if moved > 0 and learnt.lifted is not None and uid not in learnt.lifted:
        wanted = min(wanted, max(coordinate, float(PriorityClass.NORMAL)))
    return Pull(class_at(wanted, wanted - coordinate), len(weighed), _text([x for _, x in weighed], group.uid))


def class_at(coordinate: float, moved: float = 0.0) -> PriorityClass:
    """The nearest class; what is halfway after it *moved* has arrived."""
    if moved < 0:
        return PriorityClass(max(0, ceil(coordinate - 0.5 - 1e-9)))
    return PriorityClass(min(4, floor(coordinate + 0.5 + (1e-9 if moved > 0 else 0.0))))


def situation_of(group: AppGroup, parent: AppGroup | None, limits: PersonLimits, *, contended: bool) -> Situation:
    """What *group* is to the person now. What happens in an application that is worked in is worked in."""
    a = group.attention
    if _is_worked_in(group, limits) or (parent is not None and _is_worked_in(parent, limits)):
        attended = Attended.FOCUSED
    elif a.playing:
        attended = Attended.AUDIBLE
    elif a.visible:
        attended = Attended.VISIBLE
    else:
        attended = Attended.UNATTENDED
    return Situation(attended, contended)


def with_lesson(lessons: Sequence[Lesson], new: Lesson) -> tuple[Lesson, ...]:
    """*lessons* and *new*, without what it corrects and what is too much to keep; the newest last."""
    rest = [x for x in lessons if not _is_corrected(x, new)]
    alike = [x for x in rest if _cell(x) == _cell(new)]
    drop = set(map(id, alike[: max(0, len(alike) + 1 - KEPT_IN_SITUATION)]))
    mine = [x for x in rest if x.uid == new.uid and id(x) not in drop]
    drop |= set(map(id, mine[: max(0, len(mine) + 1 - KEPT_OF_USER)]))
    kept = [x for x in rest if id(x) not in drop]
    return (*kept[max(0, len(kept) + 1 - KEPT) :], new)


def _cell(lesson: Lesson) -> tuple[str, int, Situation]:
    return lesson.app, lesson.uid, lesson.situation


def _is_corrected(old: Lesson, new: Lesson) -> bool:
    return _cell(old) == _cell(new) and old.target != new.target and 0 <= new.made_at - old.made_at < CORRECTION_S


def _weight(lesson: Lesson, now: Situation, *, certain: bool) -> float:
    whole = WEIGHTS[lesson.source]
    if lesson.situation == now:
        return whole
    if lesson.situation.attended is now.attended:
        return whole * SAME_PLACE
    return 0.0 if certain else whole * ELSEWHERE


def _is_worked_in(group: AppGroup, limits: PersonLimits) -> bool:
    typed_s = group.attention.typed_s
    return group.attention.focused or (typed_s is not None and typed_s < limits.typed_s)


def _text(lessons: Sequence[Lesson], uid: int) -> str:
    """`learnt from 4 of your pins and labels`."""
    kinds = [f"{s}s" for s in (Source.PIN, Source.OVERRIDE, Source.LABEL) if any(x.source is s for x in lessons)]
    words = kinds[0] if len(kinds) == 1 else f"{', '.join(kinds[:-1])} and {kinds[-1]}"
    whose = "your" if lessons[0].uid == uid else "the administrator's"
    return f"learnt from {len(lessons)} of {whose} {words}"
