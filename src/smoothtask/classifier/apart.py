"""Reads the rules in a short-lived child: parsing thousands of them would leave 17 MiB behind for good."""

import contextlib
import pickle
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from smoothtask.classifier.kept import keep, recall
from smoothtask.classifier.layers import (
    Loaded,
    Personal,
    RuleFiles,
    Seen,
    Source,
    compile_rules,
    see_personal,
    see_system,
)
from smoothtask.config.located import ConfigError
from smoothtask.kernel.apart import Beside, Child
from smoothtask.kernel.uids import uids

if TYPE_CHECKING:
    from smoothtask.classifier.lint import Finding

WITHIN_S = 60.0
"""How long a reading may take; a machine that emulates another needs half a minute."""
WAITED_FOR_S = 30.0
"""One that the loop waits for: well below the minute in which the service's watchdog wants to hear of it."""
HOMES_WITHIN_S = 5.0
"""How long homes may take to be looked into; one that hangs (a network's) is not waited for."""


class RulesUnreadable(Exception):  # noqa: N818 (a state of the machine)
    """The child that reads the rules failed; the message says how."""


def see(files: RuleFiles) -> Seen:
    """How *files* look now; people's own are left out when their homes do not answer."""
    try:
        personal = Beside(partial(look_into_homes, files)).result(HOMES_WITHIN_S)
    except (OSError, RuntimeError):  # they are looked at again later
        personal = ()
    return Seen(see_system(files), personal)


def look_into_homes(files: RuleFiles) -> Personal:
    """How the own files of everybody look who has a process: nobody else's rules matter. It may take long."""
    return see_personal(uids()) if files.homes else ()


class Reading:
    """The rules while they are read, unless they are known from the last time."""

    def __init__(self, files: RuleFiles, kept: Path, seen: Seen | None = None, within_s: float = WITHIN_S) -> None:
        """Begin; *kept* is where they are kept from one reading to the next, *seen* how the files look by now."""
        self.files, self.kept, self.seen = files, kept, see(files) if seen is None else seen
        self._source = recall(kept, self.seen)
        self._child: Child | None = None
        self._failed: RulesUnreadable | None = None
        if self._source is None:
            try:
                self._child = _begin("read", replace(files, people=self.seen.uids), within_s)
            except RulesUnreadable as error:
                self._failed = error

    @property
    def pid(self) -> int | None:
        """Of the child, where there is one."""
        return None if self._child is None else self._child.pid

    @property
    def is_ready(self) -> bool:
        """Whether `result` does not wait."""
        return self._child is None or self._child.poll()

    def close(self) -> None:
        """Nobody wants the rules any more; idempotent."""
        if self._child is not None:
            self._child.close()

    def result(self) -> Loaded:
        """Raises ConfigError as `reading.load` does, RulesUnreadable when the child failed otherwise."""
        return compile_rules(self._source or self._read())

    def _read(self) -> Source:
        if self._child is None:
            assert self._failed is not None  # noqa: S101 (there is a source, a child or a failure)
            raise self._failed
        pickled = _answer(self._child)
        answer: Source | ConfigError = pickle.loads(pickled)  # noqa: S301 - from our own child
        if isinstance(answer, ConfigError):
            raise answer
        with contextlib.suppress(OSError):  # no room: the next start takes longer
            keep(self.kept, self.seen, pickled)
        return answer


def _begin(task: Literal["read", "lint"], files: RuleFiles, within_s: float, only: str | None = None) -> Child:
    try:
        return Child("smoothtask.classifier.apart_main", pickle.dumps((task, files, only)), within_s=within_s)
    except OSError as error:
        raise RulesUnreadable(f"no process can be had that reads the rules: {error.strerror or error}") from error


def _answer(child: Child) -> bytes:
    """Pickled. Waits for it; raises RulesUnreadable when the child failed."""
    child.wait()
    answer = child.answer()
    if child.timed_out:
        raise RulesUnreadable(f"reading the rules took more than {child.within_s:.0f} s")
    if child.status != 0:
        raise RulesUnreadable(f"reading the rules failed with status {child.status}")
    return answer


def lint_apart(files: RuleFiles, only: str | None = None) -> "list[Finding]":
    """`lint.lint`, or of one file alone `lint.findings_in`, in a child. Raises RulesUnreadable."""
    answer: list[Finding] = pickle.loads(_answer(_begin("lint", files, WITHIN_S, only)))  # noqa: S301 - from our own child
    return answer
