"""Tries a model out in a child process that is nobody: native code can crash, and the file may be anybody's."""

import json
import os
import pickle
import resource
import sys
from dataclasses import dataclass

from smoothtask.kernel import prctl
from smoothtask.kernel.apart import Child
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
    """The child at work. Raises OSError when there can be none."""

    def __init__(self, contents: Contents, expected: Expected, kind: Kind) -> None:
        self._child = Child(
            "smoothtask.ranker.apart",
            pickle.dumps((contents, expected, kind)),
            within_s=TIMEOUT_S,
            quiet=True,
            environ={"OPENBLAS_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"},
        )

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._child.pid

    def poll(self) -> Verdict | None:
        """The verdict, once there is one."""
        return self._verdict() if self._child.poll() else None

    def result(self) -> Verdict:
        """The verdict, waited for."""
        self._child.wait()
        return self._verdict()

    def close(self) -> None:
        """End it, if it still runs."""
        self._child.close()

    def _verdict(self) -> Verdict:
        """It ran foreign code: what it says is read as JSON, never unpickled."""
        said, status = self._child.answer(ANSWER_LIMIT), self._child.status or 0
        if self._child.timed_out:
            return Verdict(f"trying it out took more than {TIMEOUT_S:.0f} s")
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


def main() -> None:
    """The child: files from stdin, the verdict to stdout."""
    contents, expected, kind = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent
    try:
        # Before nobody might not be allowed to read them: the folder of this program may be one person's alone.
        import numpy.random  # noqa: F401, PLC0415 - numpy imports it at its first use, which is in `try_out`

        if kind == "onnx":
            import onnxruntime  # noqa: F401, PLC0415 - for memory, where it is not used
        become_nobody()
        verdict = Verdict(None, try_out(load(contents, expected, kind)))
    except ModelRefusedError as error:
        verdict = Verdict(str(error))
    except Exception as error:  # nobody sees this process's stderr
        verdict = Verdict(f"trying it out failed: {type(error).__name__}: {error}")
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
