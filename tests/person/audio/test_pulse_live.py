"""The watcher at a real PulseAudio."""

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from person.audio.servers import LIMIT_S, Heard, Session, session, start_pulseaudio
from smoothtask.model.person import Direction, SourceHealth
from smoothtask.person.audio.pulse import open_pulse
from smoothtask.person.watcher import LostError


@pytest.fixture(name="started", scope="module")
def _session() -> Iterator[Session]:
    if shutil.which("pulseaudio") is None or shutil.which("paplay") is None:
        pytest.skip("pulseaudio or pulseaudio-utils is not installed")
    with session() as started:
        yield started


@pytest.fixture(name="heard", scope="module")
def _heard(started: Session) -> Iterator[tuple[Heard, "subprocess.Popen[bytes]"]]:
    path, server = start_pulseaudio(started)
    heard = Heard()
    heard.watcher = open_pulse(path, heard)
    try:
        yield heard, server
    finally:
        heard.watcher.close()
        heard.watcher.close()


def test_a_stream_comes_and_goes(started: Session, heard: "tuple[Heard, subprocess.Popen[bytes]]") -> None:
    listening, _ = heard
    listening.until(lambda: listening.sound)
    assert listening.sound is not None
    assert listening.sound.server.startswith("pulseaudio ")
    assert listening.source is not None
    assert listening.source.health is SourceHealth.WORKING
    player = started.run("paplay", "-s", f"unix:{started.home}/pulse/native", started.sound())
    listening.until(lambda: listening.runs(player.pid))
    stream = listening.of(player.pid)
    assert stream is not None
    assert (stream.direction, stream.app) == (Direction.PLAYBACK, "paplay")
    assert stream.confidence >= 0.6
    player.kill()
    listening.until(lambda: listening.of(player.pid) is None)


def test_a_server_that_dies_is_lost(started: Session, heard: "tuple[Heard, subprocess.Popen[bytes]]") -> None:
    """The last one in this file: it ends the server."""
    listening, server = heard
    server.kill()
    with pytest.raises(LostError):
        listening.until(lambda: False)
    server.wait(LIMIT_S)  # it lets go of connections before it lets go of its socket
    with pytest.raises((OSError, LostError)):
        open_pulse(started.home / "pulse/native", listening)
