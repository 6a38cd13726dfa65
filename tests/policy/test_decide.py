"""Decisions: who wins, what clamps, when a class is followed and when it is held."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenery import (
    BACKGROUND,
    CONTENDED,
    CRITICAL,
    HOG,
    IDLE,
    INTERACTIVE,
    NORMAL,
    QUIET,
    classification,
    group,
    known,
)
from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Contention, Decision, Override, Pin, Stage
from smoothtask.model.group import AppGroup, Behaviour
from smoothtask.policy.decide import Orders, PolicyState, decide
from smoothtask.policy.parameters import PolicyParameters

PARAMETERS = PolicyParameters()
NOTHING = Orders()


def judge(
    *groups: AppGroup,
    contention: Contention = QUIET,
    orders: Orders = NOTHING,
    state: PolicyState | None = None,
    now_s: float = 1000.0,
) -> tuple[Decision, ...]:
    """One tick."""
    return decide(groups, contention, orders, state or PolicyState(), now_s, PARAMETERS)[0]


def test_what_nothing_is_known_of_is_normal() -> None:
    """And says so."""
    (decision,) = judge(group())
    assert (decision.target, decision.decided_by) == (NORMAL, Stage.DEFAULT)


def test_a_certain_class_is_followed_at_once_on_an_idle_machine() -> None:
    """A standing measure waits for nobody."""
    (decision,) = judge(group(c=known("tracker", target=IDLE, certain=True)))
    assert (decision.target, decision.restraint) == (IDLE, False)
    assert decision.reasons[0].source == "apps.yaml:7"


def test_a_likely_class_comes_only_under_contention_and_after_hysteresis() -> None:
    """Three snapshots and five seconds."""
    g, state = group(c=known("indexer", target=BACKGROUND)), PolicyState()
    targets = []
    for tick in range(7):
        (decision,), state = decide((g,), CONTENDED, NOTHING, state, 1000.0 + tick, PARAMETERS)
        targets.append(decision.target)
    assert targets == [NORMAL] * 5 + [BACKGROUND] * 2
    assert judge(g)[0].target is NORMAL


def test_an_unknown_hog_is_lowered_while_somebody_waits() -> None:
    """At once: behaviour has waited for its window."""
    hog = group(**HOG)
    (decision,) = judge(hog, contention=CONTENDED)
    assert (decision.target, decision.decided_by, decision.restraint) == (BACKGROUND, Stage.BEHAVIOUR, True)
    assert "cores" in decision.text
    assert judge(hog)[0].target is NORMAL


def test_a_hog_beside_somebody_who_waits_goes_as_low_as_it_can() -> None:
    """In one terminal, a frame loop and a hog."""
    loop = group("proc:1-1", behaviour=Behaviour.STEADY)
    hog = group("proc:1-1/hog:burn", **HOG)
    assert [d.target for d in judge(loop, hog, contention=CONTENDED)] == [NORMAL, IDLE]


def test_a_certain_application_is_not_accused_but_its_parts_are() -> None:
    """Throttle the tab, not the browser."""
    browser = known("firefox", target=INTERACTIVE, certain=True)
    whole = group("proc:1-1", browser, **HOG)
    tab = group("proc:1-1/renderer", browser, **HOG)
    assert [d.target for d in judge(whole, tab, contention=CONTENDED)] == [INTERACTIVE, BACKGROUND]


def test_a_build_has_a_grace() -> None:
    """It keeps its terminal's class for its first seconds."""
    shell = group("proc:1-1", known("bash", target=INTERACTIVE, certain=True))
    rule = known("make", target=BACKGROUND, certain=True, after_s=5.0)
    young, old = (group("proc:1-1/build", rule, started_s=s) for s in (4.0, 6.0))
    assert judge(shell, young)[1].target is INTERACTIVE
    assert judge(shell, old)[1].target is BACKGROUND


def test_a_part_without_an_opinion_follows_its_application() -> None:
    """A helper of a browser is the browser."""
    browser = group("proc:1-1", known("firefox", target=INTERACTIVE, certain=True))
    assert judge(browser, group("proc:1-1/app:x"))[1].target is INTERACTIVE


def test_orders_win_over_rules_and_an_override_over_a_pin() -> None:
    """A person's word, the nearer one first."""
    g = group(c=known("tracker", target=IDLE, certain=True))
    pin = Pin("tracker", NORMAL, 1000, 0.0)
    assert judge(g, orders=Orders((pin,)))[0].decided_by is Stage.PIN
    override = Override(g.id, BACKGROUND, 1000, None)
    assert judge(g, orders=Orders((pin,), {g.id: override}))[0].target is BACKGROUND


def test_an_override_ends() -> None:
    """At its time."""
    orders = Orders((), {group().id: Override(group().id, INTERACTIVE, 0, 1000.0)})
    assert judge(group(), orders=orders, now_s=999.9)[0].target is INTERACTIVE
    assert judge(group(), orders=orders, now_s=1000.0)[0].target is NORMAL


@pytest.mark.parametrize(("uid", "holds"), [(0, True), (1000, True), (1001, False)])
def test_a_pin_holds_for_its_owner_and_roots_for_all(uid: int, holds: bool) -> None:
    """Nobody's pin touches another person's processes."""
    pin = Pin("name:prog", INTERACTIVE, uid, 0.0)
    assert (judge(group(uid=1000), orders=Orders((pin,)))[0].target is INTERACTIVE) is holds


def test_ones_own_pin_is_nearer_than_the_administrators() -> None:
    """Whoever was first."""
    pins = (Pin("name:prog", IDLE, 1000, 1.0), Pin("name:prog", INTERACTIVE, 0, 2.0))
    assert judge(group(uid=1000), orders=Orders(pins))[0].target is IDLE


def test_a_pin_cannot_pass_a_guardrail() -> None:
    """A shell pinned IDLE stays NORMAL: its children would inherit it."""
    shell = group(c=known("bash", starts_others=True), starts_others=True)
    (decision,) = judge(shell, orders=Orders((Pin("bash", IDLE, 0, 0.0),)))
    assert decision.target is NORMAL
    assert decision.reasons[-1].stage is Stage.GUARDRAIL


def test_protected_is_before_everything() -> None:
    """Neither pin nor override reaches it."""
    sshd = group(c=known("sshd", protected=True))
    orders = Orders((Pin("sshd", IDLE, 0, 0.0),), {sshd.id: Override(sshd.id, IDLE, 0, None)})
    (decision,) = judge(sshd, orders=orders, contention=CONTENDED)
    assert (decision.protected, decision.target) == (True, NORMAL)


def test_the_configuration_protects_by_name() -> None:
    """`protected_apps`."""
    parameters = replace(PARAMETERS, protected_apps=frozenset({"prog"}))
    (decision,), _ = decide((group(**HOG),), CONTENDED, NOTHING, PolicyState(), 0.0, parameters)
    assert decision.protected


def test_a_restraint_goes_after_contention() -> None:
    """Held for three snapshots and five seconds, then gone."""
    hog, state = group(**HOG), PolicyState()
    _, state = decide((hog,), CONTENDED, NOTHING, state, 100.0, PARAMETERS)
    targets = []
    for now_s in (101.0, 102.0, 103.0, 104.0, 105.0, 106.0):
        (decision,), state = decide((hog,), QUIET, NOTHING, state, now_s, PARAMETERS)
        targets.append(decision.target)
    assert targets == [BACKGROUND] * 4 + [NORMAL] * 2


some_classification = st.builds(
    known,
    st.sampled_from(["a", "b"]),
    target=st.none() | st.sampled_from(PriorityClass),
    certain=st.booleans(),
    protected=st.booleans(),
    starts_others=st.booleans(),
    tags=st.frozensets(st.sampled_from(["audio", "gui", "build"])),
    after_s=st.sampled_from([0.0, 5.0]),
) | st.builds(classification)
some_group = st.builds(
    lambda i, c, kind, starts: group(f"proc:{i}-1", c, kind, starts_others=starts),
    st.integers(0, 9),
    some_classification,
    st.sampled_from(Behaviour),
    st.booleans(),
)
some_orders = st.builds(
    lambda pins: Orders(tuple(Pin(app, c, 0, 0.0) for app, c in pins)),
    st.lists(st.tuples(st.sampled_from(["a", "b", "name:prog"]), st.sampled_from(PriorityClass)), max_size=3),
)


@given(
    st.lists(some_group, max_size=6, unique_by=lambda g: g.id),
    st.sampled_from([QUIET, CONTENDED]),
    some_orders,
    st.floats(0, 1e6),
)
def test_guardrails_hold_for_whatever_is_wished(
    groups: list[AppGroup], contention: Contention, orders: Orders, now_s: float
) -> None:
    """And deciding twice about the same is deciding once."""
    decisions, state = decide(groups, contention, orders, PolicyState(), now_s, PARAMETERS)
    again, _ = decide(groups, contention, orders, state, now_s, PARAMETERS)
    assert [d.target for d in again] == [d.target for d in decisions]
    for g, decision in zip(groups, decisions, strict=True):
        assert decision.reasons
        if g.classification.protected:
            assert decision.protected
        elif g.starts_others:
            assert NORMAL <= decision.target <= INTERACTIVE
        elif "audio" in g.classification.tags:
            assert NORMAL <= decision.target <= CRITICAL
