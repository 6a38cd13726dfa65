"""The control socket in the engine's loop: many clients, none of which can make it wait."""

import errno
import grp
import os
import select
import socket
import stat
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from smoothtask.control import protocol
from smoothtask.control.allowance import Allowance
from smoothtask.control.excerpt import excerpt
from smoothtask.control.peers import read_peer
from smoothtask.control.protocol import Ask, Look, ProtocolError, Request
from smoothtask.engine.discretion import frame_for
from smoothtask.engine.host import EngineHost
from smoothtask.model.command import Caller, Reply
from smoothtask.model.frame import Frame
from smoothtask.model.rights import Rights

CONNECTIONS = 64
CONNECTIONS_KEPT = 8
"""Of these, for root and who runs the engine: others together have the rest."""
CONNECTIONS_PER_UID = 8
"""Of everybody but those two."""
REQUESTS_PER_S = 200
"""Of one uid, but for those two."""
BACKLOG_LIMIT = 256 * 1024
"""Bytes of unread replies after which a client is not listened to until it reads."""
REQUESTS_A_TURN = 4
"""Requests of one connection that are carried out before the loop goes on to others."""
ACCEPTS_A_TURN = 16
CHUNK = 16 * 1024


class SocketTakenError(Exception):
    """The socket cannot be made: another daemon answers there, it is not ours to replace, or there is no such group."""


@dataclass(slots=True)
class _Peer:
    """One connection."""

    socket: socket.socket
    caller: Caller
    inbox: bytearray = field(default_factory=bytearray)
    outbox: bytearray = field(default_factory=bytearray)
    frame: bytes | None = None
    """The newest frame, waiting for the outbox to be empty: older ones are never sent."""
    subscribed: bool = False
    closing: bool = False
    """Goes as soon as the outbox is empty."""
    events: int = 0

    @property
    def has_line(self) -> bool:
        return b"\n" in self.inbox

    @property
    def reads(self) -> bool:
        """Whether it takes what is answered, and may ask for more."""
        return not self.closing and len(self.outbox) < BACKLOG_LIMIT


class ControlServer:
    """Listens at *path* as soon as it is made; everything else happens in *host*'s loop.

    *group*: only its members (and root) may connect. Raises SocketTakenError, OSError.
    """

    def __init__(
        self,
        host: EngineHost,
        path: Path,
        group: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._host = host
        self._clock = clock
        self._peers: dict[int, _Peer] = {}
        self._asked: Counter[int] = Counter()
        self._asked_since_s = clock()
        self._rights = Rights(os.geteuid())
        self._hello = protocol.encode_hello()
        self._allowance = Allowance()
        self._frame_allowance = Allowance()
        """Frames come unasked: who owes for them misses some, and is heard all the same."""
        self._resting: set[int] = set()
        """Users who are not listened to until the loop calls us back."""
        self._encoded: dict[int | None, bytes] = {}
        """The newest frame for each user who has asked for it; for `None`, root and who runs the engine."""
        self._encoded_seq = -1
        self._listener = _listen(path, group)
        self._inode = path.stat().st_ino
        self._accepting = False
        self._closed = False
        self._accept_again()
        host.on_frame(self._publish)

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._peers)

    def close(self) -> None:
        """Say goodbye and remove the socket; idempotent. For when the loop has ended, or is about to."""
        if self._closed:
            return
        self._closed = True
        self._listener.close()
        for peer in self._peers.values():
            peer.socket.close()
        self._peers.clear()
        with suppress(FileNotFoundError):
            # Somebody may have put another one there.
            if self.path.lstat().st_ino == self._inode:
                self.path.unlink()

    def _accept_again(self) -> None:
        if not (self._accepting or self._closed):
            self._host.add_reader(self._listener.fileno(), self._accept)
            self._accepting = True

    def _accept(self) -> None:
        for _ in range(ACCEPTS_A_TURN):
            try:
                connection, _address = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                    raise
                # No descriptors: the next frame tries again; until then the loop must not spin on it.
                self._stop_accepting()
                return
            self._welcome(connection)
            wait_s = self._allowance.door_wait_s(self._clock())
            if wait_s > 0:
                self._stop_accepting()
                self._host.call_later(wait_s, self._accept_again)
                return

    def _stop_accepting(self) -> None:
        self._host.remove_reader(self._listener.fileno())
        self._accepting = False

    def _welcome(self, connection: socket.socket) -> None:
        began_s = self._clock()
        connection.setblocking(False)
        caller = read_peer(connection)
        peer = _Peer(connection, caller, bytearray(), bytearray(self._hello))
        refusal = self._refusal(caller)
        if refusal is not None:
            with suppress(OSError):
                connection.send(self._hello + _encode_refusal(refusal))
            connection.close()
            self._charge(peer, began_s, self._allowance.charge_refusal)
            return
        self._peers[connection.fileno()] = peer
        self._await(peer, select.EPOLLIN)
        self._settle(peer)
        self._charge(peer, began_s, self._allowance.charge)

    def _refusal(self, caller: Caller) -> str | None:
        if len(self._peers) >= CONNECTIONS:
            return f"too many connections: {CONNECTIONS} at most"
        if self._rights.is_owner(caller.uid):
            return None
        others = Counter(p.caller.uid for p in self._peers.values() if not self._rights.is_owner(p.caller.uid))
        if others[caller.uid] >= CONNECTIONS_PER_UID:
            return f"too many connections: {CONNECTIONS_PER_UID} at most for one user"
        if self._wait_s(caller.uid) > 0:
            return "too much asked: others wait for the daemon, too; try again in a few seconds"
        if others.total() >= CONNECTIONS - CONNECTIONS_KEPT:
            return f"too many connections: {CONNECTIONS - CONNECTIONS_KEPT} at most for all users"
        return None

    def _ready(self, peer: _Peer) -> None:
        began_s = self._clock()
        if self._is_heard(peer) and not peer.has_line:
            self._read(peer)
        for _ in range(REQUESTS_A_TURN):
            if not (self._is_heard(peer) and peer.has_line):
                break
            line, _, rest = peer.inbox.partition(b"\n")
            peer.inbox = rest
            self._take(peer, bytes(line))
            began_s = self._charge(peer, began_s, self._allowance.charge)
        if peer.reads and not peer.has_line and len(peer.inbox) >= protocol.REQUEST_LIMIT:
            self._dismiss(peer, f"expected at most {protocol.REQUEST_LIMIT} bytes a line")
        self._settle(peer)
        self._charge(peer, began_s, self._allowance.charge)

    def _is_heard(self, peer: _Peer) -> bool:
        """Whether its requests are taken now."""
        return peer.reads and self._wait_s(peer.caller.uid) == 0

    def _wait_s(self, uid: int) -> float:
        """Seconds until *uid* has paid for the time that it took."""
        return 0.0 if self._rights.is_owner(uid) else self._allowance.wait_s(uid, self._clock())

    def _charge(self, peer: _Peer, began_s: float, charge: Callable[[int, float, float], None]) -> float:
        """The loop has worked for *peer* since *began_s*, or waited for a disk; returns what time it is."""
        now_s = self._clock()
        if not self._rights.is_owner(peer.caller.uid):
            charge(peer.caller.uid, now_s - began_s, now_s)
        return now_s

    def _read(self, peer: _Peer) -> None:
        """Take what has come."""
        try:
            data = peer.socket.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except ConnectionError:
            data = b""  # it has gone
        peer.inbox += data
        peer.closing = not data  # it may still read what it asked for

    def _take(self, peer: _Peer, line: bytes) -> None:
        if len(line) >= protocol.REQUEST_LIMIT:
            self._dismiss(peer, f"expected at most {protocol.REQUEST_LIMIT} bytes a line")
            return
        if not line.strip():
            return
        if self._is_flooding(peer.caller.uid):
            self._dismiss(peer, f"too many requests: {REQUESTS_PER_S} a second at most")
            return
        try:
            request = protocol.decode_request(line)
        except ProtocolError as error:
            if protocol.is_refusal(error):
                peer.outbox += protocol.encode_reply(error.request, Reply(False, str(error)))
            else:
                self._dismiss(peer, str(error))
            return
        self._answer(peer, request)

    def _answer(self, peer: _Peer, request: Request) -> None:
        match request:
            case Ask():
                peer.outbox += protocol.encode_reply(request.id, self._carry_out(request, peer.caller))
            case Look(op="subscribe"):
                peer.outbox += protocol.encode_reply(request.id, Reply(True, "frames follow"))
                if not peer.subscribed:
                    peer.subscribed = True
                    self._host.watch(+1)
                    newest = self._host.latest()
                    peer.frame = None if newest is None else self._encode(newest, peer.caller.uid)
            case Look():
                newest = self._host.latest()
                if newest is None:
                    reply = Reply(False, "the first tick has not ended yet: try again in a second")
                    peer.outbox += protocol.encode_reply(request.id, reply)
                else:
                    peer.outbox += protocol.numbered(self._encode(newest, peer.caller.uid), request.id)

    def _carry_out(self, request: Ask, caller: Caller) -> Reply:
        try:
            return self._host.handle(request.command, caller)
        except OSError as error:
            return Reply(False, f"failed: {error}")  # such as pins on a full disk

    def _is_flooding(self, uid: int) -> bool:
        now_s = self._clock()
        if now_s - self._asked_since_s >= 1:
            self._asked.clear()
            self._asked_since_s = now_s
        self._asked[uid] += 1
        return not self._rights.is_owner(uid) and self._asked[uid] > REQUESTS_PER_S

    def _dismiss(self, peer: _Peer, why: str) -> None:
        peer.outbox += protocol.encode_reply(None, Reply(False, why))
        peer.inbox.clear()
        peer.closing = True

    def _publish(self, frame: Frame) -> None:
        """Offer *frame* to the subscribers; who owes time for frames misses it."""
        if self._closed:
            return
        self._accept_again()
        for peer in [p for p in self._peers.values() if p.subscribed]:
            uid, began_s = peer.caller.uid, self._clock()
            if not self._rights.is_owner(uid) and self._frame_allowance.wait_s(uid, began_s) > 0:
                continue
            peer.frame = self._encode(frame, uid)
            self._settle(peer)
            self._charge(peer, began_s, self._frame_allowance.charge)

    def _encode(self, frame: Frame, uid: int) -> bytes:
        """*frame* as *uid* may see it."""
        if self._encoded_seq != frame.seq:
            self._encoded, self._encoded_seq = {}, frame.seq
        whose = None if self._rights.is_owner(uid) else uid
        if whose not in self._encoded:
            part = excerpt(frame, protocol.GROUPS, whose)  # first: what is not sent need not be made fit for others
            self._encoded[whose] = protocol.encode_frame(part if whose is None else frame_for(part, whose))
        return self._encoded[whose]

    def _settle(self, peer: _Peer) -> None:
        """Send what can be sent, then wait for what is needed next."""
        try:
            _flush(peer)
        except OSError:
            self._drop(peer)  # it has gone
            return
        if peer.closing and not peer.outbox:
            self._drop(peer)
            return
        # A line that waits for its turn asks for "writable" too: that is so at once, and the loop turns in between.
        wait_s = self._wait_s(peer.caller.uid)
        is_heard = peer.reads and wait_s == 0
        wants_turn = is_heard and peer.has_line
        events = (select.EPOLLIN if is_heard and not peer.has_line else 0) | (
            select.EPOLLOUT if peer.outbox or wants_turn else 0
        )
        self._await(peer, events)
        if wait_s > 0:
            self._rest(peer.caller.uid, wait_s)

    def _await(self, peer: _Peer, events: int) -> None:
        """Wait for *events*; for none, not even its end: epoll would tell of that without end (EPOLLHUP)."""
        fd = peer.socket.fileno()
        if events == peer.events:
            return
        if not events:
            self._host.remove_reader(fd)
        elif not peer.events:
            self._host.add_reader(fd, lambda: self._ready(peer), events)
        else:
            self._host.modify_reader(fd, events)
        peer.events = events

    def _rest(self, uid: int, wait_s: float) -> None:
        """Listen to *uid* again when it has paid."""
        if uid not in self._resting:
            self._resting.add(uid)
            self._host.call_later(wait_s, lambda: self._rested(uid))

    def _rested(self, uid: int) -> None:
        self._resting.discard(uid)
        for peer in [p for p in self._peers.values() if p.caller.uid == uid]:
            self._settle(peer)

    def _drop(self, peer: _Peer) -> None:
        fd = peer.socket.fileno()
        if self._peers.pop(fd, None) is None:
            return
        self._host.remove_reader(fd)
        peer.socket.close()
        if peer.subscribed:
            self._host.watch(-1)


def _flush(peer: _Peer) -> None:
    """Send until the other end is full. Raises OSError when it has gone."""
    while True:
        if not peer.outbox:
            if peer.frame is None or peer.closing:
                return
            peer.outbox, peer.frame = bytearray(peer.frame), None
        try:
            sent = peer.socket.send(peer.outbox)
        except (BlockingIOError, InterruptedError):
            return
        del peer.outbox[:sent]


@cache
def _encode_refusal(why: str) -> bytes:
    return protocol.encode_reply(None, Reply(False, why))


def _listen(path: Path, group: str | None) -> socket.socket:
    """A listening socket at *path* in the place of one that nobody answers any more."""
    _clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        listener.bind(os.fspath(path))
        if group is None:
            path.chmod(0o666)  # who may do what is decided by the peer's uid
        else:
            _give(path, group)
        listener.listen(CONNECTIONS)
    except BaseException:
        if listener.getsockname():  # it was made
            path.unlink(missing_ok=True)
        listener.close()
        raise
    return listener


def _give(path: Path, group: str) -> None:
    """To *group*, and to nobody else."""
    try:
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
    except KeyError as error:
        raise SocketTakenError(f"control.group: there is no group {group}") from error
    except PermissionError as error:
        raise SocketTakenError(
            f"control.group: {path} cannot be given to the group {group} ({error.strerror}): that takes CAP_CHOWN"
        ) from error
    path.chmod(0o660)


def _clear(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise SocketTakenError(f"{path}: expected a socket or nothing")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()  # its daemon has gone
            return
        except FileNotFoundError:
            return
        except BlockingIOError:
            pass  # one that is too busy to accept is alive
    raise SocketTakenError(f"{path}: another daemon answers there")
