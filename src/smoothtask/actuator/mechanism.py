"""What every mechanism of the ladder looks like: when it is effective, and how it is brought about and undone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from smoothtask.actuator.ledger import Entry
from smoothtask.model.change import Outcome
from smoothtask.model.classes import ClassEffect
from smoothtask.model.decision import Decision
from smoothtask.model.group import AppGroup
from smoothtask.model.tasks import TaskTable


@dataclass(frozen=True, slots=True)
class Wish:
    """A group, the class that it is in, and what that class asks of the kernel."""

    group: AppGroup
    decision: Decision
    effect: ClassEffect


@dataclass(frozen=True, slots=True)
class Tick:
    """What is known at one turn, and what people will be told of it."""

    table: TaskTable
    row_groups: Sequence[str]
    """The group of each row of `table.processes`."""
    complete: bool
    """Whether the table holds every task: only then what is missing is gone."""
    now_ticks: int
    """Clock ticks since boot."""
    events: list[str]


class Mechanism(Protocol):
    """One rung of the ladder."""

    def effective(self, wish: Wish) -> str | None:
        """Why it works for a group here, and against whom it counts; `None` where it does not work."""
        ...

    def apply(self, wishes: Mapping[str, Wish], tick: Tick) -> list[Outcome]:
        """Bring it about for the groups of *wishes*; in a complete tick, undo it for every other group."""
        ...

    def read_back(self, tick: Tick) -> list[Outcome]:
        """Look at what was applied before: what is not there (any more) is told, and left to who changed it."""
        ...

    def holds(self, group: str) -> str | None:
        """What is in effect for a group, in words; `None` where nothing is."""
        ...

    def undone(self, entry: Entry, outcome: Outcome) -> None:
        """*entry* was put back (or not: see *outcome*); what is remembered of it is forgotten."""
        ...
