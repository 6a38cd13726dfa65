"""A widget whose content is lines that were made beforehand; only lines that changed are drawn again."""

from collections.abc import Sequence

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from smoothtask_tui.line import BLANK, Line
from smoothtask_tui.palette import DARK, PALETTES, Palette, style

CACHED_STRIPS = 512


class Drawn(Widget):
    """Base of everything drawn: give it lines with `show`."""

    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None, ground: str = "ground") -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.ground = ground
        self.dimmed = False
        self._lines: tuple[Line, ...] = ()
        self._strips: dict[tuple[Line, int, str, bool], Strip] = {}

    @property
    def palette(self) -> Palette:
        """The colours of the app's theme; of the dark one for a theme that is not ours."""
        return PALETTES.get(self.app.theme, DARK)

    @property
    def lines(self) -> tuple[Line, ...]:
        """What is shown."""
        return self._lines

    def show(self, lines: Sequence[Line], *, dimmed: bool = False) -> None:
        """Show *lines* from the top; refresh those that differ. *dimmed*: all in the faint colour."""
        old, new = self._lines, tuple(lines)
        self._lines = new
        if dimmed != self.dimmed:
            self.dimmed = dimmed
            self.refresh()
            return
        width, height = self.size
        changed = [
            Region(0, y, width, 1)
            for y in range(min(height, max(len(old), len(new))))
            if (old[y] if y < len(old) else BLANK) != (new[y] if y < len(new) else BLANK)
        ]
        if changed:
            self.refresh(*changed)

    def render_line(self, y: int) -> Strip:
        """The line at *y*, from the cache when it was drawn before."""
        line = self._lines[y] if y < len(self._lines) else Line(ground=self.ground)
        key = (line, self.size.width, self.app.theme, self.dimmed)
        strip = self._strips.get(key)
        if strip is None:
            if len(self._strips) >= CACHED_STRIPS:
                self._strips.clear()
            strip = self._strips[key] = self._strip(line)
        return strip

    def _strip(self, line: Line) -> Strip:
        palette = self.palette
        ground = self.ground if line.ground == "ground" else line.ground
        role_of = (lambda _: "dim") if self.dimmed else (lambda role: role)
        # Segments carry text as it is: nothing in it is read as markup.
        segments = [
            Segment(span.text, style(palette, role_of(span.role.removesuffix("!")), _ground_of(span.role, ground)))
            for span in line.spans
            if span.text
        ]
        return Strip(segments).adjust_cell_length(self.size.width, style(palette, "text", ground))


def _ground_of(role: str, ground: str) -> str:
    """A role that ends in `!` is drawn as a badge: its colour becomes the ground."""
    return role.removesuffix("!") if role.endswith("!") else ground
