"""One line of the screen as values: spans of text with a role; a palette gives roles their colours (pure)."""

from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len


class Span(NamedTuple):
    """Text in one role: a key of `palette.Palette.colours`, such as `dim`, `warn`, `class3`."""

    text: str
    role: str = "text"


@dataclass(frozen=True, slots=True)
class Line:
    """Spans from left to right on one ground."""

    spans: tuple[Span, ...] = ()
    ground: str = "ground"
    """`ground`, `bar`, `panel` or `cursor`."""

    @property
    def text(self) -> str:
        """What a reader sees, without colours."""
        return "".join(s.text for s in self.spans)

    @property
    def cells(self) -> int:
        """Width in terminal cells."""
        return sum(cell_len(s.text) for s in self.spans)


BLANK = Line()


def line(*spans: Span | str | tuple[str, str], ground: str = "ground") -> Line:
    """Spans, pairs and plain strings as one line."""
    return Line(tuple(Span(s) if isinstance(s, str) else Span(*s) for s in spans), ground)


def spread(left: Line, right: Line, width: int) -> Line:
    """*left* and *right* at the ends of *width* cells; what does not fit of *right* is left out."""
    gap = width - left.cells - right.cells
    if gap < 1:
        return left
    return Line((*left.spans, Span(" " * gap), *right.spans), left.ground)
