"""The unit as it is shipped, with all its restrictions: it acts, reloads, and leaves nothing behind however it ends."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from evdev import UInput, ecodes

from vm.guest import User, until

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).with_name("smoothtask")
UNITS = Path("/run/systemd/system")
NAME = "smoothtask.service"
WORK = ("md5sum", "/dev/zero")
"""A whole CPU, and no shell: what starts others is never lowered."""
BATCH = "batch-of-tests.service"
# Emulated, it takes half a minute to be ready.
SLOW_MACHINE = "[Service]\nTimeoutStartSec=300\nWatchdogSec=0\nRestartSec=1\n"


COMPOSITOR = """
import json, socket, struct, sys
window = {"id": 5, "pid": int(sys.argv[2]), "app_id": "some-window", "focused": True, "visible": True}
tree = {"type": "root", "nodes": [{"type": "workspace", "name": "1", "nodes": [window]}]}
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
while True:
    connection, _ = server.accept()
    stream = connection.makefile("rb")
    while head := stream.read(14):
        length, kind = struct.unpack("=II", head[6:])
        stream.read(length)
        answer = json.dumps({"success": True} if kind == 2 else tree).encode()
        connection.sendall(struct.pack("=6sII", b"i3-ipc", len(answer), kind) + answer)
"""
"""Answers as sway does, of one window that has the focus."""


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


def journal() -> str:
    """What the service has said."""
    words = ["journalctl", "--no-pager", "-n60", "-u", NAME]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


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

    systemctl("reload", NAME)  # which returns as soon as it is asked for
    until(lambda: systemctl("show", "--property=ActiveState", "--value", NAME) == "active", 120)
    assert weight_of(BATCH) == "25"

    systemctl("stop", NAME)
    assert (weight_of(BATCH), user_weight()) == before

    systemctl("start", NAME)  # the pins are kept
    until(lambda: (weight_of(BATCH), user_weight()) == ("25", "25"), 120)
    (UNITS / f"{NAME}.d" / "once.conf").write_text("[Service]\nRestart=no\n")
    systemctl("daemon-reload")
    systemctl("kill", "--signal=SIGKILL", "--kill-who=main", NAME)
    until(lambda: systemctl("show", "--property=ActiveState", "--value", NAME) == "failed", 120)
    assert (weight_of(BATCH), user_weight()) == before, journal()
    assert ask("restore").startswith(("nothing to restore", "restored: nothing"))


@pytest.mark.slow
def test_it_sees_the_person_from_inside_its_sandbox(service: None, tester: User) -> None:
    """A user's desktop by a child that has become that user, and a keyboard."""
    subprocess.run(["systemctl", "start", NAME], check=True)
    (pid,) = tester.service("window", "sleep", "100000").pids()
    socket = f"/run/user/{tester.uid}/sway-ipc.{tester.uid}.1.sock"
    tester.service("compositor", "/usr/bin/python3", "-c", COMPOSITOR, socket, str(pid))

    def said_of(pid: int) -> str:
        done = subprocess.run([PROGRAM, "explain", str(pid)], check=False, capture_output=True, text=True)
        return done.stdout

    with closing(UInput({ecodes.EV_KEY: [*range(1, 60)]}, name="smoothtask-keyboard")):
        until(lambda: "has the focus [focus]" in said_of(pid), 180)
        until(lambda: re.search("working +input: evdev|input: evdev.*when, never what", ask("status")), 60)
    (child,) = children_of_the_service()
    status = Path(f"/proc/{child}/status").read_text()
    assert re.search(rf"^Uid:(\t{tester.uid}){{4}}$", status, re.MULTILINE), status
    assert re.search(rf"^Gid:(\t{tester.gid}){{4}}$", status, re.MULTILINE), status
    assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE), status
    assert re.search(r"^CapPrm:\t0+$", status, re.MULTILINE), status
    assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE), status
    systemctl("stop", NAME)
    assert children_of_the_service() == []


def children_of_the_service() -> list[int]:
    """Pids of the sessions' processes."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"smoothtask.person.child" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found
