"""How late a sleeping program is woken: keeps the probe process, and reads what it measured."""

import mmap
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from smoothtask.collector import probe_main
from smoothtask.collector.probe_main import (
    BUCKETS,
    HEADER_BYTES,
    SECOND_NS,
    SIZE_BYTES,
    SLOT_HEADER_WORDS,
    SLOT_WORDS,
    SLOTS,
    bucket_of,
    slept_through,
)
from smoothtask.model.system import LatencyStats

OVERDUE_NS = 1_000_000
"""A probe that is late by less is about to record it by itself."""
LONGEST_WINDOW_S = SLOTS - 4
FIRST_RETRY_S = 1.0
LAST_RETRY_S = 60.0

Counts = npt.NDArray[np.int64]


class ProbeUnavailable(Exception):  # noqa: N818 (a state of the machine, not a mistake)
    """The probe could not be started; the message says why."""


def bucket_middles_ms() -> npt.NDArray[np.float64]:
    """The lateness that each bucket stands for: its middle, within 6.25 % (or 1 µs) of all that it holds."""
    buckets = np.arange(BUCKETS)
    shifts = np.maximum(buckets // 8 - 1, 0)
    units = (buckets - 8 * shifts + 0.5) * 2.0**shifts
    middles: npt.NDArray[np.float64] = units * 1024 / 1e6
    return middles


_MIDDLES_MS = bucket_middles_ms()


def percentiles_ms(counts: Counts) -> list[float]:
    """p50, p95 and p99 of a histogram that is not empty."""
    total = int(counts.sum())
    ranks = [-(-total * percent // 100) for percent in (50, 95, 99)]  # rounded up, exactly
    found: list[float] = _MIDDLES_MS[np.searchsorted(np.cumsum(counts), ranks)].tolist()
    return found


def read_memory(memory: bytes | mmap.mmap, now_ns: int, window_s: float) -> LatencyStats | None:
    """What the probe measured in the *window_s* before *now_ns* (CLOCK_MONOTONIC), by whole seconds.

    The percentiles are shares of time, not of wake-ups, and within 6.25 % (or 1 µs); the maximum is exact to
    the µs. A probe that is overdue counts as late as it is by now, so starvation shows while it lasts.
    `None` without a wake-up.
    """
    slots = np.frombuffer(memory, "=u4", offset=HEADER_BYTES).reshape(SLOTS, SLOT_WORDS)
    age_s = now_ns // SECOND_NS - slots[:, 0].astype(np.int64)
    recent = slots[(age_s > -2) & (age_s < window_s)]  # the probe may be a moment ahead of *now_ns*
    counts = recent[:, SLOT_HEADER_WORDS:].sum(axis=0, dtype=np.int64)
    samples = int(recent[:, 1].sum())
    max_ms = float(recent[:, 2].max(initial=0)) / 1000
    deadline_ns = int(np.frombuffer(memory, "=u8", count=1)[0])
    overdue_ns = now_ns - deadline_ns
    if deadline_ns and overdue_ns >= OVERDUE_NS:
        for unit_ns in (overdue_ns, *slept_through(overdue_ns)):
            counts[bucket_of(unit_ns)] += 1
        samples += 1
        max_ms = max(max_ms, overdue_ns / 1e6)
    if not samples:
        return None
    p50, p95, p99 = (min(found, max_ms) for found in percentiles_ms(counts))
    return LatencyStats(p50, p95, p99, max_ms, samples, window_s)


class LatencyProbe:
    """The probe process. One that dies is started again: after 1 s, then 2, 4, … 60."""

    def __init__(self, window_s: float = 10.0) -> None:
        if not 1 <= window_s <= LONGEST_WINDOW_S:
            raise ValueError(f"a window of {window_s:g} s is not within 1 … {LONGEST_WINDOW_S}")
        self._window_s = window_s
        self._running: _Running | None = None
        self._retry_after_s = FIRST_RETRY_S
        self._retry_at_s: float | None = None
        self._seen_alive_s: float | None = None
        self.trouble = "not started"
        """Why it does not run, for a person; empty while it does."""

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._running is not None and self._running.child.poll() is None

    @property
    def pid(self) -> int | None:
        """Of the process, the last one if it died."""
        return self._running.child.pid if self._running else None

    def start(self) -> None:
        """Start the process, with nothing measured so far. Raise ProbeUnavailable when that fails."""
        self.stop()
        try:
            self._running = _spawn()
        except OSError as error:
            self.trouble = f"latency probe: {error.strerror}"
            raise ProbeUnavailable(self.trouble) from error
        self.trouble = ""

    def read(self, now_s: float) -> LatencyStats | None:
        """The window before *now_s* (CLOCK_MONOTONIC); `None` while it does not run or measured nothing."""
        if self._running is None:
            return None
        if not self.alive:
            self._revive(self._running.child.returncode, now_s)
            return None
        if self._seen_alive_s is None:
            self._seen_alive_s = now_s
        elif now_s - self._seen_alive_s > LAST_RETRY_S:
            self._retry_after_s = FIRST_RETRY_S
        return read_memory(self._running.memory, int(now_s * SECOND_NS), self._window_s)

    def stop(self) -> None:
        """End the process; idempotent."""
        if self._running is not None:
            self._running.child.kill()
            self._running.child.wait()
        self._running = None
        self._retry_at_s = self._seen_alive_s = None
        self.trouble = "stopped"

    def _revive(self, status: int, now_s: float) -> None:
        """Start it again if it is time for that; else say when."""
        self._seen_alive_s = None
        if self._retry_at_s is None:
            self._retry_at_s = now_s + self._retry_after_s
            self.trouble = f"latency probe: ended with status {status}, next try in {self._retry_after_s:g} s"
            self._retry_after_s = min(2 * self._retry_after_s, LAST_RETRY_S)
        if now_s < self._retry_at_s:
            return
        self._retry_at_s = None
        try:
            self._running = _spawn()
        except OSError as error:  # the dead child stays known, so the next try follows after twice the time
            self.trouble = f"latency probe: {error.strerror}"
        else:
            self.trouble = ""


@dataclass(frozen=True, slots=True)
class _Running:
    child: subprocess.Popen[bytes]
    memory: mmap.mmap


def _spawn() -> _Running:
    fd = os.memfd_create("smoothtask-probe", os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, SIZE_BYTES)
        memory = mmap.mmap(fd, SIZE_BYTES)
        program = str(Path(probe_main.__file__).resolve())
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", program, str(fd), str(os.getpid())],
            pass_fds=[fd],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,  # a Ctrl-C in the terminal is not for it; the session, and its autogroup, is ours
        )
    finally:
        os.close(fd)
    return _Running(child, memory)
