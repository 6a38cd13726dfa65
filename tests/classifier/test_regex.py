"""Regular expressions: what could take for ever is refused, and what is accepted does not."""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from smoothtask.classifier.regex import PERSONAL_STEPS, PERSONAL_TEXT, SHARED_STEPS, check, steps

FAR_TOO_LONG_S = 20


@contextmanager
def no_hang() -> Iterator[None]:
    """The matcher looks at signals now and then: one ends it, and the test."""

    def fail(_signal: int, _frame: object) -> None:
        raise AssertionError("the expression takes for ever")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(FAR_TOO_LONG_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b", "(a|b*)*c", "(a*)*", "(.*a){99}", ".*.*.*.*x", "x*x*x*y", "a?" * 30 + "a" * 30, "(a|aa)" * 30,
        "(a{1,16}){1,16}b", "(?:a|aa){1,16}" * 3, "(?=(a+)+b)", "(?!(a+)+b)c", "(?>(a+)+b)", "(?i)((?:Ab|aB)+)+c",
        r"(\w+\s?)+$",
    ],
)  # fmt: skip
def test_what_can_take_for_ever_is_refused(pattern: str) -> None:
    """Repeats in repeats, many repeats or choices one after the other, also inside assertions."""
    assert steps(pattern, 2048) > SHARED_STEPS
    with pytest.raises(ValueError, match="for ever"):
        check(pattern)


@pytest.mark.parametrize("pattern", [r"(x)\1", r"(?P<n>x)(?P=n)", r"(x)?(?(1)y|z)", "(", "a{2,1}", "a" * 513, "(?a)x"])
def test_what_is_broken_too_long_or_not_supported_is_refused(pattern: str) -> None:
    """Each with a reason."""
    with pytest.raises(ValueError, match=r"expected|not supported"):
        check(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "minecraft", r"(^| )\S*/meson(\.py)?( |$)", r"^\S*git( -[cC] \S+){0,4} (gc|repack)\b", "foo.*bar",
        r"--type=utility\b(?!.*(audio|video)\.mojom)", r"^\S+ \S+ \S+ new$", r"(?i)game[^a-z].*\.exe", "[^ ]+/x", "",
    ],
)  # fmt: skip
def test_what_people_write_is_accepted(pattern: str) -> None:
    """Repeats that what follows them ends, one that may go on."""
    check(pattern)


def test_a_repeat_that_what_follows_ends_has_one_way() -> None:
    """`a* b` costs its length, `a*ab` the square."""
    assert steps("^a* b", 1000) < 3000
    assert steps("^a*ab", 1000) > 3000
    assert steps("a* b", 1000) > steps("^a* b", 1000) * 500


PIECES = st.recursive(
    st.sampled_from(["a", "b", "ab", ".", r"\w", r"\S", "[ab]", "[^a]", "$", "^", r"\b", " "]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{0,5}", "{2,9}", "*?"])).map(lambda p: f"(?:{p[0]}){p[1]}"),
        st.lists(inner, min_size=2, max_size=4).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda p: f"(?:{'|'.join(p)})"),
        inner.map(lambda p: f"(?={p})"),
        inner.map(lambda p: f"(?!{p})"),
        inner.map(lambda p: f"(?i:{p})"),
    ),
    max_leaves=8,
)


@given(PIECES, st.sampled_from(["a", "ab", "aab", "a ", "b", "aB"]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
def test_what_a_person_may_write_ends_soon_on_any_text(pattern: str, text: str) -> None:
    """Their expressions are tried by root, on their own command lines."""
    assume(steps(pattern, PERSONAL_TEXT) <= PERSONAL_STEPS)
    with no_hang():
        re.search(f"{pattern}", (text * PERSONAL_TEXT)[: PERSONAL_TEXT - 1] + "!")


@given(st.text(max_size=40) | st.text(alphabet=r"ab*+?()[]{}|\^$.,12dwsSDW<>=!:Pi-", max_size=40))
@settings(deadline=None)
def test_any_text_is_accepted_or_refused(pattern: str) -> None:
    """With ValueError and nothing else, and what is accepted compiles."""
    try:
        check(pattern)
    except ValueError:
        return
    re.compile(pattern)
