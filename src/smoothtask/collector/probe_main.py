"""The wake-up latency probe: a process that sleeps, wakes, and notes how late it was; nothing else.

Run by `collector.probe` as `python -I -S probe_main.py FD PARENT`, where FD is shared memory of SIZE_BYTES.
Stdlib only, and of that as little as possible: its size and its work must not disturb what it measures.

Rule 1: the histogram counts units of PERIOD_NS. There is a deadline for each of them while wake-ups come late,
        and also for those that were slept through: 500 ms late is 25 late units, not a single one. As long as
        wake-ups come in time there is a deadline for each CALM_UNITS of them only, and it counts for all.
Rule 2: one writer, no locks. The reader uses the seconds of its window alone; a slot is written again only
        when it is SLOTS seconds old.
Rule 3: it ends within a second or so of its parent.
"""

import gc
import mmap
import os
import sys
import time

PERIOD_NS = 20_000_000
CALM_UNITS = 10
LATE_NS = 5_000_000
"""A wake-up this late ends the calm, and counts for itself alone …"""
WATCHFUL_NS = 1_000_000_000
"""… for this long."""
BACKLOG = 500
"""Units that are counted for one wake-up at most: 10 s of them, the latest ones first."""

# The shared memory: the deadline that is slept for (u64, ns of CLOCK_MONOTONIC), then SLOTS slots, one a second,
# each of u32: the second, the wake-ups, the greatest lateness in µs, and a histogram of BUCKETS buckets.
SLOTS = 64
BUCKETS = 192
HEADER_BYTES = 8
SLOT_HEADER_WORDS = 3
SLOT_WORDS = SLOT_HEADER_WORDS + BUCKETS
SIZE_BYTES = HEADER_BYTES + 4 * SLOTS * SLOT_WORDS
SECOND_NS = 1_000_000_000
TIMER_SLACK_NS = 1_000

_EMPTY_SLOT = memoryview(bytes(4 * SLOT_WORDS)).cast("I")


def bucket_of(late_ns: int) -> int:
    """Bucket of a lateness: eight linear steps to each power of two of 1,024 ns; the last takes all above 64 s."""
    units = late_ns >> 10
    shift = max(0, units.bit_length() - 4)
    return min((shift << 3) + (units >> shift), BUCKETS - 1)


def slot_of(slots: "memoryview[int]", second: int) -> int:
    """Where the slot of *second* begins; it is emptied when it held an older one."""
    base = second % SLOTS * SLOT_WORDS
    if slots[base] != second:
        slots[base : base + SLOT_WORDS] = _EMPTY_SLOT
        slots[base] = second
    return base


def record(slots: "memoryview[int]", base: int, late_ns: int, units: int) -> None:
    """Count one wake-up, *late_ns* after its deadline, in the slot at *base*, for *units* of them."""
    slots[base + 1] += 1
    late_us = min(late_ns // 1000, 0xFFFFFFFF)
    slots[base + 2] = max(slots[base + 2], late_us)
    slots[base + SLOT_HEADER_WORDS + bucket_of(late_ns)] += units
    for unit_ns in slept_through(late_ns):
        slots[base + SLOT_HEADER_WORDS + bucket_of(unit_ns)] += 1


def slept_through(late_ns: int) -> range:
    """How late the units are that passed within a lateness, but for the first of them."""
    return range(late_ns - PERIOD_NS, max(0, late_ns - BACKLOG * PERIOD_NS), -PERIOD_NS)


def run(memory: mmap.mmap, parent: int) -> None:
    """Sleep, wake and record for as long as *parent* lives."""
    view = memoryview(memory)
    header = view[:HEADER_BYTES].cast("Q")
    slots = view[HEADER_BYTES:].cast("I")
    second = base = 0
    watchful_until_ns = 0
    now_ns = time.monotonic_ns()
    while True:
        units = 1 if now_ns < watchful_until_ns else CALM_UNITS
        deadline_ns = now_ns + units * PERIOD_NS
        header[0] = deadline_ns
        time.sleep(units * PERIOD_NS / SECOND_NS)  # clock_nanosleep(2), to an absolute time
        now_ns = time.monotonic_ns()
        if now_ns // SECOND_NS != second:
            if os.getppid() != parent:
                return
            second = now_ns // SECOND_NS
            base = slot_of(slots, second)
        late_ns = now_ns - deadline_ns
        if late_ns >= LATE_NS:
            units = 1
            watchful_until_ns = now_ns + WATCHFUL_NS
        record(slots, base, late_ns, units)


def be_ordinary() -> None:
    """Shed what was inherited: measure what a normal program gets, without the 50 µs that timers may be late."""
    try:
        with open("/proc/self/timerslack_ns", "w", encoding="ascii") as slack:
            slack.write(str(TIMER_SLACK_NS))
    except OSError:
        pass  # a sandboxed /proc: what is measured stays 50 µs too high, which is better than nothing
    if os.getpriority(os.PRIO_PROCESS, 0) < 0:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    gc.disable()


if __name__ == "__main__":
    be_ordinary()
    run(mmap.mmap(int(sys.argv[1]), SIZE_BYTES), int(sys.argv[2]))
