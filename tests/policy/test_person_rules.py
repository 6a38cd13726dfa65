"""Rules that look at the person: focus, sound, games, terminals, and what can wait."""

from dataclasses import replace
from typing import Any

import pytest

from scenery import BACKGROUND, CONTENDED, CRITICAL, HOG, IDLE, INTERACTIVE, NORMAL, QUIET, group, known, metrics
from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Contention, Decision, Pin, Stage
from smoothtask.model.group import AppGroup, Behaviour
from smoothtask.model.person import Attention, PersonMetrics
from smoothtask.policy.decide import Orders, PolicyState, decide
from smoothtask.policy.parameters import PolicyParameters

PARAMETERS = PolicyParameters()
SOMEBODY = PersonMetrics(active=True, since_input_s=1.0)


def judge(
    *groups: AppGroup,
    contention: Contention = QUIET,
    person: PersonMetrics = SOMEBODY,
    pins: tuple[Pin, ...] = (),
    state: PolicyState | None = None,
    now_s: float = 1000.0,
) -> tuple[Decision, ...]:
    """One tick."""
    orders = Orders(pins)
    return decide(groups, contention, orders, state or PolicyState(), now_s, PARAMETERS, person=person)[0]


def rule_of(decision: Decision) -> str:
    """The rule that decided."""
    return decision.reasons[0].rule


@pytest.mark.parametrize(
    ("what", "attention", "rule", "target"),
    [
        ({}, Attention(focused=True), "focus", INTERACTIVE),
        ({}, Attention(unfocused_s=3.0), "recent-focus", INTERACTIVE),
        ({}, Attention(unfocused_s=11.0), "default", NORMAL),
        ({}, Attention(playing=True), "audible", INTERACTIVE),
        ({}, Attention(playing=True, capturing=True), "call", CRITICAL),
        ({}, Attention(visible=True), "default", NORMAL),
        ({"tags": frozenset({"game"})}, Attention(focused=True), "game", CRITICAL),
        ({"tags": frozenset({"game"})}, Attention(fullscreen=True, visible=True), "game", CRITICAL),
        ({"tags": frozenset({"game"})}, Attention(visible=True), "default", NORMAL),
        ({"tags": frozenset({"game", "launcher"})}, Attention(focused=True), "focus", INTERACTIVE),
        ({"target": CRITICAL, "certain": True}, Attention(focused=True), "focus", CRITICAL),
        ({"target": IDLE, "certain": True}, Attention(focused=True), "focus", INTERACTIVE),
        ({"target": BACKGROUND}, Attention(typed_s=1.0), "default", NORMAL),
        ({}, Attention(typed_s=1.0), "typed", INTERACTIVE),
        ({}, Attention(typed_s=16.0), "default", NORMAL),
    ],
)
def test_what_the_person_attends_to(
    what: dict[str, Any], attention: Attention, rule: str, target: PriorityClass
) -> None:
    """Followed at once, on an idle machine too: standing measures cost nobody anything."""
    (decision,) = judge(group(c=known("app", **what), attention=attention, tty="pts/1", started_s=1000.0))
    assert (rule_of(decision), decision.target) == (rule, target)


def test_a_focused_hog_is_not_accused_and_a_hogging_part_is() -> None:
    """A game computes; a job beside the shell in the focused terminal is throttled alone."""
    game = group("game", c=known("game"), attention=Attention(focused=True), **HOG)
    assert judge(game, contention=CONTENDED)[0].target is INTERACTIVE
    terminal = group("term", c=known("foot", starts_others=True), starts_others=True, attention=Attention(focused=True))
    job = group("term/hog:x", c=known("x"), **HOG)
    decisions = judge(terminal, job, contention=CONTENDED)
    assert [d.target for d in decisions] == [INTERACTIVE, IDLE]


def test_a_hog_in_the_typed_terminal_is_no_typed_program() -> None:
    """Whatever was typed there."""
    (decision,) = judge(group(attention=Attention(typed_s=1.0), tty="pts/1", **HOG), contention=CONTENDED)
    assert decision.target is BACKGROUND


def test_what_can_wait_waits_while_somebody_works() -> None:
    """An updater that no certain rule lowers; not when nobody is there, not in focus, not against a pin."""
    updater = group(c=known("up", tags=frozenset({"updater"})))
    assert rule_of(judge(updater)[0]) == "not-while-somebody-works"
    assert judge(updater)[0].target is BACKGROUND
    for person in (PersonMetrics(active=False), PersonMetrics()):
        assert judge(updater, person=person)[0].target is NORMAL
    assert judge(updater, pins=(Pin("up", INTERACTIVE, 0, 0.0),))[0].target is INTERACTIVE
    watched = group(c=known("up", tags=frozenset({"updater"})), attention=Attention(focused=True))
    assert judge(watched)[0].target is INTERACTIVE
    certain = group(c=known("up", tags=frozenset({"updater"}), target=IDLE, certain=True))
    assert judge(certain)[0].target is IDLE


def test_a_build_at_hand_has_a_longer_grace() -> None:
    """Five seconds elsewhere, twenty in the terminal that somebody works in."""
    terminal = group("term", c=known("foot", starts_others=True), starts_others=True, attention=Attention(focused=True))
    rule = known("make", target=BACKGROUND, certain=True, after_s=5.0)
    build = group("term/build", c=rule, started_s=12.0)
    assert [d.target for d in judge(terminal, build)] == [INTERACTIVE, INTERACTIVE]
    assert rule_of(judge(terminal, build)[1]) == "grace"
    away = group("term", c=known("foot", starts_others=True), starts_others=True)
    assert judge(away, build)[1].target is BACKGROUND
    old = group("term/build", c=rule, started_s=21.0)
    assert judge(terminal, old)[1].target is BACKGROUND


def test_a_visible_window_is_not_lowered_on_a_guess() -> None:
    """A likely rule is not enough, a certain one is."""
    likely = known("app", target=BACKGROUND)
    assert rule_of(judge(group(c=likely, attention=Attention(visible=True)), contention=CONTENDED)[0]) == "visible"
    certain = known("app", target=BACKGROUND, certain=True)
    assert judge(group(c=certain, attention=Attention(visible=True)))[0].target is BACKGROUND


def test_who_wakes_for_a_deadline_and_takes_next_to_nothing_goes_first() -> None:
    """A sound loop that no sound server tells of: raising others would take from it what lowering hogs gave."""
    paced = {"metrics": metrics(cpu=0.04, vcsw=200.0), "behaviour": Behaviour.STEADY}
    (decision,) = judge(group(**paced), contention=CONTENDED)
    assert (rule_of(decision), decision.wanted) == ("paced", INTERACTIVE)
    (late,) = judge(group(**{**paced, "metrics": metrics(cpu=0.07, wait=0.06, vcsw=200.0)}), contention=CONTENDED)
    assert rule_of(late) == "paced"
    assert "200 times a second" in decision.text
    assert rule_of(judge(group(**paced))[0]) == "default"
    for other in (
        {**paced, "metrics": metrics(cpu=0.04, vcsw=60.0)},  # a frame loop
        {**paced, "metrics": metrics(cpu=0.12, vcsw=200.0)},
        {**paced, "metrics": metrics(cpu=0.08, wait=0.24, vcsw=200.0)},  # may compute as soon as it is let
        {**paced, "metrics": replace(metrics(cpu=0.04, vcsw=200.0), processes=3)},
        {
            **paced,
            "metrics": replace(metrics(cpu=0.04, vcsw=200.0), read_bps=0.8e6, write_bps=0.4e6),
        },  # sleeps for a disk
        {**paced, "behaviour": Behaviour.QUIET},
        {**paced, "c": known("indexer", target=BACKGROUND)},
    ):
        assert rule_of(judge(group(**other), contention=CONTENDED)[0]) != "paced"


def test_who_moves_much_from_and_to_disks_waits_under_contention() -> None:
    """It sleeps and wakes as a frame loop does: only what it moves tells them apart."""
    moving = replace(metrics(cpu=0.3), read_bps=40e6, write_bps=20e6)
    heavy = {"metrics": moving, "behaviour": Behaviour.STEADY}
    (decision,) = judge(group(**heavy), contention=CONTENDED)
    assert (rule_of(decision), decision.wanted, decision.restraint) == ("heavy-io", BACKGROUND, True)
    assert "60 MB/s" in decision.text
    assert rule_of(judge(group(**heavy))[0]) == "default"
    for spared in (Attention(visible=True), Attention(playing=True), Attention(focused=True)):
        (decision,) = judge(group(attention=spared, **heavy), contention=CONTENDED)
        assert rule_of(decision) != "heavy-io"
    (decision,) = judge(group(c=known("browser", target=INTERACTIVE), **heavy), contention=CONTENDED)
    assert decision.wanted is INTERACTIVE


def test_who_moves_less_because_it_is_lowered_stays_lowered() -> None:
    """Until it moves half of what is heavy: else it would be lowered and raised in turn."""
    state, targets = PolicyState(), []
    for tick, moved_bps in enumerate((*[60e6] * 7, *[30e6] * 7, *[20e6] * 7)):
        g = group(metrics=replace(metrics(cpu=0.3), read_bps=moved_bps), behaviour=Behaviour.STEADY)
        (decision,), state = decide((g,), CONTENDED, Orders(), state, 1000.0 + tick, PARAMETERS, person=SOMEBODY)
        targets.append(decision.target)
    assert (targets[6], targets[13], targets[20]) == (BACKGROUND, BACKGROUND, NORMAL)
    never = group(metrics=replace(metrics(cpu=0.3), read_bps=30e6), behaviour=Behaviour.STEADY)
    assert rule_of(judge(never, contention=CONTENDED)[0]) == "default"


def test_minimised_applications_wait_under_contention() -> None:
    """When they do something, and after hysteresis; not when they are heard."""
    hidden = {"metrics": metrics(0.3, 0.1), "behaviour": Behaviour.STEADY}
    (decision,) = judge(group(attention=Attention(minimised=True), **hidden), contention=CONTENDED)
    assert (rule_of(decision), decision.wanted, decision.restraint) == ("minimised", BACKGROUND, True)
    assert rule_of(judge(group(attention=Attention(minimised=True), **hidden))[0]) == "default"
    heard = Attention(minimised=True, playing=True)
    assert judge(group(attention=heard, **hidden), contention=CONTENDED)[0].target is INTERACTIVE


def test_sound_is_held_up_by_guardrails() -> None:
    """Not below NORMAL while it plays, not below INTERACTIVE when it broke up: whoever asks."""
    pin = (Pin("app", IDLE, 0, 0.0),)
    (decision,) = judge(group(c=known("app"), attention=Attention(playing=True)), pins=pin)
    assert (decision.target, decision.reasons[-1].stage) == (NORMAL, Stage.GUARDRAIL)
    (decision,) = judge(group(c=known("app"), attention=Attention(playing=True, xrun_s=2.0)), pins=pin)
    assert (decision.target, decision.reasons[-1].rule) == (INTERACTIVE, "sound-broke-up")
