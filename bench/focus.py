"""Focus event to class applied, by a real daemon, and what the watchers cost while nothing happens.

    sudo .venv/bin/python bench/focus.py [x11|sway|idle …] [--count 60]

x11, sway  the focus moves between two terminals of a desktop of our own; the time runs from the start of the program
           that moves it until the nice of the terminal that got it has changed. Neither is what lost the focus
           remembered (person.focus_memory_s: 0) nor a class held (hysteresis), so that each move changes a class.
idle       CPU of all watchers together, the daemon's part and its sessions' children, beside desktops (X11, sway) and
           sound servers (PipeWire, PulseAudio) with which nothing happens, and the children's memory.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from harness import cpu_s, daemon, finish, log, verdict
from person.audio.servers import PipeWire, session, start_pulseaudio
from person.desktops import sway
from person.windows.xservers import desktop
from smoothtask.model.person import SourceHealth
from smoothtask.person.glance import Poll
from smoothtask.person.watch import PersonWatch

CONFIG = """
person: {focus_memory_s: 0, typed_s: 0, sound: false}
hysteresis: {snapshots: 1, min_class_s: 0}
store: {record: false}
"""
LOOK_S = 5.0
PAUSE_S = 1.2
"""Between two moves: somebody who changes windows without end is not hurried after."""


def moves(pids: list[int], move: Callable[[int], object], count: int) -> list[float]:
    """Milliseconds of each."""
    times = []
    for n in range(count):
        target, other = pids[n % 2], pids[(n + 1) % 2]
        before = os.getpriority(os.PRIO_PROCESS, target)
        began = time.monotonic()
        move(target)
        while os.getpriority(os.PRIO_PROCESS, target) == before:
            if time.monotonic() - began > 5:
                raise RuntimeError(f"the focus moved to {target}, and its nice is still {before} ({other})")
            time.sleep(0.0005)
        times.append(1000 * (time.monotonic() - began))
        time.sleep(PAUSE_S)
    return sorted(times)


def report(name: str, times: list[float]) -> list[bool]:
    """Median and p99."""
    p99 = times[min(len(times) - 1, int(0.99 * len(times)))]
    log(f"{name}: {len(times)} moves, median {times[len(times) // 2]:.1f} ms, max {times[-1]:.1f} ms")
    return [verdict(f"focus to class applied on {name}, p99", p99, 100, " ms")]


def on_x11(count: int, config: Path) -> list[bool]:
    """Xvfb, openbox, two xterms."""
    with tempfile.TemporaryDirectory(prefix="st-bench-") as home, desktop(Path(home)) as screen:
        screen.openbox()
        # Terminals that no rule knows: a known one would be INTERACTIVE under contention anyway. In sessions of their
        # own, as a desktop starts them; setsid becomes the program.
        program = shutil.copy(shutil.which("xterm") or "xterm", Path(home, "some-window"))
        pids = [screen.run("setsid", program, "-e", "sleep", "1000").pid for _ in range(2)]
        with daemon("--config", str(config)):
            time.sleep(8)
            found = {
                int(screen.xdotool("getwindowpid", w)): w
                for w in screen.xdotool("search", "--onlyvisible", "--name", "sleep").split()
            }

            def move(pid: int) -> None:
                subprocess.Popen(
                    ["xdotool", "windowactivate", found[pid]], env={**os.environ, "DISPLAY": screen.display}
                )

            move(pids[1])
            time.sleep(2)
            return report("X11", moves(pids, move, count))


def on_sway(count: int, config: Path) -> list[bool]:
    """A headless sway with two foots."""
    with sway(2, "some-window") as screen, daemon("--config", str(config)):
        time.sleep(8)
        pids = sorted(p.pid for p in psutil.process_iter(["name"]) if p.info["name"] == "some-window")[-2:]
        move = lambda pid: screen.message(f"[pid={pid}]", "focus")  # noqa: E731
        move(pids[1])
        time.sleep(2)
        return report("sway", moves(pids, move, count))


def idle(_count: int, _config: Path) -> list[bool]:
    """Half a minute of nothing, looked at every five seconds, as the daemon does while nothing happens."""
    with (
        tempfile.TemporaryDirectory(prefix="st-bench-") as home,
        desktop(Path(home)) as screen,
        sway(2),
        session() as sound,
        session() as more_sound,
    ):
        screen.openbox()
        screen.xterm()
        PipeWire(sound)
        start_pulseaudio(more_sound)
        poll = Poll()
        watch = PersonWatch.start(poll, lambda: None, windows=True, sound=True, inputs=True, only_uid=None)
        try:
            turn(watch, poll, 12)
            children = [psutil.Process(pid) for pid in watch.pids]
            before_s, began_s = cpu_s(children), time.process_time()
            turn(watch, poll, 30)
            own, theirs = 100 * (time.process_time() - began_s) / 30, 100 * (cpu_s(children) - before_s) / 30
            rss = max(child.memory_info().rss for child in children) / (1 << 20)
            view = watch.look(time.monotonic())
        finally:
            watch.close()
    working = [s.name for v in view.sessions for s in v.sources if s.health is SourceHealth.WORKING]
    log(f"{len(children)} children, which watch {', '.join(sorted(working))}")
    log(f"the daemon's part {own:.3f} %, the children {theirs:.3f} % of a core, {rss:.1f} MiB the larger")
    return [
        verdict("watchers, idle", own + theirs, 0.2, " % of a core"),
        verdict("memory of a session's child", rss, 30, " MiB"),
    ]


def turn(watch: PersonWatch, poll: Poll, seconds: float) -> None:
    """As the daemon's loop does."""
    end_s = time.monotonic() + seconds
    while (now_s := time.monotonic()) < end_s:
        watch.look(now_s)
        while (left_s := min(now_s + LOOK_S, end_s) - time.monotonic()) > 0:
            poll.turn(left_s)


KINDS = {"x11": on_x11, "sway": on_sway, "idle": idle}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], default=[])
    parser.add_argument("--count", type=int, default=60)
    options = parser.parse_args()
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as settings:
        settings.write(CONFIG)
        settings.flush()
        wanted = options.kinds or list(KINDS)
        finish([good for kind in wanted for good in KINDS[kind](options.count, Path(settings.name))])
