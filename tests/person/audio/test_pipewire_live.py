"""The watcher at a real PipeWire with WirePlumber."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from person.audio.servers import LIMIT_S, Heard, PipeWire, Session, session
from smoothtask.model.person import Direction, SourceHealth
from smoothtask.person.audio.pipewire import open_pipewire
from smoothtask.person.watcher import LostError


@pytest.fixture(name="started", scope="module")
def _session() -> Iterator[Session]:
    with session() as started:
        yield started


@pytest.fixture(name="pipewire", scope="module")
def _pipewire(started: Session) -> PipeWire:
    return PipeWire(started)


@pytest.fixture(name="heard")
def _heard(pipewire: PipeWire) -> Iterator[Heard]:
    heard = Heard()
    heard.watcher = open_pipewire(pipewire.socket, heard)
    try:
        yield heard
    finally:
        heard.watcher.close()
        heard.watcher.close()


def test_it_says_which_server_it_is(pipewire: PipeWire, heard: Heard) -> None:
    heard.until(lambda: heard.sound)

    assert heard.sound is not None
    assert heard.sound.server.startswith("pipewire ")
    assert heard.source is not None
    assert heard.source.health is SourceHealth.WORKING


def test_a_stream_comes_runs_pauses_runs_and_goes(pipewire: PipeWire, heard: Heard) -> None:
    player = pipewire.session.run("pw-cat", "-p", "--latency", "480", pipewire.session.sound())
    heard.until(lambda: heard.runs(player.pid))
    stream = heard.of(player.pid)
    assert stream is not None
    assert (stream.confidence, stream.direction, stream.latency_ms) == (1.0, Direction.PLAYBACK, 10.0)
    assert stream.app == "pw-cat"

    # A paused stream is one that nothing is linked to: its player waits.
    pipewire.session.finish("pw-cli", "destroy", "sink")
    heard.until(lambda: heard.of(player.pid) is not None and not heard.runs(player.pid))
    made = "{ factory.name=support.null-audio-sink node.name=sink media.class=Audio/Sink object.linger=true }"
    pipewire.session.finish("pw-cli", "create-node", "adapter", made)
    heard.until(lambda: heard.runs(player.pid))

    player.kill()
    heard.until(lambda: heard.of(player.pid) is None)


def test_a_recorder_captures_and_one_of_what_is_played_is_left_out(pipewire: PipeWire, heard: Heard) -> None:
    recorder = pipewire.session.run("pw-cat", "-r", "--target", "source", str(pipewire.session.home / "a.wav"))
    monitor = pipewire.session.run(
        "pw-cat", "-r", "-P", "{ stream.capture.sink=true }", str(pipewire.session.home / "b.wav")
    )
    heard.until(lambda: heard.runs(recorder.pid))
    stream = heard.of(recorder.pid)

    assert stream is not None
    assert stream.direction is Direction.CAPTURE
    assert monitor.poll() is None
    assert heard.of(monitor.pid) is None
    recorder.kill()
    monitor.kill()


def test_a_window_tells_of_quantum_load_and_what_is_late(pipewire: PipeWire, heard: Heard) -> None:
    player = pipewire.session.run("pw-cat", "-p", "--latency", "256", pipewire.session.sound())
    heard.until(lambda: heard.sound is not None and heard.sound.quantum)
    before = heard.sound
    assert before is not None
    assert before.quantum is not None
    assert before.quantum <= 256
    assert before.rate_hz == 48000
    assert before.dsp_load is not None
    assert before.dsp_load >= 0

    # From now on the player is stopped now and then: some of that falls into a window, or rises a count.
    deadline_s = time.monotonic() + 12
    while not any(stream.xruns for stream in heard.streams):
        assert time.monotonic() < deadline_s, heard.sound
        os.kill(player.pid, signal.SIGSTOP)
        heard.turn(0.1)
        os.kill(player.pid, signal.SIGCONT)
        heard.turn(0.1)
    stream = heard.of(player.pid)
    assert stream is not None
    assert stream.xruns > 0
    player.kill()
    heard.until(lambda: heard.sound is not None and heard.sound.quantum is None)


@pytest.mark.root  # reads whose sockets the others' processes hold
def test_who_comes_through_the_pulse_server_is_found_by_its_socket(pipewire: PipeWire, heard: Heard) -> None:
    socket = pipewire.pulse()
    player = pipewire.session.run("paplay", "-s", f"unix:{socket}", pipewire.session.sound())
    heard.until(lambda: heard.runs(player.pid))
    stream = heard.of(player.pid)

    assert stream is not None
    assert stream.confidence == 0.9
    assert stream.app == "paplay"

    liar = pipewire.session.run(
        "paplay", "-s", f"unix:{socket}", "--property=application.process.id=1", pipewire.session.sound()
    )
    heard.until(lambda: heard.runs(1))
    claimed = heard.of(1)
    assert claimed is not None
    assert claimed.confidence < 0.6
    player.kill()
    liar.kill()


def test_a_server_that_dies_is_lost(pipewire: PipeWire, heard: Heard) -> None:
    """The last one in this file: it ends the server."""
    heard.until(lambda: heard.sound)
    pipewire.server.kill()

    with pytest.raises(LostError):
        heard.until(lambda: False)
    pipewire.server.wait(LIMIT_S)  # it lets go of connections before it lets go of its socket
    with pytest.raises(OSError, match=r"refused|No such file"):
        open_pipewire(pipewire.socket, heard)
