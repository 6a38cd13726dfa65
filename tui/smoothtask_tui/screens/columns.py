"""Which columns the list has, and in which order: every key takes effect at once."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from smoothtask_tui import fmt
from smoothtask_tui.columns import NAME, TITLES
from smoothtask_tui.line import BLANK, Line, line
from smoothtask_tui.widgets.drawn import Drawn


class ColumnsScreen(Screen[None]):
    """*columns*: titles that were chosen, empty for automatic: then a choice begins with those that are *fitting*.

    *changed* is told each new choice.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,f10,C,S", "dismiss", show=False),
        Binding("up,k", "cursor(-1)", show=False),
        Binding("down,j", "cursor(1)", show=False),
        Binding("space", "choose", show=False),
        Binding("left,minus,shift+up", "shift(-1)", show=False),
        Binding("right,plus,shift+down", "shift(1)", show=False),
        Binding("0", "automatic", show=False),
    ]

    def __init__(
        self, columns: tuple[str, ...], fitting: tuple[str, ...], changed: Callable[[tuple[str, ...]], None]
    ) -> None:
        super().__init__()
        self.order = [*columns, *(t for t in TITLES if t not in columns)]
        self.chosen = set(columns or fitting)
        self.at = 0
        self._fitting = fitting
        self.is_automatic = not columns
        self._changed = changed
        self._list = Drawn(id="columns")

    def compose(self) -> ComposeResult:
        """One list."""
        yield self._list

    def on_mount(self) -> None:
        """Draw when there is a size."""
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        """The same."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        width, height = self._list.size
        state = "automatic: as many as fit" if self.is_automatic else "your choice"
        keys = (("Space", "shows or hides"), ("← →", "moves"), ("0", "automatic"), ("Esc", "back"))
        head = [
            line((" Columns ", "accent!"), (f"  {state}", "dim"), ground="bar"),
            line(*(span for key, does in keys for span in ((f"  {key}", "key"), f" {does}"))),
            BLANK,
        ]
        room = max(1, height - len(head))
        top = max(0, min(self.at - room + 1, len(self.order) - room)) if self.at >= room else 0
        lines: list[Line] = []
        for i, name in enumerate(self.order[top : top + room], top):
            mark = "[x]" if name in self.chosen else "[ ]"
            shown = fmt.fit(f" {mark} {name}", max(0, width - 1))
            role = "strong" if name in self.chosen else "dim"
            ground = "cursor" if i == self.at else "ground"
            lines.append(line(("▌" if i == self.at else " ", "accent"), (shown, role), ground=ground))
        self._list.show([*head, *lines])

    def _tell(self) -> None:
        self.is_automatic = False
        self._changed(tuple(t for t in self.order if t in self.chosen))
        self._draw()

    def action_cursor(self, step: int) -> None:
        """Another column."""
        self.at = max(0, min(len(self.order) - 1, self.at + step))
        self._draw()

    def action_choose(self) -> None:
        """Show or hide; the application's name is always shown."""
        name = self.order[self.at]
        if name != NAME.title:
            self.chosen ^= {name}
            self._tell()

    def action_shift(self, step: int) -> None:
        """To the left or to the right."""
        to = self.at + step
        if 0 <= to < len(self.order):
            self.order[self.at], self.order[to] = self.order[to], self.order[self.at]
            self.at = to
            self._tell()

    def action_automatic(self) -> None:
        """As many as fit, the most telling first."""
        self.order = list(TITLES)
        self.chosen, self.at = set(self._fitting), 0
        self._changed(())
        self.is_automatic = True
        self._draw()
