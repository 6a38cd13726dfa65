"""kernel.systemd against managers that answer, refuse, fall silent or lie, over a real socket."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jeepney.low_level import HeaderFields, Message, MessageType, Parser
from jeepney.wrappers import new_error, new_method_return

from smoothtask.kernel import systemd
from smoothtask.kernel.systemd import SYSTEM, Manager, ManagerError, Managers, NoSuchUnitError, SilentError, object_path

Reply = Callable[[Message], bytes]


class FakeManager:
    """Answers D-Bus calls on a private socket, one connection after the other, in a thread.

    What it reads together with BEGIN it looks at when more comes, as sd-bus does.
    """

    late_s = 0.0
    """It is kept waiting so long before it reads what a client says at first."""

    def __init__(self, path: Path, reply: Reply) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.reply = reply
        self.calls: list[Message] = []
        self.connections = 0
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._current: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._current = connection
                with contextlib.suppress(OSError), connection:
                    self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        hello = b""
        while b"BEGIN\r\n" not in hello:
            time.sleep(self.late_s)
            data = connection.recv(1024)
            if not data:
                return
            hello += data
            if b"AUTH" in data:
                connection.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
            if b"NEGOTIATE_UNIX_FD" in data:
                connection.sendall(b"AGREE_UNIX_FD\r\n")
        parser = Parser()
        early = hello.partition(b"BEGIN\r\n")[2]
        while data := connection.recv(65536):
            parser.add_data(early + data)
            early = b""
            while (message := parser.get_next_message()) is not None:
                self.calls.append(message)
                answer = self.reply(message)
                if not answer:
                    return  # closes
                connection.sendall(answer)

    def hang_up(self) -> None:
        """As when it is restarted."""
        if self._current is not None:
            with contextlib.suppress(OSError):
                self._current.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop, and wait for the thread."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        self._thread.join(5)
        assert not self._thread.is_alive()


def ok(message: Message, signature: str | None = None, body: tuple[object, ...] = ()) -> bytes:
    """A normal answer."""
    return bytes(new_method_return(message, signature, body).serialise(serial=7))


def refusal(message: Message, name: str, text: str) -> bytes:
    """An error."""
    return bytes(new_error(message, name, "s", (text,)).serialise(serial=7))


def values(message: Message) -> bytes:
    """Properties."""
    if message.header.fields[HeaderFields.member] != "Get":
        return ok(message)
    known: dict[str, tuple[str, object]] = {
        "CPUWeight": ("t", 77),
        "ControlGroup": ("s", "/system.slice/a.service"),
        "IOReadBandwidthMax": ("a(st)", [("/dev/sda", 5)]),
    }
    return ok(message, "v", (known[message.body[1]],))


Start = Callable[[Reply], tuple[FakeManager, Manager]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A manager that replies as told, and a connection to it."""
    running: list[FakeManager | Manager] = []

    def begin(reply: Reply) -> tuple[FakeManager, Manager]:
        fake = FakeManager(tmp_path / "systemd" / "private", reply)
        manager = Manager(SYSTEM, str(tmp_path), 0.3)
        running.extend([manager, fake])
        return fake, manager

    yield begin
    for one in running:
        one.close()


@dataclass
class Slow:
    """Managers whose every answer takes its time, on a clock of the test's own."""

    managers: Managers
    fake: FakeManager
    """The one of uid 1000."""
    now: float
    answer_s: float


StartSlow = Callable[..., Slow]


@pytest.fixture
def start_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartSlow]:
    """The system's and that of uid 1000, each answer so many seconds late; one second is allowed."""
    with contextlib.ExitStack() as closing:

        def begin(answer_s: float, answer: Reply = ok) -> Slow:
            def slowly(message: Message) -> bytes:
                slow.now += slow.answer_s
                return answer(message)

            fakes = [FakeManager(tmp_path / where / "systemd" / "private", slowly) for where in (".", "user/1000")]
            slow = Slow(Managers(str(tmp_path), 1.0), fakes[1], 1000.0, answer_s)
            for one in (slow.managers, *fakes):
                closing.callback(one.close)
            monkeypatch.setattr(time, "monotonic", lambda: slow.now)
            monkeypatch.setattr(Manager, "_check_owner", lambda *_: None)
            return slow

        yield begin


def test_properties_are_read(start: Start) -> None:
    """One connection for all."""
    fake, manager = start(values)
    assert manager.is_there
    assert manager.properties("a.service", ["CPUWeight", "ControlGroup", "IOReadBandwidthMax"]) == {
        "CPUWeight": 77,
        "ControlGroup": "/system.slice/a.service",
        "IOReadBandwidthMax": (("/dev/sda", 5),),
    }
    assert fake.connections == 1
    assert fake.calls[0].header.fields[HeaderFields.path] == "/org/freedesktop/systemd1/unit/a_2eservice"
    assert fake.calls[0].body == ("org.freedesktop.systemd1.Service", "CPUWeight")


def test_what_is_asked_for(start: Start) -> None:
    """Each value with its type, until the next boot."""
    fake, manager = start(ok)
    manager.set_properties("a.scope", {"CPUWeight": 25, "IOReadBandwidthMax": [("/dev/sda", 5)]})
    manager.start_scope("b.scope", {"PIDs": [1, 2], "Slice": "app.slice"})
    manager.attach("b.scope", [3])
    manager.stop("b.slice")
    assert [m.body for m in fake.calls] == [
        ("a.scope", True, [("CPUWeight", ("t", 25)), ("IOReadBandwidthMax", ("a(st)", [("/dev/sda", 5)]))]),
        ("b.scope", "fail", [("PIDs", ("au", [1, 2])), ("Slice", ("s", "app.slice"))], []),
        ("b.scope", "", [3]),
        ("b.slice", "replace"),
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("org.freedesktop.systemd1.NoSuchUnit", NoSuchUnitError),
        ("org.freedesktop.DBus.Error.UnknownObject", NoSuchUnitError),
        ("org.freedesktop.DBus.Error.AccessDenied", ManagerError),
    ],
)
def test_a_refusal_is_said(start: Start, name: str, kind: type[ManagerError]) -> None:
    """The connection lives on, and a long text is cut."""
    fake, manager = start(lambda m: refusal(m, name, "because " * 100))
    for _ in range(2):
        with pytest.raises(ManagerError, match=r"the system manager refused: .*because") as error:
            manager.set_properties("a.service", {"CPUWeight": 25})
        assert type(error.value) is kind
        assert len(str(error.value)) < 300
    assert fake.connections == 1


def test_an_answer_to_another_question_is_passed_over(start: Start) -> None:
    """A late one, or a signal."""

    def reply(message: Message) -> bytes:
        other = new_method_return(message, "v", (("t", 1),))
        other.header.fields[HeaderFields.reply_serial] = 9999
        return bytes(other.serialise(serial=6)) + values(message)

    _, manager = start(reply)
    assert manager.properties("a.service", ["CPUWeight"]) == {"CPUWeight": 77}


def test_silence_is_an_error_in_time(start: Start) -> None:
    """And the next question goes over another connection."""
    said = iter([b"l", b"l"])
    fake, manager = start(lambda m: next(said, values(m)))
    for _ in range(2):
        with pytest.raises(SilentError, match=r"no answer in time|timed out"):
            manager.properties("a.service", ["CPUWeight"])
    assert manager.properties("a.service", ["CPUWeight"]) == {"CPUWeight": 77}
    assert fake.connections == 3


def test_a_manager_that_is_kept_waiting_gets_the_first_question(start: Start, tmp_path: Path) -> None:
    """It had read it together with the greeting, and never answered."""
    fake, _ = start(values)
    fake.late_s = 0.2
    with contextlib.closing(Manager(SYSTEM, str(tmp_path), 5.0)) as manager:
        assert manager.properties("a.service", ["CPUWeight"]) == {"CPUWeight": 77}


def test_a_manager_that_hangs_up_at_once_is_said(tmp_path: Path) -> None:
    """Without waiting for an answer that cannot come."""
    path = tmp_path / "systemd" / "private"
    path.parent.mkdir()
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener,
        contextlib.closing(Manager(SYSTEM, str(tmp_path), 60.0)) as manager,
    ):
        listener.bind(str(path))
        listener.listen()

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(1024)
            connection.close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        with pytest.raises(SilentError, match="closed the connection"):
            manager.properties("a.service", ["CPUWeight"])
        thread.join()


HEADER = b"l\x02\x00\x01"
"""Little endian, an answer, no flags, version 1."""


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10, id="another protocol"),
        pytest.param(b"\0" * 200, id="zeros"),
        pytest.param(b"\xff" * 200, id="ones"),
        pytest.param(HEADER + b"\xff\xff\xff\x7f" + b"\1\0\0\0" + b"\0" * 300_000, id="huge"),
        pytest.param(HEADER + b"\0\0\0\0" + b"\1\0\0\0" + b"\xff\xff\xff\x7f" + b"A" * 300_000, id="huge header"),
        pytest.param(HEADER + b"\4\0\0\0\1\0\0\0" + b"\x08\0\0\0" + b"\x05\x01u\0\x01" + b"\0" * 20, id="cut short"),
        pytest.param(HEADER + b"\0\0\0\0\1\0\0\0" + b"\x10\0\0\0" + b"\x08\x01g\0\x03a(s\0" + b"\0" * 40, id="type"),
    ],
)
def test_garbage_is_an_error(start: Start, answer: bytes) -> None:
    """Whatever it is, it is told in one way, and nothing of it is kept."""
    _, manager = start(lambda _: answer)
    with pytest.raises(SilentError):
        manager.properties("a.service", ["CPUWeight"])


@pytest.mark.parametrize(
    ("signature", "body"), [(None, ()), ("s", ("x",)), ("u", (5,)), ("as", (["a"],)), ("v", (("au", [5]),))]
)
def test_an_answer_of_another_type_is_an_error(start: Start, signature: str | None, body: tuple[object, ...]) -> None:
    """It is well-formed, and not what was asked for."""
    _, manager = start(lambda m: ok(m, signature, body))
    with pytest.raises(SilentError):
        manager.properties("a.service", ["CPUWeight"])


def test_what_cannot_be_asked(start: Start) -> None:
    """A unit of another type, a name that is no UTF-8, a value that is no number of its type: the manager is well."""
    fake, manager = start(values)
    with pytest.raises(ManagerError, match="no service"):
        manager.properties("a.mount", ["CPUWeight"])
    for unit, value in (("\udcff.service", 1), ("a.service", -1), ("a.service", 1 << 64), ("a.service", "x")):
        with pytest.raises(ManagerError) as error:
            manager.set_properties(unit, {"CPUWeight": value})
        assert type(error.value) is ManagerError
    assert manager.properties("a.service", ["CPUWeight"]) == {"CPUWeight": 77}
    assert fake.connections == 1


def test_endless_talk_is_cut_off(start: Start) -> None:
    """Messages that answer nothing do not keep us beyond the time."""

    def reply(message: Message) -> bytes:
        other = new_method_return(message, "s", ("x" * 1000,))
        other.header.fields[HeaderFields.reply_serial] = 9999
        return bytes(other.serialise(serial=6)) * 5000

    _, manager = start(reply)
    with pytest.raises(SilentError):
        manager.properties("a.service", ["CPUWeight"])


def test_a_manager_that_was_restarted_is_asked_again(start: Start) -> None:
    """The old connection is found closed; nobody need know."""
    fake, manager = start(values)
    manager.properties("a.service", ["CPUWeight"])
    fake.hang_up()
    assert manager.properties("a.service", ["CPUWeight"]) == {"CPUWeight": 77}
    assert fake.connections == 2


def test_a_manager_that_always_closes(start: Start) -> None:
    """Is asked once more, not for ever."""
    fake, manager = start(lambda _: b"")
    with pytest.raises(SilentError, match="closed the connection"):
        manager.properties("a.service", ["CPUWeight"])
    assert fake.connections == 1


def test_nobody_else_answers_for_a_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket's owner is asked of the kernel: here root and we ourselves are strangers."""
    fake = FakeManager(tmp_path / "user" / "4242" / "systemd" / "private", values)
    manager = Manager(4242, str(tmp_path), 0.3)
    monkeypatch.setattr(systemd, "int", type("Uid", (), {"from_bytes": staticmethod(lambda *_: 4243)}), raising=False)
    with pytest.raises(SilentError, match="the manager of uid 4242: uid 4243 answers at"):
        manager.properties("a.service", ["CPUWeight"])
    monkeypatch.undo()
    assert not fake.calls
    manager.close()
    fake.close()


def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    """No manager, no answer."""
    manager = Manager(4242, str(tmp_path), 0.3)
    assert not manager.is_there
    with pytest.raises(SilentError, match="the manager of uid 4242: No such file"):
        manager.attach("a.scope", [1])


def test_one_that_did_not_answer_is_left_in_peace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer each time; an answer makes up for it all."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    said: list[bool] = [False]
    fake = FakeManager(tmp_path / "systemd" / "private", lambda m: values(m) if said[0] else b"")
    managers = Managers(str(tmp_path), 0.3)
    assert managers.is_there(SYSTEM)
    for pause_s in (10.0, 20.0, 40.0):
        with pytest.raises(SilentError, match="closed"):
            managers.properties(SYSTEM, "a.service", ["CPUWeight"])
        calls = len(fake.calls)
        now += pause_s - 0.1
        assert not managers.is_there(SYSTEM)
        with pytest.raises(SilentError, match=f"asked again within {pause_s:.0f} s"):
            managers.set_properties(SYSTEM, "a.service", {"CPUWeight": 1})
        assert len(fake.calls) == calls
        now += 0.2
        assert managers.is_there(SYSTEM)
    said[0] = True
    assert managers.properties(SYSTEM, "a.service", ["CPUWeight"]) == {"CPUWeight": 77}
    said[0] = False
    fake.hang_up()
    with pytest.raises(SilentError):
        managers.attach(SYSTEM, "a.scope", [1])
    now += 10.1
    assert managers.is_there(SYSTEM)
    managers.close()
    fake.close()


@pytest.mark.parametrize("answer", [ok, lambda m: refusal(m, "x.y.AccessDenied", "no")], ids=["answer", "refusal"])
def test_one_that_takes_its_time_is_left_in_peace(start_slow: StartSlow, answer: Reply) -> None:
    """Each answer comes in time, and together they would hold up whoever asks: longer each time, until it is quick."""
    slow = start_slow(0.9, answer)

    def ask() -> None:
        slow.managers.set_properties(1000, "a.service", {"CPUWeight": 1})

    for pause_s in (10.0, 20.0, 40.0):
        for _ in range(2):
            with contextlib.suppress(ManagerError):
                ask()
        calls = len(slow.fake.calls)
        with pytest.raises(SilentError, match=f"asked again within {pause_s:.0f} s"):
            ask()
        assert len(slow.fake.calls) == calls
        assert not slow.managers.is_there(1000)
        slow.now += pause_s + 0.1
    slow.answer_s = 0.0
    for _ in range(50):
        with contextlib.suppress(ManagerError):
            ask()
        slow.now += 1
    slow.answer_s = 0.9
    for _ in range(2):
        with contextlib.suppress(ManagerError):
            ask()
    with pytest.raises(SilentError, match="asked again within 10 s"):
        ask()


@pytest.mark.parametrize("answer_s", [0.2, 0.4])
def test_who_is_slow_each_time_is_left_in_peace_longer_each_time(start_slow: StartSlow, answer_s: float) -> None:
    """Though each first answer after a pause is quick enough by itself."""
    slow, pauses = start_slow(answer_s), []
    while len(pauses) < 3:
        with contextlib.suppress(ManagerError):
            slow.managers.set_properties(1000, "a.service", {"CPUWeight": 1})
        if not slow.managers.is_there(1000):
            pauses.append(slow.managers._failed[1000][1])
            slow.now += pauses[-1] + 0.1
    assert pauses == [10.0, 20.0, 40.0]


def test_who_puts_everything_back_is_patient_and_the_systems_manager_has_all_the_time(start_slow: StartSlow) -> None:
    """Sixty units are 240 questions; what is not asked then stays in force."""
    slow = start_slow(0.02)

    def ask(uid: int) -> None:
        for _ in range(240):
            slow.managers.set_properties(uid, "a.service", {"CPUWeight": 1})

    ask(SYSTEM)
    with pytest.raises(SilentError):
        ask(1000)
    with slow.managers.patient():
        ask(1000)
    assert slow.managers.is_there(1000)


def test_who_puts_everything_back_waits_longer_for_one_answer_but_not_for_each(tmp_path: Path) -> None:
    """A manager that is kept waiting itself; those that never answer cost all of them together that much."""

    def late(message: Message) -> bytes:
        time.sleep(0.6)
        return ok(message)

    fake = FakeManager(tmp_path / "systemd" / "private", late)
    managers = Managers(str(tmp_path), 0.3)
    with pytest.raises(SilentError):
        managers.set_properties(SYSTEM, "a.service", {"CPUWeight": 1})
    with managers.patient():
        managers.set_properties(SYSTEM, "a.service", {"CPUWeight": 1})
        managers._patient_until_s = 0.0  # all of it is used up
        with pytest.raises(SilentError):
            managers.set_properties(SYSTEM, "a.service", {"CPUWeight": 1})
    managers.close()
    fake.close()


def test_all_names_of_one_question_have_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0

    def slowly(message: Message) -> bytes:
        nonlocal now
        now += 0.4
        return values(message)

    monkeypatch.setattr(time, "monotonic", lambda: now)
    fake = FakeManager(tmp_path / "systemd" / "private", slowly)
    managers = Managers(str(tmp_path), 1.0)
    with pytest.raises(SilentError, match="no answer in time"):
        managers.properties(SYSTEM, "a.service", ["CPUWeight"] * 50)
    assert len(fake.calls) == 3
    managers.close()
    fake.close()


def test_a_refusal_is_no_silence(tmp_path: Path) -> None:
    """The manager is well."""
    fake = FakeManager(tmp_path / "systemd" / "private", lambda m: refusal(m, "x.y.AccessDenied", "no"))
    managers = Managers(str(tmp_path), 0.3)
    with pytest.raises(ManagerError):
        managers.start_scope(SYSTEM, "a.scope", {"PIDs": [1]})
    assert managers.is_there(SYSTEM)
    managers.close()
    fake.close()


def test_booted(tmp_path: Path) -> None:
    """As sd_booted(3)."""
    assert not Managers(str(tmp_path)).booted()
    (tmp_path / "systemd" / "system").mkdir(parents=True)
    assert Managers(str(tmp_path)).booted()


@pytest.mark.parametrize(
    ("unit", "path"),
    [
        ("ssh.service", "ssh_2eservice"),
        ("app-org.gnome.Terminal-12.scope", "app_2dorg_2egnome_2eTerminal_2d12_2escope"),
        ("user@1000.service", "user_401000_2eservice"),
        ("1.mount", "_31_2emount"),
        ("a\\x2db.service", "a_5cx2db_2eservice"),
        ("ü_.slice", "_c3_bc_5f_2eslice"),
    ],
)
def test_object_paths(unit: str, path: str) -> None:
    """As `busctl tree` shows them."""
    assert object_path(unit) == f"/org/freedesktop/systemd1/unit/{path}"


@given(st.binary(min_size=1))
def test_any_name_is_a_valid_path(name: bytes) -> None:
    """Whatever bytes a hostile unit has."""
    encoded = object_path(name.decode("utf-8", "surrogateescape")).rpartition("/")[2]
    assert encoded.isascii()
    assert encoded.replace("_", "a").isalnum()


def test_message_types_are_what_the_wire_has() -> None:
    """The numbers that the garbage above is made of."""
    assert HEADER[1] == MessageType.method_return.value
