"""What runs in a thread or a process of its own: taken when it is there, ended when its time is over, and no leak."""

import errno
import os
import subprocess
import threading
from pathlib import Path

import pytest

from smoothtask.kernel.apart import Beside, Child

ECHO = "import sys, shutil; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)"


@pytest.fixture
def echo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that says what it is given."""
    (tmp_path / "echo_given.py").write_text(ECHO)
    (tmp_path / "fall_asleep.py").write_text("import time; time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "echo_given"


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_what_runs_beside_is_waited_for_and_its_error_is_ours() -> None:
    gate = threading.Event()
    beside = Beside(lambda: gate.wait(10) and "done")
    assert not beside.is_done
    with pytest.raises(TimeoutError):
        beside.result(0.0)
    gate.set()
    assert beside.result() == "done"
    assert beside.is_done

    def fails() -> None:
        raise FileNotFoundError("there is none")

    with pytest.raises(FileNotFoundError, match="there is none"):
        Beside(fails).result()


def test_without_a_thread_it_is_done_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    beside = Beside(lambda: 1)
    assert beside.is_done
    with pytest.raises(RuntimeError, match="new thread"):
        beside.result()


def test_a_child_that_is_given_and_says_more_than_a_pipe_holds(echo: str) -> None:
    """Neither waits for the other."""
    before, given = descriptors(), os.urandom(1 << 20)
    child = Child(echo, given, within_s=30)
    child.wait()
    assert child.poll()
    assert (child.status, child.timed_out) == (0, False)
    assert child.answer() == given
    assert child.answer() == b""
    assert descriptors() == before


def test_a_child_whose_time_is_over_is_ended(echo: str) -> None:
    before = descriptors()
    child = Child("fall_asleep", b"", within_s=0.0)
    assert child.poll()
    assert child.timed_out
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)
    child.close()
    assert descriptors() == before


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM])
def test_where_no_process_can_be_had_nothing_stays_open(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(subprocess, "Popen", fails)
    before = descriptors()
    with pytest.raises(OSError, match=os.strerror(number)):
        Child("echo_given", b"", within_s=30)
    assert descriptors() == before
