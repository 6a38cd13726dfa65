"""Scheduling values of real threads, and what the kernel does with them."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.kernel import sched
from smoothtask.model.change import IoPrio, SchedAttr

FRESH = SchedAttr(0, 0, 0, reset_on_fork=False)


@pytest.fixture
def sleeper() -> Iterator[int]:
    """A process in a session of its own that waits, started at the values that everybody starts with."""
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield process.pid
    process.kill()
    process.wait()


def shell_that_forks(attr: SchedAttr) -> tuple[SchedAttr, SchedAttr]:
    """Values of a shell brought to *attr*, and of a child that it starts after."""
    shell = subprocess.Popen(["sh", "-c", "read line; sleep 600 & echo $!; wait"], stdin=-1, stdout=-1, text=True)
    assert shell.stdin is not None
    assert shell.stdout is not None
    try:
        sched.set_sched(shell.pid, attr)
        shell.stdin.write("go\n")
        shell.stdin.flush()
        child = int(shell.stdout.readline())
        found = sched.get_sched(shell.pid), sched.get_sched(child)
        os.kill(child, 9)
        return found
    finally:
        shell.kill()
        shell.communicate()


def test_values_are_read_as_written(sleeper: int) -> None:
    """Nice and policy of another process, lowered."""
    assert sched.get_sched(sleeper) == FRESH
    sched.set_sched(sleeper, SchedAttr(3, 7, 0, reset_on_fork=False))
    assert sched.get_sched(sleeper) == SchedAttr(3, 7, 0, reset_on_fork=False)
    assert os.getpriority(os.PRIO_PROCESS, sleeper) == 7


@pytest.mark.parametrize("policy", [1, 2, 6, 7])
def test_real_time_policies_are_never_set(sleeper: int, policy: int) -> None:
    """Whoever asks."""
    with pytest.raises(ValueError, match="never set"):
        sched.set_sched(sleeper, SchedAttr(policy, 0, 0, reset_on_fork=False))
    assert sched.get_sched(sleeper) == FRESH


@given(st.integers(-(2**31), 2**31 - 1).filter(lambda n: not -10 <= n <= 19))
def test_nice_stays_within_bounds(nice: int) -> None:
    """Refused before the kernel is asked."""
    with pytest.raises(ValueError, match="beyond"):
        sched.set_sched(0, SchedAttr(0, nice, 0, reset_on_fork=False))
    with pytest.raises(ValueError, match="beyond"):
        sched.set_autogroup(os.getpid(), nice)


def test_what_is_gone_is_said() -> None:
    """ESRCH, not a bare OSError."""
    process = subprocess.Popen(["true"])
    process.wait()
    for call in (sched.get_sched, sched.get_ioprio):
        with pytest.raises(ProcessLookupError):
            call(process.pid)
    with pytest.raises(ProcessLookupError):
        sched.set_sched(process.pid, FRESH)
    assert sched.get_autogroup(process.pid) is None
    assert sched.start_ticks(process.pid) is None
    assert sched.start_ticks(process.pid, process.pid) is None
    assert sched.cpu_task_group(process.pid) is None


def test_lowered_values_are_inherited() -> None:
    """By children: undoing must reach them."""
    lowered = SchedAttr(0, 5, 0, reset_on_fork=False)
    assert shell_that_forks(lowered) == (lowered, lowered)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="raising a priority needs root")
def test_raised_values_are_not() -> None:
    """Reset-on-fork gives children nice 0 and the default slice; without it they would keep both."""
    raised = SchedAttr(0, -5, 700_000 if sched.slices_supported() else 0, reset_on_fork=True)
    assert shell_that_forks(raised) == (raised, FRESH)
    leaking = raised._replace(reset_on_fork=False)
    assert shell_that_forks(leaking) == (leaking, leaking)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="raising a priority needs root")
def test_new_threads_of_a_raised_one_start_at_the_default() -> None:
    """As its children do."""
    seen: list[SchedAttr] = []

    def outer() -> None:
        sched.set_sched(0, SchedAttr(0, -5, 0, reset_on_fork=True))
        inner = threading.Thread(target=lambda: seen.append(sched.get_sched(0)))
        inner.start()
        inner.join()

    thread = threading.Thread(target=outer)
    thread.start()
    thread.join()
    assert seen == [FRESH]


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="clearing reset-on-fork needs root")
def test_a_slice_is_kept_and_given_back(sleeper: int) -> None:
    """0 writes the default, which reads as 0."""
    if not sched.slices_supported():
        pytest.skip("a kernel before 6.12 has no slices of threads")
    sched.set_sched(sleeper, SchedAttr(0, -4, 400_000, reset_on_fork=True))
    assert sched.get_sched(sleeper) == SchedAttr(0, -4, 400_000, reset_on_fork=True)
    sched.set_sched(sleeper, FRESH)
    assert sched.get_sched(sleeper) == FRESH


def test_probing_leaves_ourselves_alone() -> None:
    """The child does what could not be undone here."""
    before = sched.get_sched(0)
    sched.slices_supported.cache_clear()
    sched.default_slice_ns.cache_clear()
    sched.raising_allowed.cache_clear()
    assert sched.slices_supported() in {True, False}
    assert sched.default_slice_ns() == 0 or sched.default_slice_ns() > 100_000
    assert sched.raising_allowed() in {True, False}
    assert sched.get_sched(0) == before


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="nobody else had the capability to begin with")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv (util-linux)")
@pytest.mark.parametrize(("without", "allowed"), [([], True), (["--bounding-set", "-sys_nice"], False)])
def test_raising_again_takes_a_capability(without: list[str], allowed: bool) -> None:
    """Which root may lack."""
    asked = "from smoothtask.kernel import sched; print(sched.raising_allowed())"
    said = subprocess.run(
        ["setpriv", *without, sys.executable, "-c", asked], capture_output=True, text=True, check=True
    )
    assert said.stdout == f"{allowed}\n"
    assert not said.stderr


def test_io_priorities(sleeper: int) -> None:
    """Class 0 until one is set; the real-time class never is."""
    assert sched.get_ioprio(sleeper).io_class == 0
    for prio in (IoPrio(3, 7), IoPrio(2, 6), IoPrio(0, 0)):
        sched.set_ioprio(sleeper, prio)
        assert sched.get_ioprio(sleeper) == prio
    with pytest.raises(ValueError, match="real-time"):
        sched.set_ioprio(sleeper, IoPrio(1, 4))


@pytest.mark.skipif(not sched.autogroups_enabled(), reason="this kernel schedules no sessions as groups")
@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="raising a session again needs root")
def test_a_session_is_an_autogroup(sleeper: int) -> None:
    """Of its own, with a nice that is read back."""
    group = sched.get_autogroup(sleeper)
    assert group is not None
    assert group.nice == 0
    assert group != sched.get_autogroup(os.getpid())
    sched.set_autogroup(sleeper, 5)
    assert sched.get_autogroup(sleeper) == group._replace(nice=5)
    sched.set_autogroup(sleeper, 0)
    assert sched.get_autogroup(sleeper) == group


@given(
    st.binary(max_size=40) | st.builds(lambda i, n: f"/autogroup-{i} nice {n}\n".encode(), st.integers(), st.just(3))
)
def test_autogroups_are_parsed_or_refused(data: bytes) -> None:
    """Never half."""
    try:
        found = sched.parse_autogroup(data)
    except ValueError:
        return
    assert found is None or b" nice " in data


def test_an_autogroup_file() -> None:
    """As proc(5) shows it."""
    assert sched.parse_autogroup(b"/autogroup-25 nice -3\n") == sched.Autogroup(25, -3)
    assert sched.parse_autogroup(b"") is None


def test_start_times_of_threads() -> None:
    """A thread's is its own, a stranger's tid is not of this process."""
    ready, done = threading.Event(), threading.Event()

    def wait() -> None:
        ready.set()
        done.wait()

    thread = threading.Thread(target=wait)
    thread.start()
    ready.wait()
    try:
        own, its = sched.start_ticks(os.getpid()), sched.start_ticks(os.getpid(), thread.native_id)
        assert own is not None
        assert its is not None
        assert own <= its
        assert sched.start_ticks(1, thread.native_id) is None
    finally:
        done.set()
        thread.join()


def test_a_comm_that_looks_like_fields(tmp_path: Path) -> None:
    """Fields begin after the last bracket."""
    folder = tmp_path / "7"
    folder.mkdir()
    fields = ["S", *map(str, range(4, 53))]
    (folder / "stat").write_bytes(b"7 (a) R 1 (b) " + " ".join(fields).encode())
    assert sched.start_ticks(7, proc_root=str(tmp_path)) == 22


@pytest.mark.parametrize(
    ("lines", "with_weight", "expected"),
    [
        ("0::/user.slice/app.slice/a.scope\n", ["user.slice"], "/user.slice"),
        ("0::/a/b\n", ["a", "a/b"], "/a/b"),
        ("0::/a/b\n", [], "/"),
        ("3:cpu,cpuacct:/x\n0::/a\n", ["a"], "/x"),
        ("0::/a\x0b4:cpu:/x\n", ["a\x0b4:cpu:"], "/a\x0b4:cpu:"),
        ("0::/a\x1c0::/x\n", ["x"], "/"),
        ("0::/a\u0085b/c\n", ["a\u0085b"], "/a\u0085b"),
        ("0::/a\u20280::/b\n", ["a\u20280::"], "/a\u20280::"),
    ],
)
def test_where_the_scheduler_weighs(tmp_path: Path, lines: str, with_weight: list[str], expected: str) -> None:
    """The nearest cgroup with the cpu controller; cgroup v1's own hierarchy comes first."""
    (tmp_path / "proc/7").mkdir(parents=True)
    (tmp_path / "proc/7/cgroup").write_text(lines)
    for name in with_weight:
        folder = tmp_path / "cg" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cpu.weight").write_text("100\n")
    assert sched.cpu_task_group(7, str(tmp_path / "proc"), str(tmp_path / "cg")) == expected
