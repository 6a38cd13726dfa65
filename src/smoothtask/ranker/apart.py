"""Tries a model out in a child process that is nobody: native code can crash, and the file may be anybody's."""

import json
import os
import pickle
import resource
import subprocess
import sys
import time
from dataclasses import dataclass

from smoothtask.kernel import prctl
from smoothtask.model.text import sanitise
from smoothtask.ranker.checks import Contents, Expected, Kind, ModelRefusedError, load, try_out

TIMEOUT_S = 30.0
ANSWER_LIMIT = 1 << 16
_MEMORY_BYTES, _CPU_S = 4 << 30, 20
_NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the child says."""

    refused: str | None
    """Why the model must not be used."""
    cpu_ms: float | None = None
    """For 200 groups."""


class Trial:
    """The child at work."""

    def __init__(self, contents: Contents, expected: Expected, kind: Kind) -> None:
        given, self._answer = os.memfd_create("model"), os.memfd_create("verdict")
        with open(given, "w+b", buffering=0) as stdin:
            pickle.dump((contents, expected, kind), stdin)
            stdin.seek(0)
            self._child = subprocess.Popen(
                # -P: nothing is imported from the current directory, which may be anybody's.
                [sys.executable, "-P", "-m", "smoothtask.ranker.apart"],
                stdin=stdin,
                stdout=self._answer,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"},
            )
        self._until_s = time.monotonic() + TIMEOUT_S

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._child.pid

    def poll(self) -> Verdict | None:
        """The verdict, once there is one."""
        status = self._child.poll()
        if status is None and time.monotonic() < self._until_s:
            return None
        if status is None:
            self.close()
            return Verdict(f"trying it out took more than {TIMEOUT_S:.0f} s")
        return self._verdict(status)

    def result(self) -> Verdict:
        """The verdict, waited for."""
        try:
            self._child.wait(max(0.0, self._until_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._until_s = 0.0
        verdict = self.poll()
        assert verdict is not None  # noqa: S101 - it ended, or its time is over
        return verdict

    def close(self) -> None:
        """End it, if it still runs."""
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()
        self._forget_answer()

    def _verdict(self, status: int) -> Verdict:
        """It ran foreign code: what it says is read as JSON, never unpickled."""
        said = os.pread(self._answer, ANSWER_LIMIT, 0) if self._answer >= 0 else b""
        self._forget_answer()
        if status < 0:
            return Verdict(f"the process that tried it out died of signal {-status}")
        try:
            answer = json.loads(said)
            refused, cpu_ms = answer["refused"], answer["cpu_ms"]
            if refused is not None:
                return Verdict(sanitise(str(refused), 400))
            return Verdict(None, float(cpu_ms))
        except (ValueError, KeyError, TypeError):
            return Verdict(f"the process that tried it out failed with status {status}")

    def _forget_answer(self) -> None:
        if self._answer >= 0:
            os.close(self._answer)
            self._answer = -1


def main() -> None:
    """The child: files from stdin, the verdict to stdout."""
    contents, expected, kind = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent
    if kind == "onnx":
        import onnxruntime  # noqa: F401, PLC0415 - before nobody might not be allowed to read it
    become_nobody()
    try:
        verdict = Verdict(None, try_out(load(contents, expected, kind)))
    except ModelRefusedError as error:
        verdict = Verdict(str(error))
    print(json.dumps({"refused": verdict.refused, "cpu_ms": verdict.cpu_ms}))


def become_nobody() -> None:
    """Little memory, little time, and for root: no rights, and none to be gained again."""
    os.nice(10)
    for limit, value in ((resource.RLIMIT_AS, _MEMORY_BYTES), (resource.RLIMIT_CPU, _CPU_S), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(limit, (value, value))
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    prctl.gain_no_rights()


if __name__ == "__main__":
    main()
