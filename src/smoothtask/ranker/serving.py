"""The model in use, from tick to tick: notices a new one, has it tried out, swaps it, and drops it on any doubt."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from smoothtask.ranker.apart import Trial
from smoothtask.ranker.checks import Contents, Expected, Kind, Model, ModelRefusedError, load, try_out
from smoothtask.ranker.oblivious import Rows, Scores
from smoothtask.ranker.shelf import Shelf, Signature

SLOW_MS = 20.0
"""CPU time for one look, whatever the number of groups."""
STRIKES = 3
GOOD_LOOKS = 3
"""After so many a new model has gone well."""
PATIENCE_S, MOST_PATIENCE_S = 10.0, 600.0
"""After a failure that may pass; twice as long after each in a row, for a trial costs a process."""
TRY_AGAIN = "; `smoothtask model install` tries it again"
SLACK = 0.5
"""Share of the reference's range by which a score may lie outside of it."""


@dataclass(slots=True)
class Ranker:
    """Scores groups while there is a model that may be used. Called from one thread only."""

    shelf: Shelf
    expected: Expected
    kind: Kind
    say: Callable[[str, str], None] = lambda _kind, _text: None
    """Of news: (kind, sentence)."""
    on_swap: Callable[[], None] = lambda: None
    """Called after a model came or went: memory may be given back."""
    cpu_s: Callable[[], float] = time.thread_time

    model: Model | None = None
    status: str = "off: no model is installed"
    """For people."""
    _seen: Signature | None = None
    _again_s: float = 0.0
    """When to look again after a failure that may pass."""
    _patience_s: float = PATIENCE_S
    _trial: tuple[Trial, Contents] | None = None
    _strikes: int = 0
    _looks_to_go: int = 0
    """Until the model that was swapped in has gone well."""
    _told: str = ""
    """What was said last: said once."""

    def start(self) -> None:
        """Drop what a daemon before us died of, and begin."""
        begun = self.shelf.loading()
        if begun is not None and (begun.times >= STRIKES or not self.shelf.is_proven(begun.model)):
            self._quarantine(begun.model, "the daemon died when it began to use this model")
            self._end()
        self.beat()

    @property
    def child(self) -> int | None:
        """The pid of the process in which a model is tried out."""
        return None if self._trial is None else self._trial[0].pid

    def beat(self) -> None:
        """Between two ticks: look for another model, and swap one in that was found good."""
        signature = self.shelf.signature()
        if signature != self._seen and time.monotonic() >= self._again_s:
            self._seen = signature
            self._begin()
        elif self._trial is not None and (verdict := self._trial[0].poll()) is not None:
            contents, self._trial = self._trial[1], None
            if verdict.refused is not None:
                self._drop(verdict.refused)
            else:
                self._swap(contents, verdict.cpu_ms or 0.0)

    def scores(self, rows: Rows) -> Scores | None:
        """The score of each row; `None`: rules decide alone."""
        model = self.model
        if model is None:
            return None
        before_s = self.cpu_s()
        try:
            found = model.evaluator.scores(rows)
        except Exception as error:  # whatever native code raises
            self._strike(f"scoring failed: {error}")
            return None
        doubt = _doubt(model, found, len(rows), (self.cpu_s() - before_s) * 1000)
        if doubt is not None:
            self._strike(doubt)
            return None
        self._strikes = 0
        self._went_well()
        return found

    def close(self) -> None:
        """End a trial, and leave no mark of a model that was good until now."""
        if self._trial is not None:
            self._trial[0].close()
            self._trial = None
        if self.model is not None and self._looks_to_go:
            self._looks_to_go = 0
            self._end()

    def _begin(self) -> None:
        if self._trial is not None:
            self._trial[0].close()
            self._trial = None
        try:
            contents = self.shelf.read_current()
            if contents is None:
                self._none()
                return
            why = self.shelf.refused(contents.model)
            if why is not None:
                self._drop(f"{why}{TRY_AGAIN}")
                return
            self._trial = (Trial(contents, self.expected, self.kind), contents)
        except ModelRefusedError as error:
            self._drop(str(error))
            return
        except OSError as error:  # no process, no memory: that may pass
            self._not_now(f"it cannot be tried out now: {error.strerror or error}")
            return
        if self.model is None:
            self.status = f"model {contents.model} is being tried out"

    def _swap(self, contents: Contents, cpu_ms: float) -> None:
        try:
            self.shelf.begin(contents.model)
            model = load(contents, self.expected, self.kind)
            try_out(model)
        except ModelRefusedError as error:
            self._drop(str(error))
            self._end()
            return
        except OSError as error:  # a disk that is full for a moment, no memory: that may pass
            self._not_now(f"it cannot be used now: {error.strerror or error}")
            self._end()
            return
        self._patience_s = PATIENCE_S
        self.model, self._strikes, self._looks_to_go = model, 0, GOOD_LOOKS
        self.status = f"model {model.id} ({self.kind}), {len(model.trees.leaves)} trees, {cpu_ms:.2f} ms for 200 groups"
        self._tell("system", f"hybrid: {self.status}")
        self.on_swap()

    def _went_well(self) -> None:
        if self._looks_to_go:
            self._looks_to_go -= 1
            if not self._looks_to_go and self.model is not None:
                self._noted(partial(self.shelf.prove, self.model.id))

    def _strike(self, what: str) -> None:
        self._strikes += 1
        if self._strikes >= STRIKES and self.model is not None:
            self._quarantine(self.model.id, f"{what}, {STRIKES} times in a row")
            self._looks_to_go = 0
            self._end()

    def _end(self) -> None:
        self._noted(self.shelf.end)

    def _noted(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:  # a full or read-only disk: the next start may take the model for a bad one
            self.say("error", f"how the model fares cannot be noted: {error}")

    def _quarantine(self, model: str, why: str) -> None:
        try:
            self.shelf.refuse(model, why)
        except OSError as error:
            why = f"{why} (not noted: {error})"
        self._drop(f"{why}{TRY_AGAIN}")

    def _drop(self, why: str) -> None:
        self.status = f"off: {why}"
        self._tell("error", f"rules decide alone, the model is not used: {why}")
        self._release()

    def _not_now(self, why: str) -> None:
        self._drop(why)
        self._seen, self._again_s = None, time.monotonic() + self._patience_s
        self._patience_s = min(2 * self._patience_s, MOST_PATIENCE_S)

    def _none(self) -> None:
        self.status = "off: no model is installed"
        if self.model is not None:
            self._tell("system", "rules decide alone: the model was taken away")
        self._release()

    def _release(self) -> None:
        if self.model is not None:
            self.model = None
            self.on_swap()

    def _tell(self, kind: str, text: str) -> None:
        if self._told != text:
            self._told = text
            self.say(kind, text)


def _doubt(model: Model, found: Scores, rows: int, needed_ms: float) -> str | None:
    """What is wrong with scores that were just found."""
    if found.shape != (rows,) or not np.isfinite(found).all():
        return "a score was no number"
    low, high = model.manifest.scale.percentiles[0], model.manifest.scale.percentiles[-1]
    room = SLACK * (high - low)
    if rows and (found.min() < low - room or found.max() > high + room):
        return f"a score was far outside of {low:.3g} … {high:.3g}"
    return f"scoring took {needed_ms:.0f} ms of CPU" if needed_ms > SLOW_MS else None
