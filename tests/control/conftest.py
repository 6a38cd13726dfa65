"""A server in a loop of its own, and raw clients to try its patience."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from control.hosts import FakeHost
from smoothtask.control.server import ControlServer


class Raw:
    """A client that says what it likes; the test turns the loop."""

    def __init__(self, host: FakeHost, path: Path) -> None:
        self.host = host
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(os.fspath(path))
        self.socket.setblocking(False)
        self.inbox = b""
        host.settle()

    def say(self, data: bytes) -> None:
        """Send all of it, as fast as the server takes it."""
        while data:
            try:
                sent = self.socket.send(data)
            except BlockingIOError:
                sent = 0
            data = data[sent:]
            self.host.settle()

    def lines(self) -> list[bytes]:
        """What was answered since; `b""` last when the server hung up."""
        self.host.settle()
        ended = False
        while not ended:
            try:
                data = self.socket.recv(1 << 20)
            except BlockingIOError:
                break
            except ConnectionResetError:
                data = b""
            self.inbox += data
            ended = not data
            self.host.settle()
        *whole, self.inbox = self.inbox.split(b"\n")
        return [*whole, b""] if ended else whole


@pytest.fixture
def host() -> Iterator[FakeHost]:
    made = FakeHost()
    yield made
    made.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
def server(host: FakeHost, path: Path) -> Iterator[ControlServer]:
    made = ControlServer(host, path)
    yield made
    made.close()


@pytest.fixture
def connect(host: FakeHost, server: ControlServer) -> Iterator[Callable[[], Raw]]:
    made: list[Raw] = []

    def one() -> Raw:
        made.append(Raw(host, server.path))
        return made[-1]

    yield one
    for raw in made:
        raw.socket.close()


@pytest.fixture
def running(host: FakeHost, server: ControlServer) -> Iterator[FakeHost]:
    """The loop turns in a thread."""
    thread = threading.Thread(target=host.run, daemon=True)
    thread.start()
    yield host
    host.stop()
    thread.join(10)
    assert not thread.is_alive()
