"""Contention begins with a sign and ends a while after the last."""

import pytest

from scenery import group, metrics, system
from smoothtask.model.group import AppGroup, Behaviour
from smoothtask.model.system import SystemMetrics
from smoothtask.policy.contention import ContentionState, assess
from smoothtask.policy.parameters import ContentionLimits

LIMITS = ContentionLimits()


@pytest.mark.parametrize(
    ("machine", "groups", "active"),
    [
        (system(), (), False),
        (system(cpu_some_pct=None), (), False),
        (system(cpu_some_pct=10.0), (), True),
        (system(p99_ms=25.0), (), True),
        (system(), (group(metrics=metrics(0.2, 0.5)),), True),
        (system(), (group(behaviour=Behaviour.HOG, metrics=metrics(0.5, 2.0)),), False),
    ],
)
def test_signs(machine: SystemMetrics, groups: tuple[AppGroup, ...], active: bool) -> None:
    """Pressure, late wake-ups, a group that waits; a hog's own waiting is not one."""
    contention, _ = assess(ContentionState(), machine, groups, 100.0, LIMITS)
    assert contention.active is active
    assert bool(contention.reasons) is active


def test_it_is_held_for_a_while() -> None:
    """Five seconds after the last sign, and the reason says so."""
    _, state = assess(ContentionState(), system(cpu_some_pct=50.0), (), 100.0, LIMITS)
    held, state = assess(state, system(), (), 104.9, LIMITS)
    assert held.active
    assert held.reasons[0].startswith("held for 5 s after: cpu pressure 50 %")
    again, state = assess(state, system(), (), 104.95, LIMITS)
    assert again.reasons == held.reasons
    gone, _ = assess(state, system(), (), 105.0, LIMITS)
    assert (gone.active, gone.reasons) == (False, ())
