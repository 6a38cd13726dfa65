"""Transient scopes beside the scope that a group lives in, made by the user's own manager."""

import re
from collections.abc import Callable, Mapping, Sequence

from smoothtask.actuator.knobs import Machine, to_dbus
from smoothtask.actuator.mechanism import Wish
from smoothtask.actuator.units import desired
from smoothtask.model.change import HomeTarget, Value
from smoothtask.model.ours import SCOPE_PREFIX, is_ours

_USER_SCOPE = re.compile(r"(?P<above>/user\.slice/user-(?P<uid>\d+)\.slice/user@(?P=uid)\.service/.*)/[^/]+\.scope")
"""Not a session's scope: logind counts its processes; and not a service: its manager stops what it finds there."""


class ScopeMaker:
    """Implements `Maker`."""

    def __init__(self, machine: Machine, disks: Callable[[], Sequence[str]]) -> None:
        self._machine = machine
        self._disks = disks

    def place(self, wish: Wish) -> HomeTarget | None:
        """See `Maker`."""
        group = wish.group
        if group.units or len(group.cgroups) != 1 or is_ours(group.cgroups[0]):
            return None
        origin = group.cgroups[0]
        match = _USER_SCOPE.fullmatch(origin)
        if match is None or not match["above"].endswith(".slice"):
            return None
        uid = int(match["uid"])
        if not self._machine.managers.is_there(uid) or "cpu" not in self._controllers(uid):
            return None
        origin_id = self._machine.cgroups.cgroup_id(origin)
        start = self._machine.threads.start_ticks(group.root_pid)
        if origin_id is None or start is None:
            return None
        unit = f"{SCOPE_PREFIX}{group.root_pid}-{start}.scope"
        return HomeTarget(f"{match['above']}/{unit}", origin, origin_id, uid, unit)

    def makes(self, target: HomeTarget) -> bool:
        """See `Maker`."""
        return bool(target.unit)

    def why(self, target: HomeTarget) -> str:
        """See `Maker`."""
        above, _, of = target.origin.rpartition("/")
        return f"a scope of its own beside {of}: its weight counts against every unit of {above.rpartition('/')[2]}"

    def values(self, wish: Wish, target: HomeTarget) -> dict[str, Value]:
        """See `Maker`."""
        limits = wish.decision.limits
        disks = self._disks() if limits.io_read_bps or limits.io_write_bps else ()
        return desired(wish, self._controllers(target.manager), disks)

    def start(self, target: HomeTarget, pids: Sequence[int], values: Mapping[str, Value]) -> None:
        """See `Maker`."""
        slice_name = target.cgroup.rpartition("/")[0].rpartition("/")[2]
        about = {
            "Description": "A part of an application that SmoothTask has lowered",
            "Slice": slice_name,
            "CollectMode": "inactive-or-failed",
            "PIDs": list(pids),
        }
        self._machine.managers.start_scope(target.manager, target.unit, {**about, **_listed(values)})

    def add(self, target: HomeTarget, pids: Sequence[int]) -> None:
        """See `Maker`."""
        self._machine.managers.attach(target.manager, target.unit, pids)

    def weigh(self, target: HomeTarget, values: Mapping[str, Value]) -> None:
        """See `Maker`."""
        self._machine.managers.set_properties(target.manager, target.unit, _listed(values))

    def _controllers(self, uid: int) -> frozenset[str]:
        return self._machine.cgroups.controllers(f"/user.slice/user-{uid}.slice/user@{uid}.service")


def _listed(values: Mapping[str, Value]) -> dict[str, object]:
    return {name: to_dbus(value) for name, value in values.items()}
