"""A 60 Hz frame loop with 5 ms of work a frame: prints, for each frame, when it began and whether it missed.

Usage: frame_loop.py SECONDS. Output: one line `seconds-since-boot missed(0|1) late-ms` a frame.
"""

import sys
import time

PERIOD_S = 1 / 60
WORK_S = 0.005


def main() -> None:
    """Run for the given time, then print: nothing is written while frames are drawn."""
    frames: list[tuple[float, bool, float]] = []
    end = time.monotonic() + float(sys.argv[1])
    due = time.monotonic() + PERIOD_S
    while due < end:
        time.sleep(max(0.0, due - time.monotonic()))
        began = time.monotonic()
        work_until = time.thread_time() + WORK_S
        while time.thread_time() < work_until:
            pass
        done = time.monotonic()
        missed = done > due + PERIOD_S
        frames.append((began, missed, 1000 * (began - due)))
        # A missed frame is dropped, as a display does: go on with the next one that can be made.
        due += PERIOD_S * (1 + max(0, int((done - due) / PERIOD_S)))
    for began, missed, late_ms in frames:
        print(f"{began:.6f} {int(missed)} {late_ms:.3f}")


if __name__ == "__main__":
    main()
