"""X servers, window managers and clients of a test's own, all gone at its end."""

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from Xlib import X, display
from Xlib.protocol import event

from smoothtask.model.person import Window
from smoothtask.person.watcher import IdleReport, Report, SourceReport, Watcher, WindowsReport

LIMIT_S = 10.0
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}


class Desktop:
    """An Xvfb, and whatever runs on it."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self._processes: list[subprocess.Popen[bytes]] = []
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as said:
            try:
                arguments = [
                    "Xvfb",
                    "-displayfd",
                    str(writing),
                    "-screen",
                    "0",
                    "800x600x24",
                    "-nolisten",
                    "tcp",
                    "-noreset",
                ]
                self.server = self._start([*arguments, *options], pass_fds=[writing])
            finally:
                os.close(writing)
            assert select.select([said], [], [], LIMIT_S)[0], "Xvfb says nothing"
            self.display = f":{said.readline().decode().strip()}"

    def run(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a client or a window manager."""
        return self._start([*arguments])

    def openbox(self) -> "subprocess.Popen[bytes]":
        """Start it, and wait until it manages: it loses a window that is mapped while it starts."""
        ready = self.home / "ready"
        ready.unlink(missing_ok=True)
        started = self.run("openbox", "--startup", f"touch {ready}")
        deadline_s = time.monotonic() + LIMIT_S
        while not ready.exists():
            assert time.monotonic() < deadline_s, "openbox does not start"
            time.sleep(0.01)
        return started

    def xterm(self, *options: str) -> "subprocess.Popen[bytes]":
        """A terminal in which nothing happens."""
        return self.run("xterm", *options, "-e", "sleep", "1000")

    def xdotool(self, *arguments: str) -> str:
        """Act as a person would."""
        return self._output("xdotool", *arguments)

    def xprop(self, *arguments: str) -> str:
        """Read or set properties."""
        return self._output("xprop", *arguments)

    def fullscreen(self, window: str, on: bool) -> None:
        """Ask the window manager for it, as a pager would (EWMH)."""
        client = display.Display(self.display)
        root = client.screen().root
        state, full = (client.intern_atom(n) for n in ("_NET_WM_STATE", "_NET_WM_STATE_FULLSCREEN"))
        target = client.create_resource_object("window", int(window, 16))
        message = event.ClientMessage(window=target, client_type=state, data=(32, [int(on), full, 0, 2, 0]))
        root.send_event(message, event_mask=X.SubstructureRedirectMask | X.SubstructureNotifyMask)
        client.sync()
        client.close()

    def _output(self, *arguments: str) -> str:
        environment = self._environment()
        done = subprocess.run(arguments, check=False, env=environment, capture_output=True, text=True, timeout=LIMIT_S)
        return done.stdout.strip()

    def stop(self) -> None:
        """Kill everything, the server last, and wait for it."""
        for process in reversed(self._processes):
            process.kill()
            process.wait(LIMIT_S)

    def _start(self, arguments: list[str], **more: object) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(arguments, env=self._environment(), **QUIET, **more)  # type: ignore[call-overload]
        self._processes.append(process)
        return process

    def _environment(self) -> dict[str, str]:
        display = {"DISPLAY": self.display} if hasattr(self, "display") else {}
        return {"HOME": str(self.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **display}


class Heard:
    """A sink that remembers, and the loop around a watcher."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.watcher: Watcher | None = None

    def __call__(self, report: Report) -> None:
        self.reports.append(report)

    @property
    def windows(self) -> tuple[Window, ...]:
        """The newest report of windows."""
        return next((r.windows for r in reversed(self.reports) if isinstance(r, WindowsReport)), ())

    @property
    def idle(self) -> list[IdleReport]:
        """All that was said of idle time."""
        return [r for r in self.reports if isinstance(r, IdleReport)]

    @property
    def sources(self) -> list[SourceReport]:
        """All that was said of sources."""
        return [r for r in self.reports if isinstance(r, SourceReport)]

    def of(self, pid: int) -> Window | None:
        """The newest word on the window of a process."""
        return next((w for w in self.windows if w.pid == pid), None)

    @property
    def focused(self) -> int | None:
        """The pid of the window in focus."""
        return next((w.pid for w in self.windows if w.focused), None)

    def until(self, holds: Callable[[], object], limit_s: float = LIMIT_S) -> None:
        """Turn the loop until *holds*; AssertionError after *limit_s*."""
        deadline_s = time.monotonic() + limit_s
        while not holds():
            assert time.monotonic() < deadline_s, f"it never happened: {self.windows}"
            self.turn(0.05)

    def turn(self, wait_s: float) -> bool:
        """One turn, of at most *wait_s*; whether anything happened."""
        assert self.watcher is not None
        now_s = time.monotonic()
        due_s = self.watcher.wake_at_s()
        if due_s is not None:
            wait_s = min(wait_s, max(0.0, due_s - now_s))
        readable = select.select(self.watcher.filenos(), [], [], wait_s)[0]
        now_s = time.monotonic()
        if readable:
            self.watcher.ready(now_s)
        due_s = self.watcher.wake_at_s()
        woken = due_s is not None and due_s <= now_s
        if woken:
            self.watcher.wake(now_s)
        return bool(readable) or woken


@contextlib.contextmanager
def desktop(home: Path, *options: str) -> Iterator[Desktop]:
    """An X server without a window manager."""
    started = Desktop(home, *options)
    try:
        yield started
    finally:
        started.stop()
