"""Numbers, times and widths as people read them in narrow columns (pure)."""

from collections.abc import Iterable, Iterator

from rich.cells import cell_len, set_cell_size

from smoothtask.model.classes import PriorityClass

ELLIPSIS = "…"
cells = cell_len
"""How many cells a text takes."""

CLASS_MARKS: dict[PriorityClass, tuple[str, str, str]] = {
    PriorityClass.LATENCY_CRITICAL: ("◆", "L", "critical"),
    PriorityClass.INTERACTIVE: ("▲", "I", "interact"),
    PriorityClass.NORMAL: ("●", "N", "normal"),
    PriorityClass.BACKGROUND: ("▼", "B", "backgrnd"),
    PriorityClass.IDLE: ("○", "Z", "idle"),
}
"""Shape, letter and word of a class: colour never speaks alone."""


def class_words(target: PriorityClass) -> str:
    """`▲ I interact`."""
    return " ".join(CLASS_MARKS[target])


def percent(share: float) -> str:
    """A share of one core (1.0 = one core) as at most five cells of percent: `0.4`, `41.3`, `1234`.

    >>> percent(0.0004), percent(0.413), percent(12.5)
    ('0.0', '41.3', '1250')
    """
    value = max(0.0, share * 100)
    return f"{value:.1f}" if value < 999.95 else f"{value:.0f}"


def quantity(count: float) -> str:
    """Bytes in at most five cells, by powers of 1,024: `0`, `999`, `1.5K`, `310M`, `5.1G`.

    >>> quantity(0), quantity(1536), quantity(325058560)
    ('0', '1.5K', '310M')
    """
    value = max(0.0, count)
    if value < 1000:
        return f"{value:.0f}"
    for unit in "KMGTP":
        value /= 1024
        if value < 9.95:
            return f"{value:.1f}{unit}"
        if value < 999.5:
            return f"{value:.0f}{unit}"
    return f"{value:.0f}E"


def duration(seconds: float) -> str:
    """A time in at most five cells: `4s`, `12m`, `3h04`, `5d`.

    >>> duration(4.2), duration(754), duration(11080), duration(500000)
    ('4s', '12m', '3h04', '5d')
    """
    s = max(0, int(seconds))
    if s < 100:
        return f"{s}s"
    if s < 6000:
        return f"{s // 60}m"
    if s < 100 * 3600:
        return f"{s // 3600}h{s % 3600 // 60:02d}"
    return f"{s // 86400}d"


def milliseconds(ms: float) -> str:
    """A delay in at most four cells: `0.1`, `4.8`, `31`, `410`."""
    return f"{ms:.1f}" if ms < 9.95 else f"{ms:.0f}"


def fit(text: str, width: int, *, right: bool = False) -> str:
    """*text* in exactly *width* cells: cut with an ellipsis or padded; wide characters count two.

    >>> fit("firefox", 4), fit("9", 3, right=True)
    ('fir…', '  9')
    """
    if width <= 0:
        return ""
    taken = cell_len(text)
    if taken > width:
        return set_cell_size(text, width - 1) + ELLIPSIS
    return " " * (width - taken) + text if right else text + " " * (width - taken)


def shorten(text: str, width: int) -> str:
    """*text* in at most *width* cells."""
    return text if cell_len(text) <= width else fit(text, width)


def wrap(text: str, width: int, indent: str = "") -> Iterator[str]:
    """*text* broken at blanks into lines of at most *width* cells; later lines begin with *indent*."""
    width = max(width, 8 + len(indent))
    line = ""
    for word in _words(text, width - len(indent)):
        if not line.strip():
            line += word
        elif cell_len(line) + 1 + cell_len(word) <= width:
            line += " " + word
        else:
            yield line
            line = indent + word
    yield line


def _words(text: str, limit: int) -> Iterable[str]:
    """Words of *text*; one longer than *limit* cells comes in pieces."""
    for word in text.split(" "):
        rest = word
        while cell_len(rest) > limit:
            # Two cells is the widest character, so a piece of limit // 2 characters always fits.
            piece, rest = rest[: limit // 2], rest[limit // 2 :]
            yield piece
        if rest:
            yield rest
