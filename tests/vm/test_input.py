"""Real input devices, by uinput: time of input, hotplug, waking up when somebody is back."""

import select
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import evdev
import pytest
from evdev import ecodes

from smoothtask.model.person import SourceHealth
from smoothtask.person.input.evdev import AWAY_S, LOOK_S, InputDevices
from vm.guest import until

KEYS = [*range(1, 60)]


class Readers:
    """As the daemon's loop."""

    def __init__(self) -> None:
        self.callbacks: dict[int, Callable[[], None]] = {}

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        self.callbacks[fd] = callback

    def remove_reader(self, fd: int) -> None:
        del self.callbacks[fd]


@pytest.fixture
def keyboard() -> Iterator[evdev.UInput]:
    """One of a person's."""
    with closing(evdev.UInput({ecodes.EV_KEY: KEYS}, name="smoothtask-keyboard")) as device:
        until(lambda: any(evdev.InputDevice(p).name == "smoothtask-keyboard" for p in evdev.list_devices()))
        yield device


def press(keyboard: evdev.UInput, value: int = 1) -> None:
    """Some key."""
    keyboard.write(ecodes.EV_KEY, ecodes.KEY_A, value)
    keyboard.syn()


def test_a_key_moves_the_time_and_a_repeated_one_does_not(keyboard: evdev.UInput) -> None:
    readers = Readers()
    with closing(InputDevices(readers)) as devices:
        devices.look(time.monotonic())
        assert devices.source.health is SourceHealth.WORKING
        first_s = devices.last_s
        assert first_s is not None
        time.sleep(0.2)
        press(keyboard)
        until(lambda: devices.look(time.monotonic()) or (devices.last_s or 0) > first_s, 10)
        pressed_s = devices.last_s
        press(keyboard, 2)
        time.sleep(0.3)
        devices.look(time.monotonic())
        assert devices.last_s == pressed_s
        assert readers.callbacks == {}, "while somebody works, nobody waits for events"


def test_after_a_while_without_input_an_event_wakes(keyboard: evdev.UInput) -> None:
    readers, woken = Readers(), []
    with closing(InputDevices(readers, hasten=lambda: woken.append(1))) as devices:
        devices.look(time.monotonic())
        devices.look(time.monotonic() + 2 * AWAY_S)
        assert readers.callbacks
        press(keyboard)
        ready, _, _ = select.select([*readers.callbacks], [], [], 10)
        for fd in ready[:1]:
            readers.callbacks[fd]()
        assert woken
        assert readers.callbacks == {}


def test_a_fast_mouse_wakes_nobody_and_the_newest_counts(keyboard: evdev.UInput) -> None:
    """More than the kernel keeps for a reader: what is lost is old."""
    readers = Readers()
    capabilities = {ecodes.EV_REL: [ecodes.REL_X, ecodes.REL_Y], ecodes.EV_KEY: [ecodes.BTN_LEFT]}
    with closing(InputDevices(readers)) as devices, closing(evdev.UInput(capabilities, name="fast-mouse")) as mouse:
        until(lambda: any(evdev.InputDevice(p).name == "fast-mouse" for p in evdev.list_devices()))
        devices.look(time.monotonic())
        for n in range(2000):
            mouse.write(ecodes.EV_REL, ecodes.REL_X, 1 - 2 * (n % 2))
            mouse.syn()
        sent_s = time.monotonic()
        assert readers.callbacks == {}
        devices.look(sent_s)
        assert devices.last_s is not None
        newest_s = devices.last_s
        devices.look(time.monotonic())
        assert devices.last_s == newest_s, "nothing old is left to be read"
        assert readers.callbacks == {}


def test_one_that_is_plugged_in_later_is_found() -> None:
    readers = Readers()
    with closing(InputDevices(readers)) as devices:
        now_s = time.monotonic()
        devices.look(now_s)
        before = set(devices._devices)
        with closing(evdev.UInput({ecodes.EV_KEY: KEYS}, name="smoothtask-later")):
            until(lambda: any(evdev.InputDevice(p).name == "smoothtask-later" for p in evdev.list_devices()))
            devices.look(now_s + LOOK_S)
            assert set(devices._devices) > before


def test_a_device_that_is_pulled_out_is_forgotten() -> None:
    readers = Readers()
    with closing(InputDevices(readers)) as devices:
        with closing(evdev.UInput({ecodes.EV_KEY: KEYS}, name="smoothtask-gone")):
            until(lambda: any(evdev.InputDevice(p).name == "smoothtask-gone" for p in evdev.list_devices()))
            devices.look(time.monotonic())
            before = sum(d is not None for d in devices._devices.values())
        until(
            lambda: (
                devices.look(time.monotonic() + 60) or sum(d is not None for d in devices._devices.values()) < before
            ),
            10,
        )
