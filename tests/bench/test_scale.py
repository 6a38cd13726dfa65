"""`bench/scale.py`: what its checks take for linear, and what not."""

from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[2] / "bench"
THREADS = (171, 1_071, 5_071, 15_071)


@pytest.fixture
def scale(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    return __import__("scale")


def costs(exponent: float) -> list[tuple[int, int, float]]:
    return [(n, 14, 1.0 + (n / 1_000) ** exponent) for n in THREADS]


def holds(scale: ModuleType, exponent: float) -> tuple[bool, bool]:
    figures = costs(exponent)
    steep = scale.slopes([(n, ms) for n, _, ms in figures], "thread")
    return steep[-1] / steep[-2] <= scale.STEEPER, scale.square_pct(figures) <= scale.SQUARE_PCT


@pytest.mark.parametrize("exponent", [0.9, 1.0, 1.05])
def test_what_grows_with_the_threads_holds(scale: ModuleType, exponent: float):
    assert holds(scale, exponent) == (True, True)


@pytest.mark.parametrize("exponent", [1.2, 1.5, 2.0])
def test_what_grows_faster_does_not(scale: ModuleType, exponent: float):
    assert holds(scale, exponent) == (False, False)
