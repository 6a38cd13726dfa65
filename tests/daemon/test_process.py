"""The process itself: memory that goes back after a peak."""

import subprocess
import sys

import pytest

from smoothtask.daemon import process
from smoothtask.daemon.process import GIVE_BACK_BYTES, GIVE_BACK_EVERY_S, HighWater

MIB = 1 << 20


def test_a_peak_is_given_back_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    now_s = 1000.0
    monkeypatch.setattr(process, "_give_back", lambda: given.append(now_s))
    water = HighWater()
    water.look(now_s, 70 * MIB)
    water.look(now_s + 1, 200 * MIB)  # it is not looked at
    assert given == []
    now_s += GIVE_BACK_EVERY_S
    water.look(now_s, 70 * MIB + GIVE_BACK_BYTES)
    assert given == [now_s]
    now_s += GIVE_BACK_EVERY_S
    water.look(now_s, 60 * MIB)
    now_s += GIVE_BACK_EVERY_S
    water.look(now_s, 60 * MIB + GIVE_BACK_BYTES - 1)
    assert len(given) == 1


def test_memory_that_is_free_goes_back_for_real() -> None:
    """Small pieces with one in use at their end: the kernel gets them only when it is told to."""
    script = """
import ctypes
from smoothtask.daemon.process import GIVE_BACK_BYTES, HighWater, rss_bytes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
water = HighWater()
water.look(100.0, rss_bytes())
pieces = [libc.malloc(4000) for _ in range(20_000)]
for piece in pieces[:-1]:
    ctypes.memset(piece, 1, 4000)
    libc.free(ctypes.c_void_p(piece))
before = rss_bytes()
water.look(200.0, before)
print(before - rss_bytes() > 2 * GIVE_BACK_BYTES)
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout == "True\n"
