"""The child of `apart`: reads or checks the rule files it is told of, and ends."""

import os
import pickle
import sys

from smoothtask.classifier.layers import RuleFiles, Source
from smoothtask.classifier.lint import Finding, findings_in, lint
from smoothtask.classifier.reading import read
from smoothtask.config.located import ConfigError


def main() -> None:
    """What to do from stdin, rules or problems to stdout."""
    task, files, only = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent
    answer: Source | ConfigError | list[Finding]
    try:
        answer = read(files) if task == "read" else _look(files, only)
    except ConfigError as error:
        answer = error
    try:
        pickle.dump(answer, sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # who asked is gone: nobody is there to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _look(files: RuleFiles, only: str | None) -> list[Finding]:
    return lint(files) if only is None else findings_in(files, only)


if __name__ == "__main__":
    main()
