"""kernel.notify with a real socket in the manager's place."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from smoothtask.kernel.notify import message, notify


@pytest.fixture
def manager() -> Iterator[socket.socket]:
    """A datagram socket that listens as systemd does."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sock:
        sock.settimeout(5)
        yield sock


def test_message() -> None:
    """One assignment a line, in the order that sd_notify(3) shows."""
    assert message(ready=True, status="42 groups") == b"READY=1\nSTATUS=42 groups"
    assert message(reloading_mono_us=12) == b"RELOADING=1\nMONOTONIC_USEC=12"
    assert message(stopping=True) == b"STOPPING=1"
    assert message(watchdog=True) == b"WATCHDOG=1"
    assert message() == b""


def test_a_status_cannot_smuggle_another_assignment() -> None:
    """A newline in it is replaced; length is bounded."""
    assert message(status="x\nREADY=1").count(b"\n") == 0
    assert len(message(status="x" * 10_000)) < 300


def test_a_path(manager: socket.socket, tmp_path: Path) -> None:
    """The datagram arrives at a socket in the file system."""
    path = str(tmp_path / "notify")
    manager.bind(path)
    assert notify(message(ready=True), {"NOTIFY_SOCKET": path})
    assert manager.recv(100) == b"READY=1"


def test_an_abstract_socket(manager: socket.socket) -> None:
    """`@name` is a name without a file (unix(7))."""
    manager.bind("")  # the kernel chooses an abstract name
    name = manager.getsockname()
    assert notify(message(watchdog=True), {"NOTIFY_SOCKET": "@" + name[1:].decode()})
    assert manager.recv(100) == b"WATCHDOG=1"


def test_nobody_asked() -> None:
    """Without NOTIFY_SOCKET nothing is sent."""
    assert not notify(b"READY=1", {})
    assert not notify(b"READY=1", {"NOTIFY_SOCKET": ""})


def test_a_manager_that_is_gone_is_an_error(tmp_path: Path) -> None:
    """The caller learns of it."""
    with pytest.raises(FileNotFoundError):
        notify(b"READY=1", {"NOTIFY_SOCKET": str(tmp_path / "none")})
    with pytest.raises(OSError, match="neither a path nor"):
        notify(b"READY=1", {"NOTIFY_SOCKET": "vsock:2:1234\n"})
