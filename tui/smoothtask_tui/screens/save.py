"""Asks for a format, in the line at the bottom of whatever is shown."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen

from smoothtask_tui.export import Format
from smoothtask_tui.line import line
from smoothtask_tui.widgets.drawn import Drawn

CHOICES = (("t", "text", Format.TEXT), ("c", "CSV", Format.CSV), ("j", "JSON", Format.JSON))


class SaveScreen(ModalScreen[Format | None]):
    """Closes with the format, or with None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(key, f"choose('{kind.value}')", show=False) for key, _, kind in CHOICES),
        Binding("escape,q,E,enter", "dismiss(None)", show=False),
    ]

    def compose(self) -> ComposeResult:
        """One line."""
        yield Drawn(id="save", ground="bar")

    def on_mount(self) -> None:
        """The question."""
        choices = (span for key, word, _ in CHOICES for span in ((f"  {key}", "key"), f" {word}"))
        self.query_one(Drawn).show(
            [line((" save this view as ", "accent!"), *choices, ("   Esc", "dim"), ground="bar")]
        )

    def action_choose(self, ending: str) -> None:
        """Take that one."""
        self.dismiss(Format(ending))


def screen_lines(screen: Screen[object]) -> list[str]:
    """What *screen* shows, line by line, without colours."""
    # Textual offers no other way to read a screen.
    strips = screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip) for strip in strips]
