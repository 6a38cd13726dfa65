"""The unit as it is shipped, with all its restrictions: it acts, reloads, and leaves nothing behind however it ends."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vm.guest import User, until

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).with_name("smoothtask")
UNITS = Path("/run/systemd/system")
NAME = "smoothtask.service"
WORK = ("md5sum", "/dev/zero")
"""A whole CPU, and no shell: what starts others is never lowered."""
BATCH = "batch-of-tests.service"
# Emulated, it takes half a minute to be ready.
# This folder may be in /tmp, of which the service has its own.
SLOW_MACHINE = f"[Service]\nTimeoutStartSec=300\nWatchdogSec=0\nRestartSec=1\nBindReadOnlyPaths={ROOT}\n"


def systemctl(*words: str) -> str:
    """What it says."""
    return subprocess.run(["systemctl", *words], check=True, capture_output=True, text=True).stdout.strip()


def weight_of(unit: str) -> str:
    """CPUWeight as the manager has it; `[not set]` when it is as it was found."""
    return systemctl("show", "--property=CPUWeight", "--value", unit)


def ask(*words: str) -> str:
    """The program, as root."""
    done = subprocess.run([PROGRAM, *words], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def service() -> Iterator[None]:
    """Installed from this folder, and started."""
    text = (ROOT / "packaging" / NAME).read_text().replace("/opt/smoothtask/bin/smoothtask", str(PROGRAM))
    UNITS.mkdir(exist_ok=True)
    (UNITS / NAME).write_text(text)
    (UNITS / f"{NAME}.d").mkdir()
    (UNITS / f"{NAME}.d" / "slow.conf").write_text(SLOW_MACHINE)
    systemctl("daemon-reload")
    systemctl("start", NAME)
    yield
    subprocess.run(["systemctl", "stop", NAME], check=False)


@pytest.fixture
def batch() -> Iterator[None]:
    """A system service that uses a CPU."""
    subprocess.run(["systemd-run", "--quiet", f"--unit={BATCH}", *WORK], check=True)
    yield
    subprocess.run(["systemctl", "stop", BATCH], check=False)


@pytest.mark.slow
def test_it_acts_reloads_and_leaves_nothing(service: None, batch: None, tester: User) -> None:
    """Units of the system and of a user; stopped, killed and restarted."""
    tester.service("mine", *WORK)
    state = json.loads(ask("status", "--json"))
    assert state["mode"] == "rules-only", state
    assert state["sources"]["tasks"] == "bpf", state["sources"]
    assert state["sources"]["events"] == "proc connector", state["sources"]
    assert state["sources"]["psi"] == "triggers", state["sources"]

    def user_weight() -> str:
        return tester.systemctl("show", "--property=CPUWeight", "--value", "mine.service").strip()

    before = ("[not set]", "[not set]")  # behaviour may have lowered them by now
    until(lambda: BATCH in ask("groups", "--all", "--json") and "mine.service" in ask("groups", "--all", "--json"))
    groups = [g["group"]["id"] for g in json.loads(ask("groups", "--all", "--json"))]
    for unit in (BATCH, "mine.service"):
        ask("pin", next(g for g in groups if unit in g and "/" not in g.partition(":")[2]), "IDLE")
    until(lambda: (weight_of(BATCH), user_weight()) == ("25", "25"), 120)

    systemctl("reload", NAME)
    assert systemctl("is-active", NAME) == "active"
    assert weight_of(BATCH) == "25"

    systemctl("stop", NAME)
    assert (weight_of(BATCH), user_weight()) == before

    systemctl("start", NAME)  # the pins are kept
    until(lambda: (weight_of(BATCH), user_weight()) == ("25", "25"), 120)
    (UNITS / f"{NAME}.d" / "once.conf").write_text("[Service]\nRestart=no\n")
    systemctl("daemon-reload")
    systemctl("kill", "--signal=SIGKILL", "--kill-who=main", NAME)
    until(lambda: systemctl("show", "--property=ActiveState", "--value", NAME) == "failed", 120)
    assert (weight_of(BATCH), user_weight()) == before
    assert ask("restore").startswith(("nothing to restore", "restored: nothing"))
