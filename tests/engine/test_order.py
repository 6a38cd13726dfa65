"""The engine's turn, in order: who else is here is known before the first thing is done."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from scenery import BACKGROUND, identity, known, system
from smoothtask.collector.sampler import Sample
from smoothtask.engine.engine import Engine
from smoothtask.engine.people import Labels, People
from smoothtask.engine.world import World
from smoothtask.model.change import Acted
from smoothtask.model.decision import Stage
from smoothtask.model.frame import Mode
from smoothtask.model.tasks import PROCESS_DTYPE, RATES_DTYPE, THREAD_DTYPE, TaskTable
from smoothtask.policy.parameters import Hysteresis, PolicyParameters
from smoothtask.policy.ranking import Opinions

SHELL = identity(100, name="bash")


def sample(cpu_some_pct: float = 0.0) -> Sample:
    """One process."""
    processes = np.zeros(1, PROCESS_DTYPE)
    processes["pid"], processes["start_ticks"] = SHELL.key
    table = TaskTable(np.zeros(0, THREAD_DTYPE), processes, 10**9, "procfs")
    return Sample(table, np.zeros(1, RATES_DTYPE), system(cpu_some_pct), 0.0)


def test_others_are_looked_for_before_anything_is_done() -> None:
    """In a world that is known, and what is said of them is in the same frame."""
    done: list[Any] = []

    def look(world: World, _now_s: float) -> list[str]:
        done.append([p.identity for p in world.living()])
        return ["ananicy-cpp sets priorities here"]

    def act(*_: Any) -> Acted:
        done.append("acted")
        return Acted()

    parts: dict[str, Any] = {
        "sampler": SimpleNamespace(sample=lambda *_: sample()),
        "world": World(lambda *_: SHELL, lambda i, _: known(i.name), lambda _pid: None),
        "hands": SimpleNamespace(act=act),
        "people": People(
            (), lambda _pins: None, Labels(lambda *_: None, lambda *_: None, lambda _: None, lambda _: False)
        ),
    }
    frame = Engine(**parts, record=lambda _frame: None, look_at_others=look).tick()
    assert done == [[SHELL], "acted"]
    assert [e.text for e in frame.events if e.kind == "system"] == ["ananicy-cpp sets priorities here"]


def test_a_model_is_asked_at_a_tick_and_holds_for_execs_until_the_next() -> None:
    """What executes in a group between two ticks does not bring the rules' class back."""
    acted: list[Any] = []

    def act(decisions: Any, *_: Any, **__: Any) -> Acted:
        acted.append([(d.target, d.decided_by, d.score) for d in decisions])
        return Acted()

    asked: list[Any] = []

    def opinions(groups: Any, *_: Any) -> Opinions:
        asked.append(len(groups))
        return Opinions("77ba631606ec", (-1.5, -0.5, 0.5, 1.5), {g.id: -9.0 for g in groups})

    table = sample().tasks
    parts: dict[str, Any] = {
        "sampler": SimpleNamespace(sample=lambda *_: sample(50.0), peek=lambda *_: table),
        "world": World(lambda *_: SHELL, lambda i, _: known(i.name), lambda _pid: None),
        "hands": SimpleNamespace(act=act),
        "people": People(
            (), lambda _pins: None, Labels(lambda *_: None, lambda *_: None, lambda _: None, lambda _: False)
        ),
        "hybrid": SimpleNamespace(opinions=opinions),
        "parameters": PolicyParameters(hysteresis=Hysteresis(snapshots=1, min_class_s=0.0)),
    }
    engine = Engine(**parts, record=lambda _frame: None)
    engine.tick()
    frame = engine.tick()
    engine.admit([SHELL.key])
    lowered = [(BACKGROUND, Stage.RANKER, -9.0)]
    assert acted[1:] == [lowered, lowered]
    assert asked == [1, 1]
    assert (frame.mode, frame.model) == (Mode.HYBRID, "77ba631606ec")
