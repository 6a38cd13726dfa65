"""The part of a frame that fits an answer: anybody can start thousands of programs (pure)."""

from dataclasses import replace

from smoothtask.model.classes import PriorityClass
from smoothtask.model.frame import Frame, GroupFrame, Mark

ALWAYS_MARKED = frozenset({Mark.PROTECTED})
"""Says nothing of what a person wants to see."""


def excerpt(frame: Frame, most: int, viewer: int | None = None) -> Frame:
    """*frame* with *most* of its groups for the uid *viewer*.

    Half of them are the busiest, whatever anybody has marked: marks cost nothing. Then come the viewer's own, the
    marked, the moved. With a part comes its application, so up to twice as many are kept. `left_out` counts the others.
    """
    if len(frame.groups) <= most:
        return frame
    busiest = sorted(frame.groups, key=_use, reverse=True)
    half, rest = busiest[: most // 2], busiest[most // 2 :]
    rest.sort(key=lambda g: (g.group.uid == viewer, *_weight(g)), reverse=True)
    kept = {g.group.id for g in (*half, *rest[: most - len(half)])}
    kept |= {g.group.parent for g in frame.groups if g.group.id in kept and g.group.parent is not None}
    groups = tuple(g for g in frame.groups if g.group.id in kept)
    return replace(
        frame,
        groups=groups,
        processes=tuple(p for p in frame.processes if p.group in kept),
        left_out=frame.left_out + len(frame.groups) - len(groups),
    )


def _weight(g: GroupFrame) -> tuple[bool, bool, float]:
    use = _use(g)
    is_moved = g.decision.target is not PriorityClass.NORMAL or g.mechanism != "-"
    return bool(g.marks - ALWAYS_MARKED), is_moved or use >= 0.005, use


def _use(g: GroupFrame) -> float:
    return g.group.metrics.cpu + g.group.metrics.wait
