"""Training from the dashboard: `smoothtask train --now` begins it in a process that outlives the dashboard.

How far it is stands in `training/progress.json`. Nothing of the trainer is loaded here.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from smoothtask.config.paths import Paths
from smoothtask.kernel.sched import start_ticks
from smoothtask.model.command import Reply
from smoothtask.model.process import ProcKey
from smoothtask.model.text import sanitise

STARTS_WITHIN_S, LOOK_EVERY_S = 60.0, 0.5
SIZE_LIMIT = 1 << 16
RUNNING, DONE = "running", "done"
ENOUGH = 20
"""Labels after which training is offered, and again after as many more."""


@dataclass(frozen=True, slots=True)
class Training:
    """The newest training."""

    process: ProcKey
    state: str
    """running, done or failed."""
    text: str


def how_far(paths: Paths) -> Training | None:
    """What is known of the newest training; `None` when there was none, or its file makes no sense."""
    try:
        with (paths.training / "progress.json").open("rb") as file:
            found = json.loads(file.read(SIZE_LIMIT))
        now = Training(_key(found), str(found["state"]), sanitise(str(found["text"]), 300))
        lives = _lives(now.process)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if now.state == RUNNING and not lives:
        return replace(now, state="failed", text=f"it ended early: {paths.training / 'log'} may say why")
    return now


def unlearnt(paths: Paths, log: Path) -> int:
    """Words about groups in *log* since the newest training began; 0 where that cannot be told."""
    from smoothtask.store.frames import RecordError, reading  # noqa: PLC0415 - sqlite3, for this alone

    try:
        found = json.loads((paths.training / "progress.json").read_bytes()[:SIZE_LIMIT])
        since = float(found["started_at"])
    except (OSError, ValueError, KeyError, TypeError):
        since = 0.0
    try:
        with reading(log) as db:
            count = db.execute("SELECT count(*) FROM label WHERE time_s > ? AND target_class IS NOT NULL", (since,))
            return int(count.fetchone()[0])
    except RecordError:
        return 0


def begin(paths: Paths, log: Path) -> Training | str:
    """Begin to train on *log*; the training, or why not. Takes some tenths of a second."""
    words = ["train", "--now", "--json", "--from", str(log), "--state-dir", str(paths.state_dir)]
    words += ["--runtime-dir", str(paths.runtime_dir)]
    if paths.config_required:
        words += ["--config", str(paths.config_file)]
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "smoothtask", *words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=STARTS_WITHIN_S, check=False,
        )  # fmt: skip
        if done.returncode == 0:
            return Training(_key(json.loads(done.stdout)), RUNNING, "starting")
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as error:
        return f"training did not begin: {error}"
    said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
    return sanitise(said[-1].removeprefix("smoothtask: "), 300)


def end_of(paths: Paths, begun: Training, is_over: Callable[[], bool]) -> Reply | None:
    """What became of *begun*, waited for; `None` when nobody wants to know any more (*is_over*)."""
    while not is_over():
        now = how_far(paths)
        if now is not None and now.process == begun.process and now.state != RUNNING:
            return Reply(now.state == DONE, f"training: {now.text}")
        if (now is None or now.process != begun.process) and not _lives(begun.process):
            return Reply(False, f"training ended early: {paths.training / 'log'} may say why")
        time.sleep(LOOK_EVERY_S)
    return None


def _key(said: Mapping[str, object]) -> ProcKey:
    """Raises KeyError, TypeError, ValueError."""
    return ProcKey(int(str(said["pid"])), int(str(said["start_ticks"])))


def _lives(process: ProcKey) -> bool:
    return start_ticks(process.pid) == process.start_ticks
