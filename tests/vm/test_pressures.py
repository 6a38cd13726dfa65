"""The pressure of an application with a cgroup of its own, as a watched daemon tells it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from smoothtask.control import client

CGROUPS = Path("/sys/fs/cgroup")
UNIT = "pressed.service"
LIMIT_S = 120.0
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        os.geteuid() != 0 or not (CGROUPS / "cgroup.controllers").exists() or not Path("/run/systemd/system").is_dir(),
        reason="needs root, and systemd with cgroup v2",
    ),
]


def test_a_service_that_waits_for_itself_has_pressure_and_a_quiet_one_has_none(tmp_path):
    hogs = f"for i in $(seq {3 * (os.cpu_count() or 1)}); do md5sum /dev/zero & done; wait"
    places = ["--runtime-dir", f"{tmp_path}/run", "--state-dir", f"{tmp_path}/state"]
    daemon = subprocess.Popen([sys.executable, "-m", "smoothtask", "daemon", "--observe", *places])
    try:
        subprocess.run(["systemd-run", "-q", "--unit", UNIT, "sh", "-c", hogs], check=True)
        end = time.monotonic() + LIMIT_S
        pressed = quiet = False
        while not (pressed and quiet) and time.monotonic() < end:
            try:
                connection = client.Connection(tmp_path / "run" / "control.sock")
                connection.subscribe()  # only then somebody watches
                while not (pressed and quiet) and time.monotonic() < end:
                    frame = connection.receive(LIMIT_S).frame
                    for g in frame.groups if frame is not None else ():
                        if g.pressure is not None and g.pressure.cpu_pct is not None:
                            pressed |= g.group.unit == UNIT and g.pressure.cpu_pct > 20
                            quiet |= g.group.unit != UNIT and g.pressure.cpu_pct < 20
                connection.close()
            except client.DaemonError:
                time.sleep(0.5)
        assert pressed
        assert quiet
    finally:
        subprocess.run(["systemctl", "stop", UNIT], check=False, stderr=subprocess.DEVNULL)
        daemon.terminate()
        daemon.wait(60)
