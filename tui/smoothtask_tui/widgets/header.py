"""The header at the top of every screen."""

from datetime import datetime

from smoothtask_tui.headlines import header_lines
from smoothtask_tui.scene import Scene
from smoothtask_tui.widgets.drawn import Drawn

LOCAL_ZONE = datetime.now().astimezone().tzinfo
"""Of the terminal's user, for the clock."""


class Header(Drawn):
    """As many lines as the terminal's height affords."""

    def update_scene(self, scene: Scene) -> None:
        """Draw *scene*."""
        width, height = self.app.size
        lines = header_lines(scene, width, height, LOCAL_ZONE)
        if self.styles.height is None or self.styles.height.value != len(lines):
            self.styles.height = len(lines)
        self.show(lines)
