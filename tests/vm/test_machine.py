"""The machine is what the other tests here rely on."""

import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import evdev
import pytest
from evdev import ecodes

from smoothtask.kernel import cgroup2
from smoothtask.kernel.psi import RESOURCES, PsiTriggers
from vm.guest import HOG, Cgroup, Spin, User, until

SCHEDULER = Path("/sys/block/vda/queue/scheduler")


def test_the_kernel_honours_slices() -> None:
    """Linux 6.12 or later."""
    major, minor = os.uname().release.split(".")[:2]
    assert (int(major), int(minor)) >= (6, 12)


def test_systemd_is_up() -> None:
    """With nothing failed."""
    run = subprocess.run(["systemctl", "is-system-running"], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "running"
    assert Path("/proc/1/comm").read_text().strip() == "systemd"


def test_cgroups_are_of_version_2() -> None:
    """All that we write to can be enabled."""
    assert cgroup2.mounted()
    assert cgroup2.controllers() >= {"cpu", "io", "memory"}


def test_users_have_managers(tester: User, other: User) -> None:
    """Each its own, which the user may ask, and where the user's services run."""
    for user in (tester, other):
        assert user.systemctl("is-active", "app.slice") == "active"
        assert (user.manager.read("cgroup.controllers") or "").split() == ["cpu", "memory", "pids"]
    assert tester.manager != other.manager
    group = tester.service("waits", "sleep", "infinity")
    (pid,) = group.pids()
    assert Path(f"/proc/{pid}").stat().st_uid == tester.uid
    assert Cgroup.of(pid) == group


def test_services_and_scopes_end_with_their_test(tester: User) -> None:
    """Both are stopped by the fixture's means."""
    service = tester.service("hog", *HOG, CPUAffinity="1")
    (pid,) = service.pids()
    assert os.sched_getaffinity(pid) == {1}
    scope, process = tester.scope("app-waits", "sleep", "infinity", CPUWeight="40")
    assert scope.pids() == {process.pid}
    assert scope.read("cpu.weight") == "40"
    assert process.pid not in service.pids()
    tester.stop_units()
    assert process.returncode is not None
    until(lambda: not service.exists and not scope.exists)


def test_the_root_user_sees_what_a_cgroup_used(spin: Spin, tester: User) -> None:
    """A program moved into a cgroup of a service is counted there."""
    group = tester.service("counted", "sleep", "infinity")
    before = group.stat()["usage_usec"]
    (hog,) = spin(cgroup=group)
    assert hog.pid in group.pids()
    assert os.sched_getaffinity(hog.pid) == {0}
    until(lambda: group.stat()["usage_usec"] > before + 100_000)


@pytest.fixture
def keyboard() -> Iterator[evdev.UInput]:
    """One that is typed on by the test."""
    with closing(evdev.UInput({ecodes.EV_KEY: [ecodes.KEY_A]}, name="smoothtask-test")) as device:
        yield device


def test_input_arrives(keyboard: evdev.UInput) -> None:
    """What is typed on a made-up keyboard is read from its device."""
    path = until(lambda: next((p for p in evdev.list_devices() if evdev.InputDevice(p).name == "smoothtask-test"), ""))
    with closing(evdev.InputDevice(path)) as device:
        keyboard.write(ecodes.EV_KEY, ecodes.KEY_A, 1)
        keyboard.syn()
        assert select.select([device], [], [], 30)[0]
        events = [(event.type, event.code, event.value) for event in device.read()]
    assert (ecodes.EV_KEY, ecodes.KEY_A, 1) in events


def test_the_blank_disk_takes_bfq() -> None:
    """The scheduler that knows IO priorities and weights."""
    before = next(word for word in SCHEDULER.read_text().split() if word.startswith("["))
    SCHEDULER.write_text("bfq")
    try:
        assert "[bfq]" in SCHEDULER.read_text()
    finally:
        SCHEDULER.write_text(before.strip("[]"))


def test_pressure_wakes_us(spin: Spin) -> None:
    """There is a trigger for every resource, with a short window too, and the one for the CPUs fires."""
    with closing(PsiTriggers(stall_ms=50, window_ms=500)) as triggers:
        assert triggers.unavailable == {}
        assert set(triggers.filenos) == set(RESOURCES)
        spin(count=3)
        with select.epoll() as poll:
            poll.register(triggers.filenos["cpu"], select.EPOLLPRI)
            ((_, events),) = poll.poll(30)
    assert events & select.EPOLLPRI
    assert not events & select.EPOLLERR
