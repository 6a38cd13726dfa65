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
from jeepney.wrappers import DBusAddress, new_method_call

from person.test_children import Loop
from person.windows.buses import session_bus
from smoothtask.model.person import SourceHealth
from smoothtask.person.input.logind import Login, Logind, parse_login

LIMIT_S = 15.0
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
