"""The windows of sway, over its IPC socket (sway-ipc(7)): events say that something changed, the tree says what.

i3 speaks the same, but its tree has no pids: there the X11 watcher serves.
"""

import select
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from smoothtask.model.person import Source, SourceHealth, Window
from smoothtask.model.text import sanitise
from smoothtask.person.watcher import LostError, Sink, SourceReport, WindowsReport
from smoothtask.person.windows.ipc import connect, parse_object, received
from smoothtask.person.windows.limits import CLAIMED, MAX_PID, MAX_WINDOWS, NAME_LIMIT, TITLE_LIMIT

NAME: Final = "windows: sway"
TIMEOUT_S: Final = 2.0
RESYNC_S: Final = 15.0
"""A change of layout (tabs, stacks) hides windows without an event."""
TITLE_PAUSE_S: Final = 1.0
"""Changes of titles are taken in so late, together."""
_MAGIC: Final = b"i3-ipc"
_HEADER: Final = struct.Struct("=6sII")
_SUBSCRIBE, _GET_TREE = 2, 4
_EVENT: Final = 1 << 31
_WINDOW, _SHUTDOWN = _EVENT | 3, _EVENT | 6
_LIMIT_BYTES: Final = 1 << 23
_MAX_NODES: Final = 8192
_SCRATCHPAD: Final = "__i3_scratch"
_CALM: Final = frozenset({"title", "mark", "urgent"})
"""Changes of a window that no policy waits for."""

Message = tuple[int, bytes]


def open_i3ipc(path: Path, sink: Sink, timeout_s: float = TIMEOUT_S) -> "SwayWatcher":
    """Subscribe, and report what is there. Raises OSError (PermissionError: not our user's) or LostError."""
    connection = connect(path, timeout_s)
    try:
        return SwayWatcher(connection, sink, timeout_s)
    except BaseException:
        connection.close()
        raise


def encoded(kind: int, payload: bytes = b"") -> bytes:
    """One message."""
    return _HEADER.pack(_MAGIC, len(payload), kind) + payload


def split_messages(data: bytes) -> tuple[list[Message], bytes]:
    """The whole messages at the start of *data*, and the rest. Raises LostError for what is none."""
    messages, at = [], 0
    while at + _HEADER.size <= len(data):
        magic, length, kind = _HEADER.unpack_from(data, at)
        if magic != _MAGIC or length > _LIMIT_BYTES:
            raise LostError("it says what is no message of sway's")
        end = at + _HEADER.size + length
        if end > len(data):
            break
        messages.append((kind, data[at + _HEADER.size : end]))
        at = end
    return messages, data[at:]


def parse_tree(payload: bytes) -> tuple[Window, ...]:
    """The windows in an answer to GET_TREE; one in focus at most. Raises LostError."""
    windows: dict[str, Window] = {}
    focused = False
    for node, workspace in _leaves(parse_object(payload)):
        window = _window(node, workspace, focused)
        focused |= window.focused
        if len(windows) < MAX_WINDOWS:
            windows.setdefault(window.key, window)
    return tuple(windows.values())


def _leaves(tree: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Every node that has a process, with its workspace."""
    waiting: list[tuple[Any, str | None]] = [(tree, None)]
    for _ in range(_MAX_NODES):
        if not waiting:
            return
        node, workspace = waiting.pop()
        if not isinstance(node, dict):
            raise LostError("a node that is no object")
        if node.get("type") == "workspace":
            workspace = sanitise(str(node.get("name")), NAME_LIMIT)
        if node.get("pid"):
            yield node, workspace
        for below in ("nodes", "floating_nodes"):
            children = node.get(below, [])
            if not isinstance(children, list):
                raise LostError(f"{below} that are no list")
            waiting += [(child, workspace) for child in reversed(children)]


def _window(node: dict[str, Any], workspace: str | None, other_focused: bool) -> Window:
    pid = node["pid"]
    known = type(pid) is int and 1 <= pid <= MAX_PID
    # Of an X client sway knows only what it claims; Xwayland's own watcher knows better.
    sure = CLAIMED if node.get("shell") == "xwayland" else 1.0
    properties = node.get("window_properties")
    x_class = properties.get("class") if isinstance(properties, dict) else None
    minimised = workspace == _SCRATCHPAD
    return Window(
        key=f"sway:{sanitise(str(node.get('id')), NAME_LIMIT)}",
        pid=pid if known else None,
        confidence=sure if known else 0.0,
        app_id=sanitise(str(node.get("app_id") or x_class or ""), NAME_LIMIT),
        focused=node.get("focused") is True and not other_focused,
        visible=node.get("visible") is True and not minimised,
        minimised=minimised,
        fullscreen=bool(node.get("fullscreen_mode")),
        workspace=workspace,
        title=sanitise(str(node.get("name") or ""), TITLE_LIMIT),
    )


class SwayWatcher:
    """See `smoothtask.person.watcher.Watcher`."""

    name = NAME

    def __init__(self, connection: socket.socket, sink: Sink, timeout_s: float) -> None:
        self._connection = connection
        self._sink = sink
        self._received = b""
        self._asked = False
        self._stale = False
        self._tree_at_s: float | None = None
        """When the tree is to be asked for again."""
        self._reported: tuple[Window, ...] | None = None
        connection.sendall(encoded(_SUBSCRIBE, b'["window","workspace","shutdown"]'))
        connection.setblocking(False)
        self._ask()
        deadline_s = time.monotonic() + timeout_s
        while self._reported is None:
            if not _readable(connection, deadline_s - time.monotonic()):
                raise LostError(f"sway said nothing for {timeout_s:g} s")
            self.ready(time.monotonic())
        text = "windows and focus by sway's IPC; pids of Wayland windows are the kernel's word"
        sink(SourceReport(Source(NAME, SourceHealth.WORKING, text)))

    def filenos(self) -> tuple[int, ...]:
        """The connection."""
        return (self._connection.fileno(),)

    def ready(self, now_s: float) -> None:
        """Take in events, and ask for the tree when one of them matters."""
        messages, self._received = split_messages(self._received + (received(self._connection, "sway") or b""))
        for kind, payload in messages:
            self._take(kind, payload, now_s)
        if self._stale and not self._asked:
            self._ask()

    def wake_at_s(self) -> float | None:
        """For changes without an event."""
        return self._tree_at_s

    def wake(self, now_s: float) -> None:  # noqa: ARG002 - the interface
        """Ask for the tree."""
        if not self._asked:
            self._ask()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _take(self, kind: int, payload: bytes, now_s: float) -> None:
        if kind == _SHUTDOWN:
            raise LostError("sway ends")
        if kind == _GET_TREE:
            self._asked, self._tree_at_s = False, now_s + RESYNC_S
            windows = parse_tree(payload)
            if windows != self._reported:
                self._reported = windows
                self._sink(WindowsReport(NAME, windows))
        elif kind == _SUBSCRIBE:
            if parse_object(payload).get("success") is not True:
                raise LostError("sway tells us no events")
        elif kind == _WINDOW and parse_object(payload).get("change") in _CALM:
            self._tree_at_s = min(self._tree_at_s or now_s + RESYNC_S, now_s + TITLE_PAUSE_S)
        elif kind & _EVENT:
            self._stale = True

    def _ask(self) -> None:
        """A question is 14 bytes: one that does not fit goes to somebody who does not read any more."""
        self._asked, self._stale, self._tree_at_s = True, False, None
        try:
            self._connection.send(encoded(_GET_TREE))
        except OSError as error:
            raise LostError(f"sway takes no questions: {error.strerror or error}") from error


def _readable(connection: socket.socket, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return timeout_s > 0 and bool(poll.poll(timeout_s * 1000))
