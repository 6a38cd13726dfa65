"""cgroup v2 with nobody who keeps it: no systemd, no other manager."""

import os
from pathlib import Path

from smoothtask.kernel import cgroup2, sched
from vm.guest import Cgroup, Spin, until


def test_there_is_no_systemd() -> None:
    """This is the machine that the test below is for."""
    assert not Path("/run/systemd/system").exists()
    assert cgroup2.mounted()


def test_a_tree_of_our_own(spin: Spin) -> None:
    """Cgroups are made, weighed, filled, emptied and taken away, and the shares follow the weights."""
    cgroup2.switch("/", ["+cpu", "+io", "+memory"])
    assert cgroup2.enabled() >= {"cpu", "io", "memory"}
    light, heavy = Cgroup("/light"), Cgroup("/heavy")
    try:
        for group, weight in ((light, 50), (heavy, 800)):
            cgroup2.make(group.path)
            cgroup2.write(group.path, "cpu.weight", str(weight))
            cgroup2.write(group.path, "io.weight", str(weight))
            assert group.read("cpu.weight") == str(weight)
            assert cgroup2.weight(group.path) == weight
            assert cgroup2.weight(group.path, "io.weight") == weight
            (hog,) = spin()
            cgroup2.move(hog.pid, group.path)
            assert group.pids() == {hog.pid} == cgroup2.pids(group.path)
            assert sched.cpu_task_group(hog.pid) == group.path
        start = {group: group.stat()["usage_usec"] for group in (light, heavy)}
        until(lambda: heavy.stat()["usage_usec"] - start[heavy] > 1_000_000)
        used = {group: group.stat()["usage_usec"] - start[group] for group in (light, heavy)}
        assert used[heavy] > 3 * used[light]
    finally:
        for group in (light, heavy):
            cgroup2.empty_into(group.path, "/")
            cgroup2.remove(group.path)
    assert not light.exists
    assert not heavy.exists


def test_a_quiet_cgroup_is_scheduled_last(sleeper: int) -> None:
    """cpu.idle reads as weight 0, and what is taken back leaves no trace."""
    cgroup2.switch("/", ["+cpu"])
    cgroup2.make("/quiet")
    try:
        cgroup2.move(sleeper, "/quiet")
        cgroup2.write("/quiet", "cpu.idle", "1")
        assert cgroup2.weight("/quiet") == 0
        cgroup2.write("/quiet", "cpu.idle", "0")
        assert cgroup2.weight("/quiet") == 100
        assert cgroup2.of_process(sleeper) == "/quiet"
        assert cgroup2.of_process(os.getpid()) == "/"
    finally:
        cgroup2.move(sleeper, "/")
        cgroup2.remove("/quiet")
    assert cgroup2.cgroup_id("/quiet") is None
