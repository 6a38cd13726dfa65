"""Many clients, some slow and some hostile, in front of one loop that must never wait."""

import contextlib
import json
import os
import socket
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.conftest import Raw
from control.hosts import FakeHost, frame
from smoothtask.control import server as serving
from smoothtask.control.allowance import CREDIT_S, LONGEST_S
from smoothtask.control.protocol import PROTOCOL, REQUEST_LIMIT, decode_answer, encode_frame
from smoothtask.control.server import ControlServer, SocketTakenError
from smoothtask.engine.discretion import frame_for
from smoothtask.model.classes import PriorityClass
from smoothtask.model.command import Caller, Command, Explain, PinApp, Reply, Undo
from smoothtask.model.frame import Frame

Connect = Callable[[], Raw]
NOBODY = 65534


def test_a_command_is_carried_out_for_the_caller_that_the_kernel_names(connect: Connect, host: FakeHost) -> None:
    raw = connect()
    raw.say(b'{"id": 5, "op": "pin", "group": "g", "target": "IDLE"}\n')
    hello, answer = map(json.loads, raw.lines())
    assert (hello["hello"], hello["protocol"], hello["pid"]) == ("smoothtask", PROTOCOL, os.getpid())
    assert answer == {"id": 5, "ok": True, "message": "did pin"}
    assert host.asked == [(PinApp("g", PriorityClass.IDLE), Caller(os.getuid(), os.getpid()))]


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_another_user_is_that_user(host: FakeHost) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        server = ControlServer(host, Path(folder) / "control.sock")
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
                os.write(write_end, ask_once(server.path))
            os._exit(0)
        os.close(write_end)
        while not host.asked:
            assert host.turn(5.0)
        host.settle()
        os.waitpid(child, 0)
        with open(read_end, "rb") as answer:
            assert json.load(answer)["message"] == "did undo"
        server.close()
    assert host.asked == [(Undo(), Caller(NOBODY, child))]


def ask_once(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(os.fspath(path))
        with client.makefile("rwb") as file:
            file.readline()
            file.write(b'{"op": "undo"}\n')
            file.flush()
            return file.readline()


def test_a_subscriber_gets_the_newest_frame_at_once_and_then_each(connect: Connect, host: FakeHost) -> None:
    host.publish(frame(1))
    raw = connect()
    assert host.watchers == 0
    raw.say(b'{"op": "subscribe"}\n{"op": "subscribe"}\n')
    assert host.watchers == 1
    host.publish(frame(2))
    seen = [a.frame.seq for a in map(decode_answer, raw.lines()) if a.frame]
    assert seen in ([1, 2], [1, 1, 2], [2])
    assert seen[-1] == 2
    raw.socket.close()
    host.settle()
    assert host.watchers == 0


def test_a_frame_is_encoded_once_for_all_and_never_for_nobody(
    connect: Connect, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = []
    monkeypatch.setattr(serving.protocol, "encode_frame", lambda f: encoded.append(f.seq) or encode_frame(f))
    clients = [connect() for _ in range(3)]
    host.publish(frame(1))
    assert encoded == []
    for raw in clients:
        raw.say(b'{"op": "subscribe"}\n')
    host.publish(frame(2))
    assert encoded == [1, 2]
    assert all(decode_answer(raw.lines()[-1]).frame == frame(2) for raw in clients)


def test_each_user_sees_what_is_theirs_to_see(
    connect: Connect, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ordinary users and the owner of the engine: three views, each encoded once, for whoever is there."""
    encoded = []
    monkeypatch.setattr(serving.protocol, "encode_frame", lambda f: encoded.append(f.seq) or encode_frame(f))
    caller = Caller(1000, 7)
    monkeypatch.setattr(serving, "read_peer", lambda _socket: caller)
    clients = []
    for uid in (1000, 1000, 1001, 0):
        caller = Caller(uid, 7)
        clients.append(connect())
        clients[-1].say(b'{"op": "subscribe"}\n')
    host.publish(frame(3))
    own, also, other, root = (decode_answer(raw.lines()[-1]).frame for raw in clients)
    assert own == also == root == frame(3)
    assert other is not None
    assert other.processes[0].command == "prog"
    assert len(encoded) == 3
    clients[2].say(b'{"op": "frame"}\n')
    asked = decode_answer(clients[2].lines()[-1])
    assert asked.frame == other
    assert len(encoded) == 3


def test_the_newest_frame_on_request(connect: Connect, host: FakeHost) -> None:
    raw = connect()
    raw.say(b'{"id": 1, "op": "frame"}\n')
    assert json.loads(raw.lines()[-1])["ok"] is False
    host.publish(frame(4))
    raw.say(b'{"id": 2, "op": "frame"}\n')
    answer = decode_answer(raw.lines()[-1])
    assert (answer.id, answer.frame) == (2, frame(4))
    assert host.watchers == 0


def test_a_slow_subscriber_misses_frames_but_gets_the_newest_whole(connect: Connect, host: FakeHost) -> None:
    slow, quick = connect(), connect()
    for raw in (slow, quick):
        raw.say(b'{"op": "subscribe"}\n')
    size = len(encode_frame(frame(1, groups=200, processes=200)))
    seen = []
    for seq in range(1, 101):
        host.publish(frame(seq, groups=200, processes=200))
        seen += [a.frame.seq for a in map(decode_answer, quick.lines()) if a.frame]
    assert seen == list(range(1, 101))
    late = [a.frame.seq for a in map(decode_answer, slow.lines()) if a.frame]
    assert late[-1] == 100
    assert len(late) * size < 10 * size + 2_000_000, "what it did not read was not kept for it"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"hello?\n", "not JSON"),
        (b"\xff\x00\xfe\n", "not JSON"),
        (b"[1]\n", "expected a JSON object"),
        (b"x" * REQUEST_LIMIT, "bytes a line"),
        (b'{"op": "explain", "target": "' + b"x" * REQUEST_LIMIT + b'"}\n', "bytes a line"),
    ],
    ids=["words", "bytes", "list", "endless line", "long line"],
)
def test_who_does_not_speak_the_language_is_told_and_shown_out(
    connect: Connect, server: ControlServer, data: bytes, said: str
) -> None:
    raw = connect()
    raw.say(data)
    lines = raw.lines()
    assert lines[-1] == b"", "the server hung up"
    answer = json.loads(lines[-2])
    assert (answer["id"], answer["ok"]) == (None, False)
    assert said in answer["message"]
    assert server.connections == 0


def test_an_unknown_request_is_refused_and_the_connection_goes_on(connect: Connect) -> None:
    raw = connect()
    raw.say(b'{"id": 1, "op": "fly"}\n\n{"id": 2, "op": "undo"}\n')
    _hello, refusal, answer = map(json.loads, raw.lines())
    assert (refusal["id"], refusal["ok"]) == (1, False)
    assert answer == {"id": 2, "ok": True, "message": "did undo"}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.binary(max_size=300), st.just(b'{"op":"undo"}\n'), st.just(b"\n")), max_size=6))
def test_any_bytes_in_any_pieces_leave_the_server_well(
    host: FakeHost, server: ControlServer, pieces: list[bytes]
) -> None:
    raw = Raw(host, server.path)
    try:
        for piece in pieces:
            raw.say(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass  # shown out half-way
    raw.socket.close()
    host.settle()
    assert server.connections == 0
    well = Raw(host, server.path)
    well.say(b'{"op":"undo"}\n')
    assert json.loads(well.lines()[-1])["ok"] is True
    well.socket.close()
    host.settle()


def test_many_requests_at_once_are_taken_in_turns(connect: Connect, host: FakeHost, server: ControlServer) -> None:
    raw = connect()
    many = 100
    raw.socket.send(b'{"op":"undo"}\n' * many)
    host.turn()
    assert 0 < len(host.asked) <= serving.REQUESTS_A_TURN
    assert len(raw.lines()) == many + 1
    assert len(host.asked) == many


def test_who_asks_and_never_reads_is_not_listened_to(connect: Connect, host: FakeHost) -> None:
    host.answer = lambda *_: Reply(True, "long", {"x": "y" * 100_000})
    raw = connect()
    for _ in range(50):
        raw.socket.send(b'{"op":"explain","target":"x"}\n')
    host.settle()
    assert 3 <= len(host.asked) < 10
    assert len(raw.lines()) == 51, "everything comes once it reads"


def test_a_flood_is_shown_out(
    connect: Connect, host: FakeHost, server: ControlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "read_peer", lambda _socket: Caller(NOBODY, 7))
    monkeypatch.setattr(server, "_clock", lambda: 1.0)
    raw = connect()
    raw.socket.send(b'{"op":"undo"}\n' * (serving.REQUESTS_PER_S + 1))
    lines = raw.lines()
    assert lines[-1] == b""
    assert b"too many requests" in lines[-2]
    assert len(host.asked) == serving.REQUESTS_PER_S


class Slow:
    """A clock that a test and its host's answers move on."""

    def __init__(self, host: FakeHost, server: ControlServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        self.uid = NOBODY
        self.host = host
        host.answer = self.answer
        monkeypatch.setattr(serving, "read_peer", lambda _socket: Caller(self.uid, 7))
        monkeypatch.setattr(server, "_clock", lambda: self.now_s)

    def answer(self, _command: Command, caller: Caller) -> Reply:
        """Takes 20 ms, as `rules` does."""
        self.now_s += 0.02
        return Reply(True, f"for {caller.uid}")

    def pass_by(self, seconds: float) -> None:
        """Time passes, and the loop calls back whoever wanted that."""
        self.now_s += seconds
        due, self.host.later = self.host.later, []
        for _delay_s, callback in due:
            callback()
        self.host.settle()


@pytest.fixture
def slow(host: FakeHost, server: ControlServer, monkeypatch: pytest.MonkeyPatch) -> Slow:
    return Slow(host, server, monkeypatch)


def test_who_takes_the_loops_time_waits_until_it_is_paid_off(connect: Connect, slow: Slow, host: FakeHost) -> None:
    """Far below 200 requests a second; others, and root, are answered meanwhile, and nothing is lost."""
    hog = connect()
    slow.uid = NOBODY - 1
    other = connect()
    hog.socket.send(b'{"op":"rules"}\n' * 60)
    host.settle()
    taken = len(host.asked)
    assert serving.REQUESTS_A_TURN < taken <= CREDIT_S / 0.02 + 2
    assert not host.turn(), "its further requests do not keep the loop awake"
    other.say(b'{"op":"rules"}\n')
    assert json.loads(other.lines()[-1])["ok"]
    (delay_s, _), *_ = host.later
    assert 0 < delay_s < 1
    slow.pass_by(delay_s)
    assert taken < len(host.asked) <= taken + 3
    for _ in range(200):
        slow.pass_by(1.0)
    assert len(hog.lines()) == 61, "all of it is answered in the end"


def test_who_hangs_up_while_not_listened_to_does_not_wake_the_loop(
    connect: Connect, slow: Slow, host: FakeHost, server: ControlServer
) -> None:
    """It is noticed when its time is paid off."""
    hog = connect()
    hog.socket.send(b'{"op":"rules"}\n' * 60)
    hog.lines()
    hog.socket.close()
    host.settle()
    assert not host.turn()
    for _ in range(200):
        slow.pass_by(1.0)
    assert server.connections == 0


def test_new_connections_and_many_names_do_not_help(connect: Connect, slow: Slow, host: FakeHost) -> None:
    """All users together have a share, too; root is always heard."""
    hog = connect()
    hog.socket.send(b'{"op":"rules"}\n' * 60)
    host.settle()
    assert b"too much asked" in connect().lines()[1]
    slow.pass_by(1000.0)
    before_s = slow.now_s
    for uid in range(2000, 2040):
        slow.uid = uid
        raw = connect()
        with contextlib.suppress(BrokenPipeError):  # shown out at once
            raw.socket.send(b'{"op":"rules"}\n' * 20)
        host.settle()
    assert slow.now_s - before_s < 1
    slow.uid = os.geteuid()
    root = connect()
    root.say(b'{"op":"rules"}\n' * 50)
    assert len(root.lines()) == 51


def test_a_flood_of_refused_connections_keeps_nobody_else_out(
    connect: Connect, slow: Slow, server: ControlServer, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten seconds of it; the door is shut for moments, and others are answered at once."""
    for _ in range(serving.CONNECTIONS_PER_UID):
        connect()

    def read_peer(_socket: socket.socket) -> Caller:
        slow.now_s += 0.01
        return Caller(slow.uid, 7)

    monkeypatch.setattr(serving, "read_peer", read_peer)
    before_s, shut = slow.now_s, 0
    while slow.now_s < before_s + 10:
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(os.fspath(server.path))
            host.settle()
        if host.later:
            shut += 1
            assert max(delay_s for delay_s, _ in host.later) < 0.11
            slow.pass_by(0.1)
    assert shut > 10
    slow.pass_by(0.1)
    slow.uid = NOBODY - 1
    other = connect()
    other.say(b'{"op":"rules"}\n')
    assert json.loads(other.lines()[-1])["ok"]


def test_who_owes_for_frames_is_answered_all_the_same(
    connect: Connect, slow: Slow, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a connection of its own, as the dashboard asks; it costs frames alone."""

    def encode(one: Frame) -> bytes:
        slow.now_s += 0.02
        return encode_frame(one)

    monkeypatch.setattr(serving.protocol, "encode_frame", encode)
    watching = connect()
    watching.say(b'{"op":"subscribe"}\n')
    for seq in range(1, 101):
        slow.pass_by(0.25)
        host.publish(frame(seq))
    got = [a.frame.seq for a in map(decode_answer, watching.lines()) if a.frame]
    assert 50 < len(got) < 100, "more than its share was asked for"
    asking = connect()
    asking.say(b'{"op":"rules"}\n')
    assert json.loads(asking.lines()[-1])["ok"]


def test_a_slow_order_costs_no_frames(connect: Connect, slow: Slow, host: FakeHost) -> None:
    """The disk took its time."""

    def write(*_: object) -> Reply:
        slow.now_s += 3.3
        return Reply(True, "written")

    watching = connect()
    watching.say(b'{"op":"subscribe"}\n')
    host.answer = write
    connect().say(b'{"op":"undo"}\n')
    host.publish(frame(7))
    assert decode_answer(watching.lines()[-1]).frame == frame_for(frame(7), NOBODY)
    assert b"too much asked" in connect().lines()[1]
    slow.pass_by(LONGEST_S)
    asking = connect()
    asking.say(b'{"op":"undo"}\n')
    assert json.loads(asking.lines()[-1])["ok"]


def test_a_reply_reaches_who_shuts_its_side(connect: Connect) -> None:
    """As `echo … | nc -U` does."""
    raw = connect()
    raw.socket.send(b'{"op":"undo"}\n')
    raw.socket.shutdown(socket.SHUT_WR)
    lines = raw.lines()
    assert json.loads(lines[1])["ok"] is True
    assert lines[-1] == b""


def test_root_gets_in_beside_a_crowd(
    connect: Connect, server: ControlServer, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight connections each of many uids: who may ask for subordinate ones (subuid(5)) has them."""
    caller = Caller(2000, 7)
    monkeypatch.setattr(serving, "read_peer", lambda _socket: caller)
    crowd = []
    for uid in range(2000, 2010):
        caller = Caller(uid, 7)
        crowd += [connect() for _ in range(serving.CONNECTIONS_PER_UID)]
    assert server.connections == serving.CONNECTIONS - serving.CONNECTIONS_KEPT
    assert b"at most for all users" in crowd[-1].lines()[1]
    caller = Caller(os.geteuid(), 7)
    root = connect()
    root.say(b'{"op":"undo"}\n')
    assert json.loads(root.lines()[-1])["ok"] is True


def test_connections_are_counted(connect: Connect, server: ControlServer, host: FakeHost) -> None:
    clients = [connect() for _ in range(100)]
    assert server.connections == serving.CONNECTIONS
    refused = clients[-1].lines()
    assert b"too many connections" in refused[1]
    assert refused[-1] == b""
    clients[0].socket.close()
    host.settle()
    assert json.loads(connect().lines()[0])["hello"] == "smoothtask"


def test_one_user_gets_a_few_connections(
    connect: Connect, server: ControlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "read_peer", lambda _socket: Caller(NOBODY, 7))
    clients = [connect() for _ in range(serving.CONNECTIONS_PER_UID + 1)]
    assert server.connections == serving.CONNECTIONS_PER_UID
    assert b"at most for one user" in clients[-1].lines()[1]


def test_no_descriptors_left_means_waiting_not_spinning(
    host: FakeHost, server: ControlServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Exhausted:
        def accept(self) -> None:
            raise OSError(24, "Too many open files")

        def fileno(self) -> int:
            return real.fileno()

    real = server._listener
    monkeypatch.setattr(server, "_listener", Exhausted())
    waiting = connect()
    assert not host.turn(0.02), "nothing more to do until the next frame"
    monkeypatch.setattr(server, "_listener", real)
    host.publish(frame(1))
    assert json.loads(waiting.lines()[0])["hello"] == "smoothtask"


def test_a_full_disk_is_an_answer(connect: Connect, host: FakeHost) -> None:
    def full(*_: object) -> Reply:
        raise OSError(28, "No space left on device")

    host.answer = full
    raw = connect()
    raw.say(b'{"op":"explain","target":"1"}\n')
    assert "No space left" in json.loads(raw.lines()[-1])["message"]
    assert host.asked[0][0] == Explain("1")


def test_the_socket_is_everybodys_and_goes_with_the_server(host: FakeHost, path: Path) -> None:
    server = ControlServer(host, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    server.close()
    server.close()
    assert not path.exists()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give the socket to a group")
def test_a_group_can_be_required(host: FakeHost, path: Path) -> None:
    server = ControlServer(host, path, group="nogroup")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    server.close()
    with pytest.raises(SocketTakenError, match="there is no group"):
        ControlServer(host, path, group="no-such-group")
    assert not path.exists(), "a socket that is nobody's is not left behind"


def test_a_socket_that_cannot_be_given_to_the_group_names_the_setting(
    host: FakeHost, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a service without CAP_CHOWN."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(SocketTakenError, match=r"control\.group: .*group root.*not permitted.*CAP_CHOWN"):
        ControlServer(host, path, group="root")
    assert not path.exists()


def test_a_dead_daemons_socket_is_replaced_and_a_living_ones_is_not(host: FakeHost, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(path))
    server = ControlServer(host, path)
    with pytest.raises(SocketTakenError, match="another daemon answers"):
        ControlServer(FakeHost(), path)
    path.unlink()
    path.write_text("mine")
    server.close()
    assert path.read_text() == "mine", "somebody else's file is not removed"
    with pytest.raises(SocketTakenError, match="expected a socket"):
        ControlServer(host, path)
