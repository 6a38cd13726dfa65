"""logind, played by python-dbusmock on a bus of the test's own."""

import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from jeepney.low_level import HeaderFields
from jeepney.wrappers import DBusAddress, new_method_call, new_signal

from person.test_children import Loop
from person.windows.buses import Peer, session_bus
from smoothtask.model.person import SourceHealth
from smoothtask.person.bus import sender
from smoothtask.person.input.logind import Login, Logind, parse_login

LIMIT_S = 15.0
LOGIN = "org.freedesktop.login1"
MOCK = "org.freedesktop.DBus.Mock"
PYTHON = "/usr/bin/python3"


def has_dbusmock() -> bool:
    """Debian's: pip's needs a compiler."""
    if shutil.which("dbus-daemon") is None or not Path(PYTHON).exists():
        return False
    return subprocess.run([PYTHON, "-c", "import dbusmock"], check=False, capture_output=True).returncode == 0


class Mock:
    """A logind that does what the test says."""

    def __init__(self, address: str) -> None:
        self._connection: DBusConnection = open_dbus_connection(address)

    def call(self, path: str, member: str, signature: str, *body: object) -> object:
        to = DBusAddress(path, bus_name="org.freedesktop.login1", interface=MOCK)
        answer = self._connection.send_and_get_reply(new_method_call(to, member, signature, body), timeout=5)
        return answer.body[0] if answer.body else None

    def add(self, name: str, uid: int, active: bool) -> str:
        """Its path. The template says nothing of it, as logind does."""
        main = "/org/freedesktop/login1"
        path = str(self.call(main, "AddSession", "ssusb", name, "seat0", uid, f"user{uid}", active))
        body = [("s", name), ("o", path)]
        self.call(main, "EmitSignal", "sssav", "org.freedesktop.login1.Manager", "SessionNew", "so", body)
        return path

    def change(self, path: str, **properties: tuple[str, object]) -> None:
        self.call(path, "UpdateProperties", "sa{sv}", "org.freedesktop.login1.Session", properties)

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    if not has_dbusmock():
        pytest.skip("python3-dbusmock or dbus-daemon is not installed")
    with session_bus(tmp_path) as (found, _):
        environment = {"DBUS_SYSTEM_BUS_ADDRESS": found, "PATH": "/usr/bin:/bin"}
        arguments = [PYTHON, "-m", "dbusmock", "--system", "--template", "logind"]
        process = subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield found
        finally:
            process.kill()
            process.wait(LIMIT_S)


def until(logind: Logind, loop: Loop, holds: Callable[[], object]) -> None:
    """Turn until *holds*."""
    end_s = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end_s, logind
        logind._try_at_s = min(logind._try_at_s, time.monotonic() + 0.1)
        logind.look(time.monotonic())
        for fd in select.select([*loop.callbacks], [], [], 0.05)[0]:
            loop.callbacks[fd]()


def test_who_is_on_the_screen_and_who_is_idle(address: str) -> None:
    loop = Loop()
    logind = Logind(loop, loop.hasten, address)
    until(logind, loop, lambda: logind.source.health is SourceHealth.WORKING)
    mock = Mock(address)
    try:
        mine, theirs = mock.add("c1", 1000, True), mock.add("c2", 1001, False)
        mock.change(mine, Type=("s", "wayland"))
        mock.change(theirs, Type=("s", "x11"))
        until(logind, loop, lambda: logind.is_active(1000) and not logind.is_active(1001))
        assert logind.is_active(4242), "nothing is known of a desktop of theirs"
        assert logind.last_input_s(99.0) is None
        before = loop.hastened
        mock.change(mine, Active=("b", False))
        mock.change(theirs, Active=("b", True))
        until(logind, loop, lambda: logind.is_active(1001) and not logind.is_active(1000))
        assert loop.hastened > before
        mock.change(theirs, IdleHint=("b", True), IdleSinceHintMonotonic=("t", 42_000_000))
        until(logind, loop, lambda: logind.last_input_s(99.0) == 42.0)
    finally:
        mock.close()
        logind.close()
    assert loop.callbacks == {}


def test_nobody_but_logind_is_listened_to(address: str) -> None:
    """The system bus carries signals from anybody to anybody: what another says changes nothing, and asks nothing."""
    loop = Loop()
    logind = Logind(loop, loop.hasten, address)
    until(logind, loop, lambda: logind.source.health is SourceHealth.WORKING)
    mock, stranger = Mock(address), Peer(address)
    try:
        mine = mock.add("c1", 1000, True)
        mock.change(mine, Type=("s", "wayland"))
        until(logind, loop, lambda: logind.logins.get(mine) == Login(1000, graphical=True, active=True))
        assert logind._bus is not None
        asked, connection = logind._bus._serial, logind._bus

        def forge(path: str, interface: str, member: str, signature: str, *body: object) -> None:
            to = DBusAddress(path, bus_name=connection.name, interface=interface)
            message = new_signal(to, member, signature, body)
            message.header.fields[HeaderFields.destination] = connection.name
            stranger.send(message)

        properties = "org.freedesktop.DBus.Properties", "PropertiesChanged"
        forge(mine, *properties, "sa{sv}as", "org.freedesktop.login1.Session", {"Active": ("b", False)}, [])
        forge(mine, *properties, "ss", "org.freedesktop.login1.Session", "hello")
        forge(mine, *properties, "", *())
        forge("/org/freedesktop/login1", "org.freedesktop.login1.Manager", "SessionNew", "so", "c7", "/c7")
        forge("/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged", "sss", LOGIN, "", "")
        heard: list[str] = []
        real = connection.messages
        connection.messages = lambda: [heard.append(sender(m)) or m for m in real()]  # type: ignore[method-assign, func-returns-value]
        until(logind, loop, lambda: heard.count(stranger.unique_name) >= 5)
        assert logind.is_active(1000)
        assert logind.logins == {mine: Login(1000, graphical=True, active=True)}
        assert (logind._bus, connection._serial) == (connection, asked)
        mock.change(mine, Active=("b", False))
        until(logind, loop, lambda: not logind.is_active(1000))
    finally:
        stranger.close()
        mock.close()
        logind.close()


class FakeLogind(Peer):
    """It says what nobody documented."""

    def __init__(self, address: str, sessions: list[tuple[object, ...]]) -> None:
        self.lists = 0

        def listed() -> tuple[str, tuple[object, ...]]:
            self.lists += 1
            return "a(susso)", (sessions,)

        super().__init__(address, LOGIN, handlers={"ListSessions": listed, "GetAll": lambda *_: ("s", ("hello",))})

    def news(self) -> None:
        """A session came."""
        self.signal("/org/freedesktop/login1", "org.freedesktop.login1.Manager", "SessionNew", "so", "c1", "/c1")


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[str]:
    if shutil.which("dbus-daemon") is None:
        pytest.skip("dbus-daemon is not installed")
    with session_bus(tmp_path) as (found, _):
        yield found


def test_one_that_makes_no_sense_is_lost_and_tried_again(bus: str) -> None:
    peer = FakeLogind(bus, [("c1", 1000, "me", "seat0", "/c1")])
    loop = Loop()
    logind = Logind(loop, loop.hasten, bus)
    try:
        logind.look(time.monotonic())
        assert logind.source.health is SourceHealth.WORKING
        until(logind, loop, lambda: "has no attribute" in logind.source.text)
        assert logind.source.health is SourceHealth.ABSENT
        assert loop.callbacks == {}
    finally:
        peer.close()
        logind.close()


def test_many_sessions_are_asked_for_once_a_second_and_a_new_logind_is_followed(
    bus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = FakeLogind(bus, [])
    loop = Loop()
    logind = Logind(loop, loop.hasten, bus)
    try:
        logind.look(time.monotonic())
        monkeypatch.setattr("smoothtask.person.input.logind.LIST_S", 3600.0)
        first.news()
        until(logind, loop, lambda: first.lists == 2)
        for _ in range(50):
            first.news()
        first.close()
        until(logind, loop, lambda: logind.source.health is SourceHealth.ABSENT)
        assert (first.lists, logind._stale) == (2, True)
        assert logind.logins == {}  # what it said last may not be so any more
        second = FakeLogind(bus, [])
        until(logind, loop, lambda: logind.source.health is SourceHealth.WORKING)
        logind._list_at_s = 0.0
        until(logind, loop, lambda: second.lists == 1)
        second.close()
    finally:
        logind.close()


def test_a_flood_is_left_for_a_while(bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To read on would cost whoever floods little, and us much; nobody's desktop is taken for hidden meanwhile."""
    monkeypatch.setattr("smoothtask.person.input.logind.STRANGERS", 3)
    peer, stranger = FakeLogind(bus, []), Peer(bus)
    loop = Loop()
    logind = Logind(loop, loop.hasten, bus)
    try:
        logind.look(time.monotonic())
        assert logind._bus is not None
        logind.logins["/c1"] = Login(1000, graphical=True, active=False)
        to = DBusAddress("/x", bus_name=logind._bus.name, interface="org.x")
        for _ in range(4):
            message = new_signal(to, "S")
            message.header.fields[HeaderFields.destination] = logind._bus.name
            stranger.send(message)
        end_s = time.monotonic() + LIMIT_S
        while logind.source.health is SourceHealth.WORKING:
            assert time.monotonic() < end_s
            for fd in select.select([*loop.callbacks], [], [], 0.05)[0]:
                loop.callbacks[fd]()
        assert "floods" in logind.source.text
        assert logind.is_active(1000)
        assert loop.hastened == 1
        until(logind, loop, lambda: logind.source.health is SourceHealth.WORKING)
    finally:
        stranger.close()
        peer.close()
        logind.close()


def test_a_bus_that_refuses_us_is_no_bus(tmp_path: Path) -> None:
    """It allows one connection, and that is taken."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("dbus-daemon is not installed")
    with session_bus(tmp_path, "<limit name='max_completed_connections'>1</limit>") as (address, _):
        taken = open_dbus_connection(address)
        logind = Logind(Loop(), address=address)
        logind.look(time.monotonic())
        assert logind.source.health is SourceHealth.ABSENT
        assert "refuses us: LimitsExceeded" in logind.source.text
        taken.close()


def test_without_a_bus_it_is_absent_and_tried_again_later(tmp_path: Path) -> None:
    loop = Loop()
    logind = Logind(loop, address=f"unix:path={tmp_path}/none")
    logind.look(1.0)
    assert logind.source.health is SourceHealth.ABSENT
    assert logind.is_active(1000)
    assert logind.last_input_s(1.0) is None


@given(
    st.dictionaries(
        st.sampled_from(["Type", "Active", "IdleHint", "IdleSinceHintMonotonic"]),
        st.tuples(st.text(), st.none() | st.integers() | st.text() | st.booleans()),
    )
)
def test_whatever_it_says_is_a_login(properties: dict[str, tuple[str, object]]) -> None:
    assert isinstance(parse_login(7, properties), Login)
