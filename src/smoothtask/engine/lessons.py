"""What people have taught: lessons in memory and in the state directory, and each word that made one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from smoothtask.model.classes import PriorityClass
from smoothtask.model.frame import Frame, GroupFrame
from smoothtask.model.lesson import Lesson, Source
from smoothtask.policy.parameters import PersonLimits
from smoothtask.policy.personal import NOTHING_LEARNT, Learnt, indexed, situation_of, with_lesson


@dataclass(frozen=True, slots=True)
class Labels:
    """How labels reach the store; each returns the id of the row."""

    group: Callable[[Frame, GroupFrame, PriorityClass, int, Source], int | None]
    moment: Callable[[Frame, Literal["laggy", "fine"], int], int | None]
    remove: Callable[[int], object | None]
    """What was removed; `None` when there is no such row. Raises OSError when that cannot be written."""
    put_back: Callable[[Any], bool]
    """Undoes a removal; whether the moment is still known. Raises OSError."""


def _kept_nowhere(_lessons: Sequence[Lesson]) -> None:
    return


@dataclass(slots=True)
class Lessons:
    """All lessons. What cannot be saved is kept in memory, and `problem` says so."""

    every: tuple[Lesson, ...] = ()
    save: Callable[[Sequence[Lesson]], None] = _kept_nowhere
    """Raises OSError."""
    lifted: frozenset[int] | None = None
    """Who may raise above NORMAL; `None`: everybody."""
    problem: str = ""
    learnt: Learnt = field(init=False, default=NOTHING_LEARNT)

    def __post_init__(self) -> None:
        self.learnt = indexed(self.every, self.lifted)

    def lift(self, lifted: frozenset[int] | None) -> None:
        """Only *lifted* may raise above NORMAL from now on; `None`: everybody."""
        self.lifted = lifted
        self.learnt = indexed(self.every, lifted)

    def add(self, lesson: Lesson) -> tuple[Lesson, ...]:
        """Learn *lesson*; the lessons that made room for it."""
        before = self.every
        self._put(with_lesson(before, lesson))
        kept = set(map(id, self.every))
        return tuple(x for x in before if id(x) not in kept)

    def take_back(self, lesson: Lesson, made_room: Sequence[Lesson]) -> None:
        """Undo `add`."""
        self._put((*(x for x in self.every if x is not lesson), *made_room))

    def of(self, uids: frozenset[int] | None, app: str | None = None) -> tuple[Lesson, ...]:
        """Those of *uids* (`None`: everybody's), of one application or all."""
        return tuple(x for x in self.every if (uids is None or x.uid in uids) and app in {None, x.app})

    def without(self, gone: Sequence[Lesson]) -> None:
        """Forget *gone*."""
        ids = set(map(id, gone))
        self._put(tuple(x for x in self.every if id(x) not in ids))

    def with_again(self, back: Sequence[Lesson]) -> None:
        """Undo `without`."""
        self._put((*self.every, *back))

    def _put(self, lessons: tuple[Lesson, ...]) -> None:
        self.every = tuple(sorted(lessons, key=lambda x: x.made_at))
        self.learnt = indexed(self.every, self.lifted)
        try:
            self.save(self.every)
        except OSError as error:
            self.problem = f"what was learnt is kept in memory only: {error.strerror or error}"
        else:
            self.problem = ""


@dataclass(slots=True)
class Word:
    """One thing that somebody said of a group: a row of the log and a lesson, said and taken back together."""

    labels: Labels
    lessons: Lessons
    lesson: Lesson
    row: int | None = None
    """In the log; `None`: it was not recorded."""
    _made_room: tuple[Lesson, ...] = ()
    _removed: object | None = None

    def say(self, frame: Frame, group: GroupFrame) -> None:
        """For the first time."""
        self.row = self.labels.group(frame, group, self.lesson.target, self.lesson.uid, self.lesson.source)
        self._made_room = self.lessons.add(self.lesson)

    def take_back(self) -> None:
        """Raises OSError when the log cannot be written: nothing is taken back then."""
        self._removed = None if self.row is None else self.labels.remove(self.row)
        self.lessons.take_back(self.lesson, self._made_room)

    def say_again(self) -> None:
        """After it was taken back; no longer recorded where the log has forgotten that moment. Raises OSError."""
        if self._removed is None or not self.labels.put_back(self._removed):
            self.row = None
        self._made_room = self.lessons.add(self.lesson)


def lesson_of(
    frame: Frame, group: GroupFrame, target: PriorityClass, uid: int, source: Source, limits: PersonLimits
) -> Lesson:
    """What *uid* says of *group* in the situation of *frame*."""
    parent = next((g.group for g in frame.groups if g.group.id == group.group.parent), None)
    situation = situation_of(group.group, parent, limits, contended=frame.contention.active)
    return Lesson(group.group.classification.app, uid, situation, target, source, frame.time)
