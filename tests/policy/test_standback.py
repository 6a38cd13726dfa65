"""What is left to whom."""

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.model.owner import NOTHING_LEFT, Left, Owner, OwnerKind
from smoothtask.policy.standback import TABLE, left_to, news, remedy, says, summary

DOCS = Path(__file__).parents[2] / "docs/standing-back.md"

OWNERS = st.builds(
    Owner,
    kind=st.sampled_from(OwnerKind),
    name=st.sampled_from(["a", "b"]),
    uid=st.sampled_from([0, 1000, 1001]),
    groups=st.lists(st.sampled_from(["unit:g", "unit:h"])).map(tuple),
)


def kept(left: Left) -> set[str]:
    return {f.name for f in fields(left) if getattr(left, f.name) is not None}


@given(st.lists(OWNERS), OWNERS)
def test_one_more_owner_never_leaves_less(owners: list[Owner], more: Owner) -> None:
    before, after = left_to(owners), left_to([*owners, more])
    for group in ("unit:g", "unit:g/part", "unit:h", "unit:i"):
        for uid in (0, 1000, 1001):
            assert kept(before.of(group, uid)) <= kept(after.of(group, uid))


def test_the_table() -> None:
    assert left_to([]) == NOTHING_LEFT
    assert kept(left_to([Owner(OwnerKind.ANANICY, "ananicy-cpp")]).everywhere) == {"threads", "ionice", "autogroups"}
    assert kept(left_to([Owner(OwnerKind.SCHED_EXT, "lavd")]).everywhere) == {"threads", "autogroups", "units_cpu"}
    uresourced = left_to([Owner(OwnerKind.URESOURCED, "uresourced", 1000)])
    assert kept(uresourced.of("unit:x", 1000)) == {"units_cpu", "units_io"}
    assert not uresourced.of("unit:x", 1001)
    game = left_to([Owner(OwnerKind.GAMEMODE, "gamemoded", 1000, groups=("unit:g",))])
    assert kept(game.of("unit:g/part", 1000)) == {"threads", "ionice", "autogroups"}
    assert not game.of("unit:h", 1000)


def test_coming_and_going_is_said() -> None:
    owner = Owner(OwnerKind.ANANICY, "ananicy-cpp")
    assert "left to it" in news([], [owner])[0]
    assert "managed again" in news([owner], [])[0]
    assert (summary([]), summary([owner])) == ("none", "ananicy-cpp")


@pytest.mark.parametrize("kind", TABLE)
def test_the_docs_say_the_same(kind: OwnerKind) -> None:
    """Each line of the table is there, word for word."""
    name = {OwnerKind.ANANICY: "ananicy-cpp"}.get(kind, str(kind))
    for owner in (Owner(kind, name), Owner(kind, name, 1000)):
        assert f"| {says(owner)} | {remedy(owner)} |\n" in DOCS.read_text()
