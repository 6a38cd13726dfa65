"""The watcher of X11, against a real server, window manager and clients."""

import contextlib
import itertools
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from Xlib import X, display

from person.windows.xservers import Desktop, Heard, desktop
from smoothtask.model.person import SourceHealth
from smoothtask.person.watcher import LostError
from smoothtask.person.windows import x11, x11_questions, x11_servers, x11_wire
from smoothtask.person.windows.limits import CLAIMED, MAX_WINDOWS
from smoothtask.person.windows.x11_idle import parse_counter

MISSING = [name for name in ("Xvfb", "openbox", "xterm", "xdotool", "xprop") if shutil.which(name) is None]
real = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
Watch = Callable[[Desktop], Heard]


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Desktop]:
    with desktop(tmp_path) as started:
        yield started


@pytest.fixture
def managed(screen: Desktop) -> Desktop:
    screen.openbox()
    return screen


@pytest.fixture
def watch() -> Iterator[Watch]:
    opened = []

    def start(screen: Desktop) -> Heard:
        heard = Heard()
        heard.watcher = x11.open_x11(screen.display, None, heard)
        opened.append(heard.watcher)
        return heard

    yield start
    for watcher in opened:
        watcher.close()
        watcher.close()


def xid(heard: Heard, pid: int) -> str:
    window = heard.of(pid)
    assert window is not None
    return window.key.removeprefix("x11:")


@real
def test_windows_and_focus_with_pids_by_the_server(managed: Desktop, watch: Watch) -> None:
    first = managed.xterm("-T", "one", "-name", "front")
    heard = watch(managed)
    heard.until(lambda: heard.focused == first.pid)
    second = managed.xterm("-T", "two")
    heard.until(lambda: heard.focused == second.pid)
    assert [w.focused for w in heard.windows].count(True) == 1

    managed.xdotool("windowactivate", xid(heard, first.pid))
    heard.until(lambda: heard.focused == first.pid)
    window = heard.of(first.pid)
    assert window is not None
    assert (window.confidence, window.app_id, window.title) == (1.0, "XTerm", "one")
    assert (window.visible, window.minimised, window.fullscreen) == (True, False, False)

    first.kill()
    heard.until(lambda: heard.of(first.pid) is None)
    assert [(r.source.name.partition(":")[0], r.source.health) for r in heard.sources] == [
        ("windows", SourceHealth.WORKING),
        ("input", SourceHealth.WORKING),
    ]
    assert not heard.sources[0].source.remedy


@real
def test_minimised_fullscreen_and_desktops(managed: Desktop, watch: Watch) -> None:
    term = managed.xterm()
    heard = watch(managed)
    heard.until(lambda: heard.focused == term.pid)

    def shown() -> tuple[bool, bool, bool, bool]:
        w = heard.of(term.pid)
        assert w is not None
        return w.visible, w.minimised, w.fullscreen, w.focused

    window = xid(heard, term.pid)
    managed.xdotool("windowminimize", window)
    heard.until(lambda: shown()[:2] == (False, True) and not shown()[3])
    managed.xdotool("windowactivate", window)
    heard.until(lambda: shown() == (True, False, False, True))
    managed.fullscreen(window, True)
    heard.until(lambda: shown()[2])
    managed.fullscreen(window, False)
    heard.until(lambda: not shown()[2])
    managed.xdotool("set_desktop", "1")
    heard.until(lambda: shown()[0] is False)
    assert not shown()[1], "on another desktop is not minimised"
    managed.xdotool("set_desktop", "0")
    heard.until(lambda: shown()[0])
    managed.xdotool("set_desktop_for_window", window, "2")
    heard.until(lambda: not shown()[0])
    w = heard.of(term.pid)
    assert w is not None
    assert w.workspace == "2"


@real
def test_a_forged_pid_is_not_believed(managed: Desktop, watch: Watch) -> None:
    term = managed.xterm()
    heard = watch(managed)
    heard.until(lambda: heard.focused == term.pid)
    managed.xprop("-id", xid(heard, term.pid), "-f", "_NET_WM_PID", "32c", "-set", "_NET_WM_PID", "1")
    again = watch(managed)
    assert [(w.pid, w.confidence) for w in again.windows] == [(term.pid, 1.0)]


@real
def test_a_process_in_a_pid_namespace_has_its_pid_of_ours(managed: Desktop, watch: Watch) -> None:
    try:
        subprocess.run(["unshare", "--pid", "--fork", "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no pid namespaces here")
    outer = managed.run("unshare", "--pid", "--fork", "--kill-child", "xterm", "-e", "sleep", "1000")
    heard = watch(managed)
    heard.until(lambda: heard.windows)
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
    assert [w.pid for w in heard.windows] == [int(children[0])]


@real
def test_without_x_resource_a_pid_is_a_claim(tmp_path: Path, watch: Watch) -> None:
    options = ("-extension", "X-Resource", "-extension", "XTEST", "-extension", "MIT-SCREEN-SAVER")
    with desktop(tmp_path, *options) as bare:
        bare.openbox()
        term = bare.xterm()
        heard = watch(bare)
        heard.until(lambda: heard.of(term.pid))
        window = heard.of(term.pid)
        assert window is not None
        assert window.confidence == CLAIMED < 0.6
        assert heard.sources[0].source.remedy
        bare.xprop(
            "-id", xid(heard, term.pid), "-f", "WM_CLIENT_MACHINE", "8s", "-set", "WM_CLIENT_MACHINE", "elsewhere"
        )
        again = watch(bare)
        assert [(w.pid, w.confidence) for w in again.windows] == [(None, 0.0)]


@real
def test_pids_of_another_namespace_are_no_pids(managed: Desktop, monkeypatch: pytest.MonkeyPatch, watch: Watch) -> None:
    managed.xterm()
    pid = os.getpid()
    monkeypatch.setattr(x11_questions.os, "getpid", lambda: pid + 1)  # the server's word on us does not agree
    heard = watch(managed)
    heard.until(lambda: heard.windows)
    assert all(w.confidence < 0.6 for w in heard.windows)


@real
def test_a_manager_that_dies_and_one_that_follows(screen: Desktop, watch: Watch) -> None:
    manager = screen.openbox()
    term, other = screen.xterm(), screen.xterm()
    heard = watch(screen)
    heard.until(lambda: len(heard.windows) == 2 and heard.focused)
    manager.kill()
    manager.wait(10)
    heard.until(lambda: heard.watcher._manager is None)
    heard.until(lambda: {w.pid for w in heard.windows} == {term.pid, other.pid})
    for pid in (term.pid, other.pid):
        screen.xdotool("windowfocus", xid(heard, pid))
        heard.until(lambda pid=pid: heard.focused == pid)
    screen.openbox()
    heard.until(lambda: heard.watcher._manager is not None)
    heard.until(lambda: {w.pid for w in heard.windows} == {term.pid, other.pid})
    for pid in (term.pid, other.pid):
        screen.xdotool("windowactivate", xid(heard, pid))
        heard.until(lambda pid=pid: heard.focused == pid)


@real
def test_without_any_manager(screen: Desktop, watch: Watch) -> None:
    heard = watch(screen)
    assert heard.windows == ()
    term = screen.xterm("-geometry", "20x5+0+0")
    heard.until(lambda: heard.of(term.pid))
    screen.xdotool("mousemove", "700", "500")
    heard.until(lambda: heard.focused is None)
    screen.xdotool("mousemove", "10", "10")  # the focus follows the pointer as long as nobody sets it
    heard.until(lambda: heard.focused == term.pid)
    term.kill()
    heard.until(lambda: heard.windows == ())


@real
def test_a_manager_that_knows_no_ewmh_frames_its_clients(screen: Desktop, watch: Watch) -> None:
    manager, client = display.Display(screen.display), display.Display(screen.display)
    frame = manager.screen().root.create_window(0, 0, 50, 50, 0, X.CopyFromParent, override_redirect=True)
    inside = client.screen().root.create_window(0, 0, 40, 40, 0, X.CopyFromParent)
    popup = client.screen().root.create_window(100, 100, 40, 40, 0, X.CopyFromParent, override_redirect=True)
    client.sync()
    manager.create_resource_object("window", inside.id).reparent(frame, 0, 0)
    state = manager.intern_atom("WM_STATE")
    manager.create_resource_object("window", inside.id).change_property(state, state, 32, [1, 0])
    for window in (frame, manager.create_resource_object("window", inside.id)):
        window.map()
    manager.sync()
    popup.map()
    client.sync()
    heard = watch(screen)
    assert [w.key for w in heard.windows] == [f"x11:{inside.id:#x}"], "neither its frame nor a menu"
    inside.set_input_focus(X.RevertToParent, X.CurrentTime)
    client.sync()
    heard.until(lambda: heard.windows[0].focused)
    for connection in (client, manager):
        connection.close()


@real
def test_titles_are_bounded_made_safe_and_read_once_a_second(managed: Desktop, watch: Watch) -> None:
    heard = watch(managed)
    client = display.Display(managed.display)
    window = client.screen().root.create_window(0, 0, 50, 50, 0, X.CopyFromParent)
    window.set_wm_class("x" * 5000, "bad\x1b[31m" + "y" * 5000)
    window.set_wm_name("first")
    window.map()
    client.sync()
    heard.until(lambda: heard.of(os.getpid()))
    [seen] = heard.windows
    assert (seen.pid, seen.title) == (os.getpid(), "first")
    for n in range(50):
        window.set_wm_name(f"\x1b]0;{n}\x07" + "z" * 100_000)
        client.sync()
        heard.turn(0)
    before = len(heard.reports)
    heard.until(lambda: heard.windows[0].title != "first")
    assert len(heard.reports) <= before + 3
    [seen] = heard.windows
    assert len(seen.title) <= 120
    assert "\x1b" not in seen.title + seen.app_id
    client.close()


@real
def test_many_windows_are_cut_off(screen: Desktop, watch: Watch) -> None:
    client = display.Display(screen.display)
    root = client.screen().root
    for n in range(MAX_WINDOWS + 50):
        root.create_window(n, 0, 5, 5, 0, X.CopyFromParent).map()
    client.sync()
    heard = watch(screen)
    assert len(heard.windows) == MAX_WINDOWS
    client.close()
    heard.until(lambda: heard.windows == ())


@real
def test_windows_that_vanish_at_once_are_no_error(managed: Desktop, watch: Watch) -> None:
    heard = watch(managed)
    client = display.Display(managed.display)
    for n in range(200):
        window = client.screen().root.create_window(0, 0, 5, 5, 0, X.CopyFromParent)
        window.set_wm_name(str(n))
        window.map()
        client.sync()
        heard.turn(0.002)
        window.destroy()
    client.sync()
    heard.until(lambda: heard.windows == ())
    assert len(heard.reports) > 10, "some of them were seen"
    client.close()


@real
def test_the_end_of_the_server_is_said(managed: Desktop, watch: Watch) -> None:
    heard = watch(managed)
    managed.server.kill()
    managed.server.wait(10)
    with pytest.raises(LostError, match="gone"):
        heard.until(lambda: False)


@real
def test_a_server_that_says_nothing_is_not_waited_for(managed: Desktop, watch: Watch) -> None:
    heard = Heard()
    heard.watcher = x11.open_x11(managed.display, None, heard, timeout_s=0.3)
    managed.server.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(LostError, match="said nothing"):
            x11.open_x11(managed.display, None, heard, timeout_s=0.3)
        with pytest.raises(LostError, match="said nothing"):
            heard.watcher.wake(time.monotonic())
    finally:
        managed.server.send_signal(signal.SIGCONT)
        heard.watcher.close()


@real
def test_idle_time_is_read_while_active_and_awaited_while_not(managed: Desktop, watch: Watch) -> None:
    heard = watch(managed)
    watcher = heard.watcher
    assert watcher is not None
    managed.xdotool("mousemove", "5", "5")
    heard.until(lambda: heard.idle)
    assert heard.idle[-1].source == f"input: x11 {managed.display}"
    heard.until(lambda: heard.idle[-1].idle_s >= 1.0)
    assert watcher.wake_at_s() is None, "nothing is asked while nobody is there"
    count = len(heard.idle)
    while heard.turn(1.5):  # whatever else happens meanwhile
        pass
    assert len(heard.idle) == count
    managed.xdotool("mousemove", "50", "50")
    heard.until(lambda: len(heard.idle) > count)
    assert heard.idle[-1].idle_s < 1.0


@real
@pytest.mark.parametrize(("name", "value"), [("open_idle", None), ("_is_xwayland", True)])
def test_a_server_without_idle_time(
    screen: Desktop, watch: Watch, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    """Stood in for: Xvfb cannot be started without SYNC, and Xwayland needs a compositor."""
    monkeypatch.setattr(x11, name, lambda _: value)
    heard = watch(screen)
    assert [r.source.health for r in heard.sources] == [SourceHealth.WORKING, SourceHealth.ABSENT]
    assert heard.watcher is not None
    assert heard.watcher.wake_at_s() is None


@real
def test_a_cookie_is_needed_where_the_server_wants_one(tmp_path: Path) -> None:
    cookie = bytes(range(16))
    auth = tmp_path / "auth"
    host = os.uname().nodename.encode()
    auth.write_bytes(entry(256, host, b"", cookie))
    with desktop(tmp_path, "-auth", str(auth)) as closed:
        x11.open_x11(closed.display, auth, Heard()).close()
        wild = tmp_path / "wild"
        wild.write_bytes(entry(65535, b"", closed.display[1:].encode(), cookie))
        x11.open_x11(closed.display, wild, Heard()).close()
        wrong = tmp_path / "wrong"
        wrong.write_bytes(entry(256, host, b"", bytes(16)))
        for file in (None, wrong, tmp_path / "missing"):
            with pytest.raises(PermissionError, match="refuses"):
                x11.open_x11(closed.display, file, Heard())


@real
def test_a_live_server_is_told_from_a_mere_listener(managed: Desktop, tmp_path: Path) -> None:
    assert x11_servers.is_live(managed.display)
    number = 90 + os.getpid() % 900 + 100
    with socket.socket(socket.AF_UNIX) as lazy:
        lazy.bind(f"\0/tmp/.X11-unix/X{number}")
        lazy.listen()
        assert not x11_servers.is_live(f":{number}")
        lazy.setblocking(False)
        with pytest.raises(BlockingIOError):
            lazy.accept()  # nobody connected
    assert not x11_servers.is_live(f":{number}")


def entry(family: int, address: bytes, number: bytes, cookie: bytes) -> bytes:
    """One of an Xauthority file."""
    fields = (address, number, b"MIT-MAGIC-COOKIE-1", cookie)
    return struct.pack(">H", family) + b"".join(struct.pack(">H", len(f)) + f for f in fields)


def test_the_nearest_cookie_is_taken() -> None:
    data = entry(65535, b"", b"", b"any") + entry(256, b"else", b"0", b"else") + entry(256, b"me", b"0", b"mine")
    assert x11_wire.parse_cookie(data, b"me", 0) == b"mine"
    assert x11_wire.parse_cookie(data, b"me", 1) == b"any"
    assert x11_wire.parse_cookie(data[:-1] + b"", b"me", 0) != b"mine"


@given(st.binary(max_size=200), st.binary(max_size=8))
def test_any_bytes_may_stand_in_a_cookie_file(data: bytes, hostname: bytes) -> None:
    assert x11_wire.parse_cookie(data, hostname, 0) in data


@given(st.binary(max_size=200), st.integers(0, 1 << 32))
def test_any_bytes_may_be_a_list_of_counters(raw: bytes, count: int) -> None:
    counter = parse_counter(raw, count, b"IDLETIME")
    assert counter is None or b"IDLETIME" in raw


@given(st.binary(max_size=300))
def test_any_bytes_may_be_a_class(data: bytes) -> None:
    name = x11_questions.app_id(data)
    assert len(name) <= 64
    assert "\x1b" not in name


@pytest.mark.parametrize("display", ["elsewhere:0", "localhost:10.0", "", ":", ":x", ":1;2", "/tmp/x"])
def test_only_displays_of_this_machine(display: str) -> None:
    with pytest.raises(OSError, match="not a display"):
        x11_wire.display_number(display)


def test_listeners_are_read_from_the_kernels_table() -> None:
    table = (
        "Num       RefCount Protocol Flags    Type St Inode Path\n"
        "0: 00000002 00000000 00010000 0001 01 42 /tmp/.X11-unix/X7\n"
        "0: 00000002 00000000 00010000 0001 01 43 @/tmp/.X11-unix/X7\n"
        "0: 00000002 00000000 00000000 0001 03 44 /tmp/.X11-unix/X7\n"
        "0: 00000002 00000000 00010000 0001 01 45 /tmp/.X11-unix/X70\n"
        "nonsense\n"
    )
    assert x11_servers.parse_listeners(table, 7) == {"socket:[42]", "socket:[43]"}


class Impostor:
    """An abstract socket that answers as an X server would not."""

    def __init__(self, answer: bytes) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self.number = 1000 + os.getpid() % 50_000
        self._socket.bind(f"\0/tmp/.X11-unix/X{self.number}")
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, args=(answer,), daemon=True)
        self._thread.start()

    def _serve(self, answer: bytes) -> None:
        client, _ = self._socket.accept()
        with client, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.recv(4096)
            client.sendall(answer)
            client.settimeout(5)
            client.recv(4096)

    def __enter__(self) -> str:
        return f":{self.number}"

    def __exit__(self, *_: object) -> None:
        self._thread.join(10)
        self._socket.close()


GREETING = (
    struct.pack("=BBHHH", 1, 0, 11, 0, 10) + struct.pack("=4xI8xH3xB", 0x200000, 0, 0).ljust(32, b"\0") + bytes(8)
)


@pytest.mark.parametrize(
    "answer",
    [
        struct.pack("=BBHHH", 1, 0, 11, 0, 0),
        GREETING + struct.pack("=BBHI", 1, 0, 1, 1 << 30) + bytes(24),
        GREETING + struct.pack("=BBHI", 1, 0, 9, 0) + bytes(24),
        GREETING + bytes(7),
        GREETING + (b"\2" + bytes(31)) * (1 << 15),
        b"",
    ],
    ids=["a greeting of nothing", "an endless answer", "an answer to nothing", "half an event", "a flood", "silence"],
)
def test_what_no_x_server_would_say(answer: bytes) -> None:
    with Impostor(answer) as display, pytest.raises(LostError):
        x11.open_x11(display, None, Heard(), timeout_s=0.3)


def test_events_without_an_end_do_not_delay_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its socket always has one more, and the clock goes on."""
    said = iter([GREETING])
    looks = itertools.count(1)
    clock = itertools.count(0.0, 0.01)

    class Talker:
        def send(self, data: bytes) -> int:
            return len(data)

        def recv(self, _: int) -> bytes:
            assert next(looks) < 1000, "it goes on for ever"
            return next(said, b"\2" + bytes(31))

        def close(self) -> None:
            pass

    monkeypatch.setattr(x11_wire, "_connect", lambda *_: Talker())
    monkeypatch.setattr(x11_wire.Connection, "_check_owner", lambda _: 1)
    monkeypatch.setattr(x11_wire.Connection, "_poll", lambda *_: True)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    connection = x11_wire.Connection(":0", None, timeout_s=1.0)
    with pytest.raises(LostError, match="said nothing"):
        connection.atoms(("WM_NAME",))
    monkeypatch.undo()


def test_no_server_is_an_oserror() -> None:
    with pytest.raises(OSError, match=r"refused|No such"):
        x11.open_x11(":64999", None, Heard())
