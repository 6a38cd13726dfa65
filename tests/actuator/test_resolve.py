"""What is done to one thread: within bounds, reversible, and never to somebody else's value."""

from hypothesis import given
from hypothesis import strategies as st

from smoothtask.actuator.resolve import Abilities, Held, Leave, Move, resolve_ioprio, resolve_sched
from smoothtask.model.change import IoPrio, SchedAttr
from smoothtask.model.classes import DEFAULT_EFFECTS, ClassEffect, PriorityClass

FRESH = SchedAttr(0, 0, 0, reset_on_fork=False)
ALL = Abilities()
IDLE = DEFAULT_EFFECTS[PriorityClass.IDLE]
INTERACTIVE = DEFAULT_EFFECTS[PriorityClass.INTERACTIVE]

attrs = st.builds(
    SchedAttr, st.sampled_from([0, 1, 2, 3, 5, 6]), st.integers(-20, 19), st.sampled_from([0, 700_000]), st.booleans()
)
effects = (
    st.none()
    | st.sampled_from(list(DEFAULT_EFFECTS.values()))
    | st.builds(ClassEffect, st.integers(-50, 50), st.none(), st.none(), st.just(4), st.none(), st.just(100))
)


def test_a_fresh_thread_is_lowered_and_put_back() -> None:
    """There and back again."""
    there = resolve_sched(FRESH, None, False, IDLE, ALL)
    assert isinstance(there, Move)
    assert there.new == SchedAttr(0, 19, 0, reset_on_fork=False)
    back = resolve_sched(SchedAttr(*there.new), Held(there.old, there.new), False, None, ALL)  # type: ignore[misc]
    assert isinstance(back, Move)
    assert back.new == FRESH


def test_what_is_raised_resets_on_fork() -> None:
    """So that its children start at nice 0."""
    move = resolve_sched(FRESH, None, False, INTERACTIVE, ALL)
    assert isinstance(move, Move)
    assert move.new == SchedAttr(0, -4, 700_000, reset_on_fork=True)


def test_what_somebody_set_since_is_theirs() -> None:
    """A renice behind our back."""
    held = Held(FRESH, SchedAttr(0, 19, 0, reset_on_fork=False))
    leave = resolve_sched(SchedAttr(0, 5, 0, reset_on_fork=False), held, False, IDLE, ALL)
    assert isinstance(leave, Leave)
    assert leave.changed_by_others


def test_an_inherited_value_is_ours() -> None:
    """It is recorded with the old value of where it came from, and not written."""
    move = resolve_sched(SchedAttr(0, 19, 0, reset_on_fork=False), None, True, IDLE, ALL)
    assert move == Move(FRESH, SchedAttr(0, 19, 0, reset_on_fork=False), write=False)


def test_without_root_nothing_is_lowered_that_could_not_be_raised_again() -> None:
    """One-way changes are refused."""
    assert isinstance(resolve_sched(FRESH, None, False, IDLE, Abilities(may_raise=False)), Leave)


@given(attrs, effects, st.booleans())
def test_bounds_and_owners(now: SchedAttr, effect: ClassEffect | None, inherited: bool) -> None:
    """Nice stays within −10 … 19, policy is kept, real-time and chosen priorities are never touched."""
    answer = resolve_sched(now, None, inherited, effect, ALL)
    if now.policy not in {0, 3} or (not inherited and (now.nice or now.slice_ns)):
        assert isinstance(answer, Leave)
    elif isinstance(answer, Move):
        assert isinstance(answer.new, SchedAttr)
        assert -10 <= answer.new.nice <= 19
        assert answer.new.policy == now.policy


@given(st.builds(IoPrio, st.integers(0, 3), st.integers(0, 7)), effects)
def test_io_priorities_that_somebody_chose_stay(now: IoPrio, effect: ClassEffect | None) -> None:
    """And the real-time class is never given."""
    answer = resolve_ioprio(now, None, False, effect)
    if now.io_class in {1, 3} or (now.io_class == 2 and now.level != 4):
        assert isinstance(answer, Leave)
    elif isinstance(answer, Move):
        assert isinstance(answer.new, IoPrio)
        assert answer.new.io_class != 1
