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
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from smoothtask import daemon
from smoothtask.collector.sampler import Sample, Sampler
from smoothtask.config.paths import Paths
from smoothtask.config.settings import Events, Settings, Store, Tick
from smoothtask.engine.engine import Engine
from smoothtask.engine.loop import Loop
from smoothtask.model.classes import PriorityClass
from smoothtask.model.frame import Frame, GroupFrame
from smoothtask.model.tasks import Array, ProcKey, TaskTable
from smoothtask_trainer.scenes import OUGHT
from smoothtask_trainer.stage import GRACE_S

STAGE = ".smoothtask-stage"
"""Where the programs of the scenes are, beside the recording: an unknown program is known by its path."""
LABEL_EVERY_S = 15.0
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


class BelowOnly(Sampler):
    """A sampler that sees the descendants of one process alone."""

    def __init__(self, whole: Sampler, root: int) -> None:
        self._whole = whole
        self._root = root

    def sample(self, mono_ns: int, boot_ns: int) -> Sample:
        """See `Sampler`; the metrics of the system stay those of the whole machine."""
        sample = self._whole.sample(mono_ns, boot_ns)
        below = descendants(sample.tasks.processes, self._root)
        return replace(sample, tasks=_narrowed(sample.tasks, below), rates=sample.rates[below])

    def peek(self, mono_ns: int, keys: frozenset[ProcKey]) -> TaskTable:
        """See `Sampler`."""
        table = self._whole.peek(mono_ns, keys)
        return _narrowed(table, descendants(table.processes, self._root))


def descendants(processes: Array, root: int) -> npt.NDArray[np.bool_]:
    """Which rows of *processes* are below the process *root*, itself not among them."""
    parents = dict(zip(processes["pid"].tolist(), processes["ppid"].tolist(), strict=True))
    known = {root: True, 0: False}

    def is_below(pid: int) -> bool:
        path = []
        while pid not in known and pid in parents:
            path.append(pid)
            pid = parents[pid]
        answer = known.get(pid, False)
        known.update(dict.fromkeys(path, answer))
        return answer

    return np.array([pid != root and is_below(pid) for pid in parents], np.bool_)


def _narrowed(table: TaskTable, rows: npt.NDArray[np.bool_]) -> TaskTable:
    processes = table.processes[rows]
    return replace(table, processes=processes, threads=table.threads[np.isin(table.threads["tgid"], processes["pid"])])


def record(
    settings: Settings, minutes: float, out: Path, seed: int = 1, *, labels: bool = False, quiet: bool = False
) -> Recorded:
    """Record *minutes* of scenes into the new file *out*. SIGINT and SIGTERM end it early, and it is whole then too.

    Raises RecordingError, and what `daemon.build` raises.
    """
    if out.exists():
        raise RecordingError(f"{out} is there already: a recording begins a new file")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="smoothtask-record-") as folder:
        loop = daemon.build(_settings(settings, out), _private(Path(folder)), observe=True)
        arguments = ("--minutes", str(minutes), "--seed", str(seed))
        stage = _start_stage(out.absolute().parent / STAGE, *arguments)
        try:
            return _run(loop, stage, seed, labels=labels, quiet=quiet)
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
    loop = None if settings is None else daemon.build(_acting(settings), _private(folder, held), observe=False)
    stage = _start_stage(folder / STAGE, "--live", str(output), "--minutes", str(seconds / 60))
    try:
        if loop is not None:
            _run_loop(loop, stage)
        _, complaint = stage.communicate(timeout=seconds * 2 + 60)
        if stage.returncode != 0:
            raise RecordingError(complaint.strip()[-1000:] or "the stage ended early")
    finally:
        _close(stage)


def _run_loop(loop: Loop, stage: "subprocess.Popen[str]") -> None:
    """Until the stage ends. Raises KeyboardInterrupt when somebody asks for the end."""
    ended, asked = os.pidfd_open(stage.pid), list[int]()
    loop.engine.sampler = BelowOnly(loop.engine.sampler, stage.pid)
    loop.add_reader(ended, loop.stop)
    try:
        _run_until_asked(loop, asked)
    finally:
        os.close(ended)
    if asked:
        raise KeyboardInterrupt


def _run_until_asked(loop: Loop, asked: list[int]) -> None:
    """Run *loop*; SIGINT and SIGTERM end it, and are added to *asked*."""

    def end(number: int, _frame: object) -> None:
        asked.append(number)
        loop.stop()

    before = {n: signal.signal(n, end) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        loop.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _acting(settings: Settings) -> Settings:
    """Those of an arm, for an engine that acts and records nothing."""
    quiet = {"mode": "rules-only", "store": Store(record=False), "events": Events(enabled=False)}
    return settings.model_copy(update=quiet)


def _private(folder: Path, held: Path | None = None) -> Paths:
    """Folders of our own; *held*: where daemons that act on this machine say so."""
    return Paths(
        folder / "run", folder / "state", folder / "none.yaml", runtime_named=True, held=held or folder / "held"
    )


def _run(loop: Loop, stage: "subprocess.Popen[str]", seed: int, *, labels: bool, quiet: bool) -> Recorded:
    """Until the stage is done, or somebody asks for the end. Raises RecordingError."""
    assert stage.stdout is not None  # noqa: S101 - as it was started
    assert stage.stderr is not None  # noqa: S101
    engine, scenes, author = loop.engine, list[str](), _Author(loop.engine, labels)
    engine.sampler = BelowOnly(engine.sampler, stage.pid)
    engine.sources["recording"] = f"scenes of `smoothtask train record`, seed {seed}: nothing but what they started" + (
        "; labels are those of the scenes' author" if labels else ""
    )
    said, asked = stage.stdout, list[int]()

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
    _run_until_asked(loop, asked)
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
    speaks: bool
    said: int = 0
    seen: int = 0
    _last_s: float = 0.0

    def look(self, frame: Frame) -> None:
        """Label every group of ours, when it is time to."""
        self.seen += 1
        if not self.speaks or frame.mono_s - self._last_s < LABEL_EVERY_S:
            return
        for shown, target in meant(frame):
            self._last_s = frame.mono_s
            row = self.engine.people.labels.group(frame, shown, target, os.geteuid())
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
