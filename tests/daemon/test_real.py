"""The real daemon on real processes: a hog is lowered, and everything is as before afterwards, whatever ends it."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from family import below
from smoothtask.kernel import sched

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change priorities"),
]
BURN = "while :; do :; done"
Machine = tuple[subprocess.Popen[bytes], list[str]]


def until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Whether *condition* came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return condition()


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """Directories of its own."""
    # `make test` is a build, which would be lowered, and what these tests start would inherit that.
    settings = "rules: {ananicy: off, personal: false}\nprotected_apps: [make]\n"
    (tmp_path / "config.yaml").write_text(settings)
    return [
        *("--runtime-dir", str(tmp_path / "run"), "--state-dir", str(tmp_path / "state")),
        *("--config", str(tmp_path / "config.yaml")),
    ]


def start(options: list[str]) -> subprocess.Popen[bytes]:
    """A daemon that answers."""
    process = subprocess.Popen([sys.executable, "-m", "smoothtask", "--daemon", *options], stderr=subprocess.PIPE)
    assert until(lambda: Path(options[1], "control.sock").exists())
    return process


@pytest.fixture
def daemon(options: list[str]) -> Iterator[Machine]:
    """A daemon, ended at the end."""
    process = start(options)
    yield process, options
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=20)


@pytest.fixture
def hogs() -> Iterator[list[int]]:
    """Six shells that compute, beside a shell that waits, in a session of their own."""
    script = "; ".join([f"sh -c '{BURN}' &"] * 6).replace("&;", "&") + " wait"
    shell = subprocess.Popen(["bash", "-c", script], start_new_session=True)
    try:
        assert until(lambda: len(psutil.Process(shell.pid).children()) == 6)
        yield [p.pid for p in psutil.Process(shell.pid).children()]
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()


def values(pids: list[int]) -> list[object]:
    """Everything that may be changed of some processes."""
    return [(sched.get_sched(p), sched.get_ioprio(p), sched.get_autogroup(p)) for p in pids]


def say(options: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """One command of the command line."""
    return subprocess.run(
        [sys.executable, "-m", "smoothtask", *arguments, *options], capture_output=True, text=True, check=False
    )


def test_hogs_are_lowered_with_a_reason_and_restored_at_the_end(daemon: Machine, hogs: list[int]) -> None:
    """SIGTERM puts everything back."""
    process, options = daemon
    before = [(sched.SchedAttr(0, 0, 0, False), sched.IoPrio(0, 0)) for _ in hogs]
    assert until(lambda: all(sched.get_sched(p).nice > 0 for p in hogs))
    assert until(lambda: "cores" in say(options, "explain", str(hogs[0]), "--json").stdout)
    process.terminate()
    assert process.wait(20) == 0
    assert [(sched.get_sched(p), sched.get_ioprio(p)) for p in hogs] == before
    assert not Path(options[1], "control.sock").exists()


def test_restore_after_sigkill(daemon: Machine, hogs: list[int]) -> None:
    """And once more does nothing."""
    process, options = daemon
    assert until(lambda: all(sched.get_sched(p).nice > 0 for p in hogs))
    process.kill()
    process.wait()
    assert any(sched.get_sched(p).nice > 0 for p in hogs)
    assert say(options, "restore").returncode == 0
    assert all(v[:2] == (sched.SchedAttr(0, 0, 0, False), sched.IoPrio(0, 0)) for v in values(hogs))  # type: ignore[index]
    assert "nothing" in say(options, "restore").stdout


def test_the_next_daemon_restores_what_a_dead_one_left(daemon: Machine, hogs: list[int]) -> None:
    """Without being asked: what it undoes at its own end is all there was."""
    process, options = daemon
    assert until(lambda: all(sched.get_sched(p).nice > 0 for p in hogs))
    process.kill()
    process.wait()
    (Path(options[1]) / "control.sock").unlink()
    second = start(options)
    second.terminate()
    second.communicate(timeout=20)
    assert {sched.get_sched(p).nice for p in hogs} == {0}
    assert not Path(options[1], "ledger").exists()


def test_without_its_runtime_directory_it_puts_everything_back_and_ends(daemon: Machine, hogs: list[int]) -> None:
    """Nothing that it changed from then on could be undone after a crash; a service is started anew."""
    process, options = daemon
    assert until(lambda: all(sched.get_sched(p).nice > 0 for p in hogs))
    shutil.rmtree(options[1])
    assert process.wait(20) == 1
    assert {sched.get_sched(p).nice for p in hogs} == {0}
    assert process.stderr is not None
    assert "removed the runtime directory" in process.stderr.read().decode()


def test_a_persons_renice_stays(daemon: Machine, hogs: list[int]) -> None:
    """It is theirs from then on, also after the daemon has gone."""
    process, _ = daemon
    assert until(lambda: all(sched.get_sched(p).nice > 0 for p in hogs))
    os.setpriority(os.PRIO_PROCESS, hogs[0], 7)
    time.sleep(3)
    assert sched.get_sched(hogs[0]).nice == 7
    process.terminate()
    process.wait(20)
    assert [sched.get_sched(p).nice for p in hogs] == [7, 0, 0, 0, 0, 0]


def test_what_a_lowered_process_starts_is_restored_too(daemon: Machine) -> None:
    """Children inherit; undoing reaches them."""
    process, _ = daemon
    until_lowered = r"while read -r all < /proc/\$\$/stat; set -- \$all; [ \${19} = 0 ]; do :; done"
    script = f"for i in 1 2 3 4 5; do sh -c '{BURN}' & done; sh -c \"{until_lowered}; sleep 60 & {BURN}\" & wait"
    shell = subprocess.Popen(["bash", "-c", script], start_new_session=True)
    try:
        assert until(lambda: any(name == "sleep" and niceness(p) for p, name in below(shell.pid).items()), 40)
        process.terminate()
        process.wait(20)
        assert {niceness(p) for p in below(shell.pid)} == {0}
        assert sched.get_sched(shell.pid).nice == 0
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()


def niceness(process: psutil.Process) -> int:
    """0 for one that has ended."""
    with contextlib.suppress(ProcessLookupError):
        return sched.get_sched(process.pid).nice
    return 0


def test_a_second_daemon_is_refused(daemon: Machine) -> None:
    """With the pid of the first."""
    process, options = daemon
    second = say(options, "daemon")
    assert second.returncode == 1
    assert str(process.pid) in second.stderr


def test_observing_changes_nothing(options: list[str], hogs: list[int]) -> None:
    """It decides and says what it would do."""
    process = start([*options, "--observe"])
    try:
        assert until(lambda: "would be nice" in say(options, "groups", "--json").stdout)
        assert {sched.get_sched(p).nice for p in hogs} == {0}
    finally:
        process.terminate()
        process.communicate(timeout=20)
