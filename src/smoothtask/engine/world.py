"""Who is alive: identities, classes and groups of every process, kept up to date by difference.

Per-process work in Python happens for what is new or has executed another program; everything else is arrays.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from smoothtask.classifier.behaviour import HOG, NAMES, process_codes
from smoothtask.grouper import Placed, place, split_hogs
from smoothtask.model.arrays import is_in
from smoothtask.model.group import Behaviour, Classification
from smoothtask.model.identity import Identity
from smoothtask.model.ours import is_ours
from smoothtask.model.tasks import Array, ProcKey, TaskTable

ReadIdentity = Callable[[int, int], Identity | None]
Classify = Callable[[Identity, Sequence[Identity]], Classification]

ANCESTORS = 8
"""How far up a rule may look (`ancestor:`)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed since the table before."""

    came: tuple[ProcKey, ...]
    left: tuple[ProcKey, ...]
    """Also who was admitted since, and is not in the new one."""


class World:
    """The living processes. `update` brings it in line with a table; the rest is look-ups."""

    def __init__(
        self, read_identity: ReadIdentity, classify: Classify, start_ticks: Callable[[int], int | None]
    ) -> None:
        self._read_identity = read_identity
        self._start_ticks = start_ticks
        self._classify = classify
        self._placed: dict[int, Placed] = {}
        self._codes: npt.NDArray[np.uint64] = np.empty(0, np.uint64)
        self._admitted: set[int] = set()
        """Codes of whom no table has shown yet: they may have left before the next one is read."""
        self._comms: npt.NDArray[np.bytes_] = np.empty(0, "S16")
        self._cgroups: npt.NDArray[np.uint64] = np.empty(0, np.uint64)
        self._apart: dict[ProcKey, str] = {}
        self._row_groups: list[str] | None = None
        self.matched: Counter[tuple[str, str]] = Counter()
        """(layer, id) of a rule → processes that it has matched so far."""
        self.version = 0
        """Grows with every change of membership: what is derived from membership may be kept until then."""

    def __len__(self) -> int:
        return len(self._placed)

    def get(self, pid: int) -> Placed | None:
        """The process that has *pid* now."""
        return self._placed.get(pid)

    @property
    def by_pid(self) -> Mapping[int, Placed]:
        """The living by pid."""
        return self._placed

    def living(self) -> Iterable[Placed]:
        """Every process."""
        return self._placed.values()

    def update(self, table: TaskTable, executed: frozenset[int] = frozenset()) -> Difference:
        """Admit what is new in *table*, read again what *executed*, forget what left."""
        processes = table.processes
        codes = process_codes(processes)
        admitted = np.array(sorted(self._admitted), np.uint64)
        self._admitted.clear()
        gone = set(admitted[~is_in(admitted, codes)].tolist())
        if len(codes) == len(self._codes) and np.array_equal(codes, self._codes):
            came_rows = np.empty(0, np.intp)
        else:
            came_rows = np.flatnonzero(~is_in(codes, self._codes))
            gone.update(self._codes[~is_in(self._codes, codes)].tolist())
        left = self._forget(gone)
        renamed = self._renamed_rows(codes, processes["comm"], processes["cgroup_id"])
        self._codes, self._comms, self._cgroups = codes, processes["comm"].copy(), processes["cgroup_id"].copy()
        came = self._admit(processes, came_rows)
        again = set(renamed) | (executed & self._placed.keys())
        again -= {key.pid for key in came}
        changed = self._admit_again(again)
        if came or left or changed:
            self._touch()
        return Difference(came, left)

    def admit(self, key: ProcKey) -> Placed | None:
        """Read and place one process right now (again, if it is known); `None` when it is gone.

        Ancestors that are not known yet are placed first: a process is counted to its parent's group once, and
        one without a parent would be an application of its own for as long as it lives.
        """
        identity = self._read_identity(*key)
        if identity is None:
            return None
        for one in (*reversed(self._unknown_ancestors(identity)), identity):
            placed = self._placed[one.key.pid] = self._classified(one)
            self._admitted.add(one.key.start_ticks << 22 | one.key.pid)
        self._touch()
        return placed

    def _unknown_ancestors(self, identity: Identity) -> list[Identity]:
        """The nearest first, up to the first that is known."""
        found: list[Identity] = []
        while len(found) < ANCESTORS and identity.ppid > 0 and identity.ppid not in self._placed:
            start = self._start_ticks(identity.ppid)
            parent = self._read_identity(identity.ppid, start) if start is not None else None
            if parent is None:
                break
            found.append(parent)
            identity = parent
        return found

    def forget(self) -> None:
        """Know nobody: the next table is read like the first."""
        self._placed.clear()
        self._admitted.clear()
        self._apart = {}
        self._codes, self._comms, self._cgroups = np.empty(0, np.uint64), np.empty(0, "S16"), np.empty(0, np.uint64)
        self._touch()

    def reclassify(self) -> None:
        """Ask the rules again about everybody (they changed)."""
        for pid in sorted(self._placed, key=lambda p: self._placed[p].identity.key.start_ticks):
            known = self._placed[pid].identity
            self._placed[pid] = self._classified(known)
        self._touch()

    def group_of(self, placed: Placed) -> str:
        """The group that is decided for: a named part, a hog's part, else the application."""
        group, part = placed.membership
        return part or (self._apart.get(placed.identity.key, group) if self._apart else group)

    def group_of_pid(self, pid: int) -> str:
        """The group that is decided for; empty for a process that is not known."""
        placed = self._placed.get(pid)
        return self.group_of(placed) if placed is not None else ""

    def row_groups(self, processes: Array) -> list[str]:
        """The group id of each row of the table last given to `update`."""
        if self._row_groups is None or len(self._row_groups) != len(processes):
            self._row_groups = [self.group_of_pid(pid) for pid in processes["pid"].tolist()]
        return self._row_groups

    def acquit(self, processes: Array, rates: Array) -> None:
        """What the children of a shell, a login or a terminal have used is nothing of its own: cleared in *rates*."""
        for row in np.flatnonzero(rates["children"] > 0).tolist():
            placed = self._placed.get(int(processes["pid"][row]))
            if placed is None or placed.classification.starts_others or placed.classification.protected:
                rates["children"][row] = 0

    def split(self, processes: Array, behaviour: Array) -> None:
        """Put hogs into parts of their own where others of their application don't hog."""
        hog_pids = processes["pid"][behaviour["kind"] == HOG].tolist()
        suspects = [p for p in map(self._placed.get, hog_pids) if p is not None and not p.membership.subgroup]
        groups = {p.membership.group for p in suspects}
        apart: dict[ProcKey, str] = {}
        if groups:
            kinds = dict(zip(processes["pid"].tolist(), behaviour["kind"].tolist(), strict=True))
            apart = split_hogs(self._behaving(groups, kinds))
        if apart != self._apart:
            self._apart = apart
            self._touch()

    def _behaving(
        self, groups: set[str], kinds: dict[int, int]
    ) -> dict[str, list[tuple[ProcKey, str, Behaviour, bool]]]:
        members: dict[str, list[tuple[ProcKey, str, Behaviour, bool]]] = {g: [] for g in groups}
        for p in self._placed.values():
            if p.membership.group in groups and not p.membership.subgroup:
                i = p.identity
                kind = NAMES[kinds.get(i.key.pid, 0)]
                row = (i.key, i.basename, kind, p.classification.starts_others)
                members[p.membership.group].append(row)
        return members

    def _renamed_rows(
        self, codes: npt.NDArray[np.uint64], comms: npt.NDArray[np.bytes_], cgroups: npt.NDArray[np.uint64]
    ) -> list[int]:
        """Pids whose comm changed (an exec that no event told of), or that were moved to another cgroup.

        A desktop starts an application first, and asks systemd for its scope then.
        """
        if len(codes) == len(self._codes) and np.array_equal(codes, self._codes):
            rows = np.flatnonzero((comms != self._comms) | (cgroups != self._cgroups))
        else:
            _, now, before = np.intersect1d(codes, self._codes, assume_unique=True, return_indices=True)
            rows = now[(comms[now] != self._comms[before]) | (cgroups[now] != self._cgroups[before])]
        return [int(code) & 0x3FFFFF for code in codes[rows]]

    def _forget(self, codes: set[int]) -> tuple[ProcKey, ...]:
        left = []
        for code in codes:
            key = ProcKey(code & 0x3FFFFF, code >> 22)
            known = self._placed.get(key.pid)
            if known is not None and known.identity.key == key:
                del self._placed[key.pid]
            left.append(key)
        return tuple(left)

    def _admit(self, processes: Array, rows: npt.NDArray[np.intp]) -> tuple[ProcKey, ...]:
        """Read what is new, parents before children."""
        new = processes[rows]
        came = []
        for row in np.lexsort((new["pid"], new["start_ticks"])):
            key = ProcKey(int(new["pid"][row]), int(new["start_ticks"][row]))
            known = self._placed.get(key.pid)
            if known is None or known.identity.key != key:
                placed = self._place(*key)
                if placed is None:
                    continue
                self._placed[key.pid] = placed
            came.append(key)
        return tuple(came)

    def _admit_again(self, pids: set[int]) -> bool:
        changed = False
        for pid in pids:
            known = self._placed.get(pid)
            placed = self._place(*known.identity.key) if known is not None else None
            if placed is not None and placed != known:
                self._placed[pid] = placed
                changed = True
        return changed

    def _place(self, pid: int, start_ticks: int) -> Placed | None:
        identity = self._read_identity(pid, start_ticks)
        return None if identity is None else self._classified(identity)

    def _classified(self, identity: Identity) -> Placed:
        identity = self._as_found(identity)
        classification = self._classify(identity, tuple(self._ancestors(identity)))
        self._count(identity.key, classification)
        parent = self._older(identity.ppid, identity)
        leader = self._older(identity.sid, identity)
        return Placed(identity, classification, place(identity, classification, parent, leader))

    def _count(self, key: ProcKey, now: Classification) -> None:
        """Note which rule has matched; the same one about the same process counts once."""
        if now.source is None:
            return
        before = self._placed.get(key.pid)
        rule = (now.source.layer, now.app)
        if before is not None and before.identity.key == key:
            was = before.classification
            if was.source is not None and (was.source.layer, was.app) == rule:
                return
        self.matched[rule] += 1

    def _as_found(self, identity: Identity) -> Identity:
        """*identity* as it would be if we had moved nobody: where it was before, or where its parent is."""
        if identity.cgroup is None or not is_ours(identity.cgroup):
            return identity
        before = self._placed.get(identity.key.pid)
        if before is None or before.identity.key != identity.key or is_ours(before.identity.cgroup or ""):
            before = self._older(identity.ppid, identity)
        if before is None:
            return identity
        was = before.identity
        return replace(identity, cgroup=was.cgroup, unit=was.unit, slice=was.slice)

    def _older(self, pid: int, than: Identity) -> Placed | None:
        """The process *pid*, if it is older than *than*: a reused pid is nobody's parent."""
        known = self._placed.get(pid)
        if known is None or known.identity.key.start_ticks > than.key.start_ticks or pid == than.key.pid:
            return None
        return known

    def _ancestors(self, identity: Identity) -> Iterable[Identity]:
        current = identity
        for _ in range(ANCESTORS):
            parent = self._older(current.ppid, current)
            if parent is None:
                return
            current = parent.identity
            yield current

    def _touch(self) -> None:
        self.version += 1
        self._row_groups = None
