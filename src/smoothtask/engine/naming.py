"""Which group a name means: anybody may call a program what they like, so that it depends on who says it (pure)."""

from collections.abc import Sequence

from smoothtask.model.frame import GroupFrame

LISTED = 8
"""So many ids are named at most where a name is not enough."""


def find_group(
    groups: Sequence[GroupFrame], text: str, uid: int | None = None, *, to_order: bool = False
) -> GroupFrame | str:
    """The group that *text* (a group id, a label, an app) means to *uid*, or why there is none.

    Their own first, then what a rule knows, then the rest; of several that one which does most. What is *to_order* for
    another must be called exactly so, and be one person's alone.
    """
    for g in groups:
        if g.group.id == text:
            return g
    wanted = text.casefold()
    exact = [g for g in groups if wanted in {g.group.label.casefold(), g.group.classification.app.casefold()}]
    similar = [g for g in groups if wanted in g.group.label.casefold()]
    named = _preferred(exact, uid) or _preferred([g for g in similar if not to_order or g.group.uid == uid], uid)
    if not named:
        return f"no group is called {text}{f'; similar: {_ids(similar)}' if similar else ''}"
    named = [g for g in named if g.group.parent is None] or named
    if to_order and len({g.group.uid for g in named}) > 1:
        return f"{text} may be one of several people's, name it by its id: {_ids(named)}"
    return max(named, key=_use)


def _preferred(groups: Sequence[GroupFrame], uid: int | None) -> Sequence[GroupFrame]:
    """*uid*'s own, else everybody's; of these what a rule knows. Of a personal rule only its owner knows."""
    own = [g for g in groups if g.group.uid == uid]
    known = [
        g
        for g in own or groups
        if (source := g.group.classification.source) is not None and (own or source.layer != "personal")
    ]
    return known or own or groups


def _ids(groups: Sequence[GroupFrame]) -> str:
    busiest = sorted(groups, key=_use, reverse=True)
    more = f" and {len(groups) - LISTED} more" if len(groups) > LISTED else ""
    return ", ".join(f"{g.group.id} (uid {g.group.uid})" for g in busiest[:LISTED]) + more


def _use(g: GroupFrame) -> float:
    return g.group.metrics.cpu + g.group.metrics.wait
