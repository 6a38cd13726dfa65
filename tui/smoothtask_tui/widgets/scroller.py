"""Lines that are more than fit: a window on them that keys and the wheel move."""

from collections.abc import Sequence

from smoothtask_tui.line import Line
from smoothtask_tui.widgets.drawn import Drawn

WHEEL_LINES = 3


class Scroller(Drawn):
    """Shows *lines* from `top` on; `top` stays where it is while the lines change."""

    can_focus = True

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.top = 0
        self._all: tuple[Line, ...] = ()

    @property
    def all_lines(self) -> tuple[Line, ...]:
        """Those out of sight too."""
        return self._all

    @property
    def where(self) -> str:
        """Such as `3-20 of 48`; empty when all is in sight."""
        height = self.size.height
        if len(self._all) <= height:
            return ""
        return f"{self.top + 1}-{min(len(self._all), self.top + height)} of {len(self._all)}"

    def set_lines(self, lines: Sequence[Line], *, dimmed: bool = False) -> None:
        """Show these."""
        self._all = tuple(lines)
        self.dimmed, changed = dimmed, dimmed != self.dimmed
        if changed:
            self.refresh()
        self._window()

    def scroll_by(self, step: int) -> None:
        """*step* lines on (back, when negative), within the ends."""
        self.top += step
        self._window()

    def page(self, direction: int) -> None:
        """A page on or back, with one line in common."""
        self.scroll_by(direction * max(1, self.size.height - 1))

    def reveal(self, at: int) -> None:
        """Move as little as it takes to have line *at* in sight."""
        height = max(1, self.size.height)
        self.top = min(self.top, at) if at < self.top else max(self.top, at - height + 1)
        self._window()

    def _window(self) -> None:
        height = self.size.height
        self.top = max(0, min(self.top, len(self._all) - height))
        self.show(self._all[self.top : self.top + height], dimmed=self.dimmed)

    def on_resize(self) -> None:
        """Another part is in sight."""
        self._window()

    def on_mouse_scroll_down(self) -> None:
        """Some lines on."""
        self.scroll_by(WHEEL_LINES)

    def on_mouse_scroll_up(self) -> None:
        """Some lines back."""
        self.scroll_by(-WHEEL_LINES)
