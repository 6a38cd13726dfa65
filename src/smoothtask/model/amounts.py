"""Sizes, percentages and limits as people write them: `2G`, `80%`, and what is too little to live on (pure)."""

import re

from smoothtask.model.classes import Limits

_SUFFIXES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([KMGT]?)(?:iB|B)?", re.ASCII | re.IGNORECASE)
_PERCENT = re.compile(r"(\d{1,7}(?:\.\d{1,3})?)\s*%?", re.ASCII)

CPU_PCT = (5.0, 100_000.0)
"""Of one CPU. With less, a program that holds a lock keeps everybody who waits for it."""
MEMORY_HIGH_BYTES = (32 << 20, 1 << 50)
"""With less, nearly every program does nothing but wait for its own pages."""
IO_BPS = (64 << 10, 1 << 50)


def parse_size(text: str | int) -> int:
    """`500M` or `2GiB` → bytes; K, M, G and T are powers of 1024, as systemd has them. Raises ValueError."""
    match = None if isinstance(text, bool) else _SIZE.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"expected a size such as 500M or 2G, got {text!r:.40}")
    return int(float(match[1]) * _SUFFIXES[match[2].upper()])


def parse_percent(text: str | float) -> float:
    """`80%` or 80 → 80.0. Raises ValueError."""
    match = None if isinstance(text, bool) else _PERCENT.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"expected a percentage of one CPU such as 80%, got {text!r:.40}")
    return float(match[1])


def size_text(count: float) -> str:
    """`1.5 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def problem_with(limits: Limits) -> str | None:
    """Why *limits* cannot be asked for; `None` when they can."""
    for name, value, (least, most), show in (
        ("cpu", limits.cpu_pct, CPU_PCT, lambda v: f"{v:g}%"),
        ("memory_high", limits.memory_high_bytes, MEMORY_HIGH_BYTES, size_text),
        ("io_read", limits.io_read_bps, IO_BPS, size_text),
        ("io_write", limits.io_write_bps, IO_BPS, size_text),
    ):
        if value is not None and not least <= value <= most:
            return f"{name}: expected {show(least)} to {show(most)}, got {show(value)}"
    return None


def limits_text(limits: Limits) -> str:
    """In words: `at most 40 % of a CPU, slowed above 2.0 GiB`."""
    parts = [
        "only CPU that nobody else wants" if limits.cpu_idle else None,
        None if limits.cpu_pct is None else f"at most {limits.cpu_pct:g} % of a CPU",
        None if limits.memory_high_bytes is None else f"slowed above {size_text(limits.memory_high_bytes)} of memory",
        None if limits.io_read_bps is None else f"reads at most {size_text(limits.io_read_bps)}/s",
        None if limits.io_write_bps is None else f"writes at most {size_text(limits.io_write_bps)}/s",
    ]
    return ", ".join(part for part in parts if part)
