"""kernel.psi on the real kernel, on a recorded tree, and on anything that is not one."""

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.kernel.psi import RESOURCES, PsiTriggers, parse_psi, read_cgroup_pressure, read_pressure
from smoothtask.model.system import Pressure, Psi, PsiLine

needs_psi = pytest.mark.skipif(not Path("/proc/pressure/cpu").exists(), reason="no PSI in this kernel")

BOTH = "some avg10=0.22 avg60=1.00 avg300=0.33 total=6355432\nfull avg10=0.10 avg60=0.00 avg300=0.00 total=12\n"


def test_parse_psi() -> None:
    """Both lines are understood; `full` may be missing, as for cpu before Linux 5.13."""
    some = PsiLine(0.22, 1.0, 6355432)
    assert parse_psi(BOTH) == Psi(some, PsiLine(0.1, 0.0, 12))
    assert parse_psi(BOTH.splitlines()[0]) == Psi(some, None)


@given(st.floats(0, 100).map(lambda x: round(x, 2)), st.integers(0, 2**64 - 1))
def test_parse_psi_keeps_every_value(avg: float, total: int) -> None:
    """What the kernel writes is what comes out."""
    text = f"some avg10={avg:.2f} avg60={avg:.2f} avg300=0.00 total={total}\n"
    assert parse_psi(text).some == PsiLine(avg, avg, total)


@pytest.mark.parametrize("text", ["", "\n", "full avg10=0.00 avg60=0.00 total=1", "some avg10=1", "some x=1 y"])
def test_what_is_no_pressure_file_is_refused(text: str) -> None:
    """A file that is cut or something else is an error, not a zero."""
    with pytest.raises(ValueError, match=r"."):
        parse_psi(text)


def test_a_resource_that_the_kernel_does_not_account_is_none(tmp_path: Path) -> None:
    """Each resource is looked at by itself."""
    (tmp_path / "pressure").mkdir()
    (tmp_path / "pressure" / "io").write_text(BOTH)
    pressure = read_pressure(str(tmp_path))
    assert pressure.cpu is None
    assert pressure.memory is None
    assert pressure.io is not None
    assert pressure.io.some.total_us == 6355432


def test_other_errors_are_raised(tmp_path: Path) -> None:
    """A directory in place of a file is no reason to say that there is no pressure."""
    (tmp_path / "pressure" / "cpu").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        read_pressure(str(tmp_path))


@pytest.mark.parametrize("path", ["foo", "", "/../x", "/" + "\ufffd" * 86, "/" + "x/" * 4000, "/a\0b"])
def test_a_cgroup_that_cannot_be_has_no_pressure(path: str) -> None:
    """Whoever makes cgroups chooses their names."""
    assert read_cgroup_pressure(path, "/sys") == Pressure()


@needs_psi
def test_this_kernel_counts_upward() -> None:
    """Totals of the running kernel never fall."""
    before, after = read_pressure(), read_pressure()
    assert before.cpu is not None
    assert after.cpu is not None
    assert after.cpu.some.total_us >= before.cpu.some.total_us


def test_triggers_that_cannot_be_say_why(tmp_path: Path) -> None:
    """No descriptor is left open for a resource without a trigger, and each has its reason."""
    triggers = PsiTriggers(proc_root=str(tmp_path))
    assert triggers.filenos == {}
    assert set(triggers.unavailable) == set(RESOURCES)
    assert "No such file" in triggers.unavailable["cpu"]
    triggers.close()


@needs_psi
def test_a_window_that_the_kernel_refuses_is_explained() -> None:
    """A window of 11 s is too long for anybody; nothing stays open."""
    before = len(os.listdir("/proc/self/fd"))
    triggers = PsiTriggers(window_ms=11_000)
    assert set(triggers.unavailable) == set(RESOURCES)
    assert len(os.listdir("/proc/self/fd")) == before


@needs_psi
def test_a_trigger_fires_when_somebody_waits_for_a_cpu() -> None:
    """Two programs that want the same core make the cpu descriptor report EPOLLPRI."""
    triggers = PsiTriggers()
    if "cpu" not in triggers.filenos:
        triggers.close()
        pytest.skip(triggers.unavailable["cpu"])
    core = min(os.sched_getaffinity(0))
    spin = f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    hogs = [subprocess.Popen([sys.executable, "-S", "-c", spin]) for _ in range(2)]
    try:
        with select.epoll() as poll:
            poll.register(triggers.filenos["cpu"], select.EPOLLPRI)
            ready = poll.poll(20)
        assert [fd for fd, _ in ready] == [triggers.filenos["cpu"]]
        assert ready[0][1] & select.EPOLLPRI
        assert not ready[0][1] & select.EPOLLERR
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
        triggers.close()
    assert triggers.filenos == {}
    triggers.close()
