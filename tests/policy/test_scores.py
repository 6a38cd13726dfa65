"""Scores: the worst sign counts, unknown is not bad, and bad is said in words."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenery import HOG, group, metrics, system
from smoothtask.model.group import Behaviour
from smoothtask.model.person import Attention, PersonMetrics
from smoothtask.policy.parameters import BadLimits, PersonLimits
from smoothtask.policy.scores import group_score, rate

FOCUSED = Attention(focused=True)
BAD, LIMITS = BadLimits(), PersonLimits()


def test_an_idle_machine_is_as_good_as_it_gets() -> None:
    """With nothing heard, stability is not known."""
    scores = rate(system(p99_ms=0.2), [group()], PersonMetrics(), BAD, LIMITS)
    assert (scores.responsiveness, scores.audio_stability, scores.bad, scores.reasons) == (1.0, None, False, ())


def test_late_wake_ups_count_in_ratios() -> None:
    """14 ms is half way from 2 to 100."""
    assert rate(system(p99_ms=14.14), [], PersonMetrics(), BAD, LIMITS).responsiveness == pytest.approx(0.5, abs=0.01)
    scores = rate(system(p99_ms=200.0), [], PersonMetrics(), BAD, LIMITS)
    assert scores.responsiveness == 0
    assert "wake-ups 200 ms late" in scores.reasons[0]


def test_what_the_person_waits_for_counts_and_not_the_hog() -> None:
    """The focused window gets half of what it wants; the hog's waiting is nobody's."""
    hog = group("hog", **HOG)
    starved = group("w", attention=FOCUSED, metrics=metrics(0.3, 0.3))
    scores = rate(system(), [hog, starved], PersonMetrics(), BAD, LIMITS)
    assert scores.responsiveness == pytest.approx(0.5)
    assert scores.bad
    assert "gets 50 % of the CPU" in scores.reasons[0]
    assert not rate(system(), [hog], PersonMetrics(), BAD, LIMITS).bad


def test_without_knowledge_whatever_sleeps_and_wakes_counts() -> None:
    """As long as no session tells more."""
    steady = group("s", behaviour=Behaviour.STEADY, metrics=metrics(0.1, 0.3))
    assert rate(system(), [steady], PersonMetrics(), BAD, LIMITS).bad
    watched = group("w", attention=FOCUSED, metrics=metrics(0.5, 0.0))
    assert not rate(system(), [steady, watched], PersonMetrics(), BAD, LIMITS).bad


def test_sound() -> None:
    """Breaks and a full graph; silence has no score."""
    player = group(attention=Attention(playing=True))
    fine = rate(system(), [player], PersonMetrics(xruns=0, dsp_load=0.3), BAD, LIMITS)
    assert (fine.audio_stability, fine.bad) == (1.0, False)
    assert rate(system(), [player], PersonMetrics(xruns=0, dsp_load=0.85), BAD, LIMITS).audio_stability == (
        pytest.approx(0.5)
    )
    broken = rate(system(), [player], PersonMetrics(xruns=1, missing_cycles=1), BAD, LIMITS)
    assert broken.audio_stability == pytest.approx(0.5)
    assert "sound broke up 2 times" in broken.reasons


@given(
    st.none() | st.floats(0, 1e6),
    st.floats(0, 64),
    st.floats(0, 64),
    st.integers(0, 10**6),
    st.none() | st.floats(0, 9),
)
def test_scores_stay_between_0_and_1(
    p99_ms: float | None, cpu: float, wait: float, xruns: int, load: float | None
) -> None:
    """Whatever is measured."""
    g = group(attention=replace(FOCUSED, playing=True), metrics=metrics(cpu, wait))
    scores = rate(system(p99_ms=p99_ms), [g], PersonMetrics(xruns=xruns, dsp_load=load), BAD, LIMITS)
    assert 0 <= (scores.responsiveness or 0) <= 1
    assert 0 <= (scores.audio_stability or 0) <= 1
    score = group_score(g)
    assert score is None or 0 <= score <= 1
    assert scores.bad == bool(scores.reasons)
