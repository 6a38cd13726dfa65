"""A daemon's clients: `RemoteEngine` follows it, `request` asks it once."""

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from smoothtask.control import protocol
from smoothtask.control.peers import read_peer
from smoothtask.control.protocol import Answer, ProtocolError
from smoothtask.model.command import Caller, Command, Reply
from smoothtask.model.frame import Frame

ASK_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 2.0
SILENCE_LIMIT_S = 60.0
"""Twice the longest interval between two frames that can be configured."""
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0


class DaemonError(Exception):
    """The daemon cannot be asked; the text is a sentence for a person."""


class NoDaemonError(DaemonError):
    """Nobody answers at the socket."""


class DaemonRefusedError(DaemonError):
    """The socket is there, but this user may not use it, or should not trust it."""


class Connection:
    """One connection: lines out, answers in. Blocking, with time limits."""

    def __init__(self, path: Path) -> None:
        """Connect and read the greeting. Raises DaemonError."""
        self.path = path
        self._inbox = bytearray()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._connect()
        except BaseException:
            self._socket.close()
            raise

    def _connect(self) -> None:
        try:
            self._wait_to_connect()
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
            raise NoDaemonError(f"no daemon is running at {self.path}") from error
        except PermissionError as error:
            raise DaemonRefusedError(f"no permission to use {self.path}") from error
        except OSError as error:
            raise DaemonError(f"{self.path}: {error}") from error
        self.peer: Caller = read_peer(self._socket)
        if os.geteuid() not in {0, self.peer.uid} and self.peer.uid != 0:
            raise DaemonRefusedError(f"{self.path}: not trusted: uid {self.peer.uid} answers there")
        greeting = self.receive(CONNECT_TIMEOUT_S)
        if greeting.hello != "smoothtask":
            raise DaemonError(f"{self.path}: something else answers there")
        if greeting.protocol != protocol.PROTOCOL:
            raise DaemonError(
                f"the daemon (version {greeting.version}) speaks protocol {greeting.protocol}, "
                f"this client {protocol.PROTOCOL}: restart the daemon, or update"
            )

    def _wait_to_connect(self) -> None:
        """In line with others: only a socket that blocks has a place there (unix(7)); SO_SNDTIMEO ends its waiting."""
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(CONNECT_TIMEOUT_S))
        try:
            self._socket.connect(str(self.path))
        except BlockingIOError as error:
            raise DaemonError(f"{self.path}: too many others are waiting there") from error
        finally:
            self._socket.settimeout(CONNECT_TIMEOUT_S)

    def send(self, line: bytes) -> None:
        """Raises DaemonError."""
        try:
            self._socket.sendall(line)
        except OSError as error:
            raise DaemonError(f"the daemon hung up: {error.strerror or error}") from error

    def receive(self, timeout_s: float) -> Answer:
        """The next answer. Raises DaemonError: none in time, the daemon left, or it is not understood."""
        deadline_s = time.monotonic() + timeout_s
        searched = 0
        while (end := self._inbox.find(b"\n", searched)) < 0:
            searched = len(self._inbox)
            if searched > protocol.ANSWER_LIMIT:
                raise DaemonError("the daemon's answer is too long")
            self._receive_some(deadline_s - time.monotonic(), timeout_s)
        line = bytes(self._inbox[:end])
        del self._inbox[: end + 1]
        try:
            return protocol.decode_answer(line)
        except ProtocolError as error:
            raise DaemonError(str(error)) from error

    def _receive_some(self, left_s: float, timeout_s: float) -> None:
        try:
            self._socket.settimeout(max(0.001, left_s))
            data = self._socket.recv(256 * 1024)
        except TimeoutError as error:
            raise DaemonError(f"the daemon did not answer within {timeout_s:g} s") from error
        except OSError as error:
            raise DaemonError(f"the connection to the daemon broke: {error.strerror or error}") from error
        if not data:
            raise NoDaemonError("the daemon ended the connection")
        self._inbox += data

    def subscribe(self) -> None:
        """Ask for frames. Raises DaemonError."""
        self.send(protocol.encode_request("subscribe"))
        answer = self.receive(ASK_TIMEOUT_S)
        if not answer.ok:
            raise DaemonError(f"the daemon refuses: {answer.message}")

    def interrupt(self) -> None:
        """Make a `receive` of another thread return at once."""
        with suppress(OSError):  # already gone: nothing waits
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Idempotent."""
        self._socket.close()


def request(path: Path, command: Command, timeout_s: float = ASK_TIMEOUT_S) -> Reply:
    """Ask the daemon at *path* once. Raises DaemonError."""
    reply = _exchange(path, command, timeout_s).reply
    if reply is None:
        raise DaemonError("the daemon's answer is not understood: a reply was expected")
    return reply


def newest_frame(path: Path, timeout_s: float = ASK_TIMEOUT_S) -> Frame:
    """The newest frame of the daemon at *path*. Raises DaemonError."""
    answer = _exchange(path, "frame", timeout_s)
    if answer.frame is None:
        raise DaemonError(answer.message or "the daemon's answer is not understood: a frame was expected")
    return answer.frame


def find_daemon(paths: Sequence[Path]) -> Path:
    """The first of *paths* at which a daemon answers. Raises DaemonError: why the first that is there does not."""
    failure: DaemonError | None = None
    for path in paths:
        try:
            Connection(path).close()
        except NoDaemonError as error:
            failure = failure or error
        except DaemonError as error:
            failure = error if failure is None or isinstance(failure, NoDaemonError) else failure
        else:
            return path
    raise failure or NoDaemonError("no daemon is running")


def _exchange(path: Path, command: Command | Literal["frame"], timeout_s: float) -> Answer:
    connection = Connection(path)
    try:
        connection.send(protocol.encode_request(command, 1))
        while True:
            answer = connection.receive(timeout_s)
            if answer.id == 1:
                return answer
            if answer.ok is False:  # said to the connection as a whole: too many of them, …
                raise DaemonError(f"the daemon refuses: {answer.message}")
    finally:
        connection.close()


def _timeval(seconds: float) -> bytes:
    """As setsockopt(2) takes it."""
    return struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6))


class RemoteEngine:
    """A daemon behind its socket, as an `EngineClient`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._closed = threading.Event()
        self._connection: Connection | None = None
        self._pid: int | None = None

    @property
    def description(self) -> str:
        """`daemon, pid 812`."""
        return f"daemon at {self.path}" if self._pid is None else f"daemon, pid {self._pid}"

    @property
    def ends_with_us(self) -> bool:
        """See `EngineClient`."""
        return False

    def run(self, on_frame: Callable[[Frame], None], on_state: Callable[[str], None]) -> None:
        """See `EngineClient`: follow the daemon, and find it again when it goes and comes back."""
        pause_s = FIRST_PAUSE_S
        told = ""
        while not self._closed.is_set():
            try:
                connection = self._subscribe()
                if told:
                    on_state("")
                told, pause_s = "", FIRST_PAUSE_S
                self._follow(connection, on_frame)
            except DaemonError as error:
                if self._closed.is_set():
                    return
                if str(error) != told:
                    told = str(error)
                    on_state(f"{told}; trying again")
                self._closed.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def ask(self, command: Command) -> Reply:
        """See `EngineClient`: on a connection of its own, so any thread may."""
        try:
            return request(self.path, command, ASK_TIMEOUT_S)
        except DaemonError as error:
            return Reply(False, str(error))

    def close(self) -> None:
        """See `EngineClient`."""
        self._closed.set()
        connection = self._connection
        if connection is not None:
            connection.interrupt()

    def _subscribe(self) -> Connection:
        connection = Connection(self.path)
        try:
            connection.subscribe()
        except BaseException:
            connection.close()
            raise
        self._pid = connection.peer.pid
        self._connection = connection
        return connection

    def _follow(self, connection: Connection, on_frame: Callable[[Frame], None]) -> None:
        """Hand on frames until `close` (which may have come before the connection was there to interrupt)."""
        try:
            while not self._closed.is_set():
                answer = connection.receive(SILENCE_LIMIT_S)
                if answer.frame is not None:
                    on_frame(answer.frame)
        finally:
            self._connection = None
            connection.close()
