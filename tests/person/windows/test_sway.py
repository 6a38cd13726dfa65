"""sway's windows: from a real one, and from whatever else answers there."""

import json
import os
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from person.desktops import Sway, installed, sway
from person.windows.xservers import Heard
from smoothtask.person.watcher import LostError
from smoothtask.person.windows.i3ipc import encoded, open_i3ipc, parse_tree, split_messages

NODE = {
    "id": 5,
    "type": "con",
    "pid": 42,
    "app_id": "foot",
    "focused": True,
    "visible": True,
    "fullscreen_mode": 0,
    "name": "t",
}


@pytest.fixture(scope="module")
def screen() -> Iterator[Sway]:
    if not installed():
        pytest.skip("sway, foot or setpriv is not installed, or this is not root")
    with sway(2) as found:
        yield found


def test_windows_focus_fullscreen_scratchpad(screen: Sway) -> None:
    heard = Heard()
    heard.watcher = open_i3ipc(screen.socket, heard)
    try:
        heard.until(lambda: len(heard.windows) == 2 and heard.focused)
        first, second = (w.pid for w in heard.windows)
        assert all(w.confidence == 1.0 and w.app_id == "foot" for w in heard.windows)
        for pid in (first, second, first):
            screen.message(f"[pid={pid}]", "focus")
            heard.until(lambda pid=pid: heard.focused == pid)
        screen.message(f"[pid={first}]", "fullscreen", "enable")
        heard.until(lambda: heard.of(first or 0) and heard.of(first or 0).fullscreen)  # type: ignore[union-attr]
        screen.message(f"[pid={first}]", "fullscreen", "disable")
        screen.message(f"[pid={first}]", "move", "scratchpad")
        heard.until(lambda: heard.of(first or 0).minimised and not heard.of(first or 0).visible)  # type: ignore[union-attr]
        screen.message("workspace", "9")
        heard.until(lambda: not heard.of(second or 0).visible)  # type: ignore[union-attr]
    finally:
        heard.watcher.close()


def test_a_compositor_that_ends_is_noticed(screen: Sway) -> None:
    heard = Heard()
    heard.watcher = open_i3ipc(screen.socket, heard)
    screen.message("exit")
    with pytest.raises(LostError):
        heard.until(lambda: False)
    heard.watcher.close()


def answering(answers: bytes) -> Path:
    """Somebody else at such a socket, who says *answers* once."""
    path = Path(tempfile.mkdtemp(prefix="st-")) / "sway-ipc.0.1.sock"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        connection, _ = server.accept()
        connection.recv(4096)
        connection.sendall(answers)
        connection.recv(4096)
        connection.close()
        server.close()

    threading.Thread(target=serve, daemon=True).start()
    return path


@pytest.mark.parametrize(
    "answers",
    [
        b"HTTP/1.0 400 Bad Request\r\n\r\n",
        struct.pack("=6sII", b"i3-ipc", 1 << 30, 4),
        encoded(4, b"[" * 50_000),
        encoded(4, b"[1, 2]"),
        encoded(4, json.dumps({"nodes": [7]}).encode()),
        encoded(2, b'{"success": false}'),
    ],
)
def test_who_is_no_sway_is_lost(answers: bytes) -> None:
    path = answering(answers)
    with pytest.raises(LostError):
        open_i3ipc(path, Heard(), timeout_s=1.0)
    path.unlink()
    path.parent.rmdir()


def test_an_x_client_only_claims_its_pid() -> None:
    (window,) = parse_tree(
        json.dumps({**NODE, "shell": "xwayland", "app_id": None, "window_properties": {"class": "XTerm"}}).encode()
    )
    assert (window.confidence, window.app_id) == (0.5, "XTerm")


def test_two_in_focus_cannot_be() -> None:
    windows = parse_tree(json.dumps({"nodes": [NODE, {**NODE, "id": 6}]}).encode())
    assert [w.focused for w in windows] == [True, False]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*NODE, "nodes", "floating_nodes", "window_properties", "shell"]), inner, max_size=5
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_tree_is_read_or_refused(tree: object) -> None:
    try:
        windows = parse_tree(json.dumps(tree).encode())
    except LostError:
        return
    assert sum(w.focused for w in windows) <= 1


@given(st.binary(max_size=100), st.integers(0, 100))
def test_messages_survive_any_cut(payload: bytes, cut: int) -> None:
    whole = encoded(4, payload) + encoded(2)
    first, rest = split_messages(whole[:cut])
    second, rest = split_messages(rest + whole[cut:])
    assert ([*first, *second], rest) == ([(4, payload), (2, b"")], b"")


def test_somebody_elses_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError):  # noqa: PT011 (whichever: nobody listens)
        open_i3ipc(tmp_path / "none", Heard())
    assert os.listdir(tmp_path) == []
