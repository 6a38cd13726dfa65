"""A model moves what the rules leave open, lessons what a person has said otherwise; orders and guardrails win."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from policy.test_decide import some_group, some_orders
from scenery import BACKGROUND, CONTENDED, CRITICAL, HOG, IDLE, INTERACTIVE, NORMAL, QUIET, group, known
from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Contention, Decision, Override, Pin, Stage
from smoothtask.model.group import AppGroup
from smoothtask.model.lesson import Attended, Lesson, Situation, Source
from smoothtask.model.person import Attention
from smoothtask.policy.decide import Orders, PolicyState, decide
from smoothtask.policy.parameters import PolicyParameters
from smoothtask.policy.personal import indexed
from smoothtask.policy.ranking import Opinions

CUTS = (-1.5, -0.5, 0.5, 1.5)
PARAMETERS = PolicyParameters()


def says(scores: dict[str, float]) -> Opinions:
    return Opinions("m", CUTS, scores, lambda _group: ("it is loud",))


def ticks(
    about: AppGroup, opinions: Opinions | None = None, orders: Orders | None = None,
    contention: Contention = CONTENDED, n: int = 8,
) -> list[Decision]:  # fmt: skip
    state, made = PolicyState(), []
    for tick in range(n):
        (decision,), state = decide(
            (about,), contention, orders or Orders(), state, 100.0 + tick, PARAMETERS, opinions=opinions
        )
        made.append(decision)
    return made


def taught(
    target: PriorityClass, n: int, *, app: str = "name:prog", attended: Attended = Attended.UNATTENDED
) -> Orders:
    situation = Situation(attended, contended=True)
    return Orders(learnt=indexed(Lesson(app, 1000, situation, target, Source.LABEL, 100.0 * i) for i in range(n)))


def test_a_model_moves_a_likely_class_by_one_after_hysteresis() -> None:
    likely = group(c=known("indexer", target=BACKGROUND))
    for score, wanted in ((3.0, NORMAL), (0.0, NORMAL), (-1.0, BACKGROUND), (-9.0, IDLE)):
        last = ticks(likely, says({likely.id: score}))[-1]
        assert (last.target, last.rules, last.score) == (wanted, BACKGROUND, score)
    last = ticks(likely, says({likely.id: 3.0}))[-1]
    assert last.decided_by is Stage.RANKER
    assert last.reasons[0].text == "the model ranks it NORMAL, the rules BACKGROUND: it is loud"
    assert last.reasons[1].rule == "likely-type"


def test_what_a_rule_is_certain_of_no_model_moves() -> None:
    for certain in (
        group(c=known("tracker", target=IDLE, certain=True)),
        group(attention=Attention(focused=True)),
        group(attention=Attention(playing=True)),
    ):
        without = ticks(certain)[-1]
        for score in (-9.0, 9.0):
            assert ticks(certain, says({certain.id: score}))[-1].target is without.target


def test_a_group_that_was_not_scored_is_the_rules() -> None:
    hog = group(**HOG)
    assert [d.target for d in ticks(hog, says({}))] == [d.target for d in ticks(hog)]


def test_a_model_restrains_only_while_somebody_waits() -> None:
    plain = group()
    calm = ticks(plain, says({plain.id: -9.0}), contention=QUIET)[-1]
    assert (calm.target, calm.decided_by) == (NORMAL, Stage.DEFAULT)
    assert calm.reasons[-1].text.startswith("would be BACKGROUND while somebody waits: the model ranks it")
    busy = ticks(plain, says({plain.id: -9.0}))[-1]
    assert (busy.target, busy.restraint) == (BACKGROUND, True)


def test_a_hog_is_still_lowered_at_once_wherever_the_model_puts_it_below_normal() -> None:
    """And does not go to and fro with the score afterwards."""
    hog = group(**HOG)
    assert [d.target for d in ticks(hog, says({hog.id: -9.0}), n=2)] == [IDLE, IDLE]
    state = PolicyState()
    targets = []
    for tick in range(12):
        score = -1.0 if tick % 2 else -9.0
        (decision,), state = decide(
            (hog,), CONTENDED, Orders(), state, 100.0 + tick, PARAMETERS, opinions=says({hog.id: score})
        )
        targets.append(decision.target)
    assert len([1 for a, b in pairwise(targets) if a != b]) <= 1


def test_no_model_raises_what_hogs() -> None:
    """To NORMAL, where it is not lowered, and no further."""
    hog = group(c=known("render", target=NORMAL), **HOG)
    for score in (0.0, 9.0):
        assert ticks(hog, says({hog.id: score}))[-1].target is NORMAL
    quiet = group(c=known("render", target=NORMAL))
    assert ticks(quiet, says({quiet.id: 9.0}))[-1].target is INTERACTIVE


def test_orders_win_over_model_and_lessons() -> None:
    g = group()
    lessons = taught(IDLE, 5)
    pinned = replace(lessons, pins=(Pin("name:prog", INTERACTIVE, 1000, 0.0),))
    assert ticks(g, says({g.id: -9.0}), pinned)[-1].decided_by is Stage.PIN
    overridden = replace(pinned, overrides={g.id: Override(g.id, BACKGROUND, 1000, None)})
    assert ticks(g, says({g.id: 9.0}), overridden)[-1].target is BACKGROUND


def test_lessons_come_after_the_model_and_count_from_where_it_put_the_group() -> None:
    g = group()
    last = ticks(g, says({g.id: -1.0}), taught(CRITICAL, 5))[-1]
    assert last.target is INTERACTIVE  # two from BACKGROUND
    assert [r.stage for r in last.reasons[:2]] == [Stage.LEARNT, Stage.RANKER]
    assert last.reasons[0].text.startswith("learnt from 5 of your labels: INTERACTIVE, not BACKGROUND")


def test_a_model_that_has_come_to_what_was_taught_is_not_moved_again() -> None:
    g = group()
    last = ticks(g, says({g.id: 1.0}), taught(INTERACTIVE, 5))[-1]
    assert (last.target, last.decided_by) == (INTERACTIVE, Stage.RANKER)


def test_what_was_taught_to_rise_holds_always_and_what_to_fall_only_while_somebody_waits() -> None:
    g = group()
    assert ticks(g, orders=taught(INTERACTIVE, 5), contention=QUIET)[-1].target is INTERACTIVE
    calm = ticks(g, orders=taught(IDLE, 5), contention=QUIET)[-1]
    assert calm.target is NORMAL
    assert "would be" in calm.text
    assert ticks(g, orders=taught(IDLE, 5))[-1].target is IDLE


def test_a_certain_rule_is_corrected_at_once_by_lessons_of_its_situation_alone() -> None:
    focused = group(attention=Attention(focused=True))
    assert ticks(focused, orders=taught(NORMAL, 5))[-1].target is INTERACTIVE
    corrected = ticks(focused, orders=taught(NORMAL, 5, attended=Attended.FOCUSED), n=1)[-1]
    assert (corrected.target, corrected.decided_by) == (NORMAL, Stage.LEARNT)


def test_a_build_keeps_its_grace_whatever_was_taught() -> None:
    young = group(c=known("make", target=BACKGROUND, certain=True, after_s=5.0), started_s=2.0)
    assert ticks(young, orders=taught(IDLE, 8, app="make"))[-1].target is NORMAL


some_lessons = st.lists(
    st.builds(
        Lesson,
        st.sampled_from(["a", "b", "name:prog"]),
        st.sampled_from([0, 1000]),
        st.builds(Situation, st.sampled_from(Attended), st.booleans()),
        st.sampled_from(PriorityClass),
        st.sampled_from(Source),
        st.floats(0, 1e6),
    ),
    max_size=12,
)


@given(
    st.lists(some_group, max_size=5, unique_by=lambda g: g.id),
    st.sampled_from([QUIET, CONTENDED]),
    some_orders,
    some_lessons,
    st.floats(-5, 5),
)
def test_guardrails_and_bounds_hold_for_any_model_and_lessons(groups, contention, orders, lessons, score) -> None:
    orders = replace(orders, learnt=indexed(lessons))
    opinions = says({g.id: score for g in groups})
    decisions, _ = decide(groups, contention, orders, PolicyState(), 100.0, PARAMETERS, opinions=opinions)
    for g, decision in zip(groups, decisions, strict=True):
        assert decision.reasons
        if g.classification.protected:
            assert decision.protected
            continue
        if g.starts_others and g.parent is None:
            assert NORMAL <= decision.wanted <= INTERACTIVE
        elif "audio" in g.classification.tags:
            assert NORMAL <= decision.wanted <= CRITICAL
        assert decision.rules is not None
        if decision.decided_by is Stage.RANKER:
            assert abs(decision.wanted - decision.rules) <= 1 or decision.reasons[-1].stage is Stage.GUARDRAIL
