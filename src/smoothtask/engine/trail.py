"""The latest class changes of every living group, for `detail`: bounded, and forgotten with the group."""

from collections import deque
from collections.abc import Iterable, Mapping
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

    def follow(self, decisions: Iterable[Decision], before: Mapping[str, PriorityClass], time: float) -> None:
        """Note whose class is another than *before*; *time* is Unix time."""
        for d in decisions:
            old = before.get(d.group, PriorityClass.NORMAL)
            if old is not d.target:
                kept = self._changes.setdefault(d.group, deque(maxlen=KEPT))
                kept.append(ClassChange(time, old, d.target, d.text))

    def of(self, group: str) -> tuple[ClassChange, ...]:
        """Those of *group*, oldest first."""
        return tuple(self._changes.get(group, ()))

    def forget(self, living: frozenset[str]) -> None:
        """Groups that are not in *living* have exited."""
        for gone in self._changes.keys() - living:
            del self._changes[gone]
