"""When somebody typed."""

import os
import time
from pathlib import Path

from smoothtask.person.input.terminals import read_terminals


def test_access_times_become_moments_of_the_monotonic_clock(tmp_path: Path) -> None:
    """One that lies ahead, by more than the kernel's step, is none."""
    (tmp_path / "pts").mkdir()
    for name, at in (("0", 970.0), ("ptmx", 1.0), ("7", 1007.0), ("12", 2000.0)):
        (tmp_path / "pts" / name).touch()
        os.utime(tmp_path / "pts" / name, (at, at))
    assert read_terminals(100.0, tmp_path, wall_s=1000.0) == (("pts/0", 70.0), ("pts/7", 100.0))


def test_a_console_counts_once_something_was_typed_since_its_login(tmp_path: Path) -> None:
    for name in ("tty1", "tty2", "tty99"):
        (tmp_path / name).touch()
    now_s = time.time()
    os.utime(tmp_path / "tty1", (now_s - 60, now_s))
    os.utime(tmp_path / "tty2", (now_s + 5, now_s))
    assert [name for name, _ in read_terminals(1000.0, tmp_path)] == ["tty2"]


def test_none_where_there_are_none(tmp_path: Path) -> None:
    assert read_terminals(1.0, tmp_path) == ()


def test_what_is_typed_into_a_real_one_shows() -> None:
    master, slave = os.openpty()
    try:
        name = os.ttyname(slave).removeprefix("/dev/")
        os.utime(os.ttyname(slave), (time.time() - 3600, time.time() - 3600))
        before = dict(read_terminals(time.monotonic()))[name]
        os.write(master, b"x\n")
        os.read(slave, 10)
        after = dict(read_terminals(time.monotonic()))[name]
        assert after > before + 3000
    finally:
        os.close(master)
        os.close(slave)
