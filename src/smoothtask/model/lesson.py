"""What a person has said of an application before, and in which situation: what personalisation is made of."""

from dataclasses import dataclass
from enum import StrEnum

from smoothtask.model.classes import PriorityClass


class Attended(StrEnum):
    """What an application is to the person, the strongest first."""

    FOCUSED = "focused"
    """Its window or its terminal is worked in."""
    AUDIBLE = "audible"
    VISIBLE = "visible"
    UNATTENDED = "unattended"


@dataclass(frozen=True, slots=True)
class Situation:
    """In which lessons are alike."""

    attended: Attended
    contended: bool

    def __str__(self) -> str:
        return f"{self.attended}, {'somebody waits' if self.contended else 'nobody waits'}"


class Source(StrEnum):
    """How a person said it."""

    LABEL = "label"
    PIN = "pin"
    OVERRIDE = "override"


@dataclass(frozen=True, slots=True)
class Lesson:
    """What somebody said once."""

    app: str
    """`Classification.app`."""
    uid: int
    """Whose word: 0 counts for everybody's processes, another uid for its own."""
    situation: Situation
    target: PriorityClass
    source: Source
    made_at: float
    """Unix time."""
