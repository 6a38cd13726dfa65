"""Lessons on disk: what each person has said of applications, one JSON file, replaced whole."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from smoothtask.model.classes import PriorityClass
from smoothtask.model.lesson import Attended, Lesson, Situation, Source
from smoothtask.store.jsonfile import UID_LIMIT, App, Kind, known_class, load_entries, problems_with, save_entries

VERSION = 1
LIMIT_BYTES = 32 << 20


class _Entry(BaseModel):
    """One lesson as the file has it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    app: App
    uid: Annotated[int, Field(ge=0, le=UID_LIMIT)]
    attended: Literal["focused", "audible", "visible", "unattended"]
    contended: bool
    target: Annotated[str, AfterValidator(known_class)]
    source: Literal["label", "pin", "override"]
    made_at: Annotated[float, Field(ge=0, allow_inf_nan=False)]

    @property
    def value(self) -> Lesson:
        """For the policy."""
        situation = Situation(Attended(self.attended), self.contended)
        return Lesson(self.app, self.uid, situation, PriorityClass[self.target], Source(self.source), self.made_at)


def load_lessons(path: Path) -> tuple[tuple[Lesson, ...], tuple[str, ...]]:
    """The lessons in *path*, and every problem with them. No file: none; a damaged one is kept aside, as for pins.

    Raises OSError when the file cannot be read, moved or written.
    """
    lessons, problems, again = load_entries(path, _KIND)
    if again:
        save_lessons(path, lessons)
    return lessons, problems


def save_lessons(path: Path, lessons: Sequence[Lesson]) -> None:
    """Replace *path* (mode 0600) by *lessons*; durable when this returns. Raises OSError; the old file stands then."""
    save_entries(path, _KIND, [_entry(x) for x in lessons])


def _entry(x: Lesson) -> dict[str, Any]:
    return {
        "app": x.app,
        "uid": x.uid,
        "attended": x.situation.attended.value,
        "contended": x.situation.contended,
        "target": x.target.name,
        "source": x.source.value,
        "made_at": x.made_at,
    }


def _parse(listed: list[Any]) -> tuple[tuple[Lesson, ...], list[str]]:
    lessons, problems = [], []
    for number, raw in enumerate(listed, 1):
        try:
            lessons.append(_Entry.model_validate(raw).value)
        except ValidationError as error:
            problems += problems_with(f"lesson {number}", error)
    return tuple(lessons), problems


_KIND = Kind("lessons", VERSION, LIMIT_BYTES, _parse)
