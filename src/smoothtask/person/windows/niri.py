"""The windows of niri, by the event stream of its IPC socket: first all of them, then every change.

Its IPC is one JSON value a line (niri-ipc's documentation, `Request::EventStream` and `Event`).
"""

import select
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from smoothtask.model.person import Source, SourceHealth, Window
from smoothtask.model.text import sanitise
from smoothtask.person.watcher import LostError, Sink, SourceReport, WindowsReport
from smoothtask.person.windows.ipc import connect, objects, parse_object, received
from smoothtask.person.windows.limits import CLAIMED, MAX_PID, MAX_WINDOWS, NAME_LIMIT, TITLE_LIMIT

NAME: Final = "windows: niri"
TIMEOUT_S: Final = 2.0
_LIMIT_BYTES: Final = 1 << 20
_BRIDGE: Final = b"xwayland-satell"
"""xwayland-satellite, by the fifteen letters that the kernel keeps: through it all X clients come."""


def open_niri(path: Path, sink: Sink, timeout_s: float = TIMEOUT_S) -> "NiriWatcher":
    """Follow the events, and report what is there. Raises OSError or LostError within *timeout_s*."""
    connection = connect(path, timeout_s)
    try:
        return NiriWatcher(connection, sink, timeout_s)
    except BaseException:
        connection.close()
        raise


@dataclass(slots=True)
class Scene:
    """What the events add up to."""

    windows: dict[int, dict[str, Any]] = field(default_factory=dict)
    shown: dict[int, tuple[str, bool]] = field(default_factory=dict)
    """Workspace → its output, and whether it is the one shown there."""
    focused: int | None = None
    greeted: bool = False
    """The first list of windows has come."""
    bridges: dict[int, bool] = field(default_factory=dict)
    """Pid → whether it stands for others, of which Xwayland's own watcher knows more."""

    def take(self, event: dict[str, Any]) -> None:
        """One event; those of no concern are passed over. Raises LostError."""
        for name, said in event.items():
            if not isinstance(said, dict):
                continue
            match name:
                case "WindowsChanged":
                    self.greeted = True
                    self.windows = {_id(w): w for w in objects(said.get("windows"))[:MAX_WINDOWS]}
                    self.focused = next((n for n, w in self.windows.items() if w.get("is_focused") is True), None)
                case "WindowOpenedOrChanged":
                    self._open(said.get("window"))
                case "WindowClosed":
                    self.windows.pop(_id(said), None)
                case "WindowFocusChanged":
                    self.focused = None if said.get("id") is None else _id(said)
                case "WorkspacesChanged":
                    self.shown = {
                        _id(w): (str(w.get("output"))[:NAME_LIMIT], w.get("is_active") is True)
                        for w in objects(said.get("workspaces"))[:MAX_WINDOWS]
                    }
                case "WorkspaceActivated":
                    self._show(_id(said))
                case _:
                    pass

    def view(self) -> tuple[Window, ...]:
        """As the policy sees it."""
        return tuple(self._window(number, said) for number, said in self.windows.items())

    def _open(self, said: Any) -> None:
        if not isinstance(said, dict):
            raise LostError("a window that is no object")
        number = _id(said)
        if number in self.windows or len(self.windows) < MAX_WINDOWS:
            self.windows[number] = said
        if said.get("is_focused") is True:
            self.focused = number

    def _show(self, number: int) -> None:
        """It takes the place of the one that its output showed."""
        if number in self.shown:
            output = self.shown[number][0]
            self.shown = {n: (o, n == number if o == output else on) for n, (o, on) in self.shown.items()}

    def _window(self, number: int, said: dict[str, Any]) -> Window:
        pid, workspace = said.get("pid"), said.get("workspace_id")
        known = type(pid) is int and 1 <= pid <= MAX_PID
        sure = CLAIMED if known and self._is_bridge(pid) else 1.0
        _, visible = self.shown.get(workspace, ("", False)) if type(workspace) is int else ("", False)
        return Window(
            key=f"niri:{number}",
            pid=pid if known else None,
            confidence=sure if known else 0.0,
            app_id=sanitise(str(said.get("app_id") or ""), NAME_LIMIT),
            focused=number == self.focused,
            visible=visible,
            workspace=str(workspace)[:NAME_LIMIT] if type(workspace) is int else None,
            title=sanitise(str(said.get("title") or ""), TITLE_LIMIT),
        )

    def _is_bridge(self, pid: Any) -> bool:
        if pid not in self.bridges:
            if len(self.bridges) > MAX_WINDOWS:
                self.bridges.clear()
            self.bridges[pid] = is_bridge(pid)
        return self.bridges[pid]


def is_bridge(pid: int, proc: Path = Path("/proc")) -> bool:
    """Whether a process is xwayland-satellite."""
    try:
        return (proc / str(pid) / "comm").read_bytes().strip() == _BRIDGE
    except OSError:  # it has ended
        return False


class NiriWatcher:
    """See `smoothtask.person.watcher.Watcher`."""

    name = NAME

    def __init__(self, connection: socket.socket, sink: Sink, timeout_s: float) -> None:
        self._connection = connection
        self._sink = sink
        self._received = b""
        self._scene = Scene()
        self._reported: tuple[Window, ...] | None = None
        connection.sendall(b'"EventStream"\n')
        connection.setblocking(False)
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        deadline_s = time.monotonic() + timeout_s
        while self._reported is None:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not poll.poll(left_s * 1000):
                raise LostError(f"niri said nothing for {timeout_s:g} s")
            self.ready(time.monotonic())
        text = "windows and focus by niri's IPC; pids are the kernel's word"
        sink(SourceReport(Source(NAME, SourceHealth.WORKING, text)))

    def filenos(self) -> tuple[int, ...]:
        """The connection."""
        return (self._connection.fileno(),)

    def ready(self, now_s: float) -> None:  # noqa: ARG002 - the interface
        """Take in events, and report what they changed."""
        data = received(self._connection, "niri")
        if data is None:
            return
        *lines, self._received = (self._received + data).split(b"\n")
        if len(self._received) > _LIMIT_BYTES:
            raise LostError(f"niri says a line of more than {_LIMIT_BYTES} bytes")
        for line in lines:
            event = parse_object(line)
            if "Err" in event:
                raise LostError(f"niri refuses: {sanitise(str(event['Err']), 80)}")
            self._scene.take(event)
        windows = self._scene.view()
        if self._scene.greeted and windows != self._reported:
            self._reported = windows
            self._sink(WindowsReport(NAME, windows))

    def wake_at_s(self) -> float | None:
        """Never: every change is an event."""
        return None

    def wake(self, now_s: float) -> None:
        """See `wake_at_s`."""

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _id(said: dict[str, Any]) -> int:
    number = said.get("id")
    if type(number) is not int or not 0 <= number < 1 << 64:
        raise LostError("an id that is no number")
    return number
