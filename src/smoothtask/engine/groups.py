"""Processes and their rates → AppGroups with metrics and behaviour."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from smoothtask.classifier.behaviour import HOG, NAMES, STEADY
from smoothtask.engine.world import World
from smoothtask.grouper import Placed, unit_of
from smoothtask.model.frame import Frame
from smoothtask.model.group import AppGroup, Behaviour, Classification, GroupMetrics, UnitRef
from smoothtask.model.quick import maker
from smoothtask.model.tasks import USER_HZ, Array

_make_group = maker(AppGroup)
_Amounts = tuple[int, int, float, float, float, float, float, float, int, float]
"""The fields of `GroupMetrics`."""
_Places = npt.NDArray[np.intp]
USED = ("cpu", "wait", "vcsw", "ivcsw", "read_bps", "write_bps", "children")
NOTHING = GroupMetrics(0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)
UNITS, CGROUPS = 32, 4
"""So many of a group's are known at most."""
HOG_SHARE = 0.7
"""A group is a hog when its hogs make this share of what it uses and waits for."""


@dataclass(frozen=True, slots=True)
class _Profile:
    """What does not change while a group's members don't."""

    members: tuple[Placed, ...]
    parent: str | None
    label: str
    root: Placed
    classification: Classification
    starts_others: bool
    oldest_ticks: int
    units: tuple[UnitRef, ...]
    cgroups: tuple[str, ...]


NO_PROFILES: Mapping[str, _Profile] = MappingProxyType({})


class GroupBuilder:
    """Keeps what is the same from tick to tick: profiles while members are, metrics while amounts are."""

    def __init__(self) -> None:
        self._version = -1
        self._profiles: Mapping[str, _Profile] = NO_PROFILES
        self._rows: tuple[Sequence[str], list[str], _Places] = ([], [], np.empty(0, np.intp))
        """The group of each process, as the world says it; all of them in order; and where each row's is there."""
        self._metrics: dict[str, tuple[_Amounts, GroupMetrics]] = {}

    def build(
        self, world: World, processes: Array, rates: Array, behaviour: Array, now_ticks: int
    ) -> tuple[AppGroup, ...]:
        """Every group of *world*, an application before its parts. *now_ticks*: clock ticks since boot."""
        self._refresh(world)
        ids, of_row = self._ordered(world.row_groups(processes))
        amounts = _amounts(of_row, len(ids), processes, rates)
        kinds = _group_behaviour(of_row, len(ids), rates, behaviour)
        before, self._metrics = self._metrics, {}
        groups = []
        for group_id, amount, kind in zip(ids, amounts, kinds, strict=True):
            profile = self._profiles.get(group_id)
            if profile is None:  # rows of processes that could not be read
                continue
            known = before.get(group_id)
            if known is None or known[0] != amount:
                known = amount, GroupMetrics(*amount)
            self._metrics[group_id] = known
            groups.append(_group(group_id, profile, known[1], kind, now_ticks))
        return self._with_empty_parents(groups, now_ticks)

    def some(self, world: World, ids: frozenset[str], now_ticks: int, frame: Frame) -> tuple[AppGroup, ...]:
        """The groups *ids* and the applications around them, between ticks: metrics are the last frame's."""
        wanted = ids | {i.partition("/")[0] for i in ids}
        profiles = _profiles(world, wanted)
        known = {g.group.id: g.group for g in frame.groups if g.group.id in wanted}
        groups = []
        for group_id, profile in profiles.items():
            last = known.get(group_id)
            metrics = last.metrics if last else NOTHING
            behaviour = (last.behaviour, last.behaviour_s) if last else (Behaviour.QUIET, 0.0)
            groups.append(_group(group_id, profile, metrics, behaviour, now_ticks))
        return _in_order(groups)

    def _refresh(self, world: World) -> None:
        if world.version != self._version:
            self._profiles, self._version = _profiles(world, before=self._profiles), world.version

    def _ordered(self, row_groups: Sequence[str]) -> tuple[list[str], _Places]:
        """All groups in order, and where that of each row is among them."""
        if row_groups is not self._rows[0]:
            ids = sorted(set(row_groups))
            places = {group_id: i for i, group_id in enumerate(ids)}
            self._rows = row_groups, ids, np.array([places[g] for g in row_groups], np.intp)
        return self._rows[1:]

    def _with_empty_parents(self, groups: list[AppGroup], now_ticks: int) -> tuple[AppGroup, ...]:
        parts = [g for g in groups if g.parent is not None]
        applications = [g for g in groups if g.parent is None] if parts else groups
        missing = {g.parent for g in parts if g.parent} - {g.id for g in applications}
        missing &= self._profiles.keys()
        if missing:
            applications += [_group(m, self._profiles[m], NOTHING, (Behaviour.QUIET, 0.0), now_ticks) for m in missing]
            applications.sort(key=lambda g: g.id)
        return (*applications, *parts)


def _in_order(groups: list[AppGroup]) -> tuple[AppGroup, ...]:
    """Applications before their parts."""
    return tuple(sorted(groups, key=lambda g: (g.parent is not None, g.id)))


def _profiles(
    world: World, wanted: frozenset[str] | None = None, before: Mapping[str, _Profile] = NO_PROFILES
) -> dict[str, _Profile]:
    """The profile of every group, or of those *wanted*; the one of *before* where nothing has changed."""
    members: dict[str, list[Placed]] = {}
    parts: dict[str, list[Placed]] = {}
    holders: dict[UnitRef, str | None] = {}
    """Unit → the one application that is in it; `None` where several are."""
    for placed in world.living():
        outer, group_id = placed.membership.group, world.group_of(placed)
        unit = unit_of(placed.identity)
        if unit is not None:
            holders[unit] = outer if holders.setdefault(unit, outer) == outer else None
        if wanted is not None and group_id not in wanted and outer not in wanted:
            continue
        members.setdefault(group_id, []).append(placed)
        if outer != group_id:
            parts.setdefault(outer, []).append(placed)
    # A part may be all that is left of its application: the application stays, known by its part.
    for outer, listed in parts.items():
        members.setdefault(outer, [min(listed, key=_start)])
    units: dict[str, list[UnitRef]] = {}
    for unit, holder in holders.items():
        if holder is not None:
            units.setdefault(holder, []).append(unit)
    return {
        g: _profile(g, tuple(listed), tuple(sorted(units.get(g, ())))[:UNITS], before.get(g))
        for g, listed in members.items()
        if wanted is None or g in wanted
    }


def _profile(
    group_id: str, members: tuple[Placed, ...], units: tuple[UnitRef, ...], before: _Profile | None
) -> _Profile:
    if before is not None and before.members == members and before.units == units:
        return before
    parent = group_id.partition("/")[0] if _is_part(group_id) else None
    root = min(members, key=_start)
    speaker = _speaker(members, root) if parent is None else root
    return _Profile(
        members=members,
        parent=parent,
        label=_part_label(group_id, speaker) if parent else speaker.classification.label,
        root=root,
        classification=speaker.classification,
        starts_others=any(m.classification.starts_others for m in members),
        oldest_ticks=root.identity.key.start_ticks,
        units=units,
        cgroups=tuple(sorted({m.identity.cgroup for m in members if m.identity.cgroup}))[:CGROUPS],
    )


def _is_part(group_id: str) -> bool:
    return "/" in group_id


def _part_label(group_id: str, root: Placed) -> str:
    role = group_id.rpartition("/")[2]
    return role.partition(":")[2] or f"{root.classification.label} ({role})"


def _speaker(members: Sequence[Placed], root: Placed) -> Placed:
    """The member whose rule speaks for the group: a known application before a shell, else the root."""
    if root.classification.source is not None and not root.classification.starts_others:
        return root
    if root.identity.tty is None and root.identity.unit is not None:
        known = [
            m
            for m in members
            if m.classification.source is not None and not m.classification.starts_others and not m.classification.part
        ]
        if known:
            return min(known, key=_start)
    return root


def _start(placed: Placed) -> tuple[int, int]:
    return placed.identity.key.start_ticks, placed.identity.key.pid


def _amounts(of_row: _Places, n: int, processes: Array, rates: Array) -> Iterable[_Amounts]:
    """What each group uses."""
    rss = processes["rss_bytes"].astype(np.float64)
    counts = (np.bincount(of_row, weights, n) for weights in (None, processes["threads"], rss))
    members, threads, rss_bytes = (count.astype(np.int64).tolist() for count in counts)
    *used, children = (np.bincount(of_row, rates[name], n).tolist() for name in USED)
    return zip(members, threads, *used, rss_bytes, children, strict=True)


def _group_behaviour(of_row: _Places, n: int, rates: Array, behaviour: Array) -> list[tuple[Behaviour, float]]:
    demand = (rates["cpu"] + rates["wait"] + rates["children"]).astype(np.float64)
    hog = behaviour["kind"] == HOG
    steady = behaviour["kind"] == STEADY
    hogging = np.bincount(of_row[hog], demand[hog], n)
    total = np.bincount(of_row, demand, n)
    has_steady = np.bincount(of_row[steady], minlength=n) > 0
    has_hog = np.bincount(of_row[hog], minlength=n) > 0
    is_hog = has_hog & (hogging >= HOG_SHARE * total)
    kinds = np.where(is_hog, HOG, np.where(has_steady, STEADY, 0))
    # How long: the longest of the members that behave as the group does.
    same = behaviour["kind"] == kinds[of_row]
    lasted = np.zeros(n)
    np.maximum.at(lasted, of_row[same], behaviour["kind_s"][same].astype(np.float64))
    return [(NAMES[k], s) for k, s in zip(kinds.tolist(), lasted.tolist(), strict=True)]


def _group(
    group_id: str,
    profile: _Profile,
    metrics: GroupMetrics,
    behaviour: tuple[Behaviour, float],
    now_ticks: int,
) -> AppGroup:
    identity = profile.root.identity
    return _make_group(
        group_id,
        profile.parent,
        profile.label,
        identity.key.pid,
        identity.uid,
        profile.classification,
        metrics,
        behaviour[0],
        behaviour[1],
        max(0, now_ticks - profile.oldest_ticks) / USER_HZ,
        identity.unit,
        identity.tty,
        profile.starts_others,
        profile.units,
        profile.cgroups,
    )
