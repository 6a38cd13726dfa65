"""CPU shares of two applications in units of their own, a hog beside another: off, on, off, on.

sudo python bench/shares.py [--user NAME] [--seconds N]

Needs systemd and cgroup v2: `tools/vm -- .venv/bin/python bench/shares.py` where the machine has none. With --user the
units are of that user's manager (it must run: `loginctl enable-linger NAME`), else of the system's.
"""

import argparse
import os
import pwd
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness import finish, log, skip, verdict
from smoothtask.actuator.apply import Actuator
from smoothtask.actuator.knobs import Machine
from smoothtask.actuator.ledger import Ledger
from smoothtask.actuator.resolve import Abilities
from smoothtask.kernel import cgroup2, sched
from smoothtask.kernel.systemd import SYSTEM, Managers
from smoothtask.model.classes import DEFAULT_EFFECTS, PriorityClass
from smoothtask.model.decision import Decision, Stage
from smoothtask.model.group import AppGroup, Behaviour, Classification, GroupMetrics, ProcessType, UnitRef
from smoothtask.model.tasks import PROCESS_DTYPE, THREAD_DTYPE, TaskTable

CLASSES = {"smoothtask-bench-hog": PriorityClass.IDLE, "smoothtask-bench-app": PriorityClass.INTERACTIVE}
HOG = "while :; do :; done"
TOLERANCE = 0.10
"""Of the whole CPU: the figure that is promised."""


class Measured(NamedTuple):
    """One block."""

    share: float
    """The hog's part of what both used."""
    delay_ms: float
    """Milliseconds a second that the other one waited for a CPU."""


@contextmanager
def applications(user: str | None) -> Iterator[dict[str, UnitRef]]:
    """Two units that want all of CPU 0."""
    uid = SYSTEM if user is None else pwd.getpwnam(user).pw_uid
    prefix = [] if user is None else ["runuser", "-u", user, "--", "env", f"XDG_RUNTIME_DIR=/run/user/{uid}"]
    scope = ["--user"] if user else []
    slice_name = "app.slice" if user else "system.slice"
    above = f"/user.slice/user-{uid}.slice/user@{uid}.service" if user else ""
    names = [f"{name}.service" for name in CLASSES]
    try:
        for name in names:
            options = [f"--unit={name}", f"--slice={slice_name}", "--quiet", "--collect", "-p", "CPUAffinity=0"]
            subprocess.run([*prefix, "systemd-run", *scope, *options, "sh", "-c", HOG], check=True)
        yield {name: UnitRef(uid, name, f"{above}/{slice_name}/{name}") for name in names}
    finally:
        subprocess.run([*prefix, "systemctl", *scope, "--quiet", "stop", *names], check=False)


def group_of(unit: UnitRef) -> AppGroup:
    """The application of a unit."""
    what = Classification("bench", unit.name, "bench", frozenset(), ProcessType.BATCH, None, False, False, None, "")
    metrics = GroupMetrics(1, 1, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)
    root = min(cgroup2.pids(unit.cgroup), default=0)
    return AppGroup(unit.name, None, unit.name, root, 0, what, metrics, Behaviour.HOG, 9.0, 9.0, units=(unit,))


def act(hands: Actuator, units: dict[str, UnitRef], on: bool) -> None:
    """Give both their classes, or nothing."""
    table = TaskTable(np.zeros(0, THREAD_DTYPE), np.zeros(0, PROCESS_DTYPE), time.monotonic_ns(), "none")
    decisions = []
    for name in units:
        target = CLASSES[name.removesuffix(".service")] if on else PriorityClass.NORMAL
        decisions.append(Decision(name, target, target, Stage.RULE, ()))
    acted = hands.act(decisions, [group_of(u) for u in units.values()], table, (), True, 0)
    for text in acted.events:
        log(text)


def measure(units: dict[str, UnitRef], seconds: float) -> Measured:
    """Run for a while, and see who had what."""
    hog, app = units.values()
    before, start = (_used_us(hog), _used_us(app), _delay_ns(app)), time.monotonic()
    time.sleep(seconds)
    after, elapsed_s = (_used_us(hog), _used_us(app), _delay_ns(app)), time.monotonic() - start
    used, other, waited = (b - a for a, b in zip(before, after, strict=True))
    return Measured(used / max(1, used + other), waited / 1e6 / elapsed_s)


def _used_us(unit: UnitRef) -> int:
    return int((cgroup2.read(unit.cgroup, "cpu.stat") or "usage_usec 0").split()[1])


def _delay_ns(unit: UnitRef) -> int:
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) for pid in cgroup2.pids(unit.cgroup))


def main() -> None:
    """Off, on, off, on; the share with us must be that of the weights, and without us a half."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--user")
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    if os.geteuid() != 0 or not cgroup2.mounted() or not Managers().booted():
        skip("needs root, systemd and cgroup v2: tools/vm -- .venv/bin/python bench/shares.py")
    weights = [DEFAULT_EFFECTS[c].cpu_weight for c in CLASSES.values()]
    ideal = weights[0] / sum(weights)
    machine = Machine(sched, cgroup2, Managers(timeout_s=20))
    results = []
    with tempfile.TemporaryDirectory() as folder, applications(options.user) as units:
        ledger = Ledger.open(Path(folder, "ledger"), sched.boot_id())
        hands = Actuator(machine, ledger, DEFAULT_EFFECTS, Abilities(), autogroups=False)
        try:
            for on in (False, True, False, True):
                act(hands, units, on)
                found = measure(units, options.seconds)
                wanted = ideal if on else 0.5
                log(
                    f"{'on ' if on else 'off'}  hog {found.share:6.1%} (weights say {wanted:.1%}); "
                    f"the other waits {found.delay_ms:4.0f} ms a second"
                )
                results.append(verdict("off by", abs(found.share - wanted), TOLERANCE, ""))
        finally:
            hands.undo_all()
            hands.close()
    finish(results)


if __name__ == "__main__":
    main()
