"""A 60 Hz frame loop against six CPU hogs of unknown names, all from one shell: SmoothTask off and on.

    sudo .venv/bin/python bench/frames.py [--seconds 10] [--rounds 2]

Target: at least half of the frames missed without SmoothTask, at most 2 % with it, counted from 3 s after the
hogs start; every nice value as before when the daemon has stopped.
"""

import argparse
import contextlib
import math
import os
import pty
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from harness import daemon, finish, log, verdict
from smoothtask.bench import probes
from smoothtask.bench.stats import TOOK_MS, Rows, frame_times, missed_pct, parse_rows, spread, within

ReadFrames = Callable[[], Rows]
GRACE_S = 3.0
WARM_UP_S = 2.0
HOG_SOURCE = "int main(void) { for (volatile unsigned long i = 0;; i++); }\n"


def main() -> None:
    """Off and on in turn, then the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="measured in each block (default 10)")
    parser.add_argument("--rounds", type=int, default=2, help="off/on pairs (default 2)")
    options = parser.parse_args()
    shares: dict[str, list[float]] = {"off": [], "on": []}
    restored = True
    with tempfile.TemporaryDirectory(prefix="smoothtask-frames-") as folder:
        hog = make_hog(Path(folder))
        for _ in range(options.rounds):
            shares["off"].append(block(hog, options.seconds, "off"))
            with daemon():
                time.sleep(2)
                shares["on"].append(block(hog, options.seconds, "on"))
        with daemon() as process, hogs_in_a_shell(hog, 30) as (shell, _):
            time.sleep(6)
            before = nices(shell)
            log(f"nice of the hogs with SmoothTask: {before}")
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(20)
            after = nices(shell)
            log(f"nice of the hogs after it stopped: {after}")
            restored = any(before) and not any(after)
    off, on = statistics.median(shares["off"]), statistics.median(shares["on"])
    finish(
        [
            verdict("frames missed with SmoothTask", on, 2, " %"),
            verdict("frames not missed without it", 100 - off, 50, " %"),
            verdict("values not restored", 0 if restored else 1, 0),
        ]
    )


def block(hog: Path, seconds: float, name: str) -> float:
    """Share of missed frames (%) from 3 s after the hogs start."""
    total_s = WARM_UP_S + GRACE_S + seconds
    with hogs_in_a_shell(hog, total_s, frame_loop=True) as (_, read_frames):
        hogs_at = time.monotonic() + WARM_UP_S
        frames = read_frames()
    counted = within(frames, hogs_at + GRACE_S, math.inf)
    share, times = missed_pct(counted), spread(frame_times(counted)[:, TOOK_MS])
    assert times is not None
    log(f"{name:>4}: {share:5.1f} % of frames missed, frame times p50 {times.p50:.1f}, p99 {times.p99:.1f} ms")
    return share


@contextlib.contextmanager
def hogs_in_a_shell(hog: Path, seconds: float, frame_loop: bool = False) -> Iterator[tuple[int, ReadFrames]]:
    """A shell in a terminal of its own that starts a frame loop and, a little later, six hogs."""
    output = Path(tempfile.mkstemp(prefix="smoothtask-frames-")[1])
    loop = f"{sys.executable} {probes.__file__} frames {output} & probe=$!; " if frame_loop else ""
    script = f"{loop}sleep {WARM_UP_S}; for i in 1 2 3 4 5 6; do {hog} & done; "
    script += f"sleep {seconds - WARM_UP_S}; kill -TERM $probe; wait $probe" if frame_loop else "wait"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("bash", ["bash", "-c", script])

    def read_frames() -> Rows:
        deadline = time.monotonic() + seconds + 30
        while not output.stat().st_size and time.monotonic() < deadline:
            time.sleep(0.2)
        return parse_rows(output.read_bytes())

    try:
        yield pid, read_frames
    finally:
        os.killpg(pid, signal.SIGKILL)  # the hogs as well: once the shell has ended, they are nobody's children
        os.waitpid(pid, 0)
        os.close(terminal)
        output.unlink()


def nices(shell: int) -> list[int]:
    """The nice values of what *shell* started."""
    return [p.nice() for p in psutil.Process(shell).children(recursive=True)]


def make_hog(folder: Path) -> Path:
    """A program that computes and never sleeps, of a name that no rule knows."""
    source, program = folder / "hog.c", folder / "qzxv-worker"
    source.write_text(HOG_SOURCE)
    if shutil.which("gcc") is None:
        sys.exit("this benchmark needs gcc (apt-get install gcc)")
    subprocess.run(["gcc", "-O1", "-o", program, source], check=True)
    return program


if __name__ == "__main__":
    main()
