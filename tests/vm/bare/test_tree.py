"""Where there is no systemd: a tree of our own for what is lowered, and nothing left of it afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from smoothtask.kernel import cgroup2
from smoothtask.model.classes import Limits, PriorityClass
from vm.guest import Cgroup, Spin, until
from vm.rig import Rig

IDLE, BACKGROUND = PriorityClass.IDLE, PriorityClass.BACKGROUND


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """One a test."""
    made = Rig(tmp_path / "ledger")
    yield made
    made.close()


@pytest.mark.parametrize("crash", [False, True])
def test_a_lowered_group_gets_a_cgroup(rig: Rig, sleeper: int, spin: Spin, crash: bool) -> None:
    """With its weight; the controllers that it needed are off again afterwards, also after a crash."""
    before = cgroup2.enabled("/")
    acted = rig.tick({f"proc:{sleeper}-{rig.machine.threads.start_ticks(sleeper)}": IDLE})
    group = f"proc:{sleeper}-{rig.machine.threads.start_ticks(sleeper)}"
    home = Cgroup.of(sleeper)
    assert home.path.startswith("/smoothtask/")
    assert home.read("cpu.weight") == "25"
    assert "cpu" in cgroup2.enabled("/")
    assert acted.mechanisms[group].startswith("CPUWeight 25")
    assert acted.reasons[group].startswith("a cgroup of its own")
    rig.tick({group: BACKGROUND})
    assert home.read("cpu.weight") == "50"
    if crash:
        rig.restore()
    else:
        rig.hands.undo_all()
    assert Cgroup.of(sleeper).path == "/"
    assert not home.exists
    assert not Cgroup("/smoothtask").exists
    assert cgroup2.enabled("/") == before
    until(lambda: not rig.ledger.entries or crash)


def test_limits_come_and_go(rig: Rig, sleeper: int) -> None:
    """In the files of the cgroup, while the weight stays."""
    group = f"proc:{sleeper}-{rig.machine.threads.start_ticks(sleeper)}"
    rig.tick({group: IDLE}, Limits(cpu_pct=30, memory_high_bytes=64 << 20, io_read_bps=1 << 20, io_write_bps=2 << 20))
    home = Cgroup.of(sleeper)
    assert (home.read("cpu.max"), home.read("memory.high")) == ("30000 100000", str(64 << 20))
    assert "rbps=1048576 wbps=2097152" in (home.read("io.max") or "")
    assert not rig.tick({group: IDLE}).events
    assert [home.read(name) for name in ("cpu.max", "memory.high", "io.max")] == ["max 100000", "max", ""]
    assert home.read("cpu.weight") == "25"


def test_where_nobody_may_come_back(rig: Rig, sleeper: int) -> None:
    """The cgroup that they came from has been divided: lowered no more, and home when that can be."""
    group = f"proc:{sleeper}-{rig.machine.threads.start_ticks(sleeper)}"
    cgroup2.make("/work")
    cgroup2.move(sleeper, "/work")
    rig.tick({group: IDLE})
    home = Cgroup.of(sleeper)
    assert home.path.startswith("/smoothtask/")
    cgroup2.make("/work/inner")
    cgroup2.switch("/work", ["+memory"])  # not cpu: a threaded controller keeps nobody out
    events = [e for _ in range(3) for e in rig.tick({}).events]
    assert len(events) == 1
    assert events[0].endswith("its processes stay there for now: Device or resource busy")
    assert home.read("cpu.weight") == "100"
    cgroup2.switch("/work", ["-memory"])
    cgroup2.remove("/work/inner")
    assert rig.hands.undo_all() == ()
    assert Cgroup.of(sleeper).path == "/work"
    assert not home.exists
    cgroup2.move(sleeper, "/")
    cgroup2.remove("/work")
