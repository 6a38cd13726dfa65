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
LIMIT_S = 300.0
"""The machine may be an emulated one."""
SETTINGS = "rules: {ananicy: off, personal: false}\nstore: {record: false}\ntick: {self_budget_pct: 100}\n"
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


def test_a_service_that_waits_for_itself_has_pressure_and_a_quiet_one_has_none(tmp_path):
    hogs = f"for i in $(seq {3 * (os.cpu_count() or 1)}); do md5sum /dev/zero & done; wait"
    (tmp_path / "config.yaml").write_text(SETTINGS)
    places = ["--runtime-dir", f"{tmp_path}/run", "--state-dir", f"{tmp_path}/state"]
    command = [sys.executable, "-m", "smoothtask", "daemon", "--observe", *places]
    daemon = subprocess.Popen([*command, "--config", f"{tmp_path}/config.yaml"])
    try:
        connection = connected(tmp_path / "run" / "control.sock")
        connection.subscribe()  # only then somebody watches
        subprocess.run(["systemd-run", "-q", "--unit", UNIT, "sh", "-c", hogs], check=True)
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
        daemon.terminate()
        daemon.wait(60)
