"""`smoothtask bench` where systemd and cgroup v2 are: scopes as on a desktop, a memory limit, and nothing left."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from smoothtask.bench.stage import WORK, read_counters
from smoothtask.kernel import cgroup2
from vm.guest import until

FOLDER = "/var/tmp/smoothtask-bench-0"
RUN = """
import json, os
from pathlib import Path
from smoothtask.bench import command, results
from smoothtask.bench.scenarios import Pace
from smoothtask.config.paths import find_paths
pace = Pace(warm_s=20.0, settle_s=8.0, block_s=10.0, rounds=1)
wanted = command.Wanted(("encode",), pace=pace)
print(json.dumps(results.to_json(command.run(wanted, find_paths(), print))))
"""


@pytest.fixture
def stage() -> Iterator["subprocess.Popen[str]"]:
    """The programs of the load that needs more memory than it may have."""
    words = [sys.executable, "-m", "smoothtask.bench.stage", "--scenario", "memory", "--folder", FOLDER]
    pipe = subprocess.PIPE
    started = subprocess.Popen([*words, "--parent", str(os.getpid())], stdin=pipe, stdout=pipe, text=True)
    yield started
    started.communicate()


def scopes() -> list[str]:
    """Of the bench, as the system's manager knows them."""
    words = ["systemctl", "list-units", "--plain", "--no-legend", "app-smoothtaskbench-*"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]


def test_each_application_has_a_scope_and_the_limit_holds(stage: "subprocess.Popen[str]") -> None:
    assert stage.stdout is not None
    started = json.loads(stage.stdout.readline())
    found = {role: cgroup2.of_process(pid) or "" for role, pid in started["probes"].items()}
    assert until(lambda: len(scopes()) == 4)
    names = {role: "terminal" if role == "frames" else role for role in found}
    assert all(
        cgroup.startswith(f"/smoothtaskbench.slice/app-smoothtaskbench-{names[role]}-")
        for role, cgroup in found.items()
    )
    # Whether the limit is met cannot be told here: the guest's files are in memory, and charged to whoever wrote them.
    assert cgroup2.read("/smoothtask-bench", "memory.max") == str(128 << 20)
    assert set(started["workers"]["memory"]) <= set(cgroup2.pids("/smoothtask-bench"))
    assert int(cgroup2.read("/smoothtask-bench", "memory.current")) <= 128 << 20
    assert until(lambda: sum(read_counters(Path(FOLDER, WORK))) > 0)  # it is short of memory, and lives
    stage.communicate()
    assert not Path("/sys/fs/cgroup/smoothtask-bench").exists()
    assert until(lambda: scopes() == [])
    assert until(lambda: not Path("/sys/fs/cgroup/smoothtaskbench.slice").exists())
    assert not Path(FOLDER).exists()


@pytest.mark.slow
def test_a_run_is_whole_and_leaves_nothing() -> None:
    """And the services of the machine are in the cgroups, and these the task groups, that they were in before."""
    before, weighed = cgroup2.read("/system.slice", "cgroup.subtree_control"), False
    words = [sys.executable, "-c", RUN]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        while run.poll() is None:
            ours = cgroup2.read("/smoothtaskbench.slice", "cgroup.subtree_control") or ""
            weighed = weighed or "cpu" in ours.split()
            assert cgroup2.read("/system.slice", "cgroup.subtree_control") == before
            time.sleep(0.2)
        stdout, stderr = run.communicate()
    assert run.returncode == 0, stderr
    assert weighed  # or it would prove nothing
    report = json.loads(stdout.splitlines()[-1])
    assert [set(o["arms"]) for o in report["outcomes"]] == [{"on", "off"}] * 2
    assert not Path("/run/smoothtask/bench").exists()
    assert not Path(FOLDER).exists()
    assert until(lambda: scopes() == [])
