"""What it costs to watch sound: CPU of the watcher at a PipeWire that plays, with quanta from 1024 down to 64.

    .venv/bin/python bench/audio.py [--seconds 30]

Starts a PipeWire, WirePlumber, a sink that leads nowhere and pw-cat of its own; for each quantum, half of the time
without a watcher and half with it. `watcher` is its CPU time by elapsed time, from before it connects; `server` is
what PipeWire itself costs more while it is watched. The last line is a PulseAudio that plays.
Prints one JSON line each; fails when a watcher takes more than 0.3 % of a core.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from harness import cpu_s, finish, verdict
from person.audio.servers import Heard, PipeWire, Session, session, start_pulseaudio
from smoothtask.person.audio.pipewire import open_pipewire
from smoothtask.person.audio.pulse import open_pulse
from smoothtask.person.watcher import Watcher

LIMIT_PERCENT = 0.3
QUANTA = (1024, 256, 64)


def watch(heard: Heard, seconds: float) -> float:
    """Turn the loop; CPU seconds that this process took."""
    before_s, end_s = time.process_time(), time.monotonic() + seconds
    while time.monotonic() < end_s:
        heard.turn(end_s - time.monotonic())
    return time.process_time() - before_s


def measure(server: psutil.Process, open_watcher: Callable[[Heard], Watcher], seconds: float) -> dict[str, object]:
    """Costs in percent of a core: alone first, then watched."""
    before_s = cpu_s([server])
    time.sleep(seconds)
    alone_s = cpu_s([server]) - before_s
    heard = Heard()
    before_s = cpu_s([server])
    opened_s = time.process_time()
    heard.watcher = open_watcher(heard)
    took_s = time.process_time() - opened_s + watch(heard, seconds)
    watched_s = cpu_s([server]) - before_s
    heard.watcher.close()
    sound = heard.sound
    return {
        "watcher_percent": round(100 * took_s / seconds, 3),
        "server_percent": round(100 * alone_s / seconds, 3),
        "server_more_percent": round(100 * (watched_s - alone_s) / seconds, 3),
        "quantum": sound.quantum if sound else None,
        "load": sound.dsp_load if sound else None,
        "xruns": sound.xruns if sound else None,
        "missing_cycles": sound.missing_cycles if sound else None,
        "reports": len(heard.reports),
    }


def play(started: Session, seconds: float, *player: str) -> None:
    """Something that lasts, and a moment for it to begin."""
    started.run(*player, started.sound(int(seconds) + 60))
    time.sleep(2)


def main() -> None:
    """Measure each, print each, and say whether they hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    half_s = parser.parse_args().seconds / 2
    good = []
    for quantum in QUANTA:
        with session() as started:
            pipewire = PipeWire(started)
            started.finish("pw-metadata", "-n", "settings", "0", "clock.force-quantum", str(quantum))
            play(started, 2 * half_s, "pw-cat", "-p")
            costs = measure(
                psutil.Process(pipewire.server.pid), lambda h, p=pipewire: open_pipewire(p.socket, h), half_s
            )
        print(json.dumps({"server": "pipewire", **costs}))
        good.append(verdict(f"pipewire, quantum {quantum}", float(str(costs["watcher_percent"])), LIMIT_PERCENT, " %"))
    with session() as started:
        socket, server = start_pulseaudio(started)
        play(started, 2 * half_s, "paplay", "-s", f"unix:{socket}")
        costs = measure(psutil.Process(server.pid), lambda h: open_pulse(socket, h), half_s)
    print(json.dumps({"server": "pulseaudio", **costs}))
    good.append(verdict("pulseaudio", float(str(costs["watcher_percent"])), LIMIT_PERCENT, " %"))
    finish(good)


if __name__ == "__main__":
    main()
