"""When somebody typed."""

import os
import time
from pathlib import Path

from smoothtask.person.input.terminals import read_terminals


def test_access_times_become_moments_of_the_monotonic_clock(tmp_path: Path) -> None:
    (tmp_path / "pts").mkdir()
    for name, at in (("0", 970.0), ("ptmx", 1.0), ("12", 2000.0)):
        (tmp_path / "pts" / name).touch()
        os.utime(tmp_path / "pts" / name, (at, at))
    assert read_terminals(100.0, tmp_path, wall_s=1000.0) == (("pts/0", 70.0), ("pts/12", 100.0))


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
