"""The wire of D-Bus against one who talks and never answers; everything else by those who use it."""

import itertools
import time

import pytest
from jeepney.wrappers import DBusAddress, new_signal

from smoothtask.person import bus
from smoothtask.person.bus import Bus
from smoothtask.person.watcher import LostError


class Flood:
    """A socket that always has more to say, and no answer."""

    def __init__(self, size: int) -> None:
        address = DBusAddress("/x", interface="org.x")
        self._message = new_signal(address, "S", "ay", (bytes(size),)).serialise(serial=1)
        self.received = 0

    def send(self, data: bytes) -> int:
        return len(data)

    def recv(self, _: int) -> bytes:
        self.received += 1
        assert self.received < 1000, "it goes on for ever"
        return self._message

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("size", "why"), [(10, "no answer to Hello"), (60_000, "bytes came before the answer")])
def test_who_talks_and_does_not_answer_is_lost(monkeypatch: pytest.MonkeyPatch, size: int, why: str) -> None:
    """At the deadline (ten looks at the clock), and at so many bytes."""
    flood = Flood(size)
    clock = itertools.count(0.0, 0.1 if size == 10 else 0.0)
    monkeypatch.setattr(bus, "_connect", lambda *_: flood)
    monkeypatch.setattr(Bus, "_poll", lambda *_: True)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with pytest.raises(LostError, match=why):
        Bus("unix:path=/nowhere", timeout_s=1.0)
    monkeypatch.undo()
