"""Sound that breaks up: a real PipeWire with a short quantum beside programs of a higher priority."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from person.audio.servers import Heard, PipeWire, session
from smoothtask.person.audio.pipewire import open_pipewire

pytestmark = pytest.mark.root
SECONDS = 12.0
"""Of each part: a few windows of the profiler."""


@contextlib.contextmanager
def hogs() -> Iterator[None]:
    """Twice as many as there are CPUs, at nice -20."""
    program = [sys.executable, "-c", "import os; os.nice(-20)\nwhile True: pass"]
    running = [subprocess.Popen(program) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def without_realtime(*pids: int) -> None:
    """As where there is no rtkit: root's threads for sound got a real-time priority."""
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setscheduler(int(thread), os.SCHED_OTHER, os.sched_param(0))


def breaks(heard: Heard) -> int:
    """How often sound has broken up so far."""
    assert heard.sound is not None
    return heard.sound.xruns + heard.sound.missing_cycles


def during(heard: Heard) -> int:
    """How often it does in a while."""
    before, end_s = breaks(heard), time.monotonic() + SECONDS
    while time.monotonic() < end_s:
        heard.turn(0.2)
    return breaks(heard) - before


@pytest.mark.slow
def test_what_starves_sound_shows() -> None:
    with session() as started:
        pipewire = PipeWire(started)
        started.finish("pw-metadata", "-n", "settings", "0", "clock.force-quantum", "64")
        player = started.run("pw-cat", "-p", started.sound(120))
        heard = Heard()
        heard.watcher = open_pipewire(pipewire.socket, heard)
        heard.until(lambda: heard.runs(player.pid) and heard.sound is not None and heard.sound.quantum == 64)
        without_realtime(pipewire.server.pid, player.pid)
        calm = during(heard)
        with hogs():
            starved = during(heard)
        assert heard.sound is not None
        print(f"\ncalm {calm}, starved {starved}, load {heard.sound.dsp_load}")
        assert starved > 20
        assert starved > 3 * calm
        heard.watcher.close()
