"""When a keyboard, mouse, pen or gamepad was last used: the time of events, never what they were.

While somebody is at work the devices are looked at once a tick, and wake nobody: a mouse that sends a thousand events
a second costs nothing in between (the kernel's queue may overflow; the newest events stay). While nobody is, the
first event wakes the loop.
"""

import fcntl
import os
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from smoothtask.model.person import Source, SourceHealth
from smoothtask.person.children import Readers

DEV: Final = Path("/dev/input")
NAME: Final = "input: evdev"
LOOK_S: Final = 5.0
"""How often devices that come and go are looked for."""
AWAY_S: Final = 5.0
"""After so long without input the next event wakes the loop."""
_EVENT: Final = struct.Struct("=qqH2xi")
"""struct input_event (linux/input.h) without its code, which is nobody's business."""
_READ_EVENTS: Final = 256
_ROUNDS: Final = 4
_EV_KEY, _EV_REL, _EV_ABS = 1, 2, 3
_AUTOREPEAT: Final = 2
_EVIOCSCLOCKID: Final = 0x400445A0
_ACCELEROMETER: Final = 6
_DIGITS: Final = frozenset(range(2, 12))
_LETTERS: Final = frozenset({30, 57})
_BUTTONS: Final = frozenset(range(0x110, 0x118))
_TOUCHES: Final = frozenset({0x14A, 0x145, 0x140})
_TRIGGERS: Final = frozenset({0x120, 0x130})
_X_AND_Y: Final = frozenset({0, 1})

Capabilities = dict[int, list[int]]
Node = tuple[str, int]
"""Name and inode of a device's file: the next device may be called the same."""


def is_a_persons(capabilities: Capabilities, properties: list[int]) -> bool:
    """Whether it is a keyboard, pointer, touch device, pen or gamepad; not a lid, a power button, a headset's jack.

    *capabilities*: event type → codes, as python-evdev tells them (linux/input-event-codes.h).
    """
    keys = frozenset(capabilities.get(_EV_KEY, ()))
    if _ACCELEROMETER in properties:
        return False
    if keys >= _DIGITS or keys >= _LETTERS:
        return True
    if frozenset(capabilities.get(_EV_REL, ())) >= _X_AND_Y and keys & _BUTTONS:
        return True
    return frozenset(capabilities.get(_EV_ABS, ())) >= _X_AND_Y and bool(keys & (_TOUCHES | _TRIGGERS))


def newest_s(data: bytes) -> float | None:
    """The moment (CLOCK_MONOTONIC) of the newest real input in *data*; a key that repeats by itself is none."""
    newest = None
    for second, micro, kind, value in _EVENT.iter_unpack(data[: len(data) // _EVENT.size * _EVENT.size]):
        if kind in {_EV_REL, _EV_ABS} or (kind == _EV_KEY and value != _AUTOREPEAT):
            newest = second + micro / 1e6
    return newest


@dataclass(slots=True)
class InputDevices:
    """All of them."""

    readers: Readers
    hasten: Callable[[], None] = lambda: None
    """Somebody is back."""
    dev: Path = DEV
    last_s: float | None = None
    """CLOCK_MONOTONIC moment of the newest input; `None`: none was seen, or nothing can be read."""
    source: Source = field(default_factory=lambda: Source(NAME, SourceHealth.ABSENT, "not looked at yet"))
    _devices: dict[Node, Any] = field(default_factory=dict)
    """The open device, or `None` for what is no person's."""
    _refused: int = 0
    _listening: set[int] = field(default_factory=set)
    _look_at_s: float = 0.0

    def look(self, now_s: float) -> None:
        """Take in what happened since the last time; called at every tick."""
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_S
            self._find(now_s)
        for node, device in tuple(self._devices.items()):
            if device is not None:
                self._drain(node, device, now_s)
        away = self.last_s is None or now_s - self.last_s > AWAY_S
        for device in self._devices.values():
            if device is not None:
                self._listen(device.fd, away)

    def close(self) -> None:
        """Let go of all devices."""
        for node in tuple(self._devices):
            self._drop(node)

    def _find(self, now_s: float) -> None:
        try:
            with os.scandir(self.dev) as entries:
                nodes = {(e.name, e.inode()) for e in entries if e.name.startswith("event") and e.name[5:].isdigit()}
        except OSError:
            nodes = set()
        for node in self._devices.keys() - nodes:
            self._drop(node)
        self._refused = 0
        for node in sorted(nodes - self._devices.keys()):
            self._open(node, now_s)
        self.source = self._health(len(nodes))

    def _open(self, node: Node, now_s: float) -> None:
        import evdev  # noqa: PLC0415 (3 MiB, where there are devices)

        try:
            device = evdev.InputDevice(str(self.dev / node[0]), readonly=True)
        except PermissionError:
            self._refused += 1
            return
        except OSError:  # unplugged meanwhile, or no input device
            return
        try:
            wanted = is_a_persons(device.capabilities(absinfo=False), device.input_props())
            if wanted:
                os.set_blocking(device.fd, False)
                fcntl.ioctl(device.fd, _EVIOCSCLOCKID, struct.pack("i", time.CLOCK_MONOTONIC))
        except OSError:
            device.close()
            return
        if not wanted:
            device.close()
        elif self.last_s is None:
            self.last_s = now_s  # unknown; somebody plugged it in or started us
        self._devices[node] = device if wanted else None

    def _drain(self, node: Node, device: Any, now_s: float) -> None:
        for _ in range(_ROUNDS):
            try:
                data = os.read(device.fd, _READ_EVENTS * _EVENT.size)
            except BlockingIOError:
                return
            except OSError:  # unplugged
                self._drop(node)
                return
            seen_s = newest_s(data)
            if seen_s is not None:
                self.last_s = max(self.last_s or 0.0, min(seen_s, now_s))
            if len(data) < _READ_EVENTS * _EVENT.size:
                return

    def _listen(self, fd: int, on: bool) -> None:
        if on and fd not in self._listening:
            self._listening.add(fd)
            self.readers.add_reader(fd, self._somebody_is_back)
        elif not on and fd in self._listening:
            self._listening.discard(fd)
            self.readers.remove_reader(fd)

    def _somebody_is_back(self) -> None:
        for device in self._devices.values():
            if device is not None:
                self._listen(device.fd, on=False)
        self.hasten()

    def _drop(self, node: Node) -> None:
        device = self._devices.pop(node)
        if device is not None:
            self._listen(device.fd, on=False)
            device.close()

    def _health(self, present: int) -> Source:
        watched = sum(d is not None for d in self._devices.values())
        if watched:
            return Source(NAME, SourceHealth.WORKING, f"{watched} keyboards, mice and the like: when, never what")
        self.last_s = None
        if self._refused:
            text = f"{self._refused} devices may not be read"
            return Source(
                NAME,
                SourceHealth.REFUSED,
                text,
                "run it as root; joining the group input would let all your programs read keys",
            )
        text = "no keyboard or mouse among the devices" if present else "no devices in /dev/input"
        return Source(NAME, SourceHealth.ABSENT, text, "plug one in; a container must be given /dev/input to see it")
