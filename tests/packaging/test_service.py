"""The systemd unit: valid, undoes what was done, and asks for no more rights than it names."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).resolve().parents[2] / "packaging" / "smoothtask.service"
DOCS = UNIT.parents[1] / "docs" / "install.md"
CAPABILITIES = {
    "CAP_SYS_NICE", "CAP_DAC_OVERRIDE", "CAP_SYS_PTRACE", "CAP_BPF", "CAP_PERFMON",
    "CAP_NET_ADMIN", "CAP_SYS_RESOURCE", "CAP_SETUID", "CAP_SETGID", "CAP_KILL", "CAP_CHOWN",
}  # fmt: skip


def settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if match := re.fullmatch(r"(\w+)=(.*)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


def test_unit_notifies_restarts_and_restores() -> None:
    unit = settings()
    assert unit["Type"] == ["notify"]
    assert unit["Restart"] == ["on-failure"]
    assert unit["ExecStart"] == ["/opt/smoothtask/bin/smoothtask --daemon"]
    assert unit["ExecStopPost"] == ["/opt/smoothtask/bin/smoothtask restore"]


def test_ledger_outlives_a_crash() -> None:
    unit = settings()
    assert unit["RuntimeDirectory"] == ["smoothtask"]
    assert unit["RuntimeDirectoryPreserve"] == ["yes"]


def test_each_capability_is_needed_and_explained() -> None:
    bounded = {name for line in settings()["CapabilityBoundingSet"] for name in line.split()}
    assert bounded == CAPABILITIES
    explained = set(re.findall(r"CAP_\w+", "\n".join(re.findall(r"^\| `CAP_.*", DOCS.read_text(), re.MULTILINE))))
    assert explained == bounded


def test_nothing_makes_proc_or_cgroups_read_only() -> None:
    forbidden = {"PrivateUsers", "ProtectControlGroups", "ProcSubset", "ProtectProc", "PrivateNetwork"}
    assert forbidden & set(settings()) == set()


def test_desktops_and_their_devices_can_be_reached() -> None:
    unit = settings()
    assert {"PrivateTmp", "PrivateDevices", "ProtectHome"} & set(unit) == set()
    assert unit["DevicePolicy"] == ["closed"]
    assert unit["DeviceAllow"] == ["char-input r"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    program = shutil.which("true") or "/bin/true"
    unit = tmp_path / "smoothtask.service"
    unit.write_text(UNIT.read_text().replace("/opt/smoothtask/bin/smoothtask", program))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if "smoothtask.service" in line]
    assert (done.returncode, complaints) == (0, [])
