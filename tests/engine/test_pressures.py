"""Pressure of applications' own cgroups is read while somebody looks, or waits: then every tick is recorded."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from engine.test_telling import engine
from scenery import system
from smoothtask.classifier.match import RuleSet
from smoothtask.model.frame import GroupPressure
from smoothtask.model.group import AppGroup


@pytest.mark.parametrize(
    ("waits", "watched", "asked"),
    [(False, False, []), (False, True, [True]), (True, True, [True]), (True, False, [False])],
)
def test_when_it_is_read(waits: bool, watched: bool, asked: list[bool]) -> None:
    made = engine(RuleSet((), {}))
    calm = made.sampler.sample(0, 0)
    now: Any = SimpleNamespace(sample=lambda *_: replace(calm, system=system(90.0 if waits else 0.0)))
    made.sampler = now
    said: list[bool] = []

    def read(groups: Sequence[AppGroup], _now_s: float, looked_at: bool) -> dict[str, GroupPressure]:
        said.append(looked_at)
        return {g.id: GroupPressure(12.5) for g in groups}

    made.read_pressures = read
    frame = made.tick(watched=watched)
    assert frame.contention.active is waits
    assert said == asked
    assert [g.pressure for g in frame.groups] == [GroupPressure(12.5) if asked else None]
