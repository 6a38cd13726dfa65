"""The engine's turn, in order: who else is here is known before the first thing is done."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from scenery import identity, known, system
from smoothtask.collector.sampler import Sample
from smoothtask.engine.engine import Engine
from smoothtask.engine.people import Labels, People
from smoothtask.engine.world import World
from smoothtask.model.change import Acted
from smoothtask.model.tasks import PROCESS_DTYPE, RATES_DTYPE, THREAD_DTYPE, TaskTable

SHELL = identity(100, name="bash")


def sample() -> Sample:
    """One process."""
    processes = np.zeros(1, PROCESS_DTYPE)
    processes["pid"], processes["start_ticks"] = SHELL.key
    table = TaskTable(np.zeros(0, THREAD_DTYPE), processes, 10**9, "procfs")
    return Sample(table, np.zeros(1, RATES_DTYPE), system(), 0.0)


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
        "hands": SimpleNamespace(act=act, forget=lambda _left: None),
        "people": People(
            (), lambda _pins: None, Labels(lambda *_: None, lambda *_: None, lambda _: None, lambda _: False)
        ),
    }
    frame = Engine(**parts, record=lambda _frame: None, look_at_others=look).tick()
    assert done == [[SHELL], "acted"]
    assert [e.text for e in frame.events if e.kind == "system"] == ["ananicy-cpp sets priorities here"]
