"""A name means whoever says it has in mind, not whoever took it."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from engine.test_people import people, shown
from engine.test_telling import commands_of, rule
from scenery import IDLE, classification, group, known, metrics
from smoothtask.classifier.match import RuleSet
from smoothtask.engine.naming import find_group
from smoothtask.model.command import Caller, PinApp, Unpin
from smoothtask.model.decision import Pin
from smoothtask.model.frame import GroupFrame
from smoothtask.model.group import Classification, RuleSource

ANN, BOB, MALLORY = 1000, 1001, 1002
FIREFOX = known("firefox", label="Firefox")
FAKE = classification("exe:/home/mallory/firefox", label="firefox")
PERSONAL = replace(FIREFOX, source=RuleSource("personal", "mine.yaml", 1))


def one(group_id: str, c: Classification, uid: int, cpu: float = 0.0) -> GroupFrame:
    """A group that uses so much."""
    return shown(group(group_id, c, uid=uid, metrics=metrics(cpu)))


ANNS, BOBS = one("proc:1-1", FIREFOX, ANN), one("proc:2-2", FIREFOX, BOB, cpu=0.9)
FAKED = one("proc:3-3", FAKE, MALLORY, cpu=2.0)
EVERYBODY = [ANNS, BOBS, FAKED]


def test_ones_own_comes_before_the_busiest() -> None:
    """To ask and to order."""
    for to_order in (False, True):
        for uid, own in ((ANN, ANNS), (BOB, BOBS), (MALLORY, FAKED)):
            assert find_group(EVERYBODY, "firefox", uid, to_order=to_order) is own


def test_what_is_just_called_so_comes_after_what_a_rule_knows() -> None:
    """A personal rule is its owner's word, too."""
    faked = one("proc:4-4", PERSONAL, MALLORY, cpu=3.0)
    assert find_group([ANNS, FAKED, faked], "firefox", 0, to_order=True) is ANNS
    assert find_group([faked, FAKED], "firefox", MALLORY, to_order=True) is faked


def test_an_order_about_one_of_several_peoples_needs_an_id() -> None:
    """Which is asked for; a question is answered about the busiest."""
    found = find_group(EVERYBODY, "Firefox", 0, to_order=True)
    assert found == (
        "Firefox may be one of several people's, name it by its id: proc:2-2 (uid 1001), proc:1-1 (uid 1000)"
    )
    assert find_group(EVERYBODY, "Firefox", 0) is BOBS
    assert find_group(EVERYBODY, "proc:1-1", 0, to_order=True) is ANNS


def test_an_order_about_somebody_elses_needs_the_whole_name() -> None:
    """What is alike is named."""
    for text, uid, said in (("fire", 0, "similar: proc:3-3 (uid 1002)"), ("wget", 0, "no group is called wget")):
        found = find_group([FAKED], text, uid, to_order=True)
        assert isinstance(found, str)
        assert said in found
    assert find_group([FAKED], "fire", MALLORY, to_order=True) is FAKED
    assert find_group([FAKED], "fire", 0) is FAKED


@given(
    st.lists(st.tuples(st.sampled_from([FIREFOX, FAKE, PERSONAL]), st.sampled_from([0, ANN, BOB, MALLORY]))),
    st.sampled_from([0, ANN]),
)
def test_nobody_gets_in_between(found: list[tuple[Classification, int]], uid: int) -> None:
    """An order of who has one is about their own, whatever others run."""
    groups = [one(f"proc:{n}-{n}", c, owner, cpu=n) for n, (c, owner) in enumerate(found)]
    if any(owner == uid for _, owner in found):
        meant = find_group(groups, "firefox", uid, to_order=True)
        assert isinstance(meant, GroupFrame)
        assert meant.group.uid == uid


def test_unpin_asks_for_the_pin_first() -> None:
    """Who is called as the pinned application cannot stand before it, nor who runs none."""
    commands = commands_of(RuleSet((rule("python3"),)))
    commands.engine.people = p = people()
    assert commands.handle(PinApp("100", IDLE), Caller(0)).ok
    p.pins = (*p.pins, Pin("firefox", IDLE, 0, 1.0))
    frame = commands.engine.frame
    assert frame is not None
    commands.engine.frame = replace(frame, groups=(*frame.groups, FAKED, one("proc:5-5", FAKE, ANN)))
    for text in ("firefox", "100"):
        assert commands.handle(Unpin(text), Caller(0)).ok
    assert p.pins == ()
    assert commands.handle(Unpin("firefox"), Caller(0)).message == "firefox has no pin of yours"
