"""Weights and limits of an application's own units: brought about, put back, and somebody else's when they are."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actuator.desktop import APPS, UID, Desktop, limited
from actuator.doubles import FILES, Crash, decision
from scenery import group
from smoothtask.actuator.ledger import UNSET
from smoothtask.actuator.mechanism import Wish
from smoothtask.actuator.units import AGAIN_TICKS, agree, desired, in_words, parse_quota
from smoothtask.model.change import Caps, Status
from smoothtask.model.classes import DEFAULT_EFFECTS, Limits, PriorityClass
from smoothtask.model.group import UnitRef

IDLE, BACKGROUND, NORMAL, INTERACTIVE, CRITICAL = PriorityClass


@pytest.fixture
def desk(tmp_path: Path) -> Desktop:
    """One a test."""
    return Desktop(tmp_path)


def test_a_unit_is_weighed_and_put_back(desk: Desktop) -> None:
    """And one that is as it should be costs no question."""
    unit = desk.unit("a.service", "a")
    acted = desk.tick(decision("a", IDLE))
    assert desk.weight(unit) == (25, 25)
    assert desk.cgroups.read(unit.cgroup, "io.weight") == "default 10"
    assert acted.mechanisms == {"a": "CPUWeight 25, IOWeight 10 on a.service"}
    assert "against the other units of app.slice" in acted.reasons["a"]
    asked = len(desk.managers.asked)
    assert not desk.tick(decision("a", IDLE)).outcomes
    assert len(desk.managers.asked) == asked
    desk.tick(decision("a", NORMAL))
    assert desk.weight(unit) == (UNSET, 100)
    assert unit.properties["IOWeight"] == UNSET
    assert desk.cgroups.read(unit.cgroup, "io.weight") == "default 100"
    assert not desk.ledger.entries


def test_threads_are_left_alone_where_the_unit_does_it(desk: Desktop) -> None:
    """Neither nice nor IO priority: the weights say it."""
    desk.unit("a.service", "a")
    desk.tick(decision("a", BACKGROUND))
    assert not desk.kernel.writes


def test_where_io_is_not_the_managers_threads_get_an_io_priority(desk: Desktop) -> None:
    """The cpu controller alone is delegated on most desktops."""
    desk.cgroups.available = frozenset({"cpu"})
    desk.cgroups.tree["/user.slice/user-1000.slice"].subtree = {"cpu"}
    unit = desk.unit("a.service", "a")
    acted = desk.tick(decision("a", IDLE))
    assert desk.weight(unit) == (25, 25)
    assert acted.mechanisms == {"a": "CPUWeight 25 on a.service, ionice idle · 1 thread"}


def test_all_units_of_an_application(desk: Desktop) -> None:
    """Each is weighed."""
    units = [desk.unit(f"a{n}.scope", "a") for n in range(3)]
    desk.tick(decision("a", BACKGROUND))
    assert [desk.weight(u) for u in units] == [(50, 50)] * 3
    assert desk.undo_all() == ()
    assert [desk.weight(u) for u in units] == [(UNSET, 100)] * 3


def test_from_class_to_class_the_first_value_is_what_is_put_back(desk: Desktop) -> None:
    """Also by another daemon, from the file."""
    unit = desk.unit("a.service", "a")
    for target in (IDLE, INTERACTIVE, BACKGROUND):
        desk.tick(decision("a", target))
        assert desk.weight(unit)[0] == DEFAULT_EFFECTS[target].cpu_weight
    desk.restore()
    assert desk.weight(unit) == (UNSET, 100)
    assert not desk.ledger.entries


def test_what_a_person_set_before_is_theirs(desk: Desktop) -> None:
    """Said once; what they did not set is ours."""
    unit = desk.unit("a.service", "a", CPUWeight=77)
    events = [e for acted in desk.ticks(3, decision("a", IDLE)) for e in acted.events]
    assert events == ["a: CPUWeight of a.service is 77: somebody set it"]
    assert desk.weight(unit) == (77, 77)
    assert unit.properties["IOWeight"] == 10
    assert desk.tick(decision("a", IDLE)).user_owned == {"a"}
    desk.undo_all()
    assert desk.weight(unit) == (77, 77)


def test_what_a_person_sets_while_we_care_for_something_else(desk: Desktop) -> None:
    """A limit is ours, the weight was nobody's until they chose one."""
    unit = desk.unit("a.service", "a")
    desk.tick(limited("a", NORMAL, cpu_pct=50))
    desk.managers.person_sets(UID, "a.service", CPUWeight=77)
    acted = desk.tick(decision("a", IDLE))
    assert acted.events == ("a: CPUWeight of a.service is 77: somebody set it",)
    assert desk.weight(unit) == (77, 77)


def test_what_a_person_sets_just_before_the_class_changes(desk: Desktop) -> None:
    """It has not been read back yet."""
    unit = desk.unit("a.service", "a")
    desk.tick(decision("a", IDLE))
    desk.managers.person_sets(UID, "a.service", CPUWeight=77)
    acted = desk.tick(decision("a", BACKGROUND))
    assert acted.events == ("a: CPUWeight of a.service was set to 77 by somebody: it is theirs",)
    assert desk.weight(unit) == (77, 77)


def test_what_a_person_sets_behind_our_back_is_theirs(desk: Desktop) -> None:
    """Found by reading back; no later class brings us back."""
    unit = desk.unit("a.service", "a")
    desk.tick(decision("a", IDLE))
    desk.managers.person_sets(UID, "a.service", CPUWeight=77)
    events = [e for acted in desk.ticks(4, decision("a", IDLE)) for e in acted.events]
    assert events == ["a: CPUWeight of a.service was set to 77 by somebody: it is theirs"]
    for target in (BACKGROUND, CRITICAL, NORMAL, IDLE):
        desk.tick(decision("a", target))
        assert desk.weight(unit) == (77, 77)
    desk.restore()
    assert desk.weight(unit) == (77, 77)


def test_a_weight_that_somebody_wrote_into_the_kernel_is_said(desk: Desktop) -> None:
    """The manager does not know of it."""
    unit = desk.unit("a.service", "a")
    desk.tick(decision("a", IDLE))
    desk.cgroups.tree[unit.cgroup].files["cpu.weight"] = "444"
    acted = desk.ticks(12, decision("a", IDLE))
    assert [e for a in acted for e in a.events] == [
        "a: the kernel has 444 for CPUWeight of a.service: somebody wrote it directly"
    ]
    assert Status.CHANGED in {o.status for a in acted for o in a.outcomes}
    assert acted[-1].user_owned == {"a"}


def test_what_has_no_effect_is_nobodys(desk: Desktop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without io.cost: said once, and threads get an IO priority in its place."""
    monkeypatch.setitem(FILES, "io", {"io.max": ""})
    unit = desk.unit("a.service", "a")
    acted = desk.ticks(12, decision("a", IDLE))
    assert [e for a in acted for e in a.events] == [
        "a: IOWeight of a.service has no effect: its cgroup has no such controller"
    ]
    assert not any(a.user_owned for a in acted)
    assert acted[-1].mechanisms["a"] == "CPUWeight 25 on a.service, ionice idle · 1 thread"
    assert unit.properties["IOWeight"] == UNSET
    desk.tick(decision("a", NORMAL))
    assert desk.weight(unit) == (UNSET, 100)
    assert not desk.ledger.entries


def test_of_two_units_a_refused_one_is_tried_again(desk: Desktop) -> None:
    """After five minutes; the other has its weight meanwhile."""
    first, second = desk.unit("a.service", "a"), desk.unit("b.service", "a")
    desk.managers.refuse.add("b.service")
    desk.ticks(3, decision("a", IDLE))
    assert (desk.weight(first), desk.weight(second)) == ((25, 25), (None, 100))
    desk.managers.refuse.clear()
    desk.kernel.now += AGAIN_TICKS
    acted = desk.ticks(2, decision("a", IDLE))
    assert (desk.weight(first), desk.weight(second)) == ((25, 25), (25, 25))
    assert not [e for a in acted for e in a.events]


def test_a_unit_that_restarts_keeps_its_weight(desk: Desktop) -> None:
    """What was set at run time outlives its processes; it is put back all the same."""
    unit = desk.unit("a.service", "a")
    desk.tick(decision("a", IDLE))
    desk.managers.restart(UID, "a.service")
    desk.process("a", unit.cgroup)
    assert not desk.tick(decision("a", IDLE)).events
    assert desk.weight(unit) == (25, 25)
    desk.tick(decision("a", NORMAL))
    assert desk.weight(unit)[0] == UNSET
    assert not desk.ledger.entries


def test_a_unit_that_is_gone_is_forgotten(desk: Desktop) -> None:
    """By the next tick, and when restoring."""
    desk.unit("a.service", "a")
    desk.unit("b.service", "b")
    desk.tick(decision("a", IDLE), decision("b", IDLE))
    desk.managers.stop(UID, "a.service")
    desk.tick(decision("b", IDLE))
    assert {e.group for e in desk.ledger.entries.values()} == {"b"}
    desk.managers.stop(UID, "b.service")
    desk.restore()
    assert not desk.ledger.entries


def test_a_manager_that_is_gone_takes_its_units_with_it(desk: Desktop) -> None:
    """The user logged out."""
    desk.unit("a.service", "a")
    desk.tick(decision("a", IDLE))
    desk.managers.stop(UID, "a.service")
    desk.managers.there.discard(UID)
    desk.tick()
    assert not desk.ledger.entries


def test_a_silent_manager_is_no_reason_to_forget(desk: Desktop) -> None:
    """The weight counts meanwhile; it is put back when the manager answers again."""
    unit = desk.unit("a.service", "a")
    desk.tick(decision("a", IDLE))
    desk.managers.silent.add(UID)
    acted = desk.tick(decision("a", IDLE))
    assert "CPUWeight 25" in acted.mechanisms["a"]
    desk.tick(decision("a", NORMAL))
    assert desk.weight(unit) == (25, 25)
    desk.managers.silent.clear()
    desk.tick(decision("a", NORMAL))
    assert desk.weight(unit) == (UNSET, 100)
    assert not desk.ledger.entries
    assert {t.sched.nice for t in desk.kernel.threads.values()} == {0}


def test_restored_while_the_manager_is_silent(desk: Desktop) -> None:
    """It cannot be, which is said; the record is kept for the next time."""
    unit = desk.unit("a.service", "a")
    desk.tick(decision("a", IDLE))
    desk.managers.silent.add(UID)
    assert {o.status for o in desk.restore()} == {Status.FAILED}
    desk.managers.silent.clear()
    assert {o.status for o in desk.restore()} == {Status.APPLIED}
    assert desk.weight(unit) == (UNSET, 100)
    assert not desk.ledger.entries


def test_a_manager_that_falls_silent_during_the_first_question(desk: Desktop) -> None:
    """Nothing is changed there; the threads are."""
    unit = desk.unit("a.service", "a")
    desk.managers.is_there = lambda uid, /: uid == UID  # type: ignore[method-assign]
    desk.managers.silent.add(UID)
    acted = desk.tick(decision("a", IDLE))
    assert any("did not answer" in e for e in acted.events)
    assert desk.weight(unit) == (None, None)
    desk.managers.silent.clear()
    desk.tick(decision("a", IDLE))
    assert desk.weight(unit) == (25, 25)


def test_a_unit_that_cannot_be_set_is_left_to_the_threads(desk: Desktop) -> None:
    """Said once."""
    unit = desk.unit("a.service", "a")
    desk.managers.refuse.add("a.service")
    acted = desk.ticks(3, decision("a", IDLE))
    assert desk.weight(unit)[0] is None
    assert "nice +19" in acted[-1].mechanisms["a"]
    assert not acted[-1].events
    desk.restore()
    assert {t.sched.nice for t in desk.kernel.threads.values()} == {0}


def test_a_containers_unit_is_not_the_hosts(desk: Desktop) -> None:
    """Another systemd calls one of its own the same."""
    host = desk.managers.unit(UID, "sshd.service", f"{APPS}/sshd.service")
    desk.process("host", host.cgroup)
    inner = desk.process("inner", f"{APPS}/box.scope/sshd.service")
    real = desk.grouped
    desk.grouped = lambda decisions: [  # type: ignore[method-assign]
        replace(g, units=(UnitRef(UID, "sshd.service", inner.cgroup),)) for g in real(decisions)
    ]
    acted = desk.ticks(3, decision("inner", IDLE))
    assert desk.weight(host)[0] is None
    assert "its unit is left alone" in acted[0].events[0]
    assert not acted[-1].events


def test_limits_become_properties_and_go_again(desk: Desktop) -> None:
    """And stay as they were in the kernel afterwards."""
    unit = desk.unit("a.service", "a")
    wish = limited("a", BACKGROUND, cpu_pct=150, memory_high_bytes=1 << 30, io_read_bps=5000, io_write_bps=6000)
    assert not [e for acted in desk.ticks(3, wish) for e in acted.events]
    assert unit.properties["CPUQuotaPerSecUSec"] == 1_500_000
    assert unit.properties["IOReadBandwidthMax"] == (("/dev/sda", 5000),)
    assert unit.properties["IOWriteBandwidthMax"] == (("/dev/sda", 6000),)
    assert desk.cgroups.read(unit.cgroup, "memory.high") == str(1 << 30)
    assert desk.cgroups.read(unit.cgroup, "cpu.max") == "150000 100000"
    desk.tick(limited("a", BACKGROUND, cpu_idle=True))
    assert desk.weight(unit) == (0, 0)
    assert desk.cgroups.read(unit.cgroup, "cpu.max") == "max 100000"
    desk.restore()
    assert {n: v for n, v in unit.properties.items() if v not in (UNSET, ())} == {}
    assert desk.weight(unit)[1] == 100


@pytest.mark.parametrize("writes", range(8))
def test_killed_at_any_write(tmp_path: Path, writes: int) -> None:
    """Also between the default weight and the unset one."""
    desk = Desktop(tmp_path)
    unit = desk.unit("a.service", "a")
    desk.tick(decision("a", BACKGROUND))
    desk.kernel.crash_after = writes
    try:
        desk.tick(decision("a", IDLE))
        desk.tick(decision("a", NORMAL))
        desk.tick(decision("a", CRITICAL))
    except Crash:
        pass
    desk.kernel.crash_after = None
    desk.restore()
    assert desk.weight(unit) == (UNSET, 100)
    assert not desk.ledger.entries


def _wish(limits: Limits) -> Wish:
    return Wish(group("a"), replace(decision("a", BACKGROUND), limits=limits), DEFAULT_EFFECTS[BACKGROUND])


def test_what_no_controller_brings_about_is_not_asked_for() -> None:
    """And a cap of IO needs a disk."""
    every = Limits(50.0, True, 1 << 20, 1, 2)
    assert desired(_wish(every), frozenset(), ["/dev/sda"]) == {}
    assert desired(_wish(every), frozenset({"io"}), []) == {"IOWeight": 50}
    assert desired(_wish(every), frozenset({"memory"}), []) == {"MemoryHigh": 1 << 20}
    assert desired(_wish(every), frozenset({"cpu"}), []) == {"CPUWeight": 0, "CPUQuotaPerSecUSec": 500_000}


@given(st.floats(1, 10_000), st.integers(1, 10**12))
def test_limits_are_asked_for_as_they_are(cpu_pct: float, memory: int) -> None:
    """Percent of one CPU in microseconds a second, bytes in bytes."""
    values = desired(_wish(Limits(cpu_pct=cpu_pct, memory_high_bytes=memory)), frozenset({"cpu", "memory"}), [])
    assert isinstance(values["CPUQuotaPerSecUSec"], int)
    assert abs(values["CPUQuotaPerSecUSec"] - cpu_pct * 10_000) <= 0.5
    assert values["MemoryHigh"] == memory


@given(st.integers(1000, 10**9), st.integers(1000, 10**6))
def test_a_quota_is_understood_in_any_period(quota: int, period: int) -> None:
    """A manager may choose another."""
    assert parse_quota(f"{quota} {period}") == round(quota * 1_000_000 / period)
    assert parse_quota("max 100000") == UNSET
    assert parse_quota(None) is None


def test_what_agrees() -> None:
    """Pages and microseconds are rounded; weights are not."""
    assert agree("MemoryHigh", 4096, 5000)
    assert not agree("MemoryHigh", UNSET, 5000)
    assert agree("CPUQuotaPerSecUSec", 299_990, 300_000)
    assert not agree("CPUWeight", 26, 25)
    assert not agree("CPUWeight", None, 25)
    assert agree("IOReadBandwidthMax", None, Caps((("/dev/sda", 1),)))


def test_words() -> None:
    """For people."""
    assert [in_words(v) for v in (UNSET, 0, 25, Caps(), Caps((("/dev/sda", 7),)))] == [
        "unset",
        "idle",
        "25",
        "unset",
        "/dev/sda 7",
    ]
