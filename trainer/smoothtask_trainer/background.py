"""Training in the background: a process of its own that only takes what nobody else wants, one at a time.

`training/` in the state directory has the newest trainings, a folder each, `log` (what the last one printed), and
`progress.json`, which says how far it is: for the dashboard, and for `smoothtask train --progress`.
"""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from smoothtask.config.paths import make_folder
from smoothtask.kernel import sched
from smoothtask.model.process import ProcKey
from smoothtask.model.text import sanitise

PROGRESS, LOG, LOCK = "progress.json", "log", "lock"
FOLDER_MODE = 0o700
TOLD_EVERY_S = 0.5
SIZE_LIMIT = 1 << 16


class BusyError(Exception):
    """Another training runs; the text is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is."""

    state: str
    """running, done or failed."""
    text: str
    pid: int
    start_ticks: int
    """Of that process: a pid is used again."""
    started_at: float
    """Unix time."""
    changed_at: float


def start(folder: Path, arguments: Sequence[str]) -> ProcKey:
    """Begin `smoothtask train ARGUMENTS` behind whoever calls, which may end; who it is. Raises BusyError, OSError."""
    make_folder(folder, FOLDER_MODE)
    with only_one(folder) as lock, _log(folder) as log:
        child = subprocess.Popen(
            # The lock goes to the child, so that nobody comes in between.
            [sys.executable, "-P", "-m", "smoothtask", "train", *arguments, "--background", str(lock)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/", pass_fds=(lock,),
        )  # fmt: skip
    start_ticks = sched.start_ticks(child.pid)  # not waited for: it has a start even when it has ended
    return ProcKey(child.pid, start_ticks or 0)


@contextlib.contextmanager
def _log(folder: Path) -> Iterator[int]:
    handle = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[int]:
    """While it is held, by whoever has this descriptor, no other training of this *folder* runs.

    Raises BusyError, OSError.
    """
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            now = read(folder)
            how_far = f" (pid {now.pid}: {now.text})" if now is not None and now.state == "running" else ""
            raise BusyError(f"another training runs{how_far}") from error
        yield handle
    finally:
        os.close(handle)


def step_back() -> None:
    """Let everybody else go first, with the CPU and with disks; what is started from now on too.

    In a session of its own nice counts within that session alone (sched(7), autogroups): that one steps back as well.
    """
    if os.getsid(0) == os.getpid() and sched.autogroups_enabled():
        sched.set_autogroup(os.getpid(), 19)
    os.nice(19)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)


class Reporter:
    """Writes `progress.json`, now and then."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / PROGRESS
        self._started_at = time.time()
        self._told_s = 0.0
        self._start_ticks = sched.start_ticks(os.getpid()) or 0

    def tell(self, text: str) -> None:
        """How far it is; not more often than anybody would read it."""
        if time.monotonic() - self._told_s >= TOLD_EVERY_S:
            self._write("running", text)
            self._told_s = time.monotonic()

    def end(self, text: str, *, well: bool) -> None:
        """It is over."""
        self._write("done" if well else "failed", text)

    def _write(self, state: str, text: str) -> None:
        progress = Progress(state, sanitise(text, 1000), os.getpid(), self._start_ticks, self._started_at, time.time())
        draft = self._path.with_name(f".{self._path.name}-{os.getpid()}")
        draft.write_text(json.dumps(asdict(progress)), encoding="utf-8")
        draft.replace(self._path)


def read(folder: Path) -> Progress | None:
    """How far the newest training is; `None` when there was none. A process that is gone has failed."""
    try:
        with (folder / PROGRESS).open("rb") as file:
            found = Progress(**json.loads(file.read(SIZE_LIMIT)))
        lives = sched.start_ticks(found.pid) == found.start_ticks
    except (OSError, ValueError, TypeError):
        return None
    if found.state == "running" and not lives:
        return replace(found, state="failed", text=f"it ended early: {folder / LOG} may say why")
    return found
