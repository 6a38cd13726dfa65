"""Clocks that jump: the wall clock set by hand or NTP, and a machine that was asleep. Decisions do not care."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scenery import identity, known
from smoothtask.collector.sampler import Sampler
from smoothtask.engine.engine import Clock, Engine
from smoothtask.engine.people import Labels, People
from smoothtask.engine.world import World
from smoothtask.model.change import Acted
from smoothtask.model.frame import Frame
from smoothtask.model.group import Behaviour
from smoothtask.model.system import CpuTimes, Pressure, SystemSample
from smoothtask.model.tasks import PROCESS_DTYPE, THREAD_DTYPE, TaskTable

HOG = identity(100, name="burn", start=1000)
SECOND_NS = 10**9
BOOTED_S = 100.0


class Turning:
    """An engine beside one hog, on clocks that a test sets."""

    def __init__(self) -> None:
        self.mono_s, self.boot_s, self.wall_s = BOOTED_S, BOOTED_S, 1_800_000_000.0
        self.own_cpu_s = 0.0
        parts: dict[str, Any] = {
            "sampler": Sampler(
                SimpleNamespace(name="procfs", read=self._tasks, close=lambda: None),
                lambda _t: SystemSample((CpuTimes(self.mono_s, 0.0),), 1, 1, 0, 0, (0, 0, 0), Pressure()),
                tuple,
                lambda _now_s: None,
            ),
            "world": World(lambda *_: HOG, lambda i, _: known(i.name), lambda _pid: None),
            "hands": SimpleNamespace(act=lambda *_: Acted()),
            "people": People(
                (), lambda _pins: None, Labels(lambda *_: None, lambda *_: None, lambda _: None, lambda _: False)
            ),
            "clock": Clock(
                lambda: int(self.mono_s * SECOND_NS),
                lambda: int(self.boot_s * SECOND_NS),
                lambda: self.wall_s,
                lambda: int(self.own_cpu_s * SECOND_NS),
            ),
        }
        self.engine = Engine(**parts, record=lambda _frame: None)

    def _tasks(self, mono_ns: int) -> TaskTable:
        processes = np.zeros(1, PROCESS_DTYPE)
        processes["pid"], processes["start_ticks"] = HOG.key
        processes["threads"], processes["run_ns"], processes["nivcsw"] = 1, mono_ns, mono_ns // 10**7
        return TaskTable(np.zeros(0, THREAD_DTYPE), processes, mono_ns, "procfs")

    def turn(self, *, slept_s: float = 0.0, wall_jump_s: float = 0.0) -> Frame:
        """A second later."""
        self.mono_s += 1
        self.boot_s += 1 + slept_s
        self.wall_s += 1 + slept_s + wall_jump_s
        return self.engine.tick()


@pytest.mark.parametrize("jump_s", [-86_400.0, 3600.0, 10 * 365 * 86_400.0, -1.8e9])
def test_the_wall_clock_may_jump(jump_s: float) -> None:
    """Frame by frame all is as without the jump, but for the time that is told."""
    jumping, steady = Turning(), Turning()
    for n in range(12):
        one, other = jumping.turn(wall_jump_s=jump_s if n == 6 else 0.0), steady.turn()
        assert replace(one, time=0, events=()) == replace(other, time=0, events=())
    assert one.groups[0].group.behaviour is Behaviour.HOG
    assert one.time == other.time + jump_s


def test_a_machine_that_slept_goes_on_where_it_was() -> None:
    """CLOCK_MONOTONIC stood still meanwhile: eight hours are no eight hours of waiting, nor of hogging."""
    turning = Turning()
    before = [turning.turn() for _ in range(6)][-1]
    after = turning.turn(slept_s=8 * 3600.0)
    group, was = after.groups[0].group, before.groups[0].group
    assert group.metrics.cpu == pytest.approx(1.0)
    assert group.behaviour is was.behaviour is Behaviour.HOG
    assert group.behaviour_s == pytest.approx(was.behaviour_s + 1)
    assert group.started_s == pytest.approx(was.started_s + 1 + 8 * 3600)
    assert after.contention.since_s <= before.contention.since_s + 1


def test_what_we_cost_is_a_mean_from_the_start_on_and_later_of_about_a_minute() -> None:
    """The first second, in which a screen is made, does not count for forty."""
    turning = Turning()
    turning.turn()
    told = []
    for n in range(600):
        turning.own_cpu_s += 0.6 if n == 0 else 0.01
        told.append(turning.turn().cost.cpu_pct)
    assert told[0] == pytest.approx(60, abs=0.01)
    assert told[39] == pytest.approx((60 + 39) / 40, abs=0.01)
    assert told[59] == pytest.approx((60 + 59) / 60, abs=0.01)
    assert told[-1] == pytest.approx(1.0, abs=0.01)
