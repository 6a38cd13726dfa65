"""Reads the rules in a short-lived child: parsing thousands of them would leave 17 MiB behind for good."""

import pickle
import subprocess
import sys
from typing import Any, Literal

from smoothtask.classifier.layers import Loaded, RuleFiles, compile_rules, read
from smoothtask.classifier.lint import Finding, findings_in, lint
from smoothtask.config.located import ConfigError

TIMEOUT_S = 60.0


class RulesUnreadable(Exception):  # noqa: N818 (a state of the machine)
    """The child that reads the rules failed; the message says how."""


class _Child:
    """Is told what to do with which files; start it early, take the answer when it is needed."""

    def __init__(self, task: Literal["read", "lint"], files: RuleFiles, only: str | None = None) -> None:
        self._child = subprocess.Popen(
            # -P: nothing is imported from the current directory, which may be anybody's.
            [sys.executable, "-P", "-m", "smoothtask.classifier.apart"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._child.stdin is not None  # noqa: S101 (asked for above)
        self._child.stdin.write(pickle.dumps((task, files, only)))
        self._child.stdin.close()
        self._child.stdin = None

    def answer(self) -> Any:
        """Raises RulesUnreadable when the child failed."""
        try:
            output, _ = self._child.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            self._child.kill()
            self._child.communicate()
            raise RulesUnreadable(f"reading the rules took more than {TIMEOUT_S:.0f} s") from error
        if self._child.returncode != 0:
            raise RulesUnreadable(f"reading the rules failed with status {self._child.returncode}")
        return pickle.loads(output)  # noqa: S301 - from our own child


class Reading:
    """The rules while they are read."""

    def __init__(self, files: RuleFiles) -> None:
        self._child = _Child("read", files)

    def result(self) -> Loaded:
        """Raises ConfigError as `layers.load` does, RulesUnreadable when the child failed otherwise."""
        answer = self._child.answer()
        if isinstance(answer, ConfigError):
            raise answer
        return compile_rules(answer)


def load_apart(files: RuleFiles) -> Loaded:
    """`layers.load` in a child."""
    return Reading(files).result()


def lint_apart(files: RuleFiles, only: str | None = None) -> list[Finding]:
    """`lint.lint`, or of one file alone `lint.findings_in`, in a child. Raises RulesUnreadable."""
    answer: list[Finding] = _Child("lint", files, only).answer()
    return answer


def main() -> None:
    """The child: what to do from stdin, rules or problems to stdout."""
    task, files, only = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent
    answer: Any
    try:
        answer = read(files) if task == "read" else _look(files, only)
    except ConfigError as error:
        answer = error
    pickle.dump(answer, sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)


def _look(files: RuleFiles, only: str | None) -> list[Finding]:
    return lint(files) if only is None else findings_in(files, only)


if __name__ == "__main__":
    main()
