"""What a tick found and decided → the parts of a frame (pure)."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from smoothtask.engine.metering import NOT_MEASURED, ByRow
from smoothtask.grouper import Placed
from smoothtask.model.change import Acted
from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Decision, Pin
from smoothtask.model.frame import Event, GroupFrame, GroupPressure, Mark, ProcessFrame
from smoothtask.model.group import AppGroup
from smoothtask.model.meters import NO_METERS, Meters
from smoothtask.model.quick import maker
from smoothtask.model.tasks import Array
from smoothtask.model.text import sanitise
from smoothtask.policy.decide import find_pin
from smoothtask.policy.scores import group_score

CANDIDATES = 400
COMMAND_LIMIT = 200
_make_frame = maker(GroupFrame)
UNMARKED: frozenset[Mark] = frozenset()
PROTECTED = frozenset({Mark.PROTECTED})


def group_frames(
    groups: Sequence[AppGroup],
    decisions: Sequence[Decision],
    acted: Acted,
    pins: Sequence[Pin],
    marked: Mapping[Mark, frozenset[str]],
    pressures: Mapping[str, GroupPressure],
    meters_of: Callable[[str], Meters] = lambda _: NO_METERS,
) -> tuple[GroupFrame, ...]:
    """Groups beside their decisions. *marked*: ids by mark, but for pins and protection; *pressures*: by id."""
    marks_of: dict[str, set[Mark]] = {}
    for mark, ids in marked.items():
        for group_id in ids:
            marks_of.setdefault(group_id, set()).add(mark)
    frames = []
    for group, decision in zip(groups, decisions, strict=True):
        marks = PROTECTED if decision.protected else UNMARKED
        if group.id in marks_of:
            marks = marks.union(marks_of[group.id])
        if pins and find_pin(group, pins) is not None:
            marks = marks.union({Mark.PINNED})
        effect = acted.reasons.get(group.id, "")
        mechanism, score = acted.mechanisms.get(group.id, "-"), group_score(group)
        pressure, meters = pressures.get(group.id), meters_of(group.id)
        frames.append(_make_frame(group, decision, mechanism, marks, effect, score, pressure, meters))
    return tuple(frames)


def process_frames(
    processes: Array,
    rates: Array,
    row_groups: Sequence[str],
    classes: Mapping[str, PriorityClass],
    placed: Mapping[int, Placed],
    measured: ByRow = NOT_MEASURED,
) -> tuple[ProcessFrame, ...]:
    """The processes worth showing and recording, the busiest first: those that do something."""
    weight = rates["cpu"] + rates["wait"]
    busy = (weight >= 0.005) | (rates["read_bps"] + rates["write_bps"] >= 1024)
    rows = np.flatnonzero(busy)
    if len(rows) < CANDIDATES:
        moved = {g for g, c in classes.items() if c is not PriorityClass.NORMAL}
        if moved:
            others = [i for i, g in enumerate(row_groups) if g in moved and not busy[i]]
            rows = np.concatenate((rows, np.array(others[: CANDIDATES - len(rows)], dtype=np.intp)))
    rows = rows[np.argsort(-weight[rows], kind="stable")][:CANDIDATES]
    return tuple(
        process_frame(processes[i], rates[i], row_groups[i], placed[pid].identity.cmdline, measured, i)
        for i in rows.tolist()
        if (pid := int(processes["pid"][i])) in placed
    )


def process_frame(
    row: np.void,
    rate: np.void,
    group: str,
    cmdline: Sequence[str],
    measured: ByRow = NOT_MEASURED,
    at: int = 0,
) -> ProcessFrame:
    """One row of the tables, ready to show; *at*: its place in *measured*."""
    name = sanitise(bytes(row["comm"]), 16)
    return ProcessFrame(
        pid=int(row["pid"]),
        start_ticks=int(row["start_ticks"]),
        ppid=int(row["ppid"]),
        uid=int(row["uid"]),
        group=group,
        name=name,
        command=" ".join(cmdline)[:COMMAND_LIMIT] or name,
        threads=int(row["threads"]),
        nice=int(row["nice"]),
        cpu=round(float(rate["cpu"]), 4),
        wait=round(float(rate["wait"]), 4),
        read_bps=round(float(rate["read_bps"])),
        write_bps=round(float(rate["write_bps"])),
        rss_bytes=int(row["rss_bytes"]),
        sent_bps=None if measured.sent_bps is None else round(float(measured.sent_bps[at])),
        received_bps=None if measured.received_bps is None else round(float(measured.received_bps[at])),
        connections=None if measured.connections is None else int(measured.connections[at]),
        watts=None if measured.watts is None else round(float(measured.watts[at]), 3),
    )


def class_changes(
    decisions: Sequence[Decision], before: Mapping[str, PriorityClass]
) -> list[tuple[PriorityClass, Decision]]:
    """The class *before* and the decision of each group that has another one now; what is new was NORMAL."""
    return [(old, d) for d in decisions if (old := before.get(d.group, PriorityClass.NORMAL)) is not d.target]


def class_events(
    changes: Sequence[tuple[PriorityClass, Decision]], labels: Mapping[str, str], time: float
) -> list[Event]:
    """A sentence for each of *changes*."""
    return [
        Event(time, "class", f"{labels.get(d.group, d.group)}: {old.name} → {d.target.name}: {d.text}", d.group)
        for old, d in changes
    ]
