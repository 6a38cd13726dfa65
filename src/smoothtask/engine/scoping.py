"""Which groups a daemon with a scope leaves alone: all that have a process outside of it.

Such processes are seen all the same: they count for contention, and for what is shown. Where a process is comes from
its identity, which `engine.world` reads again when its cgroup changes; its uid from the newest table, for setuid(2)
needs no exec.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from smoothtask.engine.world import World
from smoothtask.model.scope import Scope
from smoothtask.model.tasks import Array

Closed = Mapping[str, str]
"""Group → why it is not this daemon's to touch."""
REMEMBER = 4096


class Scoping:
    """Asked once a tick, and when programs have begun in between."""

    def __init__(self, scope: Scope | None = None, cgroup_exists: Callable[[str], bool] = lambda _path: True) -> None:
        self.scope = scope or Scope.everything()
        self._cgroup_exists = cgroup_exists
        self._there = True
        self._inside: dict[tuple[int, str | None], bool] = {}
        """(uid, cgroup) → whether the scope covers that: asked for every process at every tick."""

    def closed(self, world: World, processes: Array, row_groups: Sequence[str]) -> dict[str, str]:
        """The groups that have a process outside, or whose parts have one."""
        if self.scope.is_everything:
            return {}
        rows = zip(row_groups, processes["pid"].tolist(), processes["uid"].tolist(), strict=True)
        people = ((group, uid, world.get(pid)) for group, pid, uid in rows)
        return self._judge((group, uid, p.identity.cgroup) for group, uid, p in people if p is not None)

    def closed_between(self, world: World, groups: frozenset[str], before: Closed) -> dict[str, str]:
        """The same between two ticks of *groups* and the applications around them, by what executed there."""
        if self.scope.is_everything:
            return {}
        applications = {group.partition("/")[0] for group in groups}
        people = ((world.group_of(p), p.identity) for p in world.living() if p.membership.group in applications)
        return {**before, **self._judge((group, i.uid, i.cgroup) for group, i in people)}

    def news(self) -> str | None:
        """A sentence when the scope's cgroup has gone, or has come back."""
        cgroup = self.scope.cgroup
        if cgroup is None or self._cgroup_exists(cgroup) == self._there:
            return None
        self._there = not self._there
        if self._there:
            return f"{self.scope} is there again: it is managed"
        return f"{self.scope} has gone: there is nothing to manage until it is back"

    def _judge(self, people: Iterable[tuple[str, int, str | None]]) -> dict[str, str]:
        """What is closed, and why, from the (group, uid, cgroup) of each process."""
        every: Counter[str] = Counter()
        outside: Counter[str] = Counter()
        for group, uid, cgroup in people:
            application, slash, _ = group.partition("/")
            every[group] += 1
            every[application] += bool(slash)
            if not self._covers(uid, cgroup):
                outside[group] += 1
                outside[application] += bool(slash)
        return {group: self._why(n, every[group]) for group, n in outside.items()}

    def _covers(self, uid: int, cgroup: str | None) -> bool:
        inside = self._inside.get((uid, cgroup))
        if inside is None:
            if len(self._inside) >= REMEMBER:
                self._inside.clear()
            inside = self._inside[uid, cgroup] = self.scope.covers_at(uid, cgroup)
        return inside

    def _why(self, outside: int, every: int) -> str:
        if outside == every:
            return f"outside of this daemon's scope, {self.scope}"
        return f"{outside} of its {every} processes are outside of this daemon's scope, {self.scope}"
