"""The panel about the group under the cursor, and the list of what happened."""

from datetime import datetime

from smoothtask.model.frame import Event
from smoothtask_tui import fmt
from smoothtask_tui.detaillines import detail_lines, title
from smoothtask_tui.line import Line, line
from smoothtask_tui.rows import total
from smoothtask_tui.scene import Scene
from smoothtask_tui.widgets.drawn import Drawn
from smoothtask_tui.widgets.header import LOCAL_ZONE

EVENT_ROLES = {"class": "text", "person": "accent", "conflict": "warn", "system": "dim", "error": "bad"}


class Detail(Drawn):
    """Why, what is in effect, and which processes."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, ground="panel")

    def update_scene(self, scene: Scene, group: str | None) -> None:
        """Draw the group *group* of *scene*, when shown."""
        if not self.size.height:
            return
        g = scene.group(group)
        metrics = None
        if g is not None and scene.frame is not None:
            parts = [p.group.metrics for p in scene.frame.groups if p.group.parent == group]
            metrics = total([g.group.metrics, *parts])
        processes = scene.processes_of(group, with_parts=True) if group is not None else ()
        lines = detail_lines(g, metrics, processes, *self.size)
        self.show(lines, dimmed=bool(scene.lost))


class Events(Drawn):
    """What happened, the newest first."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, ground="panel")

    def update_scene(self, scene: Scene) -> None:
        """Draw *scene*, when shown."""
        if self.size.height and scene.frame is not None:
            shown = reversed(scene.frame.events[-self.size.height :])
            width = self.size.width
            self.show([title("events, newest first", width), *(event_line(e, width) for e in shown)])


def event_line(event: Event, width: int) -> Line:
    """One event with its time."""
    clock = datetime.fromtimestamp(event.time, LOCAL_ZONE).strftime("  %H:%M:%S  ")
    text = fmt.fit(event.text, max(0, width - len(clock)))
    return line((clock, "dim"), (text, EVENT_ROLES.get(event.kind, "text")))
