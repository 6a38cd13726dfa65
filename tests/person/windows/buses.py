"""A session bus of a test's own, and whoever should be on it."""

import contextlib
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jeepney.bus_messages import message_bus
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from jeepney.low_level import HeaderFields, Message, MessageType
from jeepney.wrappers import DBusAddress, new_error, new_method_call, new_method_return, new_signal

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
{limits}</busconfig>
"""
Handler = Callable[..., tuple[str, tuple[Any, ...]] | None]
"""Gets the call's arguments; gives signature and body of the answer, or `None` for an error."""


@contextlib.contextmanager
def session_bus(folder: Path, limits: str = "") -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The address of a bus, and its process."""
    config = folder / "bus.conf"
    config.write_text(CONFIG.format(path=folder / "bus", limits=limits))
    arguments = ["dbus-daemon", "--nofork", "--print-address", f"--config-file={config}"]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


class Peer:
    """A program on the bus that owns names and answers calls, in a thread."""

    def __init__(self, address: str, *names: str, handlers: dict[str, Handler] | None = None) -> None:
        self.handlers: dict[str, Handler] = handlers or {}
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.answers: list[Message] = []
        self._connection: DBusConnection = open_dbus_connection(address)
        self.unique_name: str = self._connection.unique_name
        for name in names:
            self.own(name)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def own(self, name: str) -> None:
        """Before the thread runs, or through `release`."""
        reply = self._connection.send_and_get_reply(message_bus.RequestName(name), timeout=5)
        assert reply.body == (1,)

    def send(self, message: Message) -> None:
        """Say something unasked."""
        self._connection.send(message)

    def signal(self, path: str, interface: str, member: str, signature: str, *body: Any) -> None:
        """To whoever listens."""
        self.send(new_signal(DBusAddress(path, interface=interface), member, signature, body))

    def call(self, destination: str, path: str, interface: str, member: str, *body: Any) -> None:
        """A method with one text; the answer goes to `answers`."""
        to = DBusAddress(path, bus_name=destination, interface=interface)
        self.send(new_method_call(to, member, "s" * len(body), body))

    def release(self, name: str) -> None:
        """Give a name back."""
        self.send(message_bus.ReleaseName(name))

    def request(self, name: str) -> None:
        """Ask for a name while running."""
        self.send(message_bus.RequestName(name))

    def close(self) -> None:
        """Leave the bus; may be called twice."""
        self._stop.set()
        self._thread.join(10)
        self._connection.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                message = self._connection.receive(timeout=0.02)
            except TimeoutError:
                continue
            except (ConnectionError, OSError):
                return
            if message.header.message_type is MessageType.method_call:
                self._handle(message)
            elif message.header.message_type in {MessageType.method_return, MessageType.error}:
                self.answers.append(message)

    def _handle(self, message: Message) -> None:
        member = message.header.fields[HeaderFields.member]
        path = message.header.fields[HeaderFields.path]
        self.calls.append((member, message.body))
        handler = self.handlers.get(f"{path} {member}") or self.handlers.get(member)
        answer = handler(*message.body) if handler else None
        if answer is None:
            self.send(new_error(message, "org.freedesktop.DBus.Error.AccessDenied", "s", ("not for you",)))
        else:
            self.send(new_method_return(message, *answer))
