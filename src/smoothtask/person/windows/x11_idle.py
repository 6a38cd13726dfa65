"""When somebody last used an X server, by its IDLETIME counter (X Synchronization Extension, version 3.1).

While somebody is active the counter is read once a second; after a second without input an alarm is left with the
server, and nothing at all happens until the next input. Under Xwayland the counter knows Xwayland's input alone.
"""

import struct
from typing import Any, Final

from Xlib.protocol import rq

from smoothtask.person.watcher import LostError
from smoothtask.person.windows.x11_wire import Connection, Event, said

PAUSE_S: Final = 1.0
_COUNTER: Final = b"IDLETIME"
_COUNTERS_LIMIT: Final = 64
_ALARM_NOTIFY: Final = 1  # counted from the extension's first event
_NEGATIVE_TRANSITION: Final = 1
_ALL_SIX_VALUES: Final = 0x3F
_OUR_ALARM: Final = 1  # the only resource that we make: base + 1

_HEAD = (rq.ReplyCode(), rq.Pad(1), rq.Card16("sequence_number"), rq.ReplyLength())


class _Initialize(rq.ReplyRequest):  # type: ignore[misc]
    _request = rq.Struct(
        rq.Card8("opcode"), rq.Opcode(0), rq.RequestLength(), rq.Card8("major"), rq.Card8("minor"), rq.Pad(2)
    )
    _reply = rq.Struct(*_HEAD, rq.Card8("major"), rq.Card8("minor"), rq.Pad(22))


class _ListSystemCounters(rq.ReplyRequest):  # type: ignore[misc]
    _request = rq.Struct(rq.Card8("opcode"), rq.Opcode(1), rq.RequestLength())
    _reply = rq.Struct(*_HEAD, rq.Card32("count"), rq.Pad(20), rq.Binary("raw"))


class _QueryCounter(rq.ReplyRequest):  # type: ignore[misc]
    _request = rq.Struct(rq.Card8("opcode"), rq.Opcode(5), rq.RequestLength(), rq.Card32("counter"))
    _reply = rq.Struct(*_HEAD, rq.Int32("high"), rq.Card32("low"), rq.Pad(16))


def _alarm(opcode: int) -> Any:
    """A request that gives an alarm all six of its values."""
    values = ("counter", "value_type", "high", "low", "test", "delta_high", "delta_low", "events")
    fields = (rq.Card32(name) for name in ("alarm", "mask", *values))
    layout = rq.Struct(rq.Card8("opcode"), rq.Opcode(opcode), rq.RequestLength(), *fields)
    return type("_Alarm", (rq.Request,), {"_request": layout})


_CreateAlarm, _ChangeAlarm = _alarm(8), _alarm(9)


def parse_counter(raw: bytes, count: int, name: bytes) -> int | None:
    """The id of a counter in the answer to ListSystemCounters; `None`: the server does not have it."""
    at = 0
    for _ in range(min(count, _COUNTERS_LIMIT)):
        if at + 14 > len(raw):
            return None
        counter, length = struct.unpack_from("=I8xH", raw, at)
        if raw[at + 14 : at + 14 + length] == name:
            return int(counter)
        at += (14 + length + 3) & ~3
    return None


def open_idle(connection: Connection) -> "IdleCounter | None":
    """`None` when this server has no such counter. Raises LostError."""
    extension = connection.extension("SYNC")
    if extension is None:
        return None
    opcode, first_event = extension
    _Initialize(display=connection, defer=True, opcode=opcode, major=3, minor=1)
    listed = _ListSystemCounters(display=connection, defer=True, opcode=opcode)
    connection.settle()
    answer = said(listed)
    counter = None if answer is None else parse_counter(bytes(answer["raw"]), answer["count"], _COUNTER)
    return None if counter is None else IdleCounter(connection, opcode, first_event + _ALARM_NOTIFY, counter)


class IdleCounter:
    """Seconds since the last input, read when it is worth it."""

    def __init__(self, connection: Connection, opcode: int, event: int, counter: int) -> None:
        self._connection = connection
        self._opcode = opcode
        self._event = event
        self._counter = counter
        self._arm(_CreateAlarm)
        self.wake_at_s: float | None = None
        """CLOCK_MONOTONIC moment at which to `read` it; `None`: an event will come."""

    def is_mine(self, event: Event) -> bool:
        """Whether it says that somebody is back."""
        return event[0] & 0x7F == self._event

    def read(self, now_s: float) -> float:
        """Seconds since the last input. Raises LostError.

        The alarm is set first: input between the two leaves the counter low, and then it is read again.
        """
        self._arm(_ChangeAlarm)
        asked = _QueryCounter(display=self._connection, defer=True, opcode=self._opcode, counter=self._counter)
        self._connection.settle()
        value = said(asked)
        if value is None:
            raise LostError("the X server has forgotten its idle time")
        idle_s: float = max(0.0, ((value["high"] << 32) + value["low"]) / 1000)
        self.wake_at_s = now_s + PAUSE_S if idle_s < PAUSE_S else None
        return idle_s

    def _arm(self, kind: Any) -> None:
        """The next fall of the counter through a second is an event."""
        kind(
            display=self._connection,
            opcode=self._opcode,
            alarm=self._connection.base + _OUR_ALARM,
            mask=_ALL_SIX_VALUES,
            counter=self._counter,
            value_type=0,  # absolute
            high=0,
            low=int(PAUSE_S * 1000),
            test=_NEGATIVE_TRANSITION,
            delta_high=0,
            delta_low=0,
            events=1,
        )
