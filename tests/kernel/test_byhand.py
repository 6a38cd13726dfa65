"""Signals and nice by hand, on real processes: the right one or none."""

import os
import signal
import subprocess
import traceback
from collections.abc import Callable, Iterator

import pytest

from smoothtask.kernel import byhand
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
    done = renice(key_of(child), 7)
    assert list(done.before.values()) == [OWN] * 4
    assert done.refused == 0
    nices = {os.getpriority(os.PRIO_PROCESS, int(t)) for t in os.listdir(f"/proc/{child.pid}/task")}
    assert nices == {7}
    for wrong in (-11, -20, 20):
        with pytest.raises(ValueError, match="-10 to 19"):
            renice(key_of(child), wrong)


def test_threads_that_have_the_value_already_are_not_changed(child: subprocess.Popen[bytes]) -> None:
    """The value before the first time is not forgotten over a second one."""
    key = key_of(child)
    first, *others = sorted(int(t) for t in os.listdir(f"/proc/{child.pid}/task"))
    os.setpriority(os.PRIO_PROCESS, first, 7)
    assert dict(renice(key, 7).before) == dict.fromkeys(others, OWN)
    again = renice(key, 7)
    assert (dict(again.before), again.refused) == ({}, 0)


@pytest.mark.root
def test_what_still_is_as_we_left_it_is_put_back(child: subprocess.Popen[bytes]) -> None:
    """A thread that somebody else has changed since stays so."""
    key = key_of(child)
    before = renice(key, 7).before
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


def as_nobody(attempt: Callable[[], int]) -> int:
    """What *attempt* comes to in a process that is nobody's."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setuid(65534)
            os._exit(attempt())
        except BaseException:
            traceback.print_exc()
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def nobodys() -> Iterator[subprocess.Popen[bytes]]:
    """A sleeper of four threads that is nobody's, with nice 0 wherever the tests have begun."""
    process = subprocess.Popen(["python3", "-c", THREADS], stdout=subprocess.PIPE, user=65534, cwd="/")
    assert process.stdout is not None
    process.stdout.readline()
    for tid in os.listdir(f"/proc/{process.pid}/task"):
        os.setpriority(os.PRIO_PROCESS, int(tid), 0)
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.root
def test_threads_that_refuse_keep_theirs_and_the_others_are_remembered(nobodys: subprocess.Popen[bytes]) -> None:
    """An ordinary user may not lower the nice value of one that had more; what was done is not forgotten over it."""
    key = key_of(nobodys)
    *lowered, first = sorted(int(t) for t in os.listdir(f"/proc/{nobodys.pid}/task"))
    for tid in lowered:
        os.setpriority(os.PRIO_PROCESS, tid, 10)

    def attempt() -> int:
        done = renice(key, 5)
        assert dict(done.before) == {first: 0}
        assert done.refused == 3
        assert not done.may_return
        return 7

    assert as_nobody(attempt) == 7
    assert os.getpriority(os.PRIO_PROCESS, first) == 5


@pytest.mark.root
def test_who_may_set_the_old_value_again_is_known_beforehand(nobodys: subprocess.Popen[bytes]) -> None:
    """Root may; an ordinary user upwards alone."""
    key = key_of(nobodys)
    renice_back(key, renice(key, 5).before, 5)
    assert as_nobody(lambda: int(renice(key, 5).may_return)) == 0
    assert as_nobody(lambda: int(renice(key, 5).may_return)) == 1  # the same again: nothing is to be lowered


@pytest.mark.parametrize(("limit", "to", "may"), [(0, 0, False), (20, 0, True), (20, -1, False), (-1, -10, True)])
def test_where_the_processs_own_limit_allows_it_undo_is_possible(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, limit: int, to: int, may: bool
) -> None:
    """RLIMIT_NICE of 20 allows nice 0, of 21 nice −1 (getrlimit(2)); −1 is without limit."""
    monkeypatch.setattr(byhand.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(byhand.resource, "prlimit", lambda pid, _: (limit, limit) if pid == child.pid else (0, 0))
    monkeypatch.setattr(byhand.os, "getpriority", lambda *_: to)
    assert renice(key_of(child), 19).may_return is may


@pytest.mark.root
def test_what_one_thread_refuses_does_not_keep_the_others(nobodys: subprocess.Popen[bytes]) -> None:
    """Back to a lower value: not permitted; to a higher one it is, in whatever order they come."""
    key = key_of(nobodys)
    before = dict(zip(renice(key, 5).before, (0, 10, 0, 10), strict=True))

    def attempt() -> int:
        with pytest.raises(PermissionError):
            renice_back(key, before, 5)
        return 1

    assert as_nobody(attempt) == 1
    assert sorted(os.getpriority(os.PRIO_PROCESS, t) for t in before) == [5, 5, 10, 10]


def test_a_thread_that_ends_meanwhile_is_no_news(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the list of threads and the call."""
    key = key_of(child)
    before = renice(key, OWN + 1).before
    gone = 1 << 22  # beyond what a pid may be
    monkeypatch.setattr(byhand, "_threads", lambda _: [gone, *before])
    assert renice_back(key, {gone: OWN, **dict.fromkeys(before, OWN + 2)}, OWN + 1) == 4
