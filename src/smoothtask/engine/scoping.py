"""Which groups a daemon with a scope leaves alone: all that have a process outside of it.

Such processes are seen all the same: they count for contention, and for what is shown.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from smoothtask.engine.world import World
from smoothtask.model.identity import Identity
from smoothtask.model.scope import Scope
from smoothtask.model.tasks import Array

Closed = Mapping[str, str]
"""Group → why it is not this daemon's to touch."""


class Scoping:
    """Asked once a tick. *path_of*: (cgroup number, a pid in it) → its path; `None` where numbers mean nothing."""

    def __init__(
        self,
        scope: Scope | None = None,
        path_of: Callable[[int, int], str | None] | None = None,
        cgroup_exists: Callable[[str], bool] = lambda _path: True,
    ) -> None:
        self.scope = scope or Scope.everything()
        self._path_of = path_of
        self._cgroup_exists = cgroup_exists
        self._there = True
        self._inside: dict[tuple[int, int], bool] = {}
        """(uid, cgroup number) → whether processes there are ours; a cgroup keeps its place, its number is its own."""

    def closed(self, world: World, processes: Array, row_groups: Sequence[str]) -> dict[str, str]:
        """The groups with a process outside, by the table's uids and cgroups: both may change without an exec."""
        if self.scope.is_everything:
            return {}
        known, self._inside = self._inside, {}
        every: Counter[str] = Counter()
        outside: Counter[str] = Counter()
        rows = zip(
            row_groups,
            processes["pid"].tolist(),
            processes["uid"].tolist(),
            processes["cgroup_id"].tolist(),
            strict=True,
        )
        for group, pid, uid, number in rows:
            placed = world.get(pid)
            if placed is None:
                continue
            _count(every, group)
            if not self._is_inside(placed.identity, uid, number, known):
                _count(outside, group)
        return {group: self._why(n, every[group]) for group, n in outside.items()}

    def closed_between(self, world: World, groups: frozenset[str], before: Closed) -> dict[str, str]:
        """The same between two ticks of *groups* and the applications around them, by what executed there."""
        if self.scope.is_everything:
            return {}
        applications = {group.partition("/")[0] for group in groups}
        every: Counter[str] = Counter()
        outside: Counter[str] = Counter()
        for placed in world.living():
            group = world.group_of(placed)
            if group.partition("/")[0] in applications:
                _count(every, group)
                if not self.scope.covers(placed.identity):
                    _count(outside, group)
        return {**before, **{group: self._why(n, every[group]) for group, n in outside.items()}}

    def news(self) -> str | None:
        """A sentence when the scope's cgroup has gone, or has come back."""
        cgroup = self.scope.cgroup
        if cgroup is None or self._cgroup_exists(cgroup) == self._there:
            return None
        self._there = not self._there
        if self._there:
            return f"{self.scope} is there again: it is managed"
        return f"{self.scope} has gone: there is nothing to manage until it is back"

    def _is_inside(self, identity: Identity, uid: int, number: int, known: dict[tuple[int, int], bool]) -> bool:
        if self._path_of is None or number == 0:
            return self.scope.covers_at(uid, identity.cgroup)
        place = (uid, number)
        inside = self._inside.get(place)
        if inside is None:
            inside = known.get(place)
            if inside is None:
                path = self._path_of(number, identity.key.pid)
                if path is None:  # it has moved, or gone: nobody's until that is known
                    return False
                inside = self.scope.covers_at(uid, path)
            self._inside[place] = inside
        return inside

    def _why(self, outside: int, every: int) -> str:
        if outside == every:
            return f"outside of this daemon's scope, {self.scope}"
        return f"{outside} of its {every} processes are outside of this daemon's scope, {self.scope}"


def _count(counter: Counter[str], group: str) -> None:
    """For *group*, and for the application that it is a part of."""
    counter[group] += 1
    application, slash, _ = group.partition("/")
    if slash:
        counter[application] += 1
