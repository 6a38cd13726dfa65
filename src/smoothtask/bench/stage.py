"""Starts the programs of one scenario, and ends whatever it started, however it ends.

    python -m smoothtask.bench.stage --scenario NAME --folder DIR --parent PID [--uid UID --gid GID]

A process of its own, so that what runs below it, and nothing else, is acted on. It says one line of JSON when all run
(`Started`), ends them all at the first word or the end of its input, says `done`, and removes the folder when its input
ends. Orphans come back to it, and it ends with whoever started it.
"""

import argparse
import contextlib
import json
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

import psutil

from smoothtask.bench import loads, probes
from smoothtask.bench.guard import FolderError, bind_to_parent, end_children, hand_over, only_ours, read_theirs, reap
from smoothtask.bench.project import write_project
from smoothtask.bench.scenarios import MEMORY_LIMIT_BYTES, PROBES, SCENARIOS, Load, Need, Scenario
from smoothtask.bench.terminal import Terminal, User, open_terminal, press_key, read_screen
from smoothtask.kernel import cgroup2, memory_limit
from smoothtask.kernel.systemd import SYSTEM, ManagerError, Managers

COUNTERS = 512
MANAGER_LIMIT_S = 20.0
READY_LIMIT_S = 60.0
IN_TERMINAL = "frames"
"""The probe that is started from a shell."""
TYPE_EVERY_S = 4.0
"""How often somebody types into the terminal in which the frames are drawn: that is where the person is."""
COMPILED = 80
"""Times that each unit is built: no build ends while it is measured."""
FUNCTIONS = 4
"""Of each unit: some 100 ms of a compiler's work, so that a short block counts enough of them."""
WORK = "work"
COMPLAINTS = "complaints"
"""What the programs say when they fail."""
COMPLAINTS_BYTES = 1000
"""Of the end, to be shown."""
OUT, HOME = "out", "home"
"""Folders below the work: what the probes measured; where programs live and may write."""
ROWS_BYTES = 64 << 20
"""More than any probe writes: the sound's are 6 KiB a second."""
LIMITED = "/smoothtask-bench"
"""The cgroup with a memory limit."""
SCOPE = "app-smoothtaskbench"
SLICE = "smoothtaskbench.slice"
"""Of our own: the first weight below a slice makes task groups of all units in it (docs/actuation.md)."""


class StageError(Exception):
    """The programs cannot be started; the text is a sentence for a person."""


class _Ended(Exception):  # noqa: N818 (news, not a mistake)
    """Somebody asked the stage to end."""


@dataclass(frozen=True, slots=True)
class Started:
    """What runs."""

    probes: dict[str, int]
    """Role → pid."""
    work: dict[str, tuple[int, int]]
    """Role of a load → its first counter, and how many it has."""
    workers: dict[str, list[int]]
    """Role of a load → pids, below which all that it does is done; the shell's for what was started from there."""


@dataclass(slots=True)
class Stage:
    """The programs of a scenario.

    They may run as somebody else: *folder* stays ours, so that nobody swaps what we open in it, and what they write is
    handed over before the first of them runs.
    """

    folder: Path
    user: User | None
    managers: Managers | None
    """Where each application gets a scope of its own, as on a desktop."""
    cpus: int = field(default_factory=lambda: os.cpu_count() or 1)
    _terminal: Terminal | None = None
    _slot: int = 0
    _workers: dict[str, list[int]] = field(default_factory=dict)
    _limited: memory_limit.Hierarchy | None = None

    def begin(self, scenario: Scenario) -> Started:
        """Start the probes, then the loads. Raises StageError, OSError."""
        self._prepare(scenario)
        found = {}
        for role in PROBES:
            words = [self._python, "-I", f"{self.folder}/probes.py", role, f"{self.folder}/{OUT}/{role}"]
            if role == IN_TERMINAL:
                self._type(words)
            else:
                found[role] = self._spawn(role, words)
        self._wait_for_probes()
        found[IN_TERMINAL] = self._typed_pid()
        work = {load.role: self._load(load) for load in scenario.loads}
        return Started(found, work, self._workers)

    def wait(self) -> None:
        """Until somebody says a word, or leaves."""
        assert self._terminal is not None  # noqa: S101 - it has begun
        keyboard, typed_s = self._terminal.keyboard, time.monotonic()
        while True:
            ready, _, _ = select.select([0, keyboard], [], [], 0.2)
            if 0 in ready:
                os.read(0, 4096)
                return
            read_screen(keyboard)
            if time.monotonic() - typed_s >= TYPE_EVERY_S:
                typed_s = time.monotonic()
                press_key(keyboard)
            reap()

    def clear(self) -> None:
        """End every program."""
        end_children()
        if self._terminal is not None:
            os.close(self._terminal.keyboard)
            self._terminal = None
        if self._limited is not None:
            cgroup2.remove(LIMITED, self._limited.root)
        if self.managers is not None:
            with contextlib.suppress(ManagerError):  # nothing had a scope; or an empty slice stays, which harms nobody
                self.managers.stop(SYSTEM, SLICE)

    @property
    def _python(self) -> str:
        return str(Path(sys.executable).resolve())

    def _prepare(self, scenario: Scenario) -> None:
        for script in (loads.__file__, probes.__file__):
            copied = Path(shutil.copy(script, self.folder))
            copied.chmod(0o644)  # however close the package is kept
        (self.folder / OUT).mkdir()
        (self.folder / HOME).mkdir()
        (self.folder / COMPLAINTS).touch()
        (self.folder / "counters").write_bytes(bytes(8 * COUNTERS))
        written = [OUT, HOME, COMPLAINTS, "counters"]
        if Need.COMPILER in scenario.needs:
            write_project(self.folder / "project", COMPILED, tally="tally", functions=FUNCTIONS)
            written.append("project")
        if any("{folder}/blocks" in load.arguments for load in scenario.loads):
            _write_blocks(self.folder / "blocks")
            written.append("blocks")
        if self.user is not None:
            for name in written:
                hand_over(self.folder / name, *self.user)
            os.chown(self.folder, -1, self.user.gid)
            self.folder.chmod(0o710)

    def _load(self, load: Load) -> tuple[int, int]:
        first = self._slot
        for _ in range(load.count(self.cpus)):
            workers = load.threads_on(self.cpus)
            threads = [str(workers)] if load.role in {"threads", "encode"} else []
            arguments = [a.format(folder=self.folder, jobs=self.cpus + 1) for a in load.arguments]
            script = [self._python, "-I", f"{self.folder}/loads.py"]
            words = [*script, load.role, f"{self.folder}/counters", str(self._slot), *threads, *arguments]
            self._slot += workers
            if self._slot > COUNTERS:
                raise StageError(f"this machine has too many CPUs: more than {COUNTERS} workers")
            pid = self._type(words) if load.with_person else self._spawn(load.role, words, limited=load.limited)
            self._workers.setdefault(load.role, []).append(pid)
        return first, self._slot - first

    def _spawn(self, name: str, words: list[str], *, limited: bool = False) -> int:
        user = {} if self.user is None else {"user": self.user.uid, "group": self.user.gid, "extra_groups": []}
        with open(self.folder / COMPLAINTS, "ab") as complaints:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                words, env=self._environment(), cwd=self.folder / HOME, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=complaints, **user,  # type: ignore[call-overload]
            )  # fmt: skip
        if limited:
            where = memory_limit.hierarchy()
            if where is None:
                raise StageError(f"{name} needs {Need.MEMORY}")
            self._limited = where
            memory_limit.limit(where, LIMITED, MEMORY_LIMIT_BYTES, process.pid)
        else:
            self._scope(name, process.pid)
        return process.pid

    def _type(self, words: list[str]) -> int:
        """Have the shell start it; the shell's pid."""
        if self._terminal is None:
            self._terminal = open_terminal(self.folder / HOME, self._environment(), self.user)
            self._scope("terminal", self._terminal.pid)
        os.write(self._terminal.keyboard, f"{shlex.join(words)} > /dev/null 2>> ../{COMPLAINTS} &\n".encode())
        return self._terminal.pid

    def _scope(self, name: str, pid: int) -> None:
        if self.managers is None:
            return
        about = {"Description": f"smoothtask bench: {name}", "CollectMode": "inactive-or-failed", "Slice": SLICE}
        unit = f"{SCOPE}-{name}-{pid}.scope"
        try:
            self.managers.start_scope(SYSTEM, unit, {**about, "PIDs": [pid]})
        except ManagerError as error:
            raise StageError(f"no scope for {name}: {error}") from error
        deadline_s = time.monotonic() + MANAGER_LIMIT_S
        while not (cgroup2.of_process(pid) or "").endswith(unit):  # it is moved a moment later
            if time.monotonic() > deadline_s:
                raise StageError(f"{name} is not moved into its scope")
            time.sleep(0.01)

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "PATH") if name in os.environ}
        return {**kept, "HOME": str(self.folder / HOME), "TERM": "dumb", "HISTFILE": "/dev/null"}

    def _wait_for_probes(self) -> None:
        """Until each measures."""
        deadline_s = time.monotonic() + READY_LIMIT_S
        out = self.folder / OUT
        while missing := [role for role in PROBES if not os.path.lexists(out / role)]:
            if time.monotonic() > deadline_s:
                raise StageError(f"the probe {missing[0]} does not start")
            time.sleep(0.02)

    def _typed_pid(self) -> int:
        """Of the probe that was started from the terminal: it starts nobody who could be taken for it."""
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.cmdline()[2:4] == [f"{self.folder}/probes.py", IN_TERMINAL]:
                    return process.pid
        raise StageError(f"the probe {IN_TERMINAL} has ended")


def limits_memory() -> bool:
    """Whether we may make a cgroup with a memory limit."""
    return os.geteuid() == 0 and memory_limit.hierarchy() is not None


@contextlib.contextmanager
def stage(folder: Path, user: User | None) -> Iterator[Stage]:
    """A stage in `WORK` below *folder*; all of it gone at the end. Raises StageError."""
    managers = Managers(timeout_s=MANAGER_LIMIT_S) if os.geteuid() == 0 and cgroup2.mounted() else None
    if managers is not None and not managers.booted():
        managers = None
    try:
        with only_ours(folder):
            if os.geteuid() == 0 and (where := memory_limit.hierarchy()) is not None:
                cgroup2.remove(LIMITED, where.root)  # one that was killed may have left it
            folder.chmod(0o711)  # whoever the programs run as comes as far as the work
            work = folder / WORK
            work.mkdir(0o700)
            played = Stage(work, user, managers)
            try:
                yield played
            finally:
                played.clear()
    except FolderError as error:
        raise StageError(str(error)) from error
    finally:
        if managers is not None:
            managers.close()


def read_counters(folder: Path) -> list[int]:
    """What the loads have counted so far. Raises FolderError."""
    counted = read_theirs(folder / "counters", 8 * COUNTERS)
    if len(counted) != 8 * COUNTERS:
        raise FolderError(f"{folder / 'counters'}: somebody has cut it short")
    return memoryview(counted).cast("Q").tolist()


def read_complaints(folder: Path) -> str:
    """What the programs said last. Raises FolderError."""
    return read_theirs(folder / COMPLAINTS, COMPLAINTS_BYTES).decode(errors="replace").strip()


def read_rows(folder: Path, role: str) -> bytes:
    """What a probe wrote at its end. Raises FolderError."""
    return read_theirs(folder / OUT / role, ROWS_BYTES)


def _write_blocks(path: Path) -> None:
    """A file of the size that `loads.py` reads and writes in: on the disk, and no longer in memory.

    What stayed there would be charged to us, and whoever reads it within a memory limit would never meet the limit.
    """
    piece = os.urandom(1 << 20)
    with path.open("wb") as file:
        for _ in range(loads.FILE_BYTES >> 20):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _end(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: what follows ends everybody
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise _Ended


def main(arguments: list[str] | None = None) -> int:
    """Run one scenario; 1 with a sentence on stderr where that cannot be."""
    parser = argparse.ArgumentParser(prog="python -m smoothtask.bench.stage")
    parser.add_argument("--scenario", choices=[s.name for s in SCENARIOS], required=True)
    parser.add_argument("--folder", type=Path, required=True, help="made, and removed at the end")
    parser.add_argument("--parent", type=int, required=True, help="pid of whoever starts this: it ends with that one")
    parser.add_argument("--uid", type=int, help="whom the programs run as")
    parser.add_argument("--gid", type=int)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    bind_to_parent()
    if os.getppid() != options.parent:  # it died before we were bound to it
        return 1
    user = None if options.uid is None else User(options.uid, options.gid)
    scenario = next(s for s in SCENARIOS if s.name == options.scenario)
    try:
        with stage(options.folder, user) as played:
            print(json.dumps(asdict(played.begin(scenario))), flush=True)
            played.wait()
            played.clear()
            print("done", flush=True)
            os.read(0, 1)  # what was measured is in the folder until then
    except _Ended:
        return 1
    except (StageError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
