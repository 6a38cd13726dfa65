"""The invariant: nothing that a person waits for is below its class because of us."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actuator.desktop import Desktop
from actuator.doubles import FRESH, FakeKernel, decision
from smoothtask.actuator.guard import leaks, lowered_codes
from smoothtask.actuator.ledger import Entry
from smoothtask.actuator.plan import code_of, view_of
from smoothtask.model.change import HomeTarget, IoPrio, Knob, SchedAttr, Target, Value
from smoothtask.model.classes import PriorityClass

IDLE, BACKGROUND, NORMAL, INTERACTIVE, CRITICAL = PriorityClass


def changed(knob: Knob, old: Value, new: Value, tid: int = 5) -> Entry:
    """A thread with a value of ours."""
    return Entry(knob, Target(tid, 1, tid, 1), old, new, "g", "why", 0, 0)


def sched(nice: int, policy: int = 0) -> SchedAttr:
    """A fair task."""
    return SchedAttr(policy, nice, 0, reset_on_fork=False)


@pytest.mark.parametrize(
    ("entry", "lowered"),
    [
        (changed(Knob.SCHED, sched(0), sched(5)), True),
        (changed(Knob.SCHED, sched(0), sched(-4)), False),
        (changed(Knob.SCHED, sched(-10), sched(-4)), False),
        (changed(Knob.SCHED, sched(10), sched(5)), False),
        (changed(Knob.SCHED, sched(0), sched(0, policy=5)), True),
        (changed(Knob.SCHED, sched(0, policy=5), sched(0, policy=5)), False),
        (changed(Knob.IOPRIO, IoPrio(0, 0), IoPrio(3, 7)), True),
        (changed(Knob.IOPRIO, IoPrio(0, 0), IoPrio(2, 6)), False),
        (changed(Knob.IOPRIO, IoPrio(3, 7), IoPrio(3, 7)), False),
    ],
)
def test_what_is_lowered(entry: Entry, lowered: bool) -> None:
    """Below what a process has by default, and below what it was found with."""
    assert bool(len(lowered_codes([entry]))) is lowered


def test_cgroups_and_sessions_are_no_threads() -> None:
    """Whatever was done to them."""
    home = Entry(Knob.HOME, HomeTarget("/a", "/b", 1, -1, ""), "/b", "/a", "g", "why", 0, 0)
    assert not len(lowered_codes([home, changed(Knob.AUTOGROUP, 0, 19)]))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12), st.frozensets(st.sampled_from("abc")))
def test_leaks_are_the_lowered_threads_of_guarded_groups(
    processes: list[tuple[str, bool]], guarded: frozenset[str]
) -> None:
    """All of them, in whichever thread, and nobody else's."""
    kernel = FakeKernel()
    entries, expected = [], set()
    for n, (group, lowered) in enumerate(processes):
        thread = kernel.thread(kernel.spawn(10 * n + 10, group), 10 * n + 11)
        if lowered:
            target = Target(thread.pid, kernel.threads[thread.pid].start, thread.tid, thread.start)
            entries.append(Entry(Knob.SCHED, target, sched(0), sched(19), group, "why", 0, 0))
            expected |= {code_of(target)} if group in guarded else set()
    table = kernel.table()
    found = leaks(table, kernel.row_groups(table), guarded, lowered_codes(entries))
    assert set(found) == expected
    assert len(found) == len(expected)


def test_a_thread_whose_process_is_not_in_the_table_is_nobodys() -> None:
    """A leader that left a moment ago: its threads are of no group."""
    kernel = FakeKernel()
    first = kernel.spawn(10, "a")
    last = kernel.thread(kernel.spawn(20, "b"), 21)
    table = kernel.table()
    target = Target(last.pid, kernel.threads[20].start, last.tid, last.start)
    entry = Entry(Knob.SCHED, target, sched(0), sched(19), "b", "why", 0, 0)
    alone = replace(table, processes=table.processes[:1])
    assert first.pid == int(alone.processes["pid"][0])
    assert leaks(alone, ["a"], frozenset({"a"}), lowered_codes([entry])) == []
    nobody = replace(table, processes=table.processes[:0])
    assert leaks(nobody, [], frozenset({"a"}), lowered_codes([entry])) == []


def test_nothing_to_look_at() -> None:
    """No task, no group, no entry."""
    table = FakeKernel().table()
    some = np.array([7], np.uint64)
    assert leaks(table, [], frozenset({"a"}), some) == []
    assert leaks(table, [], frozenset(), some) == []


def test_a_leak_is_repaired_in_the_same_tick(tmp_path: Path) -> None:
    """However it came about: here the actuator believes that it has put back what it has not."""
    desk = Desktop(tmp_path)
    thread = desk.process("a")
    desk.tick(decision("a", IDLE))
    assert thread.sched.nice == 19
    threads = desk.hands._threads
    for code, settled in list(threads._settled.items()):
        threads._settled[code] = settled._replace(wanted=int(INTERACTIVE))
    threads._view = view_of(threads._settled)
    acted = desk.tick(decision("a", INTERACTIVE))
    assert thread.sched.nice == -4
    desk.tick(decision("a", NORMAL))
    assert thread.sched == FRESH
    assert acted.outcomes
