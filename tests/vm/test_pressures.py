"""The pressure of an application with a cgroup of its own, as a watched daemon tells it, and as it is recorded."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from smoothtask.control import client
from smoothtask.store.frames import RecordError, read_frames

CGROUPS = Path("/sys/fs/cgroup")
UNIT = "pressed.service"
LIMIT_S = 300.0
"""The machine may be an emulated one."""
SETTINGS = "rules: {ananicy: off, personal: false}\nstore: {record: RECORD}\ntick: {self_budget_pct: 100}\n"
BOX = CGROUPS / "box-of-a-test"
HOGS = f"for i in $(seq {3 * (os.cpu_count() or 1)}); do md5sum /dev/zero & done; wait"
pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or not (CGROUPS / "cgroup.controllers").exists() or not Path("/run/systemd/system").is_dir(),
        reason="needs root, and systemd with cgroup v2",
    ),
]


def connected(socket: Path) -> client.Connection:
    """To the daemon at *socket*, once it answers."""
    end = time.monotonic() + LIMIT_S
    while True:
        try:
            return client.Connection(socket)
        except client.DaemonError:
            if time.monotonic() > end:
                raise
            time.sleep(1)


@contextmanager
def observing(place: Path, *, record: bool) -> Iterator[None]:
    """A daemon with its files in *place*."""
    (place / "config.yaml").write_text(SETTINGS.replace("RECORD", str(record).lower()))
    places = ["--runtime-dir", f"{place}/run", "--state-dir", f"{place}/state"]
    command = [sys.executable, "-m", "smoothtask", "daemon", "--observe", *places]
    daemon = subprocess.Popen([*command, "--config", f"{place}/config.yaml"])
    try:
        yield
    finally:
        daemon.terminate()
        daemon.wait(60)


@contextmanager
def boxed_hogs() -> Iterator[None]:
    """In a cgroup that systemd knows nothing of, children of nobody here."""
    BOX.mkdir()
    try:
        inside = f"echo $$ > {BOX}/cgroup.procs; {HOGS}"
        subprocess.run(["sh", "-c", f"setsid sh -c '{inside}' >/dev/null 2>&1 &"], check=True)
        yield
    finally:
        (BOX / "cgroup.kill").write_text("1")
        end = time.monotonic() + LIMIT_S
        while "populated 1" in (BOX / "cgroup.events").read_text() and time.monotonic() < end:
            time.sleep(0.1)
        BOX.rmdir()


def recorded_pressure(log: Path) -> float:
    """The greatest of a group that is no unit."""
    try:
        groups = [g for r in read_frames(log) for g in r.frame.groups if g.group.unit is None and g.pressure]
    except RecordError:  # nothing yet
        return 0.0
    return max((g.pressure.cpu_pct or 0.0 for g in groups if g.pressure is not None), default=0.0)


def test_while_somebody_waits_it_is_recorded_though_nobody_watches(tmp_path):
    with observing(tmp_path, record=True), boxed_hogs():
        end = time.monotonic() + LIMIT_S
        while recorded_pressure(tmp_path / "state/snapshots.db") < 20:
            assert time.monotonic() < end
            time.sleep(1)


def test_a_service_that_waits_for_itself_has_pressure_and_a_quiet_one_has_none(tmp_path):
    with observing(tmp_path, record=False):
        try:
            connection = connected(tmp_path / "run" / "control.sock")
            connection.subscribe()  # only then somebody watches
            subprocess.run(["systemd-run", "-q", "--unit", UNIT, "sh", "-c", HOGS], check=True)
            end = time.monotonic() + LIMIT_S
            pressed = quiet = False
            while not (pressed and quiet) and time.monotonic() < end:
                frame = connection.receive(LIMIT_S).frame
                for g in frame.groups if frame is not None else ():
                    if g.pressure is not None and g.pressure.cpu_pct is not None:
                        pressed |= g.group.unit == UNIT and g.pressure.cpu_pct > 20
                        quiet |= g.group.unit != UNIT and g.pressure.cpu_pct < 20
            connection.close()
            assert pressed
            assert quiet
        finally:
            subprocess.run(["systemctl", "stop", UNIT], check=False, stderr=subprocess.DEVNULL)
