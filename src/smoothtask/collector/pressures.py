"""Pressure of the applications that have a cgroup of their own: totals of two looks → shares of the time between."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from smoothtask.model.frame import GroupPressure
from smoothtask.model.group import AppGroup
from smoothtask.model.system import Pressure, Psi

AT_MOST, UNWATCHED = 32, 8
"""Groups looked at in one tick, those that want most first: four files each, some 15 µs a file. While nobody watches it
is for the log alone."""
UNITS = 4
"""Cgroups of one group."""
MIN_S = 0.05
"""Two looks are this far apart at least, or their difference says nothing."""

Totals = tuple[int | None, int | None, int | None]
"""Microseconds of waiting (`some`) for cpu, io and memory."""


class GroupPressures:
    """Remembers the totals of the look before. *read*: PSI of the cgroup of that path (`kernel.psi`)."""

    def __init__(self, read: Callable[[str], Pressure]) -> None:
        self._read = read
        self._seen: dict[str, tuple[float, Totals]] = {}
        self._shares: dict[str, GroupPressure] = {}

    def look(self, groups: Sequence[AppGroup], now_s: float, watched: bool = True) -> Mapping[str, GroupPressure]:
        """Group → its pressure, for those worth a look at *now_s* (CLOCK_MONOTONIC)."""
        own = own_cgroups(groups)
        by_demand = sorted((g for g in groups if g.id in own), key=_demand, reverse=True)
        candidates = by_demand[: AT_MOST if watched else UNWATCHED]
        found: dict[str, GroupPressure] = {}
        read: set[str] = set()
        for group in candidates:
            paths = own[group.id][:UNITS]
            read.update(paths)
            shares = [share for path in paths if (share := self._share(path, now_s)) is not None]
            if shares:
                found[group.id] = _worst(shares)
        for gone in self._seen.keys() - read:
            del self._seen[gone]
            self._shares.pop(gone, None)
        return found

    def _share(self, path: str, now_s: float) -> GroupPressure | None:
        """Of the cgroup at *path*, since it was seen before; `None` at the first look."""
        before = self._seen.get(path)
        if before is not None and now_s - before[0] < MIN_S:
            return self._shares.get(path)
        pressure = self._read(path)
        totals = (_total(pressure.cpu), _total(pressure.io), _total(pressure.memory))
        self._seen[path] = (now_s, totals)
        if before is None:
            return None
        elapsed_us = (now_s - before[0]) * 1e6
        share = GroupPressure(*(_pct(old, new, elapsed_us) for old, new in zip(before[1], totals, strict=True)))
        self._shares[path] = share
        return share


def own_cgroups(groups: Iterable[AppGroup]) -> dict[str, tuple[str, ...]]:
    """Group → the cgroups that hold it and nobody else: its units', or the one where it is alone; only where there are.

    An application and its parts are one. The root is nobody's own.
    """
    who: dict[str, set[str]] = {}
    """Cgroup, and each above it → the applications there."""
    listed = list(groups)
    for g in listed:
        for path in g.cgroups:
            for here in _with_those_above(path):
                who.setdefault(here, set()).add(g.parent or g.id)
    found: dict[str, tuple[str, ...]] = {}
    for g in listed:
        if g.units:
            found[g.id] = tuple(unit.cgroup for unit in g.units)
        elif g.parent is None and len(g.cgroups) == 1 and who.get(g.cgroups[0]) == {g.id}:
            found[g.id] = g.cgroups
    return found


def _with_those_above(path: str) -> Iterator[str]:
    """Without the root. pathlib takes twenty times as long, and this runs for each group at each look."""
    while path and path != "/":
        yield path
        path = path.rpartition("/")[0]


def _demand(group: AppGroup) -> float:
    m = group.metrics
    return m.cpu + m.wait + (m.read_bps + m.write_bps) / (1 << 30)


def _total(psi: Psi | None) -> int | None:
    return None if psi is None else psi.some.total_us


def _pct(old: int | None, new: int | None, elapsed_us: float) -> float | None:
    if old is None or new is None:
        return None
    return round(min(100.0, max(0.0, 100 * (new - old) / elapsed_us)), 2)


def _worst(shares: Iterable[GroupPressure]) -> GroupPressure:
    """Of several cgroups of one application, for each resource the one that waits most."""
    listed = list(shares)
    return GroupPressure(
        _most(s.cpu_pct for s in listed), _most(s.io_pct for s in listed), _most(s.memory_pct for s in listed)
    )


def _most(values: Iterable[float | None]) -> float | None:
    return max((v for v in values if v is not None), default=None)
