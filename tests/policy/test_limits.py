"""Limits: whose hold, when, and for whom never."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenery import BACKGROUND, CONTENDED, HOG, IDLE, INTERACTIVE, NORMAL, QUIET, group, known
from smoothtask.model.classes import NO_LIMITS, Limits, PriorityClass
from smoothtask.model.decision import Contention, Decision, Pin, Stage
from smoothtask.model.group import AppGroup, Behaviour
from smoothtask.policy.decide import Orders, PolicyState, decide
from smoothtask.policy.parameters import PolicyParameters

LESS = Limits(cpu_pct=40)
SLOW = Limits(memory_high_bytes=1 << 30)


def judge(g: AppGroup, contention: Contention = QUIET, *pins: Pin) -> Decision:
    """One tick."""
    return decide((g,), contention, Orders(pins), PolicyState(), 1000.0, PolicyParameters())[0][0]


def test_a_rules_limits_hold_below_normal_while_somebody_waits() -> None:
    """They take from an idle machine too, so they are restraints; the chain names the file."""
    g = group(c=known("tracker", target=IDLE, certain=True, limits=LESS))
    assert judge(g).limits == NO_LIMITS
    decision = judge(g, CONTENDED)
    assert decision.limits == LESS
    assert (decision.reasons[-1].rule, decision.reasons[-1].source) == ("limits", "apps.yaml:7")
    assert "at most 40 % of a CPU" in decision.text
    assert judge(group(c=known("app", limits=LESS)), CONTENDED).limits == NO_LIMITS


def test_a_hog_gets_its_rules_limits() -> None:
    """Behaviour lowered it; what its rule adds holds."""
    decision = judge(group(c=known("app", limits=LESS), **HOG), CONTENDED)
    assert (decision.target, decision.limits) == (BACKGROUND, LESS)


def test_a_pins_limits_hold_always_and_win() -> None:
    """In every class, on an idle machine, over the rule's."""
    g = group(c=known("tracker", target=IDLE, certain=True, limits=LESS))
    decision = judge(g, QUIET, Pin("tracker", INTERACTIVE, 0, 0.0, SLOW))
    assert (decision.target, decision.limits) == (INTERACTIVE, SLOW)
    assert decision.reasons[-1].stage is Stage.PIN
    assert decision.decided_by is Stage.PIN
    # Another person's pin is nobody's here, and a pin that asks for none leaves the rule's.
    assert judge(g, QUIET, Pin("tracker", NORMAL, 1001, 0.0, SLOW)).limits == NO_LIMITS
    assert judge(g, CONTENDED, Pin("tracker", BACKGROUND, 0, 0.0)).limits == LESS


@pytest.mark.parametrize(
    "more",
    [{"tags": frozenset({"audio"})}, {"starts_others": True}],
)
def test_sound_and_what_starts_others_is_never_limited(more: dict[str, object]) -> None:
    """And that is said."""
    g = group(c=known("app", **more), starts_others="starts_others" in more)
    decision = judge(g, CONTENDED, Pin("app", NORMAL, 0, 0.0, LESS))
    assert decision.limits == NO_LIMITS
    assert (decision.reasons[-1].stage, decision.reasons[-1].rule) == (Stage.GUARDRAIL, "no-limits")


def test_what_is_protected_is_never_limited() -> None:
    """Whoever asks."""
    g = group(c=known("sshd", protected=True, limits=LESS, target=IDLE, certain=True))
    assert judge(g, CONTENDED, Pin("sshd", IDLE, 0, 0.0, SLOW)).limits == NO_LIMITS


@given(
    st.sampled_from(PriorityClass) | st.none(),
    st.booleans(),
    st.sampled_from(Behaviour),
    st.sampled_from([QUIET, CONTENDED]),
    st.sampled_from([None, NO_LIMITS, SLOW]),
    st.sampled_from([NO_LIMITS, LESS]),
    st.booleans(),
)
def test_no_limit_without_somebody_who_asked(
    target: PriorityClass | None,
    certain: bool,
    behaviour: Behaviour,
    contention: Contention,
    pinned: Limits | None,
    ruled: Limits,
    audio: bool,
) -> None:
    """Every limit is a pin's, or a rule's below NORMAL under contention; and the chain says whose."""
    tags = frozenset({"audio"}) if audio else frozenset()
    g = group(c=known("app", target=target, certain=certain, limits=ruled, tags=tags), behaviour=behaviour)
    pins = [] if pinned is None else [Pin("app", NORMAL, 0, 0.0, pinned)]
    decision = judge(g, contention, *pins)
    if decision.limits:
        assert not audio
        assert decision.reasons[-1].rule == "limits"
        of_rule = decision.limits == ruled and decision.target <= BACKGROUND and contention.active
        assert decision.limits == pinned or of_rule
    else:
        assert not pinned or audio
