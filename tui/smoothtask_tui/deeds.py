"""What this dashboard's person did, in order, wherever it was done: so that undo takes back the newest (pure)."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from smoothtask.model.command import (
    Command,
    LabelGroup,
    LabelMoment,
    Pause,
    PinApp,
    Rehearse,
    SetOverride,
    Unpin,
)

if TYPE_CHECKING:
    from smoothtask_tui.byhand import Reniced

KEPT = 50
UNDOABLE = (PinApp, Unpin, SetOverride, LabelGroup, LabelMoment, Pause, Rehearse)
Deed: TypeAlias = "Literal['engine', 'rule'] | Reniced"
"""The engine and the rule files keep their own; of nice values by hand only we know."""


def is_undoable(command: Command) -> bool:
    """Whether the engine can take it back."""
    return isinstance(command, UNDOABLE)


@dataclass(slots=True)
class Deeds:
    """Two stacks. What was done before this dashboard was opened is the engine's alone."""

    done: list[Deed] = field(default_factory=list)
    undone: list[Deed] = field(default_factory=list)

    def did(self, deed: Deed) -> None:
        """Something new: what was undone before is another story now."""
        self.done.append(deed)
        del self.done[:-KEPT]
        self.undone.clear()

    @property
    def to_undo(self) -> Deed:
        """Whose turn it is."""
        return self.done[-1] if self.done else "engine"

    @property
    def to_redo(self) -> Deed:
        """The same for redo."""
        return self.undone[-1] if self.undone else "engine"

    def undid(self, deed: Deed) -> None:
        """It was taken back."""
        _move(deed, self.done, self.undone)

    def redid(self, deed: Deed) -> None:
        """It was done again."""
        _move(deed, self.undone, self.done)

    def lost(self, deed: Deed, *, again: bool) -> None:
        """It cannot be taken back (or done *again*) any more: what was done before it has its turn."""
        _move(deed, self.undone if again else self.done, [])


def _move(deed: Deed, source: list[Deed], to: list[Deed]) -> None:
    """The newest one like *deed*, wherever it stands."""
    for i in range(len(source) - 1, -1, -1):
        if source[i] == deed:
            to.append(source.pop(i))
            return
