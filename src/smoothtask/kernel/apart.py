"""Work that the loop need not wait for: a function in a thread of its own, a module in a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from threading import Thread
from types import MappingProxyType
from typing import Generic, TypeVar

T = TypeVar("T")


class Beside(Generic[T]):
    """What a function returns or raises; called at once, in a thread of its own."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._answers: list[T] = []
        self._error: Exception | None = None
        self._call = call
        self._thread = Thread(target=self._run, daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # as many threads as there may be
            self._error = error

    def _run(self) -> None:
        try:
            self._answers.append(self._call())
        except Exception as error:
            self._error = error

    @property
    def is_done(self) -> bool:
        """Whether `result` does not wait."""
        return not self._thread.is_alive()

    def result(self, within_s: float | None = None) -> T:
        """Waits for it. Raises what the function raised, TimeoutError, RuntimeError when there can be no thread."""
        if not self.is_done:
            self._thread.join(within_s)
        if self._error is not None:
            raise self._error
        if not self._answers:
            raise TimeoutError
        return self._answers[0]


class Child:
    """A process that runs a module of ours: what it is given, and what it answers, are files in memory.

    So neither end waits for the other. Raises OSError when no process can be had, with nothing left open.
    """

    def __init__(
        self,
        module: str,
        given: bytes,
        *,
        within_s: float,
        quiet: bool = False,
        environ: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """*given*: its stdin; *within_s*: its time; *quiet*: whether nobody sees its stderr."""
        self.within_s = within_s
        self._until_s = time.monotonic() + within_s
        self.timed_out = False
        """Whether it was ended because its time was over."""
        self._answer = open(os.memfd_create("answer"), "w+b", buffering=0)  # noqa: SIM115 (closed when it is read)
        try:
            with open(os.memfd_create("given"), "w+b") as stdin:
                stdin.write(given)
                stdin.seek(0)
                self._process = subprocess.Popen(
                    # -P: nothing is imported from the current directory, which may be anybody's.
                    [sys.executable, "-P", "-m", module],
                    stdin=stdin,
                    stdout=self._answer,
                    stderr=subprocess.DEVNULL if quiet else None,
                    env={**os.environ, **environ},
                )
        except BaseException:
            self._answer.close()
            raise

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """As of `subprocess`: negative for a signal, `None` while it runs."""
        return self._process.returncode

    def poll(self) -> bool:
        """Whether it has ended; one whose time is over is ended."""
        if self._process.poll() is None and time.monotonic() >= self._until_s:
            self.timed_out = True
            self._end()
        return self._process.returncode is not None

    def wait(self) -> None:
        """Until it has ended, or its time is over."""
        try:
            self._process.wait(max(0.0, self._until_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._until_s = 0.0
        self.poll()

    def answer(self, limit: int = -1) -> bytes:
        """What it wrote, *limit* bytes at most; nothing when it was asked for before."""
        if self._answer.closed:
            return b""
        with self._answer as file:
            file.seek(0)
            return file.read(limit) or b""

    def close(self) -> None:
        """End it, whatever it does; idempotent."""
        self._end()
        self._answer.close()

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
