"""What every widget draws from: the newest frame, its history, and the state of the connection."""

from dataclasses import dataclass, field

from smoothtask.model.frame import Frame, GroupFrame
from smoothtask_tui.history import History


@dataclass(slots=True)
class Scene:
    """Changed by the app alone, between two frames; widgets read it."""

    description: str = ""
    """Where the engine is."""
    observe_reason: str = ""
    """Why nothing can be applied here, as the command line knows it before the first tick."""
    frame: Frame | None = None
    lost: str = ""
    """A sentence while there is no connection; the last frame stays on the screen, dimmed."""
    history: History = field(default_factory=History)

    def group(self, group_id: str | None) -> GroupFrame | None:
        """The group with that id, while it lives."""
        if self.frame is None or group_id is None:
            return None
        return next((g for g in self.frame.groups if g.group.id == group_id), None)
