"""Groups of a daemon with a scope: what has a process outside is left alone, and counts all the same."""

import numpy as np

from scenery import CONTENDED, HOG, NORMAL, classification, group, identity
from smoothtask.engine.scoping import Scoping
from smoothtask.engine.world import World
from smoothtask.model.decision import Pin, Stage
from smoothtask.model.identity import Identity
from smoothtask.model.scope import Scope
from smoothtask.model.tasks import PROCESS_DTYPE, THREAD_DTYPE, Array, TaskTable
from smoothtask.policy.decide import Orders, PolicyState, decide
from smoothtask.policy.parameters import PolicyParameters

ANNS = "/user.slice/user-1000.slice"


def world(*people: Identity) -> World:
    """One in which *people* live."""
    by_pid = {i.key.pid: i for i in people}
    made = World(lambda pid, _start: by_pid.get(pid), lambda i, _: classification(f"name:{i.name}"), lambda _: None)
    for person in people:
        made.admit(person.key)
    return made


def rows(*of: tuple[int, int, int]) -> Array:
    """Processes of (pid, uid, cgroup number)."""
    table = np.zeros(len(of), PROCESS_DTYPE)
    for row, (pid, uid, number) in zip(table, of, strict=True):
        row["pid"], row["start_ticks"], row["uid"], row["cgroup_id"] = pid, pid * 100, uid, number
    return table


def service(pid: int, unit: str, **more: object) -> Identity:
    """A process in a unit: its group is that unit."""
    return identity(pid, 1, "prog", unit=unit, **more)


def test_the_whole_machine_leaves_nothing_alone() -> None:
    w = world(service(5, "a.service"))
    assert Scoping().closed(w, rows((5, 0, 7)), ["unit:a.service"]) == {}
    assert Scoping().closed_between(w, frozenset({"unit:a.service"}), {}) == {}
    assert Scoping().news() is None


def test_one_member_outside_closes_the_group() -> None:
    """Ann's application that runs something as root is nobody's."""
    w = world(service(5, "a.service"), service(6, "a.service", uid=0), service(7, "b.service"))
    groups = ["unit:a.service", "unit:a.service", "unit:b.service"]
    closed = Scoping(Scope.of_uid(1000)).closed(w, rows((5, 1000, 0), (6, 0, 0), (7, 1000, 0)), groups)
    assert closed == {"unit:a.service": "1 of its 2 processes are outside of this daemon's scope, uid 1000"}


def test_a_member_of_a_part_closes_the_application_but_a_part_is_judged_by_its_own() -> None:
    """What is done to an application may reach its parts; what is done to a part stays there."""
    w = world(identity(5), identity(6), identity(7))
    groups = ["app", "app/build", "app/hog:x"]
    closed = Scoping(Scope.of_uid(1000)).closed(w, rows((5, 1000, 0), (6, 1000, 0), (7, 0, 0)), groups)
    assert set(closed) == {"app", "app/hog:x"}
    assert closed["app/hog:x"] == "outside of this daemon's scope, uid 1000"


def test_the_tables_uid_counts_not_the_one_at_exec() -> None:
    """setuid(2) needs no exec."""
    w = world(identity(5, uid=1000))
    assert set(Scoping(Scope.of_uid(1000)).closed(w, rows((5, 0, 0)), ["g"])) == {"g"}
    assert Scoping(Scope.of_uid(0)).closed(w, rows((5, 0, 0)), ["g"]) == {}


def test_a_process_that_moves_to_another_cgroup_is_followed() -> None:
    """The world reads it again when its cgroup's number changes."""
    places = {5: f"{ANNS}/app.scope"}
    w = World(
        lambda pid, _start: identity(pid, sid=pid, cgroup=places[pid]),
        lambda i, _: classification(f"name:{i.name}"),
        lambda _: None,
    )
    scoping = Scoping(Scope.of_cgroup(ANNS))
    for number, cgroup, closed in ((7, places[5], False), (8, "/system.slice/x", True), (9, f"{ANNS}/y", False)):
        places[5] = cgroup
        table = rows((5, 1000, number))
        w.update(TaskTable(np.zeros(0, THREAD_DTYPE), table, 0, "bpf"))
        assert bool(scoping.closed(w, table, w.row_groups(table))) is closed


def test_what_we_moved_ourselves_is_still_where_it_was() -> None:
    """A lowered part lives in a scope of ours: it must not leave our own scope by that."""
    scope = f"{ANNS}/user@1000.service/app.slice/app-x.scope"
    places = {5: scope}
    w = World(
        lambda pid, _start: identity(pid, sid=pid, cgroup=places[pid]),
        lambda i, _: classification(f"name:{i.name}"),
        lambda _: None,
    )
    w.admit(identity(5).key)
    places[5] = "/smoothtask/5-500"
    w.admit(identity(5).key)
    assert Scoping(Scope.of_cgroup(scope)).closed(w, rows((5, 1000, 7)), ["g"]) == {}


def test_a_process_whose_cgroup_is_not_known_is_in_no_cgroup_scope() -> None:
    w = world(identity(5, cgroup=f"{ANNS}/a.scope"), identity(6, cgroup="/system.slice/b.service"), identity(7))
    table = rows((5, 1000, 0), (6, 1000, 0), (7, 1000, 0))
    assert set(Scoping(Scope.of_cgroup(ANNS)).closed(w, table, ["a", "b", "c"])) == {"b", "c"}


def test_between_ticks_new_members_close_a_group_and_nothing_opens_one() -> None:
    w = world(service(5, "a.service"), service(6, "a.service", uid=0), service(7, "b.service"))
    scoping = Scoping(Scope.of_uid(1000))
    asked = frozenset({"unit:a.service", "unit:b.service"})
    assert set(scoping.closed_between(w, asked, {})) == {"unit:a.service"}
    assert set(scoping.closed_between(w, asked, {"unit:b.service": "as the tick saw it"})) == asked
    assert scoping.closed_between(w, frozenset({"unit:b.service"}), {}) == {}


def test_a_cgroup_that_goes_and_comes_back_is_said_once_each() -> None:
    there = [True]
    scoping = Scoping(Scope.of_cgroup(ANNS), lambda _path: there[0])
    assert scoping.news() is None
    there[0] = False
    assert scoping.news() == f"cgroup {ANNS} has gone: there is nothing to manage until it is back"
    assert scoping.news() is None
    there[0] = True
    assert "is there again" in str(scoping.news())


def test_a_closed_group_is_protected_whatever_it_does_and_whoever_pins_it() -> None:
    """And its neighbour is decided as ever."""
    theirs, ours = group("theirs", **HOG), group("ours", **HOG)
    pins = (Pin("name:prog", NORMAL, 0, 0.0),)
    for orders in (Orders(), Orders(pins)):
        first, second = decide(
            (theirs, ours), CONTENDED, orders, PolicyState(), 9.0, PolicyParameters(), {"theirs": "not ours"}
        )[0]
        assert (first.target, first.protected, first.restraint) == (NORMAL, True, False)
        assert (first.decided_by, first.text) == (Stage.PROTECTION, "not ours")
        assert not second.protected
    assert decide((theirs,), CONTENDED, Orders(), PolicyState(), 9.0, PolicyParameters())[0][0].target < NORMAL


def test_a_group_that_becomes_closed_is_let_go_at_once() -> None:
    """Without waiting for hysteresis: from then on another daemon may care for it."""
    hog = group("g", **HOG)
    decisions, state = decide((hog,), CONTENDED, Orders(), PolicyState(), 9.0, PolicyParameters())
    assert decisions[0].target < NORMAL
    after, _ = decide((hog,), CONTENDED, Orders(), state, 9.1, PolicyParameters(), {"g": "it moved"})
    assert (after[0].target, after[0].protected) == (NORMAL, True)
