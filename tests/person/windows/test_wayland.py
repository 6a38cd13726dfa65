"""Any compositor: sway's wlroots protocols for real, the newer ones by a compositor of the test's own."""

import contextlib
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from person.desktops import NOBODY, installed, sway
from person.windows.xservers import Heard
from smoothtask.model.person import SourceHealth
from smoothtask.person.watcher import LostError
from smoothtask.person.windows.peers import Client, likeness, owners, read_clients
from smoothtask.person.windows.wayland import IDLE_AFTER_S, IDLE_NAME, NAME, WaylandWatcher, open_wayland
from smoothtask.person.windows.wayland_wire import Arguments, Connection, split_events, text, words

GLOBALS = {1: ("wl_seat", 7), 2: ("ext_foreign_toplevel_list_v1", 1), 3: ("ext_idle_notifier_v1", 2)}


@pytest.mark.root
@pytest.mark.skipif(not installed(), reason="sway, foot or setpriv is not installed")
def test_focus_and_fullscreen_by_wlroots_protocols() -> None:
    with sway(1) as screen:
        path = next(screen.home.glob("wayland-?"))
        heard = Heard()
        heard.watcher = watcher = WaylandWatcher(
            Connection(path, 2), heard, True, 2, lambda: read_clients(str(path), NOBODY)
        )
        heard.until(lambda: heard.focused)
        (window,) = heard.windows
        assert window.pid is not None
        assert Path(f"/proc/{window.pid}/comm").read_text().strip() == "foot"
        assert window.confidence >= 0.6
        screen.run(str(screen.home / "foot"), "sleep", "1000", WAYLAND_DISPLAY=path.name)
        heard.until(lambda: len(heard.windows) == 2)
        heard.until(lambda: all(0 < w.confidence < 0.6 for w in heard.windows))
        assert watcher.wake_at_s() != watcher._peers_at_s, "asked once"
        screen.message("fullscreen", "enable")
        heard.until(lambda: any(w.fullscreen for w in heard.windows))
        assert {s.source.name for s in heard.sources if s.source.health is SourceHealth.WORKING} == {NAME, IDLE_NAME}
        heard.until(lambda: heard.idle)
        screen.server.kill()
        with pytest.raises(LostError):
            heard.until(lambda: False)
        watcher.close()


class Compositor(threading.Thread):
    """The newer protocols, as ext-foreign-toplevel-list-v1.xml and ext-idle-notify-v1.xml have them."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen()
        self.client: socket.socket | None = None
        self.list_id = self.notification = 0

    def event(self, object_id: int, opcode: int, body: bytes = b"") -> None:
        assert self.client is not None
        self.client.sendall(struct.pack("=II", object_id, (8 + len(body)) << 16 | opcode) + body)

    def toplevel(self, number: int, app_id: str) -> None:
        self.event(self.list_id, 0, words(number))
        self.event(number, 3, text(app_id))
        self.event(number, 1)

    def run(self) -> None:
        with contextlib.suppress(OSError):
            self.client, _ = self.server.accept()
            data, kinds = b"", {1: "display"}
            while more := self.client.recv(4096):
                requests, data = split_events(data + more)
                for number, opcode, body in requests:
                    self._answer(kinds, number, opcode, Arguments(body))

    def _answer(self, kinds: dict[int, str], number: int, opcode: int, said: Arguments) -> None:
        kind = kinds.get(number)
        if kind == "display" and opcode == 0:
            self.event(said.word(), 0, words(0))
        elif kind == "display":
            registry = said.word()
            kinds[registry] = "registry"
            for name, (interface, version) in GLOBALS.items():
                self.event(registry, 0, words(name) + text(interface) + words(version))
        elif kind == "registry":
            name, interface, _, ours = said.word(), said.string(), said.word(), said.word()
            kinds[ours] = interface
            assert GLOBALS[name][0] == interface
            if interface == "ext_foreign_toplevel_list_v1":
                self.list_id = ours
                self.toplevel(0xFF000000, "org.mozilla.firefox")
        elif kind == "ext_idle_notifier_v1":
            assert opcode == 2, "the one that inhibitors do not hold back"
            self.notification = said.word()

    def stop(self) -> None:
        for each in (self.client, self.server):
            if each is not None:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()
        self.join(5)


@pytest.fixture
def compositor() -> Iterator[tuple[Path, Compositor]]:
    with tempfile.TemporaryDirectory(prefix="st-") as folder:
        path = Path(folder) / "wayland-0"
        played = Compositor(path)
        played.start()
        yield path, played
        played.stop()


def test_the_newer_protocols(compositor: tuple[Path, Compositor]) -> None:
    path, played = compositor
    heard = Heard()
    heard.watcher = open_wayland(path, heard)
    assert [w.app_id for w in heard.windows] == ["org.mozilla.firefox"]
    assert not heard.windows[0].focused
    played.toplevel(0xFF000001, "foot\x1b[31m")
    heard.until(lambda: len(heard.windows) == 2)
    assert heard.windows[1].app_id == "foot\ufffd[31m"
    played.event(0xFF000000, 0)
    heard.until(lambda: len(heard.windows) == 1)
    heard.until(lambda: heard.idle)
    assert heard.idle[-1].idle_s == 0
    played.event(played.notification, 0)
    heard.until(lambda: heard.idle[-1].idle_s == IDLE_AFTER_S)
    watcher = heard.watcher
    heard.until(lambda: watcher.wake_at_s() is None)  # nobody is there: nothing is said until somebody is
    played.event(played.notification, 1)
    heard.until(lambda: heard.idle[-1].idle_s == 0)
    heard.watcher.close()


def test_an_error_of_the_compositor_ends_it(compositor: tuple[Path, Compositor]) -> None:
    path, played = compositor
    heard = Heard()
    heard.watcher = open_wayland(path, heard)
    played.event(1, 0, words(5, 1) + text("no"))
    with pytest.raises(LostError, match="says: no"):
        heard.until(lambda: False)
    heard.watcher.close()


FOOT = Client(10, frozenset({"foot"}), ("-a", "notes"))


@pytest.mark.parametrize(
    ("app_id", "client", "score"),
    [
        ("foot", FOOT, 0.8),
        ("org.codeberg.Foot", FOOT, 0.8),
        ("notes", FOOT, 0.7),
        ("firefox", FOOT, 0.0),
        ("org.x.Y", Client(1, frozenset({"y"}), flatpak="org.x.Y"), 0.95),
        ("foot", Client(1, frozenset({"foot"}), flatpak="org.x.Y"), 0.0),
        (
            "org.gnome.Maps",
            Client(1, frozenset({"gjs"}), cgroup="0::/user/app.slice/app-gnome-org.gnome.Maps-12ab.scope"),
            0.9,
        ),
    ],
)
def test_how_alike_they_are(app_id: str, client: Client, score: float) -> None:
    assert likeness(app_id, client) == score


def test_two_that_look_the_same_are_not_sure() -> None:
    twins = [FOOT, Client(11, frozenset({"foot"}))]
    assert owners(["foot", "firefox"], twins) == {"foot": (10, 0.4)}


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes_are_events_or_refused(data: bytes, cut: int) -> None:
    with contextlib.suppress(LostError):
        events, rest = split_events(data)
        assert sum(8 + len(e.body) for e in events) + len(rest) == len(data)
        for event in events:
            Arguments(event.body).string()
    whole = struct.pack("=II", 7, 12 << 16 | 3) + words(5)
    first, rest = split_events(whole[:cut])
    assert [*first, *split_events(rest + whole[cut:])[0]] == split_events(whole)[0]


@given(st.binary(min_size=1, max_size=120))
@settings(max_examples=40, deadline=None)
def test_who_is_no_compositor_is_lost(said: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="st-") as folder, socket.socket(socket.AF_UNIX) as server:
        path = Path(folder) / "wayland-0"
        server.bind(str(path))
        server.listen()

        def answer() -> None:
            client, _ = server.accept()
            with client, contextlib.suppress(OSError):
                client.sendall(said)
                time.sleep(0.01)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with contextlib.suppress(LostError):
            open_wayland(path, Heard(), timeout_s=0.1).close()
        thread.join()
