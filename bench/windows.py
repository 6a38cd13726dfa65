"""Focus event to report: xdotool moves the focus between two terminals, and the watcher says who has it.

    .venv/bin/python bench/windows.py [--count 200]

Starts an Xvfb, openbox and two xterms of its own. The time runs from the start of xdotool to the report with the
right pid, and so includes xdotool's own start; `watcher` is from the moment the event can be read to the report.
Prints one JSON line; fails when the median is above 50 ms.
"""

import argparse
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from harness import finish, verdict
from person.windows.xservers import Desktop, Heard, desktop
from smoothtask.person.windows.x11 import open_x11


def percentile(values: list[float], share: float) -> float:
    """Of *values*, the one below which *share* of them are."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def move_focus(screen: Desktop, heard: Heard, pid: int) -> tuple[float, float]:
    """Milliseconds from the start of xdotool, and from the readable event, to the report."""
    assert heard.watcher is not None
    window = heard.of(pid)
    assert window is not None
    target = window.key.removeprefix("x11:")
    start_s = time.monotonic()
    with subprocess.Popen(["xdotool", "windowactivate", target], env={**os.environ, "DISPLAY": screen.display}):
        while heard.focused != pid:
            select.select(heard.watcher.filenos(), [], [], 5)
            event_s = time.monotonic()
            heard.watcher.ready(event_s)
        end_s = time.monotonic()
    return (end_s - start_s) * 1000, (end_s - event_s) * 1000


def measure(count: int) -> dict[str, object]:
    """On a desktop of our own."""
    with tempfile.TemporaryDirectory(prefix="smoothtask-bench-") as home, desktop(Path(home)) as screen:
        screen.openbox()
        heard = Heard()
        heard.watcher = watcher = open_x11(screen.display, None, heard)
        pids = [screen.xterm().pid for _ in range(2)]
        heard.until(lambda: all(heard.of(pid) for pid in pids) and heard.focused)
        first = pids.index(heard.focused or 0) + 1
        before_s = time.process_time()
        times = [move_focus(screen, heard, pids[(first + n) % 2]) for n in range(count)]
        cpu_ms = (time.process_time() - before_s) * 1000 / count
        watcher.close()
    whole, own = [t[0] for t in times], [t[1] for t in times]
    return {
        "server": "x11",
        "count": count,
        "p50_ms": round(statistics.median(whole), 2),
        "p99_ms": round(percentile(whole, 0.99), 2),
        "watcher_p50_ms": round(statistics.median(own), 2),
        "watcher_p99_ms": round(percentile(own, 0.99), 2),
        "cpu_ms_per_focus": round(cpu_ms, 2),
    }


def main() -> None:
    """Measure, and compare with the target."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--count", type=int, default=200)
    result = measure(arguments.parse_args().count)
    print(json.dumps(result))
    finish([verdict("focus to report, median", float(str(result["p50_ms"])), 50, " ms")])


if __name__ == "__main__":
    main()
