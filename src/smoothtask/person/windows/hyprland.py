"""The windows of Hyprland: its second socket says that something changed, the first one what there is.

Lines of `EVENT>>DATA`, and JSON to the questions `j/clients`, `j/monitors`, `j/activewindow` (Hyprland's wiki, IPC).
Each question is a connection of its own, which Hyprland ends after its answer.
"""

import select
import socket
import time
from pathlib import Path
from typing import Any, Final

from smoothtask.model.person import Source, SourceHealth, Window
from smoothtask.model.text import sanitise
from smoothtask.person.watcher import LostError, Sink, SourceReport, WindowsReport
from smoothtask.person.windows.ipc import connect, objects, parse_json, received
from smoothtask.person.windows.limits import CLAIMED, MAX_PID, MAX_WINDOWS, NAME_LIMIT, TITLE_LIMIT

NAME: Final = "windows: hyprland"
TIMEOUT_S: Final = 2.0
ANSWER_S: Final = 5.0
"""It answers in its own time; one that does not is lost."""
QUESTIONS: Final = (b"j/clients", b"j/monitors", b"j/activewindow")
_LIMIT_BYTES: Final = 1 << 20
_CALM: Final = frozenset(
    {b"windowtitle", b"windowtitlev2", b"activelayout", b"configreloaded", b"urgent", b"screencast"}
)
"""Events that no policy waits for."""


def open_hyprland(path: Path, sink: Sink, timeout_s: float = TIMEOUT_S) -> "HyprlandWatcher":
    """*path*: of `.socket2.sock`. Raises OSError or LostError, within a few times *timeout_s*."""
    events = connect(path, timeout_s)
    try:
        return HyprlandWatcher(events, path.with_name(".socket.sock"), sink, timeout_s)
    except BaseException:
        events.close()
        raise


def parse_windows(clients: Any, monitors: Any, active: Any) -> tuple[Window, ...]:
    """The windows in three answers. Raises LostError."""
    shown = {_workspace(m.get(which)) for m in objects(monitors) for which in ("activeWorkspace", "specialWorkspace")}
    focused = active.get("address") if isinstance(active, dict) else None
    found: dict[str, Window] = {}
    for client in objects(clients)[:MAX_WINDOWS]:
        address = client.get("address")
        if not isinstance(address, str) or client.get("mapped") is False:
            continue
        window = _window(client, address, shown, isinstance(focused, str) and address == focused)
        found.setdefault(window.key, window)
    return tuple(found.values())


def _window(client: dict[str, Any], address: str, shown: set[int | None], focused: bool) -> Window:
    pid, workspace = client.get("pid"), _workspace(client.get("workspace"))
    known = type(pid) is int and 1 <= pid <= MAX_PID
    said = client.get("fullscreen")
    sure = CLAIMED if client.get("xwayland") is True else 1.0  # of an X client it knows what that claims
    return Window(
        key=f"hyprland:{sanitise(address, NAME_LIMIT)}",
        pid=pid if known else None,
        confidence=sure if known else 0.0,
        app_id=sanitise(str(client.get("class") or ""), NAME_LIMIT),
        focused=focused,
        visible=workspace is not None and workspace in shown and client.get("hidden") is not True,
        fullscreen=said is True or (type(said) is int and said in {2, 3}),  # 1 is maximised
        workspace=None if workspace is None else str(workspace),
        title=sanitise(str(client.get("title") or ""), TITLE_LIMIT),
    )


def _workspace(said: Any) -> int | None:
    number = said.get("id") if isinstance(said, dict) else None
    return number if type(number) is int and number != 0 and abs(number) < 1 << 32 else None


class HyprlandWatcher:
    """See `smoothtask.person.watcher.Watcher`."""

    name = NAME

    def __init__(self, events: socket.socket, questions: Path, sink: Sink, timeout_s: float) -> None:
        self._events = events
        self._questions = questions
        self._sink = sink
        self._received = b""
        self._asking: socket.socket | None = None
        self._asked_s = 0.0
        self._answer = b""
        self._answers: list[Any] = []
        self._stale = False
        self._reported: tuple[Window, ...] | None = None
        events.setblocking(False)
        self._ask(time.monotonic())
        deadline_s = time.monotonic() + timeout_s
        while self._reported is None:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not select.select(self.filenos(), [], [], left_s)[0]:
                self.close()
                raise LostError(f"Hyprland said nothing for {timeout_s:g} s")
            self.ready(time.monotonic())
        text = "windows and focus by Hyprland's sockets; pids of Wayland windows are the kernel's word"
        sink(SourceReport(Source(NAME, SourceHealth.WORKING, text)))

    def filenos(self) -> tuple[int, ...]:
        """The events, and the question that is open."""
        return tuple(s.fileno() for s in (self._events, self._asking) if s is not None)

    def ready(self, now_s: float) -> None:
        """Take in events and answers; ask when something changed."""
        self._take_events()
        if self._asking is not None:
            self._take_answer(now_s)
        if self._stale and self._asking is None:
            self._ask(now_s)

    def wake_at_s(self) -> float | None:
        """For an answer that does not come."""
        return None if self._asking is None else self._asked_s + ANSWER_S

    def wake(self, now_s: float) -> None:
        """See `wake_at_s`."""
        if self._asking is not None and now_s >= self._asked_s + ANSWER_S:
            raise LostError(f"Hyprland does not answer in {ANSWER_S:g} s")

    def close(self) -> None:
        """Close the connections."""
        self._events.close()
        self._end_question()

    def _take_events(self) -> None:
        data = received(self._events, "Hyprland")
        if data is None:
            return
        *lines, self._received = (self._received + data).split(b"\n")
        if len(self._received) > _LIMIT_BYTES:
            raise LostError(f"Hyprland says a line of more than {_LIMIT_BYTES} bytes")
        self._stale |= any(line.partition(b">>")[0] not in _CALM for line in lines)

    def _take_answer(self, now_s: float) -> None:
        assert self._asking is not None  # noqa: S101 (asked by the caller)
        try:
            data = self._asking.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError as error:
            raise LostError(f"Hyprland is gone: {error.strerror or error}") from error
        self._answer += data
        if len(self._answer) > _LIMIT_BYTES:
            raise LostError(f"Hyprland answers more than {_LIMIT_BYTES} bytes")
        if data:
            return
        self._answers.append(parse_json(self._answer))
        self._end_question()
        if len(self._answers) < len(QUESTIONS):
            self._ask_next(now_s)
            return
        windows = parse_windows(*self._answers)
        if windows != self._reported:
            self._reported = windows
            self._sink(WindowsReport(NAME, windows))

    def _ask(self, now_s: float) -> None:
        self._stale, self._answers = False, []
        self._ask_next(now_s)

    def _ask_next(self, now_s: float) -> None:
        """A local connection and ten bytes: neither waits, unless its queue is full."""
        self._answer, self._asked_s = b"", now_s
        try:
            self._asking = connect(self._questions, TIMEOUT_S)
            self._asking.sendall(QUESTIONS[len(self._answers)])
            self._asking.setblocking(False)
        except OSError as error:
            self._end_question()
            raise LostError(f"Hyprland takes no questions: {error.strerror or error}") from error

    def _end_question(self) -> None:
        if self._asking is not None:
            self._asking.close()
            self._asking = None
