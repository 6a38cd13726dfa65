"""Who belongs to whom, in whatever order processes become known."""

from itertools import permutations

import numpy as np
import pytest

from scenery import identity, known
from smoothtask.engine.world import World
from smoothtask.model.identity import Identity
from smoothtask.model.tasks import PROCESS_DTYPE, RATES_DTYPE, THREAD_DTYPE, TaskTable

SHELL = identity(100, 1, "bash", sid=100, tty="pts/1")
SUBSHELL = identity(101, 100, "bash", sid=100)
JOBS = [identity(pid, 100, "burn", sid=100) for pid in (102, 103)] + [identity(104, 101, "burn", sid=100)]
PEOPLE = {i.key.pid: i for i in (SHELL, SUBSHELL, *JOBS)}


def world() -> World:
    """One that can read these processes."""

    def read(pid: int, start_ticks: int) -> Identity | None:
        found = PEOPLE.get(pid)
        return found if found is not None and found.key.start_ticks == start_ticks else None

    def start(pid: int) -> int | None:
        found = PEOPLE.get(pid)
        return found.key.start_ticks if found is not None else None

    return World(read, lambda i, _: known(i.name, starts_others=i.name == "bash"), start)


def table(*living: Identity) -> TaskTable:
    """Exactly these."""
    processes = np.zeros(len(living), PROCESS_DTYPE)
    for row, i in enumerate(living):
        processes[row]["pid"], processes[row]["start_ticks"] = i.key
    return TaskTable(np.zeros(0, THREAD_DTYPE), processes, 0, "bpf")


@pytest.mark.parametrize("order", list(permutations([SHELL, *JOBS])))
def test_jobs_belong_to_their_shell_in_whatever_order_they_are_admitted(order: tuple[Identity, ...]) -> None:
    """The subshell never executed anything: no event names it, and its child leads to it."""
    w = world()
    for i in order:
        assert w.admit(i.key) is not None
    placed = [w.get(pid) for pid in PEOPLE]
    assert {p.membership.group for p in placed if p is not None} == {"proc:100-10000"}
    assert None not in placed


def test_a_process_that_is_gone_is_not_admitted() -> None:
    """Nor is anybody on its account."""
    w = world()
    assert w.admit(identity(999).key) is None
    assert len(w) == 0


def test_who_comes_and_leaves_between_two_tables_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parent too, that no event named; whoever is there at the next table stays, and leaves once."""
    w = world()
    short = identity(105, 101, "sh", sid=100)
    monkeypatch.setitem(PEOPLE, 105, short)
    w.update(table(SHELL))
    assert w.admit(short.key) is not None
    monkeypatch.delitem(PEOPLE, 105)
    assert w.update(table(SHELL, SUBSHELL)).left == (short.key,)
    assert [w.get(pid) is None for pid in (100, 101, 105)] == [False, False, True]
    assert w.update(table(SHELL)).left == (SUBSHELL.key,)
    assert w.update(table(SHELL)).left == ()
    assert w.admit(SHELL.key) is not None
    assert w.update(table()).left == (SHELL.key,)
    assert len(w) == 0


def test_what_the_children_of_a_shell_used_is_not_its_own() -> None:
    """A build in a terminal makes no hog of the shell that waits for it; who is no shell answers for them."""
    w = world()
    for i in (SHELL, JOBS[0]):
        w.admit(i.key)
    processes, rates = np.zeros(3, PROCESS_DTYPE), np.zeros(3, RATES_DTYPE)
    processes["pid"] = [100, 102, 999]
    rates["children"] = 1.5
    w.acquit(processes, rates)
    assert rates["children"].tolist() == [0, 1.5, 0]
