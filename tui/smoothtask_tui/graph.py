"""Series of numbers as characters: eighth blocks in one line, braille dots in several (pure)."""

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
_LEFT = (0x40, 0x04, 0x02, 0x01)  # braille dots of the left column, bottom to top
_RIGHT = (0x80, 0x20, 0x10, 0x08)


def spark(values: Sequence[float | None], top: float) -> str:
    """One block a value, *top* or more being full; a blank where nothing is known.

    >>> spark([None, 0.0, 50.0, 100.0], 100.0)
    ' ▁▅█'
    """
    scale = 8 / top if top > 0 else 0.0
    return "".join(" " if v is None else BLOCKS[min(7, max(0, int(v * scale)))] for v in values)


def bar(share: float, width: int) -> tuple[str, str]:
    """A horizontal bar of *width* cells as its full and its empty part; *share* is 0 … 1.

    >>> bar(0.5, 5)
    ('━━╸', '──')
    """
    full, half = divmod(round(min(1.0, max(0.0, share)) * width * 2), 2)
    text = "━" * full + "╸" * half
    return text, "─" * (width - len(text))


def area(values: Sequence[float | None], height: int, top: float) -> list[str]:
    """A filled braille graph, *height* lines of `len(values) // 2` cells, the top line first."""
    dots = height * 4
    scale = dots / top if top > 0 else 0.0
    levels = [None if v is None else min(dots, max(1, round(v * scale))) for v in values]
    lines = []
    for row in range(height - 1, -1, -1):
        cells = []
        for i in range(0, len(levels) - 1, 2):
            code = _column(levels[i], row, _LEFT) | _column(levels[i + 1], row, _RIGHT)
            cells.append(chr(0x2800 + code) if code else " ")
        lines.append("".join(cells))
    return lines


def _column(level: int | None, row: int, dots: tuple[int, ...]) -> int:
    filled = 0 if level is None else min(4, max(0, level - row * 4))
    return sum(dots[:filled])


def nice_top(values: Sequence[float | None], least: float) -> float:
    """The top of an axis: 1, 2 or 5 times a power of ten, at least *least* and at least every value."""
    biggest = max((v for v in values if v is not None), default=0.0)
    top = least
    factors = (2.0, 2.5, 2.0)
    # least is 1, 2 or 5 times a power of ten; the factors walk from there.
    step = {"1": 0, "2": 1, "5": 2}.get(f"{least:e}"[0], 0)
    while top < biggest:
        top *= factors[step % 3]
        step += 1
    return top
