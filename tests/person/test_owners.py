"""Whoever answers at a user's socket must be that user, or root: the kernel says who (SO_PEERCRED)."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from person.desktops import NOBODY
from smoothtask.person.audio.pipewire import open_pipewire
from smoothtask.person.audio.pulse import open_pulse
from smoothtask.person.bus import Bus
from smoothtask.person.windows.hyprland import open_hyprland
from smoothtask.person.windows.i3ipc import open_i3ipc
from smoothtask.person.windows.niri import open_niri
from smoothtask.person.windows.wayland import open_wayland
from smoothtask.person.windows.x11_wire import Connection

pytestmark = pytest.mark.root
IMPOSTOR = """
import os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
os.setgroups([]), os.setresgid(65534, 65534, 65534), os.setresuid(65534, 65534, 65534)
server.listen()
print(flush=True)
while True:
    connection, _ = server.accept()
    print(connection.recv(1) or "nothing was said", flush=True)
"""
"""The socket is root's; the kernel remembers who listens."""


@contextmanager
def impostor(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Somebody else, at a socket that looks like our own."""
    process = subprocess.Popen([sys.executable, "-c", IMPOSTOR, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        path.unlink()


@pytest.mark.parametrize(
    ("name", "opener"),
    [
        ("wayland-0", lambda path: open_wayland(path, print)),
        ("sway-ipc.0.1.sock", lambda path: open_i3ipc(path, print)),
        (".socket2.sock", lambda path: open_hyprland(path, print)),
        ("niri.wayland-1.1.sock", lambda path: open_niri(path, print)),
        ("pipewire-0", lambda path: open_pipewire(path, print)),
        ("native", lambda path: open_pulse(path, print)),
        ("bus", lambda path: Bus(f"unix:path={path}")),
    ],
)
def test_somebody_else_is_told_nothing(name: str, opener: Callable[[Path], object]) -> None:
    assert os.geteuid() != NOBODY
    with tempfile.TemporaryDirectory(prefix="st-") as folder, impostor(Path(folder, name)) as process:
        with pytest.raises(PermissionError, match=f"{NOBODY}"):
            opener(Path(folder, name))
        assert process.stdout is not None
        assert process.stdout.readline() == "nothing was said\n"


def test_nor_at_an_x_servers() -> None:
    folder = Path("/tmp/.X11-unix")
    folder.mkdir(mode=0o1777, exist_ok=True)
    number = next(n for n in range(300, 400) if not (folder / f"X{n}").exists())
    with impostor(folder / f"X{number}") as process:
        with pytest.raises(PermissionError, match=f"{NOBODY}"):
            Connection(f":{number}", None)
        assert process.stdout is not None
        assert process.stdout.readline() == "nothing was said\n"
