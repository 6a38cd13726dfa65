"""Logs for tests of replay and tuning: what the policy itself decided for a few groups, tick by tick."""

from pathlib import Path

import pytest

from scenery import classification, known
from smoothtask.model.classes import PriorityClass
from smoothtask.model.frame import Frame, GroupFrame, Mode, SelfCost
from smoothtask.model.group import AppGroup, Behaviour, Classification, GroupMetrics
from smoothtask.model.person import NOBODY_KNOWN
from smoothtask.model.system import Pressure, SystemMetrics
from smoothtask.policy.contention import ContentionState, assess
from smoothtask.policy.decide import Orders, PolicyState, decide
from smoothtask.policy.parameters import PolicyParameters
from smoothtask.policy.scores import rate
from smoothtask.store.log import SnapshotLog

Tick = tuple[float, list[AppGroup]]
RULES = PolicyParameters()
NO_ORDERS = Orders()
EDITOR = known("vim", label="Vim", type="editor", target=PriorityClass.INTERACTIVE, certain=False)
ENCODER = known("ffmpeg", label="FFmpeg", type="batch", target=PriorityClass.BACKGROUND, certain=False)
HOG = classification("exe:/usr/bin/worker", label="worker")


def group(
    group_id: str, c: Classification, cpu: float = 0.0, wait: float = 0.0, behaviour: Behaviour = Behaviour.QUIET
) -> AppGroup:
    metrics = GroupMetrics(1, 1, cpu, wait, 20.0, 1.0, 0.0, 0.0, 1 << 20)
    return AppGroup(group_id, None, c.label, 10, 1000, c, metrics, behaviour, 4.0, 100.0)


def system(pressure_pct: float) -> SystemMetrics:
    return SystemMetrics(
        (50.0, 50.0), 1 << 33, 1 << 32, 0, 0, (1.0, 1.0, 1.0), Pressure(), pressure_pct, 0.0, 0.0, (), None, 9, 9
    )


def busy(seconds: int, pressure: float = 50.0) -> list[Tick]:
    """An editor waits while an encoder and an unknown program hog."""
    groups = [
        group("unit:vim", EDITOR, 0.1, 0.1, Behaviour.STEADY),
        group("unit:ffmpeg", ENCODER, 1.5, 0.5, Behaviour.HOG),
        group("unit:worker", HOG, 1.0, 1.0, Behaviour.HOG),
    ]
    return [(pressure, groups)] * seconds


def calm(seconds: int) -> list[Tick]:
    """The same three do nothing."""
    return [(0.0, [group("unit:vim", EDITOR), group("unit:ffmpeg", ENCODER), group("unit:worker", HOG)])] * seconds


def recorded(
    path: Path,
    ticks: list[Tick],
    orders: Orders = NO_ORDERS,
    parameters: PolicyParameters = RULES,
    labels: dict[str, PriorityClass] | None = None,
) -> None:
    """Decide *ticks*, one a second, as the engine does, and offer each frame to a log at *path*.

    *labels*: what somebody says of a group every 20 s while something runs.
    """
    log = SnapshotLog(path, salt_path=path.with_suffix(".salt"), anonymise=False, on_problem=pytest.fail)
    policy, waiting = PolicyState(), ContentionState()
    for n, (pressure, groups) in enumerate(ticks):
        now_s = 1000.0 + n
        contention, waiting = assess(waiting, system(pressure), groups, now_s, parameters.contention)
        decisions, policy = decide(groups, contention, orders, policy, now_s, parameters)
        shown = tuple(GroupFrame(g, d, "-") for g, d in zip(groups, decisions, strict=True))
        scores = rate(system(pressure), groups, NOBODY_KNOWN, parameters.bad, parameters.person)
        frame = Frame(
            n + 1, 1e9 + n, now_s, Mode.DRY_RUN, "", system(pressure), contention, shown, (), (),
            SelfCost(0.1, 1.0, 1 << 20, 1.0), scores=scores,
        )  # fmt: skip
        log.offer(frame)
        if labels and pressure and n % 20 == 10:
            for g in shown:
                if g.group.id in labels:
                    assert log.add_label(frame, 0, group=g, target=labels[g.group.id]) is not None
    log.close()
