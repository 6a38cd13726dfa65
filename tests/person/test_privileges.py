"""Becoming somebody leaves nothing of root."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, os
from smoothtask.person.privileges import become
home = become({uid})
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
try:
    os.setuid(0)
    regained = os.geteuid() == 0 and {uid} != 0
except PermissionError:
    regained = False
print(json.dumps({{"ids": [*os.getresuid(), *os.getresgid()], "groups": os.getgroups(), "regained": regained,
    "effective": status["CapEff"].strip(), "no_new": status["NoNewPrivs"].strip(),
    "environ": sorted(os.environ), "home": str(home)}}))
"""


def became(uid: int) -> dict[str, object]:
    """What a process finds after it."""
    run = [sys.executable, "-c", PROGRAM.format(uid=uid)]
    done = subprocess.run(run, capture_output=True, text=True, check=True, env={"SECRET": "1"})
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.root
def test_nobody_is_nobody_for_good() -> None:
    found = became(65534)
    assert found["ids"] == [65534] * 6
    assert found["groups"] == [65534]
    assert (found["regained"], found["no_new"]) == (False, "1")
    assert int(str(found["effective"]), 16) == 0
    assert "SECRET" not in str(found["environ"])


@pytest.mark.root
def test_a_uid_without_an_account_has_a_group_of_its_number() -> None:
    found = became(61234)
    assert found["ids"] == [61234] * 6
    assert found["home"] == "/"


def test_oneself_keeps_no_more_than_before() -> None:
    found = became(os.getuid())
    assert found["ids"] == [os.getuid()] * 3 + [os.getgid()] * 3
    assert found["no_new"] == "1"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become an ordinary user first")
def test_an_ordinary_user_cannot_become_another() -> None:
    program = (
        "import os; os.setresuid(65534, 65534, 65534)\nfrom smoothtask.person.privileges import become\nbecome(61234)"
    )
    preloaded = "import smoothtask.person.privileges\n" + program
    done = subprocess.run([sys.executable, "-c", preloaded], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "PermissionError" in done.stderr
