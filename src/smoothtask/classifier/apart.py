"""Reads the rules in a short-lived child: parsing thousands of them would leave 17 MiB behind for good."""

import contextlib
import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from smoothtask.classifier.kept import keep, recall
from smoothtask.classifier.layers import Loaded, RuleFiles, Source, compile_rules, signature
from smoothtask.config.located import ConfigError

if TYPE_CHECKING:
    from smoothtask.classifier.lint import Finding

TIMEOUT_S = 60.0


class RulesUnreadable(Exception):  # noqa: N818 (a state of the machine)
    """The child that reads the rules failed; the message says how."""


class _Child:
    """Is told what to do with which files; start it early, take the answer when it is needed."""

    def __init__(self, task: Literal["read", "lint"], files: RuleFiles, only: str | None = None) -> None:
        self._child = subprocess.Popen(
            # -P: nothing is imported from the current directory, which may be anybody's.
            [sys.executable, "-P", "-m", "smoothtask.classifier.apart_main"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._child.stdin is not None  # noqa: S101 (asked for above)
        self._child.stdin.write(pickle.dumps((task, files, only)))
        self._child.stdin.close()
        self._child.stdin = None

    def answer(self) -> bytes:
        """Pickled. Raises RulesUnreadable when the child failed."""
        try:
            output, _ = self._child.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            self._child.kill()
            self._child.communicate()
            raise RulesUnreadable(f"reading the rules took more than {TIMEOUT_S:.0f} s") from error
        if self._child.returncode != 0:
            raise RulesUnreadable(f"reading the rules failed with status {self._child.returncode}")
        return output

    def close(self) -> None:
        """End it, whatever it does; idempotent."""
        if self._child.returncode is None:
            self._child.kill()
            self._child.communicate()


class Reading:
    """The rules while they are read, unless they are known from the last time."""

    def __init__(self, files: RuleFiles, kept: Path) -> None:
        """Begin; *kept* is where they are kept from one reading to the next."""
        self.files, self.kept, self.seen = files, kept, signature(files)
        self._source = recall(kept, self.seen)
        self._child = _Child("read", files) if self._source is None else None

    def close(self) -> None:
        """Nobody wants the rules any more; idempotent."""
        if self._child is not None:
            self._child.close()

    def result(self) -> Loaded:
        """Raises ConfigError as `reading.load` does, RulesUnreadable when the child failed otherwise."""
        return compile_rules(self._source or self._read())

    def _read(self) -> Source:
        assert self._child is not None  # noqa: S101 (there is a source or a child)
        pickled = self._child.answer()
        answer: Source | ConfigError = pickle.loads(pickled)  # noqa: S301 - from our own child
        if isinstance(answer, ConfigError):
            raise answer
        with contextlib.suppress(OSError):  # no room: the next start takes longer
            keep(self.kept, self.seen, pickled)
        return answer


def lint_apart(files: RuleFiles, only: str | None = None) -> "list[Finding]":
    """`lint.lint`, or of one file alone `lint.findings_in`, in a child. Raises RulesUnreadable."""
    answer: list[Finding] = pickle.loads(_Child("lint", files, only).answer())  # noqa: S301 - from our own child
    return answer
