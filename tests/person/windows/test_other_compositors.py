"""Hyprland and niri, played by sockets that say what theirs say; neither is in Debian."""

import contextlib
import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from person.windows.xservers import Heard
from smoothtask.person.watcher import LostError
from smoothtask.person.windows import hyprland, niri

CLIENTS = [
    {
        "address": "0xa1",
        "mapped": True,
        "hidden": False,
        "workspace": {"id": 1, "name": "1"},
        "class": "foot",
        "title": "a",
        "pid": 41,
        "xwayland": False,
        "fullscreen": 0,
    },
    {
        "address": "0xb2",
        "mapped": True,
        "hidden": False,
        "workspace": {"id": 2, "name": "2"},
        "class": "XTerm",
        "title": "b",
        "pid": 42,
        "xwayland": True,
        "fullscreen": 2,
    },
]
MONITORS = [{"id": 0, "activeWorkspace": {"id": 1, "name": "1"}, "specialWorkspace": {"id": 0, "name": ""}}]


class Hyprland:
    """Two sockets, and what stands behind them."""

    def __init__(self, folder: Path) -> None:
        self.answers: dict[str, Any] = {"j/clients": CLIENTS, "j/monitors": MONITORS, "j/activewindow": CLIENTS[0]}
        self.path = folder / ".socket2.sock"
        self._events, self._questions = (self._listen(p) for p in (self.path, folder / ".socket.sock"))
        self._listener: socket.socket | None = None
        threading.Thread(target=self._serve, daemon=True).start()

    def say(self, line: str) -> None:
        if self._listener is None:
            self._listener, _ = self._events.accept()
        self._listener.sendall(line.encode() + b"\n")

    def stop(self) -> None:
        for each in (self._listener, self._events, self._questions):
            if each is not None:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()

    @staticmethod
    def _listen(path: Path) -> socket.socket:
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen()
        return server

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                asker, _ = self._questions.accept()
                with asker:
                    asker.sendall(json.dumps(self.answers[asker.recv(100).decode()]).encode())


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="st-") as path:
        yield Path(path)


@pytest.fixture
def hypr(folder: Path) -> Iterator[Hyprland]:
    played = Hyprland(folder)
    yield played
    played.stop()


def test_hyprlands_windows_and_focus(hypr: Hyprland) -> None:
    heard = Heard()
    heard.watcher = hyprland.open_hyprland(hypr.path, heard)
    first, second = heard.windows
    assert (first.pid, first.confidence, first.focused, first.visible, first.app_id) == (41, 1.0, True, True, "foot")
    assert (second.pid, second.confidence, second.visible, second.fullscreen) == (42, 0.5, False, True)

    hypr.answers["j/activewindow"] = CLIENTS[1]
    hypr.answers["j/monitors"] = [{"activeWorkspace": {"id": 2}}]
    hypr.say("windowtitle>>a1")
    hypr.say("activewindowv2>>b2")
    heard.until(lambda: heard.focused == 42)
    assert [w.visible for w in heard.windows] == [False, True]

    hypr.answers["j/activewindow"] = {}
    hypr.say("activewindowv2>>")
    heard.until(lambda: heard.focused is None)
    heard.watcher.close()
    heard.watcher.close()


@pytest.mark.parametrize(
    ("said", "is_fullscreen"),
    [
        *((yes, True) for yes in (2, 3, True)),
        *((no, False) for no in (0, 1, False, 1.0, 2.0, None, [], {}, "2")),
    ],
)
def test_hyprlands_maximised_windows_are_not_fullscreen(said: object, is_fullscreen: bool) -> None:
    """1 is maximised; an older one says yes or no."""
    [window] = hyprland.parse_windows([{**CLIENTS[0], "fullscreen": said}], MONITORS, {})
    assert window.fullscreen is is_fullscreen


def test_a_hyprland_that_ends_is_lost(hypr: Hyprland) -> None:
    heard = Heard()
    heard.watcher = hyprland.open_hyprland(hypr.path, heard)
    hypr.say("x>>y")
    hypr.stop()
    with pytest.raises(LostError):
        heard.until(lambda: False)
    heard.watcher.close()


def test_one_that_never_answers_is_lost(hypr: Hyprland) -> None:
    watcher = hyprland.open_hyprland(hypr.path, Heard())
    watcher._ask(time.monotonic())
    with pytest.raises(LostError, match="does not answer"):
        watcher.wake(time.monotonic() + 60)
    watcher.close()


WINDOWS = [
    {"id": 1, "title": "a", "app_id": "foot", "pid": 41, "workspace_id": 1, "is_focused": True},
    {"id": 2, "title": "b", "app_id": "firefox", "pid": 42, "workspace_id": 2, "is_focused": False},
]
WORKSPACES = [
    {"id": 1, "output": "DP-1", "is_active": True, "is_focused": True},
    {"id": 2, "output": "DP-1", "is_active": False, "is_focused": False},
    {"id": 3, "output": "DP-2", "is_active": True, "is_focused": False},
]
Say = Callable[..., None]


@contextlib.contextmanager
def played_niri(folder: Path, *greeting: dict[str, Any]) -> Iterator[tuple[Path, Say]]:
    """A socket that answers as niri's."""
    path = folder / "niri.wayland-1.7.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        clients: list[socket.socket] = []

        def greet() -> None:
            client, _ = server.accept()
            clients.append(client)
            assert client.recv(100) == b'"EventStream"\n'
            client.sendall(b"".join(json.dumps(said).encode() + b"\n" for said in greeting))

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()

        def say(**event: Any) -> None:
            thread.join(5)
            clients[0].sendall(json.dumps(event).encode() + b"\n")

        yield path, say
        for client in clients:
            client.close()


def test_niris_windows_and_focus(folder: Path) -> None:
    greeting = (
        {"Ok": "Handled"},
        {"WorkspacesChanged": {"workspaces": WORKSPACES}},
        {"WindowsChanged": {"windows": WINDOWS}},
    )
    with played_niri(folder, *greeting) as (path, say):
        heard = Heard()
        heard.watcher = niri.open_niri(path, heard)
        assert [(w.pid, w.focused, w.visible) for w in heard.windows] == [(41, True, True), (42, False, False)]
        say(WorkspaceActivated={"id": 2, "focused": True})
        say(WindowFocusChanged={"id": 2})
        heard.until(lambda: heard.focused == 42 and [w.visible for w in heard.windows] == [False, True])
        say(WindowOpenedOrChanged={"window": {**WINDOWS[0], "id": 3, "pid": 43, "workspace_id": 3}})
        heard.until(lambda: heard.focused == 43 and len(heard.windows) == 3)
        say(WindowClosed={"id": 3})
        say(WindowFocusChanged={"id": None})
        say(SomethingNew={"id": 1})
        heard.until(lambda: heard.focused is None and len(heard.windows) == 2)
        heard.watcher.close()


def test_an_x_window_of_niris_is_the_bridges_and_not_sure(tmp_path: Path) -> None:
    (tmp_path / "41").mkdir()
    (tmp_path / "41/comm").write_text("xwayland-satell\n")
    assert niri.is_bridge(41, tmp_path)
    assert not niri.is_bridge(42, tmp_path)
    scene = niri.Scene(bridges={41: True, 42: False})
    scene.take({"WindowsChanged": {"windows": WINDOWS}})
    assert [w.confidence for w in scene.view()] == [0.5, 1.0]


@pytest.mark.parametrize(
    "said", [{"Err": "no"}, {"WindowsChanged": {"windows": 7}}, {"WindowsChanged": {"windows": [{"id": "x"}]}}]
)
def test_what_niri_cannot_say_ends_it(folder: Path, said: dict[str, Any]) -> None:
    with played_niri(folder, said) as (path, _), pytest.raises(LostError):
        niri.open_niri(path, Heard())


names = st.sampled_from(
    ["id", "windows", "window", "workspaces", "pid", "address", "workspace", "class", "is_focused", "output"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=10,
)
events = st.dictionaries(
    st.sampled_from(
        [
            "WindowsChanged",
            "WindowOpenedOrChanged",
            "WindowClosed",
            "WindowFocusChanged",
            "WorkspacesChanged",
            "WorkspaceActivated",
        ]
    ),
    values,
    max_size=2,
)


@given(st.lists(events, max_size=5))
def test_any_events_of_niri_are_taken_or_refused(said: list[dict[str, Any]]) -> None:
    scene = niri.Scene()
    with contextlib.suppress(LostError):
        for event in said:
            scene.take(event)
    assert sum(w.focused for w in scene.view()) <= 1


@given(values, values, values)
def test_any_answers_of_hyprland_are_taken_or_refused(clients: object, monitors: object, active: object) -> None:
    with contextlib.suppress(LostError):
        hyprland.parse_windows(clients, monitors, active)
