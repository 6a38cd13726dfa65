"""With no more than the service's capabilities, everything that root can do here for SmoothTask still works."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

UNIT = Path(__file__).resolve().parents[2] / "packaging" / "smoothtask.service"
NOBODY = 65534

# Prints what failed, by name; its argument is the pid of somebody else's process.
DEEDS = """
import grp, json, os, sys, tempfile, time
from pathlib import Path
from smoothtask.control.server import ControlServer
from smoothtask.kernel import netlink, psi, sched, tasks_bpf
pid = int(sys.argv[1])


class Host:
    on_frame = add_reader = lambda *_: None


def socket_for_a_group():
    with tempfile.TemporaryDirectory() as folder:
        ControlServer(Host(), Path(folder, "control.sock"), grp.getgrgid(65534).gr_name).close()


deeds = {
    "threads": lambda: tasks_bpf.BpfTasks().read(time.monotonic_ns()),
    "events": netlink.ProcEvents,
    "pressure": psi.PsiTriggers,
    "nice": lambda: os.setpriority(os.PRIO_PROCESS, pid, -1),
    "slice": lambda: sched.set_sched(pid, sched.get_sched(pid)),
    "ionice": lambda: sched.set_ioprio(pid, sched.get_ioprio(pid)),
    "autogroup": lambda: sched.set_autogroup(pid, 1),
    "exe": lambda: os.readlink(f"/proc/{pid}/exe"),
    "environ": lambda: open(f"/proc/{pid}/environ").read(),
    "io": lambda: open(f"/proc/{pid}/io").read(),
    "socket for a group": socket_for_a_group,
}
failed = []
for name, deed in deeds.items():
    try:
        deed()
    except Exception:
        failed.append(name)
print(json.dumps(failed))
"""

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can try what root may not"),
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv (util-linux) is not installed"),
]


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process of another user, in a session of its own."""
    with subprocess.Popen(["setsid", "sleep", "60"], user=NOBODY, group=NOBODY, extra_groups=[]) as process:
        yield process.pid
        process.kill()


def failures(pid: int, *prefix: str) -> set[str]:
    command = [*prefix, sys.executable, "-c", DEEDS, str(pid)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def bounded(capabilities: set[str]) -> tuple[str, ...]:
    names = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in sorted(capabilities))
    return ("setpriv", f"--bounding-set=-all,{names}", "--inh-caps=-all", "--no-new-privs")


def granted() -> set[str]:
    return set(re.findall(r"CAP_\w+", "\n".join(re.findall(r"(?m)^CapabilityBoundingSet=.*$", UNIT.read_text()))))


def test_the_capabilities_of_the_service_are_enough(stranger: int) -> None:
    assert failures(stranger, *bounded(granted())) == failures(stranger)


@pytest.mark.parametrize(
    ("capability", "deed"),
    [
        ("CAP_SYS_NICE", "nice"),
        ("CAP_DAC_OVERRIDE", "autogroup"),
        ("CAP_SYS_PTRACE", "exe"),
        ("CAP_BPF", "threads"),
        ("CAP_PERFMON", "threads"),
        ("CAP_NET_ADMIN", "events"),
        ("CAP_CHOWN", "socket for a group"),
    ],
)
def test_none_of_them_can_be_spared(stranger: int, capability: str, deed: str) -> None:
    if deed in failures(stranger):
        pytest.skip(f"{deed} cannot be had on this machine at all")
    assert deed in failures(stranger, *bounded(granted() - {capability}))
