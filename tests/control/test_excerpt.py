"""However many groups there are, a frame is short enough for every client."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from control.hosts import frame, group_frame
from scenery import metrics
from smoothtask.control.excerpt import excerpt
from smoothtask.control.protocol import ANSWER_LIMIT, GROUPS, decode_answer, encode_frame, numbered
from smoothtask.model.classes import PriorityClass
from smoothtask.model.frame import Frame, GroupFrame, Mark


def quiet(number: int, parent: str | None = None) -> GroupFrame:
    """Neither marked nor moved nor busy."""
    g = group_frame(number)
    decision = replace(g.decision, target=PriorityClass.NORMAL)
    return replace(
        g, group=replace(g.group, parent=parent), decision=decision, marks=frozenset({Mark.PROTECTED}), mechanism="-"
    )


def busy(g: GroupFrame, cpu: float) -> GroupFrame:
    """Using the processor."""
    return replace(g, group=replace(g.group, metrics=metrics(cpu)))


def ids(of: Frame) -> list[str]:
    """Of its groups."""
    return [g.group.id for g in of.groups]


def test_thousands_of_groups_fit_an_answer() -> None:
    """Even those whose texts are as long as texts may be."""
    for text in ("short", "\N{PILE OF POO}" * 256):
        groups = tuple(
            replace(g, effect=text, group=replace(g.group, label=text, unit=text), mechanism=text)
            for g in map(quiet, range(5000))
        )
        line = encode_frame(replace(frame(), groups=groups))
        assert len(numbered(line, 2**53 - 1)) <= ANSWER_LIMIT
        found = decode_answer(line).frame
        assert found is not None
        assert len(found.groups) > 100
        assert len(found.groups) + found.left_out == 5000


def test_few_groups_are_sent_as_they_are() -> None:
    """The usual case."""
    whole = frame(groups=GROUPS)
    assert excerpt(whole, GROUPS) is whole
    assert whole.left_out == 0


def test_what_a_person_looks_for_is_sent() -> None:
    """The marked, the moved and the busiest, in the order of the frame; processes of what is not sent stay away."""
    pinned = replace(quiet(4), marks=frozenset({Mark.PINNED}))
    moved = replace(quiet(6), mechanism="nice +19")
    groups = (quiet(1), busy(quiet(2), 0.5), quiet(3), pinned, busy(quiet(5), 0.9), moved, quiet(7))
    processes = [replace(frame().processes[0], group=group) for group in ("proc:2-1000", "proc:3-1000")]
    whole = replace(frame(), groups=groups, processes=tuple(processes))
    kept = excerpt(whole, 4)
    assert ids(kept) == ["proc:2-1000", "proc:4-1000", "proc:5-1000", "proc:6-1000"]
    assert kept.left_out == 3
    assert [p.group for p in kept.processes] == ["proc:2-1000"]
    assert ids(excerpt(whole, 2)) == ["proc:4-1000", "proc:5-1000"]


def test_the_busiest_are_sent_whatever_others_pin() -> None:
    """Marks cost nothing; and the viewer's own come before those of others."""
    pinned = [replace(quiet(i), marks=frozenset({Mark.PINNED})) for i in range(1001)]
    own = replace(quiet(3000), group=replace(quiet(3000).group, uid=1001))
    hog = busy(quiet(4000), 8.0)
    whole = replace(frame(), groups=(*pinned, own, hog))
    assert hog.group.id in ids(excerpt(whole, GROUPS))
    assert own.group.id not in ids(excerpt(whole, GROUPS))
    assert {hog.group.id, own.group.id} <= set(ids(excerpt(whole, GROUPS, 1001)))


@given(st.lists(st.floats(0, 4), max_size=40), st.integers(1, 50))
def test_a_part_comes_with_its_application(uses: list[float], most: int) -> None:
    """Every third group is a part of the one before it."""
    groups = tuple(busy(quiet(i, f"proc:{i - 1}-1000" if i % 3 == 2 else None), use) for i, use in enumerate(uses))
    kept = excerpt(replace(frame(), groups=groups), most)
    assert {g.group.parent for g in kept.groups} - {None} <= set(ids(kept))
    assert min(most, len(groups)) <= len(kept.groups) <= 2 * most
    assert len(kept.groups) + kept.left_out == len(groups)
    assert excerpt(kept, most) == kept
