"""Groups of processes and their rates; what is kept from tick to tick changes nothing."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scenery import identity, known
from smoothtask.classifier.behaviour import HOG, STATE_DTYPE, STEADY, process_codes
from smoothtask.engine.groups import GroupBuilder
from smoothtask.engine.world import World
from smoothtask.model.group import AppGroup, Classification, ProcessType
from smoothtask.model.identity import Identity
from smoothtask.model.tasks import PROCESS_DTYPE, RATES_DTYPE, THREAD_DTYPE, Array, TaskTable

BOX = "/system.slice/box.service"
HOMES = [
    identity(10, 1, "bash", sid=10, tty="pts/1"),
    identity(11, 10, "cc", sid=10, tty="pts/1"),
    identity(12, 10, "burn", sid=10, tty="pts/1"),
    identity(13, 1, "boxd", sid=13, unit="box.service", cgroup=BOX),
    identity(14, 13, "box-worker", sid=13, unit="box.service", cgroup=f"{BOX}/inner"),
    identity(15, 1, "app", sid=15, unit="session-1.scope", cgroup="/user.slice/session-1.scope"),
    identity(16, 13, "guest", sid=16, unit="box.service", cgroup=f"{BOX}/inner", container="c0ffee"),
    identity(17, 1, "app", sid=17, flatpak="a/b"),
]
NAMES = ["", "renderer", "cc"]
"""What a process may execute; empty: what it is by itself."""
a_process = st.tuples(
    st.sampled_from(NAMES), st.sampled_from([0, HOG, STEADY]), st.sampled_from([0.0, 0.9]), st.sampled_from([1, 3])
)
some_ticks = st.lists(st.dictionaries(st.sampled_from(range(len(HOMES))), a_process), min_size=1, max_size=6)


def classify(i: Identity, _ancestors: object) -> Classification:
    if i.name == "bash":
        return known("bash", starts_others=True)
    kind = ProcessType.GUI if i.name == "app" else ProcessType.CLI
    return known(i.name, process_type=kind, part="renderer" if i.name == "renderer" else None)


class Machine:
    """A world whose processes are as the tick says."""

    def __init__(self) -> None:
        self.now: dict[int, Identity] = {}
        self.world = World(
            lambda pid, _start: self.now.get(pid),
            classify,
            lambda pid: self.now[pid].key.start_ticks if pid in self.now else None,
        )

    def turn(self, living: dict[int, tuple[str, int, float, int]]) -> tuple[Array, Array, Array]:
        """Bring the world up to date: processes, rates, behaviour."""
        pids = sorted(HOMES[n].key.pid for n in living)
        by_pid = {HOMES[n].key.pid: (HOMES[n], *rest) for n, rest in living.items()}
        before, self.now = self.now, {p: replace(by_pid[p][0], name=by_pid[p][1] or by_pid[p][0].name) for p in pids}
        processes, rates = np.zeros(len(pids), PROCESS_DTYPE), np.zeros(len(pids), RATES_DTYPE)
        behaviour = np.zeros(len(pids), STATE_DTYPE)
        for row, pid in enumerate(pids):
            _, _, kind, cpu, threads = by_pid[pid]
            processes[row]["pid"], processes[row]["start_ticks"] = self.now[pid].key
            processes[row]["threads"], rates[row]["cpu"] = threads, cpu
            behaviour[row]["kind"], behaviour[row]["kind_s"] = kind, 3.0
        executed = frozenset(p for p in pids if p in before and before[p].name != self.now[p].name)
        self.world.update(TaskTable(np.zeros(0, THREAD_DTYPE), processes, 0, "bpf"), executed)
        self.world.split(processes, behaviour)
        behaviour["key"] = process_codes(processes)
        return processes, rates, behaviour


@given(some_ticks)
def test_what_is_kept_changes_nothing(ticks: list[dict[int, tuple[str, int, float, int]]]) -> None:
    """Whoever comes, leaves, executes or hogs: the groups are those of a builder that knows nothing yet."""
    machine, builder = Machine(), GroupBuilder()
    for n, living in enumerate([*ticks, ticks[-1], {}]):
        table = machine.turn(living)
        groups = builder.build(machine.world, *table, now_ticks=5000 + n)
        assert groups == GroupBuilder().build(machine.world, *table, now_ticks=5000 + n)
        assert [g.id for g in groups] == sorted((g.id for g in groups), key=lambda i: ("/" in i, i))
        assert {g.parent for g in groups if g.parent} <= {g.id for g in groups}


def test_what_is_at_rest_is_kept() -> None:
    """The same metrics object as long as nothing is used, whoever else comes; the age goes on."""
    machine, builder = Machine(), GroupBuilder()
    rest = ("", 0, 0.0, 1)

    def boxd(living: dict[int, tuple[str, int, float, int]], now_ticks: int) -> AppGroup:
        groups = builder.build(machine.world, *machine.turn(living), now_ticks=now_ticks)
        return next(g for g in groups if g.id == "unit:box.service")

    first, second = boxd({3: rest}, 5000), boxd({3: rest, 5: rest}, 5100)
    assert first.metrics is second.metrics
    assert (first.started_s, second.started_s) == (37.0, 38.0)
    assert boxd({3: ("", 0, 0.5, 1)}, 5200).metrics.cpu == 0.5
    assert [u.name for u in first.units] == ["box.service"]
