"""The latest class changes of every living group, for `detail`: bounded, and forgotten with the group."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Decision
from smoothtask.model.detail import ClassChange

KEPT = 30
"""Changes of one group."""


@dataclass(slots=True)
class Trail:
    """Which classes groups came from."""

    _changes: dict[str, deque[ClassChange]] = field(default_factory=dict)

    def follow(self, changes: Iterable[tuple[PriorityClass, Decision]], time: float) -> None:
        """Note *changes*: the class before, and the decision for another one; *time* is Unix time."""
        for old, d in changes:
            kept = self._changes.setdefault(d.group, deque(maxlen=KEPT))
            kept.append(ClassChange(time, old, d.target, d.text))

    def of(self, group: str) -> tuple[ClassChange, ...]:
        """Those of *group*, oldest first."""
        return tuple(self._changes.get(group, ()))

    def forget(self, living: frozenset[str]) -> None:
        """Groups that are not in *living* have exited."""
        for gone in self._changes.keys() - living:
            del self._changes[gone]
