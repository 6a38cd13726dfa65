"""What `smoothtask bench` does: finds out what can be run here, and as whom; measures; tells."""

import os
import pwd
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from smoothtask.bench.judge import judge, verdict
from smoothtask.bench.machine import describe
from smoothtask.bench.measure import BenchError, Helper, Place, Tell, measure
from smoothtask.bench.results import Outcome, Report
from smoothtask.bench.scenarios import FULL, IDLE, QUICK, SCENARIOS, Need, Pace, Scenario
from smoothtask.bench.stage import limits_memory
from smoothtask.bench.terminal import User
from smoothtask.config.paths import Paths
from smoothtask.control.client import DaemonError, NoDaemonError, find_daemon
from smoothtask.kernel.powercap import read_energy

FOLDER = "smoothtask-bench"
LONG_FOLDER = "/var/tmp"  # noqa: S108 - on a disk, where /tmp may be memory; see `guard.only_ours`
DISK_BYTES = 512 << 20
"""Free, so that the files of the loads have room."""
BUSY_LOAD = 0.5
"""Processes at work for each CPU before we begin, from which on others disturb what is measured."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asked for."""

    scenarios: Sequence[str] = ()
    """By name; none: those that the pace has."""
    full: bool = False
    seed: int = 1
    use_daemon: bool = False
    """A daemon that runs may be paused meanwhile."""
    pace: Pace | None = None


def run(wanted: Wanted, paths: Paths, tell: Tell) -> Report:
    """Measure. Raises BenchError, and KeyboardInterrupt when a signal asks for an end: nothing is left then."""
    pace = wanted.pace or (FULL if wanted.full else QUICK)
    chosen = _chosen(wanted)
    missing = {s.name: why for s in chosen if (why := _missing(s))}
    runnable = [s for s in chosen if s.name not in missing]
    if not runnable:
        raise BenchError("nothing can be run here: " + "; ".join(f"{n}: {why}" for n, why in missing.items()))
    machine, notes = describe(), tuple(_notes())  # before we load the machine ourselves
    with _interruptible(), _switch(wanted, paths) as (switch, how):
        measured = list(measure(runnable, pace, _place(), switch, wanted.seed, tell))
    judged = {o.name: o for o in judge(measured, os.cpu_count() or 1)}
    outcomes = tuple(judged.get(s.name) or Outcome(s.name, s.text, skipped=missing[s.name]) for s in chosen)
    return Report(outcomes, machine, wanted.seed, how, notes, verdict(outcomes))


def _chosen(wanted: Wanted) -> list[Scenario]:
    """In the order of `SCENARIOS`; the idle machine is always there to compare with. Raises BenchError."""
    names = {s.name for s in SCENARIOS}
    unknown = [name for name in wanted.scenarios if name not in names]
    if unknown:
        raise BenchError(f"unknown scenario {unknown[0]!r}: expected {', '.join(s.name for s in SCENARIOS)}")
    if wanted.scenarios:
        return [s for s in SCENARIOS if s.name in {*wanted.scenarios, IDLE.name}]
    return [s for s in SCENARIOS if wanted.full or s.quick]


def _missing(scenario: Scenario) -> str:
    """Why a scenario cannot be run here; empty when it can."""
    if Need.COMPILER in scenario.needs and not (shutil.which("make") and shutil.which("cc")):
        return f"needs {Need.COMPILER}"
    if Need.MEMORY in scenario.needs and not limits_memory():
        return f"needs {Need.MEMORY}"
    if scenario.loads and shutil.disk_usage(LONG_FOLDER).free < DISK_BYTES:
        return f"needs {DISK_BYTES >> 20} MiB free in {LONG_FOLDER}"
    return ""


def _place() -> Place:
    """Where the programs run: as the person who called sudo, where somebody did."""
    return Place(Path(LONG_FOLDER, f"{FOLDER}-{os.geteuid()}"), _person())


def _person() -> User | None:
    """Whoever became root to run us; `None`: programs run as we do."""
    text = os.environ.get("SUDO_UID") or os.environ.get("PKEXEC_UID") or ""
    if os.geteuid() != 0 or not (text.isascii() and text.isdecimal()):
        return None
    try:
        entry = pwd.getpwuid(int(text))
    except (KeyError, OverflowError):
        return None
    return User(entry.pw_uid, entry.pw_gid) if entry.pw_uid else None


@contextmanager
def _switch(wanted: Wanted, paths: Paths) -> Iterator[tuple[Helper | None, str]]:
    """What switches SmoothTask, and who that is in words. Raises BenchError."""
    socket = _daemon_of(paths)
    if socket is not None and not wanted.use_daemon:
        raise BenchError(
            f"a daemon runs ({socket}): --use-daemon lets the bench pause it for seconds at a time and set it going "
            "again; or stop it first"
        )
    if socket is None and os.geteuid() != 0:
        yield None, "Not root: SmoothTask can change nothing here, so the machine was measured without it (sudo …)."
        return
    arguments = ["--runtime-dir", str(paths.runtime_dir / "bench"), "--held", str(paths.held)]
    if socket is not None:
        arguments += ["--daemon", str(socket)]
    elif paths.config_required or paths.config_file.exists():
        arguments += ["--config", str(paths.config_file)]
    if socket is None:
        paths.prepare()
    switch = Helper.start("smoothtask.bench.switch", *arguments)
    try:
        first = switch.hear()
        if not first.startswith("ok"):
            raise BenchError(first)
        yield switch, _OURS if socket is None else f"Switched was the daemon at {socket}, by pause and resume."
    finally:
        switch.close()


_OURS = "Switched was an engine of the bench, which acts on what the bench started and on nothing else."


def _daemon_of(paths: Paths) -> Path | None:
    """The socket at which a daemon answers. Raises BenchError for one that may not be asked."""
    try:
        return find_daemon(paths.sockets)
    except NoDaemonError:
        return None
    except DaemonError as error:
        raise BenchError(str(error)) from error


def _notes() -> Iterator[str]:
    """What disturbs the measurement, and what is missing from it."""
    if not read_energy():
        yield "Watts are not measured: this machine shows no RAPL counters, or root alone may read them."
    load, cpus = os.getloadavg()[2], os.cpu_count() or 1
    if load > BUSY_LOAD * cpus:
        yield f"Others use this machine as well (load {load:.1f} over 15 minutes): compare what stands side by side."


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt, as SIGINT does."""

    def end(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {n: signal.signal(n, end) for n in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
