"""Loads the rules in a short-lived child: parsing thousands of them would leave 17 MiB behind for good."""

import pickle
import subprocess
import sys

from smoothtask.classifier.layers import Loaded, RuleFiles, Source, compile_rules, read
from smoothtask.config.located import ConfigError

TIMEOUT_S = 60.0


class RulesUnreadable(Exception):  # noqa: N818 (a state of the machine)
    """The child that reads the rules failed; the message says how."""


class Reading:
    """The child at work: start it early, take the result when it is needed."""

    def __init__(self, files: RuleFiles) -> None:
        self._child = subprocess.Popen(
            # -P: nothing is imported from the current directory, which may be anybody's.
            [sys.executable, "-P", "-m", "smoothtask.classifier.apart"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._child.stdin is not None  # noqa: S101 (asked for above)
        self._child.stdin.write(pickle.dumps(files))
        self._child.stdin.close()
        self._child.stdin = None

    def result(self) -> Loaded:
        """Raises ConfigError as `layers.load` does, RulesUnreadable when the child failed otherwise."""
        try:
            output, _ = self._child.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            self._child.kill()
            self._child.communicate()
            raise RulesUnreadable(f"reading the rules took more than {TIMEOUT_S:.0f} s") from error
        if self._child.returncode != 0:
            raise RulesUnreadable(f"reading the rules failed with status {self._child.returncode}")
        answer: Source | ConfigError = pickle.loads(output)  # noqa: S301 - from our own child
        if isinstance(answer, ConfigError):
            raise answer
        return compile_rules(answer)


def load_apart(files: RuleFiles) -> Loaded:
    """`layers.load` in a child."""
    return Reading(files).result()


def main() -> None:
    """The child: files from stdin, rules or problems to stdout."""
    files: RuleFiles = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent
    try:
        answer: Source | ConfigError = read(files)
    except ConfigError as error:
        answer = error
    pickle.dump(answer, sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)


if __name__ == "__main__":
    main()
