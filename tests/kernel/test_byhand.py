"""Signals and nice by hand, on real processes: the right one or none."""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from smoothtask.kernel.byhand import renice, renice_back, send_signal
from smoothtask.kernel.sched import start_ticks
from smoothtask.model.tasks import ProcKey

THREADS = "import threading,time,sys\nfor _ in range(3): threading.Thread(target=time.sleep,args=(60,),daemon=True).start()\nprint(flush=True)\ntime.sleep(60)"  # noqa: E501

OWN = os.getpriority(os.PRIO_PROCESS, 0)
"""What a child of ours begins with."""


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process of four threads that sleeps."""
    process = subprocess.Popen(["python3", "-c", THREADS], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def key_of(process: subprocess.Popen[bytes]) -> ProcKey:
    """Pid and start time."""
    start = start_ticks(process.pid)
    assert start is not None
    return ProcKey(process.pid, start)


def test_a_signal_arrives(child: subprocess.Popen[bytes]) -> None:
    """At the process, once."""
    send_signal(key_of(child), signal.SIGTERM)
    assert child.wait(10) == -signal.SIGTERM


def test_another_process_with_that_pid_is_not_hit(child: subprocess.Popen[bytes]) -> None:
    """A pid alone is nobody."""
    key = key_of(child)
    with pytest.raises(ProcessLookupError, match="another one"):
        send_signal(key._replace(start_ticks=key.start_ticks + 1), signal.SIGKILL)
    with pytest.raises(ProcessLookupError):
        renice(key._replace(start_ticks=1), 5)
    assert child.poll() is None
    child.kill()
    child.wait()
    with pytest.raises(ProcessLookupError):
        send_signal(key, signal.SIGTERM)


def test_every_thread_is_reniced(child: subprocess.Popen[bytes]) -> None:
    """And values that we never set are refused."""
    before = renice(key_of(child), 7)
    assert list(before.values()) == [OWN] * 4
    nices = {os.getpriority(os.PRIO_PROCESS, int(t)) for t in os.listdir(f"/proc/{child.pid}/task")}
    assert nices == {7}
    for wrong in (-11, -20, 20):
        with pytest.raises(ValueError, match="-10 to 19"):
            renice(key_of(child), wrong)


@pytest.mark.root
def test_what_still_is_as_we_left_it_is_put_back(child: subprocess.Popen[bytes]) -> None:
    """A thread that somebody else has changed since stays so."""
    key = key_of(child)
    before = renice(key, 7)
    first, *others = sorted(before)
    os.setpriority(os.PRIO_PROCESS, first, 3)
    assert renice_back(key, before, 7) == 3
    assert [os.getpriority(os.PRIO_PROCESS, t) for t in (first, *others)] == [3, OWN, OWN, OWN]
    with pytest.raises(ProcessLookupError):
        renice_back(key._replace(start_ticks=1), before, 3)


@pytest.mark.root
def test_nobody_cannot_touch_what_is_roots(child: subprocess.Popen[bytes]) -> None:
    """The kernel says so, for both."""
    key = key_of(child)
    pid = os.fork()
    if pid == 0:
        os.setuid(65534)
        refused = 0
        for attempt in (lambda: send_signal(key, signal.SIGTERM), lambda: renice(key, 5)):
            try:
                attempt()
            except PermissionError:
                refused += 1
        os._exit(refused)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2
    assert child.poll() is None
