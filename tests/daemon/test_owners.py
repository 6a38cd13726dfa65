"""A real daemon beside another program that sets priorities."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.places import NOBODY, Place, hogs_of, nices, until
from smoothtask.kernel import sched

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change priorities"),
]


@pytest.fixture
def impostor() -> Iterator[Path]:
    """A program of that name which does nothing, where everybody may run it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(shutil.copy("/usr/bin/sleep", Path(folder, "ananicy-cpp")))


def run(program: Path, user: str, place: Place) -> "subprocess.Popen[bytes]":
    """*program* for a minute, or until the test ends."""
    process = subprocess.Popen([program, "60"], user=user)
    place.stack.callback(process.wait)
    place.stack.callback(process.kill)
    return process


def owners(place: Place) -> str:
    """Whom the daemon sees."""
    return str(json.loads(place.run("status", "--json", *place.options("d", str(NOBODY))).stdout)["sources"]["owners"])


def test_what_root_runs_is_left_its_threads_and_what_it_leaves_is_taken_over(impostor: Path, place: Place) -> None:
    """From the first tick: nothing is lowered that would have to be put back. It goes: threads are ours again."""
    other = run(impostor, "root", place)
    hogs = hogs_of(NOBODY, place)
    sessions = [sched.get_autogroup(pid) for pid in hogs]
    place.start("d", str(NOBODY))
    assert owners(place) == "ananicy-cpp"
    options = place.options("d", str(NOBODY))
    assert until(lambda: "left to others: ananicy-cpp sets" in place.run("explain", str(hogs[0]), *options).stdout)
    assert nices(hogs) == {0}
    assert [sched.get_autogroup(pid) for pid in hogs] == sessions
    other.kill()
    other.wait()
    assert until(lambda: min(nices(hogs)) > 0)
    assert owners(place) == "none"
    events = json.loads(place.run("status", "--json", *options).stdout)["events"]
    assert any("ananicy-cpp is gone" in event["text"] for event in events)


def test_a_user_s_program_of_that_name_has_no_effect(impostor: Path, place: Place) -> None:
    """A name proves nothing."""
    run(impostor, "nobody", place)
    hogs = hogs_of(NOBODY, place)
    place.start("d", str(NOBODY))
    assert until(lambda: min(nices(hogs)) > 0)
    assert owners(place) == "none"
