"""What one user takes, or is refused, keeps nobody else waiting for long."""

from hypothesis import given
from hypothesis import strategies as st

from smoothtask.control.allowance import CREDIT_S, LONGEST_S, LONGEST_TOGETHER_S, SHARE, Allowance


def test_connections_that_are_refused_cost_nobody_else() -> None:
    """Ten seconds of nothing but that: who does it waits, for as long as one may have to."""
    allowance = Allowance()
    for step in range(1, 1001):
        allowance.charge_refusal(1, 0.01, step * 0.01)
    assert allowance.wait_s(2, 10.0) == 0
    assert 0 < allowance.wait_s(1, 10.0) < LONGEST_S + 0.01
    assert 0 < allowance.door_wait_s(10.0) < 0.11
    assert allowance.door_wait_s(10.2) == 0


def test_one_long_order_is_paid_off_before_a_dashboard_gives_up() -> None:
    """It waited for a disk."""
    allowance = Allowance()
    allowance.charge(1, 3.3, 100.0)
    assert 0 < allowance.wait_s(1, 100.0) < LONGEST_S + 0.01
    assert allowance.wait_s(2, 100.0) < LONGEST_TOGETHER_S + 0.01


def test_short_orders_are_held_to_the_share() -> None:
    """The longest wait does not soften it."""
    allowance, now_s, taken_s = Allowance(), 0.0, 0.0
    while now_s < 100:
        if allowance.wait_s(1, now_s) == 0:
            now_s, taken_s = now_s + 0.02, taken_s + 0.02
            allowance.charge(1, 0.02, now_s)
        else:
            now_s += 0.01
    assert taken_s <= SHARE * now_s + CREDIT_S + 0.02


@given(st.lists(st.tuples(st.integers(1, 5), st.floats(0, 100), st.booleans()), max_size=30))
def test_nobody_waits_longer_than_is_said(charges: list[tuple[int, float, bool]]) -> None:
    """Whatever was charged."""
    allowance = Allowance()
    for uid, cost_s, is_refused in charges:
        (allowance.charge_refusal if is_refused else allowance.charge)(uid, cost_s, 0.0)
    assert all(allowance.wait_s(uid, 0.0) <= LONGEST_S + 1e-9 for uid in range(1, 6))
    assert allowance.wait_s(9, 0.0) <= LONGEST_TOGETHER_S + 1e-9
