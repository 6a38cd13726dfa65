"""The pace follows what happens, within the budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.engine.ticker import Budget, Situation, TickSettings, next_interval

SETTINGS = TickSettings()
SAVED = Budget(0.4)


@pytest.mark.parametrize(
    ("contended", "settling", "watched", "busy_cores", "expected"),
    [
        (False, False, False, 0.0, 5.0),
        (False, False, False, 0.5, 1.0),
        (False, False, True, 0.0, 1.0),
        (True, False, False, 2.0, 1.0),
        (True, True, False, 2.0, 0.25),
        (True, False, True, 2.0, 0.25),
    ],
)
def test_pace(contended: bool, settling: bool, watched: bool, busy_cores: float, expected: float) -> None:
    """Idle, busy, watched, contended."""
    assert next_interval(SETTINGS, Situation(contended, settling, watched, busy_cores), SAVED, 0.004) == expected


def test_a_spent_budget_stretches_the_tick() -> None:
    """4 ms of CPU may come every 0.4 s at 1 %."""
    assert next_interval(SETTINGS, Situation(True, True, True, 2.0), Budget(0.0), 0.004) == pytest.approx(0.4)


@given(st.lists(st.tuples(st.floats(0, 0.1), st.floats(0.25, 5)), max_size=50))
def test_savings_are_bounded(ticks: list[tuple[float, float]]) -> None:
    """Quiet hours do not buy a minute of full speed, nor does a storm stop the ticks for ever."""
    budget = Budget()
    for spent_s, elapsed_s in ticks:
        budget = budget.after(spent_s, elapsed_s, 1.0)
        assert -0.4 <= budget.saved_s <= 0.4
        assert next_interval(SETTINGS, Situation(True, True, True, 2.0), budget, spent_s) <= 5.0
