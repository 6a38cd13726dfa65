"""Which devices a person uses, and when: without any device here; with real ones in the VM (tests/vm/test_input.py)."""

import os
import struct
from pathlib import Path

import pytest
from evdev import ecodes as e
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.model.person import SourceHealth
from smoothtask.person.input.evdev import LOOK_S, InputDevices, is_a_persons, newest_s

EVENT = struct.Struct("=qqHHi")


class NoReaders:
    """Nothing is to be waited for."""

    def add_reader(self, fd: int, callback: object) -> None:
        raise AssertionError(fd)

    def remove_reader(self, fd: int) -> None:
        raise AssertionError(fd)


@pytest.mark.parametrize(
    ("capabilities", "properties", "wanted"),
    [
        ({e.EV_KEY: list(range(1, 120))}, [], True),
        ({e.EV_KEY: [e.KEY_A, e.KEY_SPACE]}, [], True),
        ({e.EV_REL: [e.REL_X, e.REL_Y], e.EV_KEY: [e.BTN_LEFT]}, [], True),
        ({e.EV_ABS: [e.ABS_X, e.ABS_Y], e.EV_KEY: [e.BTN_TOUCH]}, [], True),
        ({e.EV_ABS: [e.ABS_X, e.ABS_Y], e.EV_KEY: [e.BTN_GAMEPAD]}, [], True),
        ({e.EV_KEY: [e.KEY_POWER]}, [], False),
        ({e.EV_SW: [e.SW_LID]}, [], False),
        ({e.EV_KEY: [e.KEY_VOLUMEUP, e.KEY_VOLUMEDOWN]}, [], False),
        ({e.EV_ABS: [e.ABS_X, e.ABS_Y], e.EV_KEY: [e.BTN_TOUCH]}, [e.INPUT_PROP_ACCELEROMETER], False),
        ({}, [], False),
    ],
)
def test_only_what_a_person_uses(capabilities: dict[int, list[int]], properties: list[int], wanted: bool) -> None:
    assert is_a_persons(capabilities, properties) is wanted


def test_the_newest_real_input_counts() -> None:
    events = [(5, 0, e.EV_KEY, 30, 1), (6, 500_000, e.EV_REL, 0, 3), (7, 0, e.EV_SYN, 0, 0), (9, 0, e.EV_KEY, 30, 2)]
    assert newest_s(b"".join(EVENT.pack(*event) for event in events)) == 6.5


@given(st.binary(max_size=200))
def test_any_bytes_are_read(data: bytes) -> None:
    newest_s(data)


def test_a_machine_without_devices_says_so(tmp_path: Path) -> None:
    devices = InputDevices(NoReaders(), dev=tmp_path / "input")
    devices.look(1.0)
    assert devices.source.health is SourceHealth.ABSENT
    assert devices.last_s is None


def test_a_file_that_is_no_device_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "event0").touch()
    devices = InputDevices(NoReaders(), dev=tmp_path)
    devices.look(1.0)
    assert devices.source.health is SourceHealth.ABSENT
    devices.close()


class Device:
    """A pipe that says what it can do."""

    def __init__(self, keys: list[int]) -> None:
        self.fd, self._other = os.pipe()
        self._keys = keys

    def capabilities(self, absinfo: bool) -> dict[int, list[int]]:
        return {e.EV_KEY: self._keys}

    def input_props(self) -> list[int]:
        return []

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._other)


def test_a_keyboard_that_follows_a_button_under_its_name_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers are given again: a power button goes, and a keyboard comes between two looks."""
    node = tmp_path / "event0"
    node.touch()
    plugged = [[e.KEY_POWER], list(range(1, 120))]
    monkeypatch.setattr("evdev.InputDevice", lambda path, readonly: Device(plugged.pop(0)))
    monkeypatch.setattr("fcntl.ioctl", lambda *_: 0)
    devices = InputDevices(Readers(), dev=tmp_path)
    devices.look(1.0)
    devices.look(1.0 + LOOK_S)
    assert devices.source.text == "no keyboard or mouse among the devices"
    (tmp_path / "another").touch()
    (tmp_path / "another").replace(node)
    devices.look(1.0 + 2 * LOOK_S)
    assert devices.source.health is SourceHealth.WORKING
    devices.close()


class Readers:
    """They are waited for elsewhere."""

    def add_reader(self, fd: int, callback: object) -> None:
        pass

    def remove_reader(self, fd: int) -> None:
        pass
