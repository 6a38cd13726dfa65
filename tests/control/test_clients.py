"""The two engine clients, and what they say when there is nobody to talk to."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from control.hosts import FakeHost, frame
from smoothtask.control import client
from smoothtask.control.client import DaemonError, DaemonRefusedError, NoDaemonError, RemoteEngine
from smoothtask.control.local import LocalEngine
from smoothtask.control.server import ControlServer
from smoothtask.model.classes import PriorityClass
from smoothtask.model.client import EngineClient
from smoothtask.model.command import Caller, Command, Explain, PinApp, Reply, Undo
from smoothtask.model.frame import Frame


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Follower:
    """A client's `run` in a thread, and what it handed on."""

    def __init__(self, engine: EngineClient) -> None:
        self.engine = engine
        self.frames: list[Frame] = []
        self.states: list[str] = []
        self.thread = threading.Thread(target=engine.run, args=(self.frames.append, self.states.append), daemon=True)
        self.thread.start()

    def end(self) -> None:
        self.engine.close()
        self.engine.close()
        self.thread.join(10)
        assert not self.thread.is_alive()


def test_one_question(running: FakeHost, path: Path) -> None:
    running.answer = lambda command, caller: Reply(True, f"{command} by {caller.uid}", {"x": [1, 2.5, None]})
    reply = client.request(path, PinApp("g", PriorityClass.IDLE))
    assert reply == Reply(True, f"{PinApp('g', PriorityClass.IDLE)} by {os.getuid()}", {"x": [1, 2.5, None]})
    assert client.find_daemon([path.parent / "none", path]) == path


def test_the_newest_frame(running: FakeHost, path: Path) -> None:
    with pytest.raises(DaemonError, match="first tick"):
        client.newest_frame(path)
    running.call_soon(lambda: running.publish(frame(3, groups=100, processes=400)))
    eventually(running.latest)
    assert client.newest_frame(path) == frame(3, groups=100, processes=400)


def test_nobody_there_is_said(path: Path) -> None:
    with pytest.raises(NoDaemonError, match="no daemon is running at"):
        client.request(path, Undo())
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(path))
    with pytest.raises(NoDaemonError):
        client.find_daemon([path])


@pytest.fixture
def crowded(path: Path) -> Iterator[socket.socket]:
    """A socket at which so many stand in line that the kernel lets nobody join them."""
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as crowd:
        listener.bind(os.fspath(path))
        listener.listen(1)
        with contextlib.suppress(BlockingIOError):
            while True:
                other = crowd.enter_context(socket.socket(socket.AF_UNIX))
                other.setblocking(False)
                other.connect(os.fspath(path))
        yield listener


def test_who_finds_a_queue_waits(crowded: socket.socket, path: Path) -> None:
    def let_them_in() -> None:
        time.sleep(0.2)
        for _ in range(3):  # those before us, and us: who is no daemon
            stranger, _ = crowded.accept()
            with contextlib.suppress(OSError), stranger:
                stranger.sendall(b'{"hello":"somebody"}\n')

    doorman = threading.Thread(target=let_them_in, daemon=True)
    doorman.start()
    with pytest.raises(DaemonError, match="something else answers there"):
        client.request(path, Undo())
    doorman.join(10)


def test_nobody_waits_for_ever(crowded: socket.socket, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONNECT_TIMEOUT_S", 0.1)
    with pytest.raises(DaemonError, match="too many others are waiting"):
        client.request(path, Undo())


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_a_socket_that_may_not_be_used_is_said(host: FakeHost, path: Path) -> None:
    server = ControlServer(host, path, group="root")
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresuid(65534, 65534, 65534)
        status = 1
        try:
            client.request(path, Undo())
        except DaemonRefusedError:
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    server.close()


@pytest.fixture
def impostor(path: Path) -> Iterator[Callable[[bytes], None]]:
    """A server that says *data* to the first who connects."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.fspath(path))
    listener.listen()
    threads: list[threading.Thread] = []

    def serve(data: bytes) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(ConnectionError):
            connection.sendall(data)
            while connection.recv(1 << 16):
                pass

    def start(data: bytes) -> None:
        threads.append(threading.Thread(target=serve, args=(data,), daemon=True))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(10)
    listener.close()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"hello":"smoothtask","protocol":99,"version":"9.1","pid":1}\n', "speaks protocol 99, this client 1"),
        (b'{"hello":"redis"}\n', "something else answers"),
        (b"220 mail ready\n", "not understood"),
    ],
)
def test_another_language_is_said(impostor: Callable[[bytes], None], path: Path, data: bytes, said: str) -> None:
    impostor(data)
    with pytest.raises(DaemonError, match=said):
        client.request(path, Undo())


def test_a_strangers_daemon_is_not_trusted(impostor: Callable[[bytes], None], path: Path, monkeypatch: Any) -> None:
    me = os.getuid()
    monkeypatch.setattr(client.os, "geteuid", lambda: me + 1000)
    monkeypatch.setattr(client, "read_peer", lambda _: Caller(me + 2000, 7))
    impostor(b"")
    with pytest.raises(DaemonRefusedError, match="not trusted"):
        client.request(path, Undo())


def test_an_answer_that_does_not_come_is_said(impostor: Callable[[bytes], None], path: Path) -> None:
    impostor(b'{"hello":"smoothtask","protocol":1,"version":"1","pid":1}\n{"id":1,"ok"')
    with pytest.raises(DaemonError, match="did not answer within"):
        client.request(path, Undo(), timeout_s=0.1)


def test_a_remote_engine_follows_the_daemon(running: FakeHost, path: Path) -> None:
    follower = Follower(RemoteEngine(path))
    try:
        eventually(lambda: running.watchers == 1)
        running.call_soon(lambda: running.publish(frame(1)))
        eventually(lambda: follower.frames)
        assert follower.frames == [frame(1)]
        assert follower.engine.description == f"daemon, pid {os.getpid()}"
        assert follower.engine.ask(Undo()) == Reply(True, "did undo")
    finally:
        follower.end()
    eventually(lambda: running.watchers == 0)
    assert follower.states == []


def test_a_remote_engine_finds_the_daemon_again(path: Path) -> None:
    follower = Follower(RemoteEngine(path))
    try:
        eventually(lambda: follower.states)
        assert follower.states[0].startswith("no daemon is running")
        assert not follower.engine.ask(Undo()).ok
        for seq in (1, 2):
            host = FakeHost()
            host.publish(frame(seq))
            server = ControlServer(host, path)
            thread = threading.Thread(target=host.run, daemon=True)
            thread.start()
            eventually(lambda seq=seq: follower.frames and follower.frames[-1].seq == seq)
            host.stop()
            thread.join(10)
            server.close()
        eventually(lambda: follower.states[-1])
        assert follower.states.count("") == 2
    finally:
        follower.end()


def test_a_hundred_at_once(running: FakeHost, path: Path) -> None:
    """More than the daemon takes at a time: each gets its answer, or is told why not."""
    said: list[str] = []

    def ask() -> None:
        said.append(RemoteEngine(path).ask(Undo()).message)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(said) == 100
    assert said.count("did undo") >= 64
    assert set(said) <= {"did undo", "the daemon refuses: too many connections: 64 at most"} | {
        s for s in said if "Resource temporarily unavailable" in s or "broke" in s or "hung up" in s
    }


def test_a_local_engine_asks_in_the_loops_thread() -> None:
    host = FakeHost()
    closed: list[int] = []
    asked_in: list[int] = []

    def answer(command: Command, caller: Caller) -> Reply:
        asked_in.append(threading.get_ident())
        return Reply(True, f"{command.op} by {caller.uid}")

    host.answer = answer
    follower = Follower(LocalEngine(host, lambda: closed.append(threading.get_ident())))
    try:
        eventually(lambda: host.watchers == 1)
        assert follower.engine.ask(Explain("1")).message == f"explain by {os.getuid()}"
        host.call_soon(lambda: host.publish(frame(1)))
        eventually(lambda: follower.frames)
    finally:
        follower.end()
    assert asked_in == closed == [follower.thread.ident]
    assert follower.engine.ask(Undo()) == Reply(False, "the engine has stopped")
    assert follower.engine.description == "this process"


def test_a_local_engine_says_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    host = FakeHost()

    def full(*_: object) -> Reply:
        raise OSError(28, "No space left on device")

    host.answer = full
    engine = LocalEngine(host)
    monkeypatch.setattr("smoothtask.control.local.ASK_TIMEOUT_S", 0.05)
    assert "did not answer" in engine.ask(Undo()).message, "nobody turns the loop"
    monkeypatch.undo()
    follower = Follower(engine)
    try:
        assert "No space left" in engine.ask(Undo()).message
    finally:
        follower.end()
    assert host.asked == [(Undo(), Caller(os.getuid(), os.getpid()))], "the one given up is not carried out later"
