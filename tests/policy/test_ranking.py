"""Scores become classes by cuts, and go no further than one class from the rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenery import BACKGROUND, CONTENDED, IDLE, INTERACTIVE, NORMAL, QUIET, group, known
from smoothtask.model.classes import PriorityClass
from smoothtask.model.lesson import Attended, Lesson, Situation, Source
from smoothtask.policy.decide import Orders, PolicyState, decide
from smoothtask.policy.parameters import Hysteresis, PolicyParameters
from smoothtask.policy.personal import class_at, indexed
from smoothtask.policy.ranking import Opinions, coordinate, cuts_at

CUTS = (-1.9, -0.1, 0.5, 1.0)


@pytest.mark.parametrize(
    ("score", "wanted"),
    [(-50.0, 0), (-2.0, 0), (-1.9, 1), (-0.11, 1), (-0.1, 2), (0.49, 2), (0.5, 3), (0.99, 3), (1.0, 4), (50.0, 4)],
)
def test_a_cut_is_where_a_class_begins(score: float, wanted: int) -> None:
    assert class_at(coordinate(score, CUTS)) == wanted


cuts = st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=4).map(lambda c: tuple(sorted(c)))


@given(cuts, st.floats(-1e4, 1e4), st.floats(0, 1e3))
def test_a_higher_score_is_never_a_lower_class(cuts, score, more):
    low, high = coordinate(score, cuts), coordinate(score + more, cuts)
    assert 0 <= low <= high + 1e-3 <= 4 + 1e-3
    assert class_at(low) == sum(c <= score for c in cuts)


@given(cuts, st.floats(-1e4, 1e4), st.sampled_from(PriorityClass))
def test_a_model_is_at_most_one_class_from_the_rules(cuts, score, rules):
    there = Opinions("m", cuts, {"g": score}).coordinate("g", rules)
    assert there is not None
    assert abs(class_at(there) - rules) <= 1


def test_a_group_that_was_not_scored_has_no_place():
    assert Opinions("m", CUTS, {}).coordinate("g", PriorityClass.NORMAL) is None


def test_percentiles_of_the_reference_make_cuts():
    percentiles = tuple(float(n * n) for n in range(101))
    assert cuts_at(percentiles, (5.0, 30.0, 80.5, 100.0)) == (25.0, 900.0, (80**2 + 81**2) / 2, 10000.0)


@pytest.mark.parametrize(("now", "wanted"), [(CONTENDED, NORMAL), (QUIET, INTERACTIVE)])
def test_a_model_may_end_a_grace_while_somebody_waits_and_lessons_may_not(now, wanted):
    """It sees how young a build is; a lesson about builds does not."""
    shell = group("proc:1-1", known("bash", target=INTERACTIVE, certain=True))
    build = group("proc:1-1/build", known("make", target=BACKGROUND, certain=True, after_s=5.0), started_s=4.0)
    parameters = PolicyParameters(hysteresis=Hysteresis(1, 0.0))
    lower = Opinions("m", CUTS, {shell.id: 0.7, build.id: -5.0})
    alone = Situation(Attended.UNATTENDED, contended=True)
    taught = indexed([Lesson("make", 1000, alone, IDLE, Source.LABEL, 100.0 * n) for n in range(8)], None)
    for orders, opinions, expected in (
        (Orders(), lower, wanted), (Orders(learnt=taught), lower, wanted), (Orders(learnt=taught), None, INTERACTIVE),
    ):  # fmt: skip
        _, state = decide([shell, build], now, orders, PolicyState(), 1.0, parameters, opinions=opinions)
        decisions, _ = decide([shell, build], now, orders, state, 2.0, parameters, opinions=opinions)
        assert decisions[1].target is expected
