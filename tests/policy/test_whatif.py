"""What would be decided otherwise: by the same policy, without doing anything."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scenery import BACKGROUND, CONTENDED, CRITICAL, HOG, IDLE, INTERACTIVE, NORMAL, QUIET, classification, group, known
from smoothtask.model.decision import Override, Pin
from smoothtask.model.group import AppGroup
from smoothtask.model.person import NOBODY_KNOWN
from smoothtask.policy.decide import Orders
from smoothtask.policy.parameters import PolicyParameters
from smoothtask.policy.whatif import Situation, what_if

PLAIN = Situation((), QUIET, Orders(), 1000.0, PolicyParameters(), {}, NOBODY_KNOWN)


def supposed(g: AppGroup, *others: AppGroup, **more: Any) -> dict[str, Any]:
    """What → class."""
    said = what_if(g, replace(PLAIN, groups=(*others, g), **more))
    assert all(s.text for s in said if not s.what.startswith("pinned"))
    return {s.what: s.target for s in said}


def test_a_hog_is_told_what_waiting_focus_and_pins_would_do() -> None:
    """On an idle machine, so that contention is the question."""
    found = supposed(group(**HOG))
    assert found == {
        "if somebody waited": BACKGROUND,
        "if it had the focus": INTERACTIVE,
        "pinned to LATENCY_CRITICAL": CRITICAL,
        "pinned to INTERACTIVE": INTERACTIVE,
        "pinned to NORMAL": NORMAL,
        "pinned to BACKGROUND": BACKGROUND,
        "pinned to IDLE": IDLE,
    }
    assert supposed(group(**HOG), contention=CONTENDED)["if nobody waited"] is NORMAL


def test_orders_are_thought_away() -> None:
    """Its own pin and override, by the rules alone; a supposed pin beats both."""
    g = group(c=known("tracker", target=IDLE, certain=True))
    orders = Orders((Pin("tracker", INTERACTIVE, 0, 1.0),), {g.id: Override(g.id, NORMAL, 0, None)})
    found = supposed(g, orders=orders)
    assert found["without pin and override"] is IDLE
    assert found["pinned to BACKGROUND"] is BACKGROUND
    others = Orders((Pin("elsewhere", IDLE, 0, 1.0),))
    assert "without pin and override" not in supposed(g, orders=others)


def test_guardrails_hold_in_suppositions_too() -> None:
    """A shell pinned to IDLE would be NORMAL, and the text says why."""
    shell = group(c=classification("bash", starts_others=True), starts_others=True)
    said = {s.what: s for s in what_if(shell, replace(PLAIN, groups=(shell,)))}
    assert said["pinned to IDLE"].target is NORMAL
    assert "starts other programs" in said["pinned to IDLE"].text


def test_of_what_is_protected_nothing_is_supposed() -> None:
    """One answer instead of seven that are the same."""
    (said,) = what_if(g := group(c=known("sshd", protected=True)), replace(PLAIN, groups=(g,)))
    assert (said.what, said.target) == ("whatever were otherwise", NORMAL)
    assert "protected" in said.text
    (said,) = what_if(g := group(), replace(PLAIN, groups=(g,), closed={g.id: "outside of the scope"}))
    assert said.text == "outside of the scope"


def test_a_part_is_asked_beside_its_application() -> None:
    """It follows what its application would be."""
    app, part = group("a", known("editor", target=INTERACTIVE, certain=True)), group("a/x")
    assert supposed(part, app)["if somebody waited"] is INTERACTIVE


@given(st.sampled_from([HOG, {}]), st.booleans())
def test_the_opposite_of_now_is_what_now_was(kind: dict[str, Any], waits: bool) -> None:
    """Asked from the other side, contention gives this side's answer."""
    g = group(**kind)
    here, there = (CONTENDED, QUIET) if waits else (QUIET, CONTENDED)
    answer = supposed(g, contention=here)["if nobody waited" if waits else "if somebody waited"]
    assert answer is replace(PLAIN, groups=(g,), contention=there).decisions()[g.id].target
