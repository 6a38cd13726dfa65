"""An engine that acts on the descendants of one process, and on nothing else of the machine."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from smoothtask.collector.sampler import Sample, Sampler
from smoothtask.config.paths import Paths
from smoothtask.config.settings import Events, Settings, Store
from smoothtask.engine.loop import Loop
from smoothtask.model.tasks import Array, ProcKey, TaskTable


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


def acting(settings: Settings) -> Settings:
    """*settings* for an engine that acts on a few processes and records nothing.

    Without exec events: those name every process of the machine; the next look finds ours.
    """
    quiet = {"mode": "rules-only", "store": Store(record=False), "events": Events(enabled=False)}
    return settings.model_copy(update=quiet)


def private(folder: Path, held: Path | None = None) -> Paths:
    """Folders of our own below *folder*; *held*: where daemons that act on this machine say so."""
    return Paths(
        folder / "run", folder / "state", folder / "none.yaml", runtime_named=True, held=held or folder / "held"
    )


def run_until_asked(loop: Loop) -> bool:
    """Run *loop* to its end, which SIGINT and SIGTERM bring about: whether they did."""
    asked: list[int] = []

    def end(number: int, _frame: object) -> None:
        asked.append(number)
        loop.stop()

    before = {n: signal.signal(n, end) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        loop.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return bool(asked)


def run_below(loop: Loop, root: int) -> bool:
    """Run *loop* on what is below *root* until that one ends; whether somebody asked for an end before."""
    loop.engine.sampler = BelowOnly(loop.engine.sampler, root)
    ended = os.pidfd_open(root)
    loop.add_reader(ended, loop.stop)
    try:
        return run_until_asked(loop)
    finally:
        os.close(ended)
