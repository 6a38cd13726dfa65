"""SmoothTask, on and off at a word: an engine of ours that acts on what the bench started, or a daemon that runs.

    python -m smoothtask.bench.switch --runtime-dir DIR --held DIR [--config FILE] [--daemon SOCKET]

Words on its input, each answered by a line on its output that begins with `ok`, or tells what went wrong:

    who         the pid of SmoothTask, after `ok`: of this process, or of the daemon
    root PID    act on what is below this process (the engine of ours alone)
    on, off     apply decisions; undo all and, where the engine is ours, stand still: nothing is looked at or counted

When its input ends, however that comes about, everything is put back and a daemon goes on.
"""

import argparse
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Protocol

from smoothtask.bench.scoped import BelowOnly, acting
from smoothtask.collector.probe import ProbeUnavailable
from smoothtask.config.located import ConfigError
from smoothtask.config.paths import Paths
from smoothtask.config.settings import Settings, load_settings
from smoothtask.control.client import Connection, DaemonError, newest_frame, request
from smoothtask.daemon.build import build
from smoothtask.daemon.process import AlreadyRunning
from smoothtask.model.command import Caller, Pause
from smoothtask.model.frame import Mode


class SwitchError(Exception):
    """It cannot be switched; the text is a sentence for a person."""


class Switch(Protocol):
    """On and off."""

    def run(self) -> None:
        """Follow the words until the input ends."""
        ...

    def stop(self) -> None:
        """Called by a signal's handler, after the input has been replaced by an empty one."""
        ...


class Ours:
    """An engine in this process."""

    def __init__(self, settings: Settings, paths: Paths) -> None:
        """Raises what `daemon.build` raises."""
        self._loop = build(_settings(settings), paths, observe=False)
        self._whole = self._loop.engine.sampler
        self._paths = paths

    def run(self) -> None:
        """See `Switch`."""
        self._root(os.getpid())
        self._pause(True)
        _say(f"ok {self._loop.engine.mode}")
        self._loop.add_reader(0, self._follow)
        self._follow()
        self._loop.run()
        self._tidy()

    def stop(self) -> None:
        """See `Switch`."""
        self._loop.stop()

    def _follow(self) -> None:
        """Words until `on`, when the loop turns again; meanwhile nothing is looked at."""
        while (word := _hear()) is not None:
            if word == "on":
                _say(self._pause(False))
                return
            if word == "off":
                _say(self._pause(True))
            elif word == "who":
                _say(f"ok {os.getpid()}")
            elif word.startswith("root "):
                self._root(int(word.removeprefix("root ")))
                _say("ok")
            else:
                _say(f"what is {word!r}?")
        self._loop.stop()

    def _root(self, pid: int) -> None:
        self._loop.engine.sampler = BelowOnly(self._whole, pid)

    def _tidy(self) -> None:
        """Our folder goes; a ledger in it would tell the next one what could not be put back."""
        shutil.rmtree(self._paths.state_dir)
        self._paths.lock.unlink()
        if not self._paths.ledger.exists():
            self._paths.runtime_dir.rmdir()

    def _pause(self, on: bool) -> str:
        try:
            self._loop.rest(on)
        except ProbeUnavailable as error:
            return str(error)
        reply = self._loop.handle(Pause(on), Caller(os.geteuid(), os.getpid()))
        return "ok" if reply.ok else reply.message


class Daemon:
    """One that runs already: it is paused, and goes on."""

    def __init__(self, socket: Path) -> None:
        """Raises SwitchError, DaemonError."""
        self._socket = socket
        connection = Connection(socket)
        self._pid = connection.peer.pid
        connection.close()
        mode = newest_frame(socket).mode
        if mode is Mode.PAUSED:
            raise SwitchError("the daemon is paused: `smoothtask resume` first, or it would be switched on by this")
        if mode is Mode.DRY_RUN:
            raise SwitchError("the daemon applies nothing (dry-run): there is nothing to measure")

    def run(self) -> None:
        """See `Switch`."""
        _say("ok daemon")
        try:
            while (word := _hear()) is not None:
                _say(self._answer(word))
        finally:
            self._pause(False)

    def _answer(self, word: str) -> str:
        if word == "who":
            return f"ok {self._pid}"
        return self._pause(word == "off") if word in {"on", "off"} else "ok"

    def stop(self) -> None:
        """See `Switch`: the input has ended, which is what is waited for."""

    def _pause(self, on: bool) -> str:
        reply = request(self._socket, Pause(on, passing=True))
        return "ok" if reply.ok else reply.message


def _settings(settings: Settings) -> Settings:
    """Without what asks a desktop: what the bench starts has no windows."""
    person = settings.person.model_copy(update={"windows": False, "sound": False})
    return acting(settings).model_copy(update={"person": person})


def _hear() -> str | None:
    """The next word; `None` at the end."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return None
        line += byte
    return line.decode().strip()


def _say(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:  # nobody listens any more: the input ends as well
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: list[str] | None = None) -> int:
    """Be switched until the input ends."""
    parser = argparse.ArgumentParser(prog="python -m smoothtask.bench.switch")
    parser.add_argument("--runtime-dir", type=Path, required=True)
    parser.add_argument("--held", type=Path, required=True)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--daemon", type=Path)
    options = parser.parse_args(arguments)
    # A Ctrl-C is for whoever started us: our input ends then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        switch: Switch
        if options.daemon is not None:
            switch = Daemon(options.daemon)
        else:
            place: Path = options.runtime_dir
            paths = Paths(place, place / "state", place / "none", runtime_named=True, held=options.held)
            switch = Ours(load_settings(options.config), paths)

        def end(_signal: int, _frame: object) -> None:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            switch.stop()

        signal.signal(signal.SIGTERM, end)
        switch.run()
    except (SwitchError, DaemonError, ConfigError, AlreadyRunning, OSError) as error:
        print(f"{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
