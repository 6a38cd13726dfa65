"""Fixtures for tests on a machine of their own: `make test-vm` boots one and runs this folder in it as root.

The machine has Linux 6.12, cgroup v2, systemd, D-Bus, logind, uinput, and a blank disk, /dev/vda; all of it is
thrown away at the end. Tests in `bare/` get another one without systemd. Outside of it nothing here is collected.

It is emulated: a process costs 50–150 ms, a start of Python with some modules 1–10 s, and speed says nothing.
So start few processes, poll for what you expect (`guest.until`), and assert about right and wrong, not about time.

    tester, other   users with a running systemd each (`guest.User`: run, start, service, scope, systemctl)
    spin            starts programs that use a CPU each, and ends them
    guest.Cgroup    reads and writes the files of a cgroup
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vm.guest import HOG, Cgroup, Spin, User, add_users

MACHINE = os.environ.get("SMOOTHTASK_VM")
HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Collect for the machine that this is, and on anybody's own nothing."""
    wanted = "bare" if (HERE / "bare") in (collection_path, *collection_path.parents) else "1"
    return None if wanted == MACHINE or collection_path == HERE else True


@pytest.fixture(scope="session", autouse=True)
def in_the_vm() -> None:
    """For files that were named on the command line, and so are collected anywhere."""
    if MACHINE is None:
        pytest.skip("is for the VM: make test-vm")


@pytest.fixture(scope="session")
def users() -> list[User]:
    """Both at once, for that is quicker."""
    return add_users(["tester", "other"])


@pytest.fixture
def tester(users: list[User]) -> Iterator[User]:
    """A user whose systemd runs. Units that a test starts for the user are stopped at its end."""
    yield users[0]
    users[0].stop_units()


@pytest.fixture
def other(users: list[User]) -> Iterator[User]:
    """Another user."""
    yield users[1]
    users[1].stop_units()


@pytest.fixture
def spin() -> Iterator[Spin]:
    """Start CPU hogs; they are ended with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(count: int = 1, cpu: int = 0, cgroup: Cgroup | None = None) -> "list[subprocess.Popen[bytes]]":
        hogs = [subprocess.Popen(HOG, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) for _ in range(count)]
        started.extend(hogs)
        for hog in hogs:
            os.sched_setaffinity(hog.pid, {cpu})
            if cgroup is not None:
                cgroup.write("cgroup.procs", str(hog.pid))
        return hogs

    yield start
    for hog in started:
        hog.kill()
        hog.wait()


@pytest.fixture
def sleeper() -> Iterator[int]:
    """The pid of a process in a session of its own that waits."""
    with subprocess.Popen(["sleep", "infinity"], start_new_session=True) as process:
        yield process.pid
        process.kill()


@pytest.fixture
def cgroup(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Cgroup]]:
    """Makes a cgroup at a path, which is taken away at the end; its processes go to the root."""
    made: list[Cgroup] = []

    def make(path: str) -> Cgroup:
        group = Cgroup(path)
        group.folder.mkdir()
        made.append(group)
        return group

    yield make
    for group in reversed(made):
        for pid in group.pids():
            Cgroup("/").write("cgroup.procs", str(pid))
        group.folder.rmdir()
