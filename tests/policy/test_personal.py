"""Lessons move a class after two or three of them, in their situation, for their user, and no others."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenery import BACKGROUND, CRITICAL, IDLE, INTERACTIVE, NORMAL, group, known
from smoothtask.model.lesson import Attended, Lesson, Situation, Source
from smoothtask.model.person import Attention
from smoothtask.policy import personal
from smoothtask.policy.parameters import PersonLimits
from smoothtask.policy.personal import class_at, indexed, pull, situation_of, with_lesson

ALONE = Situation(Attended.UNATTENDED, contended=True)
CALM = Situation(Attended.UNATTENDED, contended=False)
SEEN = Situation(Attended.VISIBLE, contended=True)
FFMPEG = group(c=known("ffmpeg"))


def lessons(n, target, situation=ALONE, *, app="ffmpeg", uid=1000, source=Source.LABEL, at=0.0):
    return [Lesson(app, uid, situation, target, source, at + 100 * i) for i in range(n)]


def follows(said, base, situation=ALONE, *, certain=False, about=FFMPEG, lifted=None):
    found = pull(indexed(said, lifted), about, situation, float(base), certain=certain)
    return base if found is None else found.target


@pytest.mark.parametrize(
    ("n", "base", "wanted", "comes"),
    [
        (1, NORMAL, BACKGROUND, NORMAL),
        (2, NORMAL, BACKGROUND, BACKGROUND),
        (2, NORMAL, IDLE, BACKGROUND),
        (3, NORMAL, IDLE, IDLE),
        (3, BACKGROUND, INTERACTIVE, INTERACTIVE),
        (8, IDLE, CRITICAL, NORMAL),  # two classes at most
        (3, INTERACTIVE, INTERACTIVE, INTERACTIVE),
    ],
)
def test_one_moves_nothing_three_arrive(n, base, wanted, comes):
    assert follows(lessons(n, wanted), base) is comes


def test_other_situations_follow_later_and_less():
    """Three in one situation leave another alone; five move it."""
    assert [follows(lessons(n, IDLE), NORMAL, SEEN) for n in (1, 3, 5)] == [NORMAL, NORMAL, BACKGROUND]
    assert follows(lessons(3, INTERACTIVE), NORMAL, CALM) is INTERACTIVE


def test_a_certain_rule_is_corrected_in_its_situation_alone():
    assert follows(lessons(8, IDLE, ALONE), INTERACTIVE, SEEN, certain=True) is INTERACTIVE
    assert follows(lessons(8, NORMAL, SEEN), INTERACTIVE, SEEN, certain=True) is NORMAL


def test_what_does_not_agree_moves_little():
    assert follows(lessons(2, IDLE) + lessons(2, CRITICAL), NORMAL) is NORMAL


def test_another_application_or_user_learns_nothing():
    said = lessons(8, IDLE)
    assert follows(said, NORMAL, about=group(c=known("make"))) is NORMAL
    assert follows(said, NORMAL, about=group(c=known("ffmpeg"), uid=1001)) is NORMAL
    assert follows(lessons(3, IDLE, uid=0), NORMAL, about=group(c=known("ffmpeg"), uid=1001)) is IDLE


def test_ones_own_lessons_are_nearer_than_the_administrators():
    said = lessons(8, IDLE, uid=0) + lessons(3, INTERACTIVE, uid=1000)
    assert follows(said, NORMAL) is INTERACTIVE


def test_nobody_learns_to_be_raised_by_who_may_not_raise():
    said = lessons(8, CRITICAL)
    assert follows(said, BACKGROUND, lifted=frozenset({0})) is NORMAL
    assert follows(said, INTERACTIVE, lifted=frozenset({0})) is INTERACTIVE
    assert follows(said, INTERACTIVE, lifted=frozenset({1000})) is CRITICAL
    assert follows(lessons(8, IDLE), NORMAL, lifted=frozenset({0})) is IDLE


def test_the_reason_counts_what_was_said():
    said = lessons(2, IDLE) + lessons(1, IDLE, source=Source.PIN)
    found = pull(indexed(said), FFMPEG, ALONE, 2.0, certain=False)
    assert found is not None
    assert found.text == "learnt from 3 of your pins and labels"
    of_root = pull(indexed(lessons(3, IDLE, uid=0)), FFMPEG, ALONE, 2.0, certain=False)
    assert of_root is not None
    assert of_root.text == "learnt from 3 of the administrator's labels"


def test_a_person_may_change_their_mind():
    said = ()
    for lesson in [*lessons(30, IDLE), *lessons(8, INTERACTIVE, at=1e4)]:
        said = with_lesson(said, lesson)
    assert len(said) == personal.KEPT_IN_SITUATION
    assert follows(said, NORMAL) is INTERACTIVE


def test_a_slip_is_corrected_by_what_is_said_next():
    slip, meant = lessons(1, CRITICAL, at=0.0), lessons(1, IDLE, at=20.0)
    assert with_lesson(slip, meant[0]) == tuple(meant)
    assert len(with_lesson(slip, replace(meant[0], made_at=90.0))) == 2
    assert len(with_lesson(slip, replace(slip[0], made_at=5.0))) == 2  # said twice, not corrected


def test_no_user_fills_the_memory():
    said = ()
    for n in range(personal.KEPT_OF_USER + 50):
        said = with_lesson(said, Lesson(f"app{n}", 1000, ALONE, IDLE, Source.LABEL, float(n)))
    said = with_lesson(said, Lesson("x", 0, ALONE, IDLE, Source.LABEL, 1e6))
    assert sum(x.uid == 1000 for x in said) == personal.KEPT_OF_USER
    assert said[-1].app == "x"


@pytest.mark.parametrize(
    ("attention", "attended"),
    [
        (Attention(focused=True, playing=True), Attended.FOCUSED),
        (Attention(typed_s=3.0), Attended.FOCUSED),
        (Attention(typed_s=300.0), Attended.UNATTENDED),
        (Attention(playing=True, visible=True), Attended.AUDIBLE),
        (Attention(visible=True), Attended.VISIBLE),
        (Attention(minimised=True), Attended.UNATTENDED),
    ],
)
def test_a_situation_is_what_the_group_is_to_the_person(attention, attended):
    about = group(attention=attention)
    assert situation_of(about, None, PersonLimits(), contended=True).attended is attended


def test_what_runs_in_the_application_that_is_worked_in_is_worked_in():
    terminal = group("proc:1-1", attention=Attention(focused=True))
    job = group("proc:1-1/job")
    assert situation_of(job, terminal, PersonLimits(), contended=False).attended is Attended.FOCUSED


some_lesson = st.builds(
    Lesson,
    st.just("ffmpeg"),
    st.sampled_from([0, 1000, 1001]),
    st.builds(Situation, st.sampled_from(Attended), st.booleans()),
    st.sampled_from([IDLE, BACKGROUND, NORMAL, INTERACTIVE, CRITICAL]),
    st.sampled_from(Source),
    st.floats(0, 1e6),
)


@given(
    st.lists(some_lesson, max_size=20), st.floats(0, 4), st.builds(Situation, st.sampled_from(Attended), st.booleans())
)
def test_no_lessons_move_further_than_two_classes_or_past_what_was_said(said, base, situation):
    found = pull(indexed(said), FFMPEG, situation, base, certain=False)
    if found is None:
        return
    targets = [x.target for x in said]
    assert abs(found.target - class_at(base)) <= 3  # two, and the rounding of both ends
    assert min(*targets, class_at(base)) <= found.target <= max(*targets, class_at(base))
