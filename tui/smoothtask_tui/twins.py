"""Applications of one name told apart by what runs in them: five shells are five lines of work (pure)."""

from collections import defaultdict
from collections.abc import Mapping

from smoothtask.model.frame import Frame, GroupFrame, ProcessFrame


def told_apart(frame: Frame) -> Mapping[str, str]:
    """Group → the name to show, of applications whose name others in *frame* have too."""
    twins: dict[str, list[GroupFrame]] = defaultdict(list)
    for g in frame.groups:
        if g.group.parent is None:
            twins[g.group.label].append(g)
    alike = {g.group.id: g for same in twins.values() if len(same) > 1 for g in same}
    if not alike:
        return {}
    application = {g.group.id: g.group.parent or g.group.id for g in frame.groups}
    inside: dict[str, list[ProcessFrame]] = defaultdict(list)
    for p in frame.processes:
        inside[application.get(p.group, p.group)].append(p)
    return {group: f"{g.group.label} {_what(g, inside[group])}" for group, g in alike.items()}


def _what(g: GroupFrame, processes: list[ProcessFrame]) -> str:
    """The largest program in it, which changes less from tick to tick than the busiest; else where it runs."""
    named = g.group.label.casefold()
    largest = max((p for p in processes if p.name.casefold() != named), key=lambda p: p.rss_bytes, default=None)
    if largest is not None:
        return f"› {largest.name}"
    return g.group.tty if g.group.tty is not None else str(g.group.root_pid)
