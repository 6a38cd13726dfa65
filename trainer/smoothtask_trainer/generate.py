"""`smoothtask train record`: real programs in scripted scenes, watched by the real engine, into a real snapshot log.

The engine decides and applies nothing, and sees nothing but what the stage started; what it measures of the whole
machine (pressure, latency, CPU) is the whole machine's. Who wants labels gets those of the scenes' author, and the
log says that they are.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from smoothtask.bench.guard import GRACE_S
from smoothtask.bench.scoped import BelowOnly, acting, private, run_below, run_until_asked
from smoothtask.config.settings import Events, Settings, Store, Tick
from smoothtask.daemon.build import build
from smoothtask.engine.engine import Engine
from smoothtask.engine.loop import Loop
from smoothtask.model.classes import PriorityClass
from smoothtask.model.frame import Frame, GroupFrame
from smoothtask.model.lesson import Source
from smoothtask_trainer.scenes import OUGHT

STAGE = ".smoothtask-stage"
"""Where the programs of the scenes are, beside the recording: an unknown program is known by its path."""
BUDGET_PCT = 10.0
"""Recording is what runs here: it may cost more than a daemon."""


class RecordingError(Exception):
    """No recording can be made; the text is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was made."""

    looks: int
    """Of the engine: the log keeps those that it finds worth it."""
    labels: int
    scenes: tuple[str, ...]


def record(
    settings: Settings,
    minutes: float,
    out: Path,
    seed: int = 1,
    *,
    label_every_s: float | None = None,
    quiet: bool = False,
) -> Recorded:
    """Record *minutes* of scenes into the new file *out*. SIGINT and SIGTERM end it early, and it is whole then too.

    *label_every_s*: how often the scenes' author says what each program is for; `None`: never.

    Raises RecordingError, and what `daemon.build` raises.
    """
    if out.exists():
        raise RecordingError(f"{out} is there already: a recording begins a new file")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="smoothtask-record-") as folder:
        loop = build(_settings(settings, out), private(Path(folder)), observe=True)
        arguments = ("--minutes", str(minutes), "--seed", str(seed))
        stage = _start_stage(out.absolute().parent / STAGE, *arguments)
        try:
            return _run(loop, stage, seed, label_every_s, quiet=quiet)
        finally:
            _close(stage)


def _settings(settings: Settings, out: Path) -> Settings:
    """Those of this machine, into another log, at a pace that suits a recording."""
    tick = settings.tick
    return settings.model_copy(
        update={
            "store": Store(path=str(out.absolute()), anonymise=False, keep_mb=1_000_000.0, keep_days=3650.0),
            "tick": Tick(
                interval_s=tick.interval_s,
                idle_interval_s=tick.interval_s,
                busy_interval_s=tick.busy_interval_s,
                self_budget_pct=max(tick.self_budget_pct, BUDGET_PCT),
            ),
            # They name every process of the machine; the next look finds ours.
            "events": Events(enabled=False),
        }
    )


def _start_stage(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """In a session of its own: a Ctrl-C is for us, and we end it."""
    words = [sys.executable, "-m", "smoothtask_trainer.stage", *arguments]
    return subprocess.Popen(
        [*words, "--folder", str(folder), "--parent", str(os.getpid())],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def play(settings: Settings | None, seconds: float, folder: Path, output: Path, held: Path) -> None:
    """The scene that `tune --live` measures, under an engine that acts on it alone; without *settings*, under none.

    Its frames go to *output*, it works in *folder*, and *held* is where daemons say what they manage
    (`Paths.held`): none may manage the same. What the engine did is put back. Raises RecordingError,
    KeyboardInterrupt, and what `daemon.build` raises.
    """
    if settings is not None and os.geteuid() != 0:
        raise RecordingError("measuring needs root: without it nothing would be applied")
    loop = None if settings is None else build(acting(settings), private(folder, held), observe=False)
    stage = _start_stage(folder / STAGE, "--live", str(output), "--minutes", str(seconds / 60))
    try:
        if loop is not None and run_below(loop, stage.pid):
            raise KeyboardInterrupt
        _, complaint = stage.communicate(timeout=seconds * 2 + 60)
        if stage.returncode != 0:
            raise RecordingError(complaint.strip()[-1000:] or "the stage ended early")
    finally:
        _close(stage)


def _run(
    loop: Loop, stage: "subprocess.Popen[str]", seed: int, label_every_s: float | None, *, quiet: bool
) -> Recorded:
    """Until the stage is done, or somebody asks for the end. Raises RecordingError."""
    assert stage.stdout is not None  # noqa: S101 - as it was started
    assert stage.stderr is not None  # noqa: S101
    engine, scenes, author = loop.engine, list[str](), _Author(loop.engine, label_every_s)
    engine.sampler = BelowOnly(engine.sampler, stage.pid)
    engine.sources["recording"] = f"scenes of `smoothtask train record`, seed {seed}: nothing but what they started" + (
        "; labels are those of the scenes' author" if label_every_s is not None else ""
    )
    said = stage.stdout

    def hear() -> None:
        line = said.readline()  # the stage writes whole lines
        if not line:
            loop.remove_reader(said.fileno())
            loop.stop()
            return
        scenes.append(line.partition(": ")[2].strip())
        if not quiet:
            print(line, end="", file=sys.stderr, flush=True)

    loop.add_reader(said.fileno(), hear)
    loop.on_frame(author.look)
    asked = run_until_asked(loop)
    if not asked and stage.wait(GRACE_S * 10) != 0:
        raise RecordingError(stage.stderr.read().strip()[-1000:] or "the stage ended early")
    return Recorded(author.seen, author.said, tuple(scenes))


def _close(stage: "subprocess.Popen[str]") -> None:
    """End the stage, which ends all that it started."""
    stage.send_signal(signal.SIGTERM)
    try:
        stage.wait(GRACE_S * 10)
    except subprocess.TimeoutExpired:
        stage.kill()
        stage.wait()
    for pipe in (stage.stdout, stage.stderr):
        if pipe is not None:
            pipe.close()


@dataclass(slots=True)
class _Author:
    """Says now and then what each program of a scene is for, through the way that a person's labels take."""

    engine: Engine
    every_s: float | None
    said: int = 0
    seen: int = 0
    _last_s: float = 0.0

    def look(self, frame: Frame) -> None:
        """Label every group of ours, when it is time to."""
        self.seen += 1
        if self.every_s is None or frame.mono_s - self._last_s < self.every_s:
            return
        for shown, target in meant(frame):
            self._last_s = frame.mono_s
            row = self.engine.people.labels.group(frame, shown, target, os.geteuid(), Source.LABEL)
            self.said += row is not None


def meant(frame: Frame) -> Iterable[tuple[GroupFrame, PriorityClass]]:
    """The groups of *frame* whose purpose the scenes' author has written down, and the class that follows."""
    names: dict[str, set[str]] = {}
    for process in frame.processes:
        names.setdefault(process.group, set()).add(process.name)
    for shown in frame.groups:
        found = names.get(shown.group.id, set()) & OUGHT.keys()
        if len(found) == 1 and not shown.decision.protected:
            yield shown, OUGHT[found.pop()]
