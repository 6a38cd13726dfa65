"""Sizes and percentages as people write them; what is too little is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.model.amounts import limits_text, parse_percent, parse_size, problem_with, size_text
from smoothtask.model.classes import NO_LIMITS, Limits


@pytest.mark.parametrize(
    ("text", "count"),
    [("4096", 4096), (4096, 4096), ("500M", 500 << 20), ("2g", 2 << 30), ("1.5GiB", 3 << 29), (" 1 TB ", 1 << 40)],
)
def test_sizes(text: str | int, count: int) -> None:
    """Powers of 1024, as systemd has them."""
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "-1", "2X", "G", "1e9", "٣", "1 2", True, "9" * 30])
def test_what_is_no_size(text: str | int) -> None:
    """Is said with an example."""
    with pytest.raises(ValueError, match="500M"):
        parse_size(text)


@pytest.mark.parametrize(("text", "percent"), [("80%", 80.0), (80, 80.0), (12.5, 12.5), ("150 %", 150.0)])
def test_percentages(text: str | float, percent: float) -> None:
    """Of one CPU."""
    assert parse_percent(text) == percent


@pytest.mark.parametrize("text", ["", "%", "-5", "half", "nan", "inf", float("nan"), False])
def test_what_is_no_percentage(text: str | float) -> None:
    """Is said with an example."""
    with pytest.raises(ValueError, match="80%"):
        parse_percent(text)


@given(st.integers(0, 10**15 - 1))
def test_a_count_of_bytes_is_itself(count: int) -> None:
    """With no suffix, nothing is lost."""
    assert parse_size(str(count)) == count
    assert size_text(count).split()[1] in {"B", "KiB", "MiB", "GiB", "TiB"}


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (Limits(cpu_pct=1), "cpu"),
        (Limits(cpu_pct=float("nan")), "cpu"),
        (Limits(memory_high_bytes=0), "memory_high"),
        (Limits(memory_high_bytes=1 << 60), "memory_high"),
        (Limits(io_read_bps=-1), "io_read"),
        (Limits(io_write_bps=10), "io_write"),
    ],
)
def test_what_nothing_can_run_with_is_refused(limits: Limits, name: str) -> None:
    """By name, with what is possible."""
    assert (problem_with(limits) or "").startswith(f"{name}: expected ")


def test_what_can_be_lived_with() -> None:
    """And how it reads."""
    limits = Limits(40, True, 2 << 30, 1 << 20, 3 << 20)
    assert problem_with(limits) is None
    assert problem_with(NO_LIMITS) is None
    assert limits_text(limits) == (
        "only CPU that nobody else wants, at most 40 % of a CPU, slowed above 2.0 GiB of memory, "
        "reads at most 1.0 MiB/s, writes at most 3.0 MiB/s"
    )
