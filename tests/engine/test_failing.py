"""A look at the machine that fails: nothing stays changed, the next begins anew, and it is said."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.test_telling import SCRIPT, engine, rule
from scenery import identity, known
from smoothtask.classifier.match import RuleSet
from smoothtask.collector.sampler import Sample
from smoothtask.engine.engine import Engine
from smoothtask.engine.loop import Loop, Wakers
from smoothtask.engine.ticker import TickSettings
from smoothtask.model.classes import PriorityClass
from smoothtask.model.group import Classification
from smoothtask.model.identity import Identity
from smoothtask.model.tasks import PROCESS_DTYPE, RATES_DTYPE

HOSTILE, LAST = identity(200, name="x"), identity(300, name="y")


@pytest.fixture
def failing() -> Engine:
    """It knows one process; of the next three one cannot be classified, once."""
    e = engine(RuleSet((rule("python3"),)))
    assert e.sample is not None
    everybody = {i.key.pid: i for i in (SCRIPT, HOSTILE, LAST)}
    processes = np.zeros(3, PROCESS_DTYPE)
    processes["pid"], processes["start_ticks"] = zip(*(i.key for i in everybody.values()), strict=True)
    sample = Sample(replace(e.sample.tasks, processes=processes), np.zeros(3, RATES_DTYPE), e.sample.system, 1.0)
    failures = [KeyError("flatpak:a")]

    def classify(i: Identity, _ancestors: object) -> Classification:
        if i is HOSTILE and failures:
            raise failures.pop()
        return known(i.name)

    e.sampler.sample = lambda *_: sample  # type: ignore[method-assign]
    e.world._read_identity, e.world._classify = (lambda pid, _start: everybody[pid]), classify
    return e


def loop_of(e: Engine, **more: Any) -> Loop:
    """That looks often."""
    nothing: Any = None
    return Loop(e, nothing, settings=TickSettings(interval_s=0.01, idle_interval_s=0.01), **more)


def test_what_fails_ends_the_loop_unless_somebody_forgives_it(failing: Engine) -> None:
    """Nothing is hidden where nobody has said so: in tests, in a dashboard's own engine."""
    with pytest.raises(KeyError):
        loop_of(failing)._turn()


def test_a_look_that_fails_is_undone_and_the_next_begins_anew(failing: Engine) -> None:
    """With everybody that the failed one had got to or not."""
    undone: list[str] = []
    failing.hands.undo_all = lambda: (undone.append("all"), ("a nice",))[1]  # type: ignore[method-assign, func-returns-value]
    loop = loop_of(failing, forgives=lambda error: isinstance(error, KeyError))
    loop._turn()
    assert (undone, len(failing.world)) == (["all"], 0)
    loop._turn()
    assert failing.frame is not None
    assert {g.group.root_pid for g in failing.frame.groups} == {100, 200, 300}
    assert failing.frame.events[-1].kind == "error"
    assert failing.frame.events[-1].text == (
        "a look failed (KeyError): every change, but for 1 that could not be, is undone, the next begins anew"
    )


def test_between_a_look_that_failed_and_the_next_nobody_is_touched(failing: Engine) -> None:
    """Who executes then would be judged without his parents: what is not known yet is not half known."""
    acted: list[object] = []
    act = failing.hands.act
    failing.hands.act = lambda *args, **more: (acted.append(args), act(*args, **more))[1]  # type: ignore[method-assign]
    failing.world._classify = lambda i, _ancestors: replace(known(i.name), target=PriorityClass.IDLE, certain=True)
    failing.sampler.peek = lambda *_: failing.sampler.sample(0, 0).tasks  # type: ignore[method-assign]
    failing.hands.undo_all = lambda: ()  # type: ignore[method-assign]
    failing.begin_anew(KeyError())
    failing.admit([LAST.key])
    assert (acted, len(failing.world)) == ([], 0)
    failing.tick()
    acted.clear()
    failing.admit([LAST.key])
    assert len(acted) == 1


def test_what_fails_after_a_look_undoes_nothing(failing: Engine) -> None:
    """A listener, or the beat: what was done on the look stands, and it is said."""
    undone: list[str] = []
    failing.hands.undo_all = lambda: (undone.append("all"), ())[1]  # type: ignore[method-assign, func-returns-value]
    failing.world._classify = lambda i, _ancestors: known(i.name)
    failures, beats = [OSError("a pipe")], []

    def publish(_frame: object) -> None:
        if failures:
            raise failures.pop()

    loop = loop_of(failing, wakers=Wakers(beat=lambda: beats.append(1)), forgives=lambda _error: True)
    loop.on_frame(publish)
    loop._turn()
    assert (undone, len(failing.world), beats) == ([], 3, [])
    loop._turn()
    assert (undone, beats) == ([], [1])
    assert failing.frame is not None
    assert failing.frame.events[-1].text == "what follows a look failed (OSError): it is tried after the next"
    failures.append(OSError("a pipe"))
    loop.forgives = lambda _error: False
    with pytest.raises(OSError, match="a pipe"):
        loop._turn()
