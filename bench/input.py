"""What it costs to know when somebody used a mouse that sends a thousand events a second.

    sudo .venv/bin/python bench/input.py [--seconds 20]
    sudo .venv/bin/python tools/vm -- .venv/bin/python bench/input.py      (where there is no /dev/uinput)

Makes a mouse of its own, and looks at the devices once a second as the daemon does: half of the time the mouse lies
still, half of the time another process moves it. The daemon's part is the difference; `wakes` counts what would have
woken its loop. Fails when the difference is above 0.1 % of a core; in the VM, where a CPU is emulated, read the ratio.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from harness import finish, log, skip, verdict
from smoothtask.person.input.evdev import InputDevices

LIMIT_PERCENT = 0.1
MOUSE = """
import sys, time
from evdev import UInput, ecodes
mouse = UInput({ecodes.EV_REL: [ecodes.REL_X, ecodes.REL_Y], ecodes.EV_KEY: [ecodes.BTN_LEFT]}, name="bench-mouse")
print(flush=True)
sys.stdin.readline()
began, sent = time.monotonic(), 0
while (left := began + float(sys.argv[1]) - time.monotonic()) > 0:
    while sent < 1000 * (time.monotonic() - began):
        mouse.write(ecodes.EV_REL, ecodes.REL_X, 1 - 2 * (sent % 2))
        mouse.syn()
        sent += 1
    time.sleep(0.001)
print(sent, flush=True)
sys.stdin.readline()
"""


class Wakes:
    """As the daemon's loop: what would wake it is counted, not waited for."""

    def __init__(self) -> None:
        self.count = 0

    def add_reader(self, _fd: int, _callback: Callable[[], None]) -> None:
        self.count += 1

    def remove_reader(self, _fd: int) -> None:
        """No longer."""


def look(devices: InputDevices, seconds: float) -> float:
    """Once a second; percent of a core."""
    before_s, began_s = time.process_time(), time.monotonic()
    while time.monotonic() < began_s + seconds:
        time.sleep(1.0)
        devices.look(time.monotonic())
    return 100 * (time.process_time() - before_s) / (time.monotonic() - began_s)


def main() -> None:
    """Still, then moved."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    half_s = parser.parse_args().seconds / 2
    if not os.access("/dev/uinput", os.W_OK):
        skip("no /dev/uinput here; the same in the VM: tools/vm -- .venv/bin/python bench/input.py")
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", MOUSE, str(half_s)], stdin=pipe, stdout=pipe, text=True) as mouse:
        assert mouse.stdin is not None
        assert mouse.stdout is not None
        mouse.stdout.readline()
        wakes = Wakes()
        devices = InputDevices(wakes)
        while "1 keyboards" not in devices.source.text and devices.last_s is None:
            time.sleep(0.2)
            devices.look(time.monotonic() + 60)  # a device is looked for every few seconds
        devices.last_s = time.monotonic()
        still = look(devices, half_s)
        devices.last_s = time.monotonic()
        devices.look(devices.last_s)
        wakes.count = 0
        mouse.stdin.write("\n")
        mouse.stdin.flush()
        moved = look(devices, half_s)
        sent = int(mouse.stdout.readline())
        assert devices.last_s is not None
        late_s = time.monotonic() - devices.last_s
        devices.close()
        mouse.stdin.write("\n")
        mouse.stdin.flush()
    log(f"{sent} events in {half_s:g} s; the newest that was seen is {late_s:.2f} s old; wakes: {wakes.count}")
    log(f"looking once a second: {still:.3f} % of a core beside a mouse that lies still, {moved:.3f} % while it moves")
    emulated = bool(os.environ.get("SMOOTHTASK_VM"))
    if emulated:
        log("emulated: no verdict about time")
    finish([wakes.count == 0, emulated or verdict("a fast mouse", moved - still, LIMIT_PERCENT, " % of a core")])


if __name__ == "__main__":
    main()
