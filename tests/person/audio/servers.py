"""Sound servers and clients of a test's own, all gone at its end, and a loop around a watcher."""

import contextlib
import os
import select
import shutil
import subprocess
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smoothtask.model.person import Sound, Source, Stream
from smoothtask.person.watcher import Report, SoundReport, SourceReport, Watcher

LIMIT_S = 10.0
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
PULSE_MODULE = """
context.spa-libs = { audio.convert.* = audioconvert/libspa-audioconvert support.* = support/libspa-support }
context.modules = [
  { name = libpipewire-module-protocol-native } { name = libpipewire-module-client-node }
  { name = libpipewire-module-adapter } { name = libpipewire-module-metadata }
  { name = libpipewire-module-protocol-pulse args = { server.address = [ "unix:native" ] } }
]
"""
"""What Debian's pipewire-pulse package is: the package alone lacks here, its module does not."""


def _other_pipewire() -> dict[str, str]:
    """Another PipeWire than the installed one, unpacked with `dpkg -x` into the folder $SMOOTHTASK_PIPEWIRE."""
    prefix = os.environ.get("SMOOTHTASK_PIPEWIRE")
    if prefix is None:
        return {}
    libraries = next(Path(prefix, "usr/lib").glob("*-linux-gnu"))
    return {
        "PATH": f"{prefix}/usr/bin:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": str(libraries),
        "SPA_PLUGIN_DIR": f"{libraries}/spa-0.2",
        "PIPEWIRE_MODULE_DIR": f"{libraries}/pipewire-0.3",
        "PIPEWIRE_CONFIG_DIR": f"{prefix}/usr/share/pipewire",
        "WIREPLUMBER_MODULE_DIR": str(next(libraries.glob("wireplumber-*"))),
        "WIREPLUMBER_CONFIG_DIR": f"{prefix}/usr/share/wireplumber",
        "WIREPLUMBER_DATA_DIR": f"{prefix}/usr/share/wireplumber",
    }


class Session:
    """A runtime directory, and the processes started in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._processes: list[subprocess.Popen[bytes]] = []

    def run(self, *arguments: str, **variables: str) -> "subprocess.Popen[bytes]":
        """Start a server or a client."""
        if shutil.which(arguments[0]) is None:
            pytest.skip(f"{arguments[0]} is not installed")
        process = subprocess.Popen(arguments, env=self.environment | variables, **QUIET)  # type: ignore[call-overload]
        self._processes.append(process)
        return process

    def finish(self, *arguments: str) -> None:
        """Run a command to its end."""
        assert self.run(*arguments).wait(LIMIT_S) == 0, arguments

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the caller's."""
        return {
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.home}/bus",
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            **_other_pipewire(),
        }

    def sound(self, seconds: int = 60) -> str:
        """A file with silence in it."""
        path = self.home / f"{seconds}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(48000)
            file.writeframes(bytes(48000 * 4 * seconds))
        return str(path)

    def wait_for(self, name: str) -> Path:
        """A socket that a server is about to make."""
        path = self.home / name
        deadline_s = time.monotonic() + LIMIT_S
        while not path.is_socket():
            assert time.monotonic() < deadline_s, f"no {name}"
            time.sleep(0.01)
        return path

    def stop(self) -> None:
        """Kill everything, the newest first, and wait for it."""
        for process in reversed(self._processes):
            process.kill()
            process.wait(LIMIT_S)


@contextlib.contextmanager
def session() -> Iterator[Session]:
    """With a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="st-") as home:
        started = Session(Path(home))
        try:
            yield started
        finally:
            started.stop()


class PipeWire:
    """A PipeWire with WirePlumber, a sink and a source that lead nowhere."""

    def __init__(self, started: Session) -> None:
        self.session = started
        started.run("dbus-daemon", "--session", "--nofork", f"--address=unix:path={started.home}/bus")
        started.wait_for("bus")
        self.server = started.run("pipewire")
        self.socket = started.wait_for("pipewire-0")
        started.run("wireplumber")
        for name, kind in (("sink", "Audio/Sink"), ("source", "Audio/Source/Virtual")):
            arguments = f"node.name={name} media.class={kind} object.linger=true audio.position=[FL FR]"
            made = f"{{ factory.name=support.null-audio-sink {arguments} }}"
            started.finish("pw-cli", "create-node", "adapter", made)

    def pulse(self) -> Path:
        """PipeWire's own server of PulseAudio's protocol: its socket."""
        settings = self.session.home / "pulse.conf"
        settings.write_text(PULSE_MODULE)
        self.session.run("pipewire", "-c", str(settings))
        return self.session.wait_for("pulse/native")


def start_pulseaudio(started: Session) -> tuple[Path, "subprocess.Popen[bytes]"]:
    """A PulseAudio with a sink that leads nowhere: its socket."""
    modules = [f"--load=module-null-sink sink_name={name}" for name in ("sink", "other")]
    options = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", *modules]
    server = started.run("pulseaudio", *options, "--load=module-native-protocol-unix")
    return started.wait_for("pulse/native"), server


class Heard:
    """A sink that remembers, and the loop around a watcher."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.watcher: Watcher | None = None

    def __call__(self, report: Report) -> None:
        self.reports.append(report)

    @property
    def sound(self) -> Sound | None:
        """The newest report."""
        return next((r.sound for r in reversed(self.reports) if isinstance(r, SoundReport)), None)

    @property
    def source(self) -> Source | None:
        """How it fares."""
        return next((r.source for r in reversed(self.reports) if isinstance(r, SourceReport)), None)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Those in the newest report."""
        return () if self.sound is None else self.sound.streams

    def of(self, pid: int) -> Stream | None:
        """The newest word on the stream of a process."""
        return next((stream for stream in self.streams if stream.pid == pid), None)

    def runs(self, pid: int) -> bool:
        """Whether it has a stream that runs."""
        stream = self.of(pid)
        return stream is not None and stream.running

    def until(self, holds: Callable[[], object], limit_s: float = LIMIT_S) -> None:
        """Turn the loop until *holds*; AssertionError after *limit_s*."""
        deadline_s = time.monotonic() + limit_s
        while not holds():
            assert time.monotonic() < deadline_s, f"it never happened: {self.sound}"
            self.turn(0.05)

    def turn(self, wait_s: float) -> None:
        """One turn, of at most *wait_s*."""
        assert self.watcher is not None
        due_s = self.watcher.wake_at_s()
        if due_s is not None:
            wait_s = min(wait_s, max(0.0, due_s - time.monotonic()))
        if select.select(self.watcher.filenos(), [], [], wait_s)[0]:
            self.watcher.ready(time.monotonic())
        due_s = self.watcher.wake_at_s()
        if due_s is not None and due_s <= time.monotonic():
            self.watcher.wake(time.monotonic())
