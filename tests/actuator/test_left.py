"""What is left to other programs: cut from wishes, put back, and taken over again."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actuator.desktop import TERMINAL, UID, Desktop
from actuator.doubles import decision
from scenery import group
from smoothtask.actuator.apply import left_over
from smoothtask.actuator.ledger import UNSET
from smoothtask.actuator.mechanism import Wish
from smoothtask.model.change import IoPrio
from smoothtask.model.classes import DEFAULT_EFFECTS, NO_LIMITS, Limits, PriorityClass
from smoothtask.model.ours import is_ours
from smoothtask.model.owner import NOTHING_LEFT, Left, LeftTo, Owner, OwnerKind
from smoothtask.policy.standback import left_to

IDLE, BACKGROUND, NORMAL, INTERACTIVE, CRITICAL = PriorityClass
WEIGHTS = Left(units_cpu="another weighs units", units_io="another weighs units")
LEFT = st.builds(Left, *[st.sampled_from([None, "why"])] * len(fields(Left)))


@pytest.fixture
def desk(tmp_path: Path) -> Desktop:
    """One a test."""
    return Desktop(tmp_path)


def nices(desk: Desktop) -> set[int]:
    """Of all threads."""
    return {t.sched.nice for t in desk.kernel.threads.values()}


def wish(target: PriorityClass) -> Wish:
    """With every limit."""
    limits = Limits(50, cpu_idle=True, memory_high_bytes=1 << 30, io_read_bps=1000, io_write_bps=2000)
    return Wish(group("g"), replace(decision("g", target), limits=limits), DEFAULT_EFFECTS[target])


@given(LEFT, st.sampled_from(PriorityClass))
def test_what_is_left_is_cut_and_nothing_else(left: Left, target: PriorityClass) -> None:
    """As a normal group has it: no value of it is set then."""
    before = wish(target)
    after, normal = left_over(before, left), DEFAULT_EFFECTS[NORMAL]
    cut = {
        "autogroup_nice": left.autogroups,
        "cpu_weight": left.units_cpu,
        "io_weight": left.units_io,
    }
    for f in fields(before.effect):
        kept = normal if cut.get(f.name) else before.effect
        assert getattr(after.effect, f.name) == getattr(kept, f.name)
    limits = {
        "cpu_pct": left.units_cpu,
        "cpu_idle": left.units_cpu,
        "io_read_bps": left.units_io,
        "io_write_bps": left.units_io,
    }
    for limit in fields(before.decision.limits):
        kept_limits = NO_LIMITS if limits.get(limit.name) else before.decision.limits
        assert getattr(after.decision.limits, limit.name) == getattr(kept_limits, limit.name)


def test_nothing_left_is_the_same_wish() -> None:
    """Nothing is made anew for nobody."""
    before = wish(IDLE)
    assert left_over(before, None) is before
    assert left_over(before, Left()) is before


def test_weights_left_to_another_are_nice_values_of_ours(desk: Desktop) -> None:
    """Of its user's units only; and weights again when it has gone."""
    unit = desk.unit("a.service", "a")
    desk.tick(decision("a", IDLE))
    assert desk.weight(unit) == (25, 25)
    desk.hands.stand_back(LeftTo(by_uid={UID + 1: WEIGHTS}))
    desk.tick(decision("a", IDLE))
    assert desk.weight(unit) == (25, 25)
    desk.hands.stand_back(LeftTo(by_uid={UID: WEIGHTS}))
    acted = desk.ticks(2, decision("a", IDLE))[-1]
    assert desk.weight(unit) == (UNSET, 100)
    assert nices(desk) == {19}
    assert "left to others: another weighs units" in acted.reasons["a"]
    desk.hands.stand_back(NOTHING_LEFT)
    desk.ticks(2, decision("a", IDLE))
    assert desk.weight(unit) == (25, 25)
    assert nices(desk) == {0}


def test_what_the_other_one_has_set_by_then_is_not_put_back(desk: Desktop) -> None:
    """It came, set a weight, and was seen after that."""
    unit = desk.unit("a.service", "a")
    desk.tick(decision("a", IDLE))
    desk.managers.person_sets(UID, "a.service", CPUWeight=77)
    desk.hands.stand_back(LeftTo(by_uid={UID: WEIGHTS}))
    desk.ticks(2, decision("a", IDLE))
    assert desk.weight(unit) == (77, 77)


def test_a_scope_of_ours_is_emptied(desk: Desktop) -> None:
    """A cgroup without a weight is for nothing; it comes back."""
    desk.managers.unit(UID, TERMINAL.rpartition("/")[2], TERMINAL)
    shell = desk.process("shell", TERMINAL)
    desk.process("build", parent=shell).group = "build"
    desk.ticks(2, decision("build", IDLE))
    assert [c for c in desk.cgroups.tree if is_ours(c)]
    desk.hands.stand_back(LeftTo(everywhere=WEIGHTS))
    desk.ticks(2, decision("build", IDLE))
    assert not [c for c in desk.cgroups.tree if is_ours(c)]
    desk.hands.stand_back(NOTHING_LEFT)
    desk.ticks(2, decision("build", IDLE))
    assert [c for c in desk.cgroups.tree if is_ours(c)]
    assert desk.undo_all() == ()


def test_beside_a_sched_ext_scheduler_io_alone_is_ours(desk: Desktop) -> None:
    """IOWeight stays, CPUWeight and nice go."""
    unit = desk.unit("a.service", "a")
    plain = desk.process("b")
    decisions = decision("a", IDLE), decision("b", IDLE)
    desk.tick(*decisions)
    assert (desk.weight(unit), plain.sched.nice) == ((25, 25), 19)
    desk.hands.stand_back(left_to([Owner(OwnerKind.SCHED_EXT, "lavd")]))
    desk.ticks(2, *decisions)
    assert desk.weight(unit)[1] == 100
    assert unit.properties["IOWeight"] == 10
    assert nices(desk) == {0}
    assert plain.ioprio == IoPrio(3, 7)
    assert set(desk.kernel.sessions.values()) <= {0}


def test_one_game_is_left_and_its_neighbour_is_not(desk: Desktop) -> None:
    """Group by group, with the parts of it."""
    desk.process("game")
    desk.process("tool")
    decisions = decision("game", IDLE), decision("tool", IDLE)
    desk.hands.stand_back(
        LeftTo(groups={"game": Left(threads="gamemoded", ionice="gamemoded", autogroups="gamemoded")})
    )
    acted = desk.tick(*decisions)
    assert {t.group: t.sched.nice for t in desk.kernel.threads.values()} == {"game": 0, "tool": 19}
    assert "gamemoded" in acted.reasons["game"]
    assert "left to others" not in acted.reasons["tool"]
