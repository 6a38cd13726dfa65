"""Real desktops without a screen, each in a session of a test's own that is gone at its end."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jeepney.wrappers import DBusAddress

from person.audio.servers import Session, session
from smoothtask.person.bus import Bus, RefusedError
from smoothtask.person.windows.gnome_install import install_extension, shell_version, uuid

LIMIT_S = 40.0
"""A Shell without a graphics card takes its time."""
SCRIPTING = DBusAddress("/Scripting", bus_name="org.kde.KWin", interface="org.kde.kwin.Scripting")
SHELL = DBusAddress("/org/gnome/Shell", bus_name="org.gnome.Shell", interface="org.freedesktop.DBus.Properties")
ENABLED = """[org/gnome/shell]
enabled-extensions=['{uuid}']
disable-user-extensions=false
welcome-dialog-last-shown-version='999'
"""


def wait_for(holds: Callable[[], object], what: str) -> None:
    """Until *holds*, which is *what*."""
    deadline_s = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline_s, f"it never happened: {what}"
        time.sleep(0.05)


class Stage:
    """A compositor and its bus."""

    def __init__(self, started: Session) -> None:
        self.session = started
        self.home = started.home
        self.address = f"unix:path={self.home}/bus"
        started.run("dbus-daemon", "--session", "--nofork", f"--address={self.address}")
        started.wait_for("bus")
        self.compositor: subprocess.Popen[bytes] | None = None
        self._terminals: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def socket(self) -> Path:
        """The compositor's."""
        return self.home / "wayland-0"

    def owns(self, name: str) -> bool:
        """Whether somebody has *name* on the bus."""
        with contextlib.closing(Bus(self.address)) as bus:
            return bus.owner(name) is not None

    def window(self) -> int:
        """A terminal: its pid."""
        terminal = self.session.run("weston-terminal", WAYLAND_DISPLAY="wayland-0")
        self._terminals[terminal.pid] = terminal
        return terminal.pid

    def end(self, pid: int) -> None:
        """End a terminal."""
        self._terminals[pid].kill()


class KWin(Stage):
    """`kwin_wayland --virtual`."""

    def start(self) -> None:
        """A copy: with the file's capabilities it may not be executed everywhere. Its name is looked at by Qt."""
        program = shutil.copy(shutil.which("kwin_wayland") or "", self.home / "kwin_wayland")
        options = ("--virtual", "--no-lockscreen", "--no-global-shortcuts", "--socket", "wayland-0")
        self.compositor = self.session.run(str(program), *options, KWIN_COMPOSE="Q", XDG_CURRENT_DESKTOP="KDE")
        wait_for(lambda: self.socket.is_socket() and self.owns("org.kde.KWin"), "KWin is on the bus")
        wait_for(self._takes_scripts, "KWin takes scripts")

    def act(self, script: str) -> None:
        """Do as a person would: `w` is what `window(pid)` finds."""
        file = self.home / "act.js"
        file.write_text(
            "const all = workspace.windowList ? workspace.windowList() : workspace.clientList();\n"
            "function window(pid) { return all.filter(w => w.pid === pid)[0]; }\n" + script
        )
        with contextlib.closing(Bus(self.address)) as bus:
            bus.call(SCRIPTING, "unloadScript", "s", "act")
            bus.call(SCRIPTING, "loadScript", "ss", str(file), "act")
            bus.call(SCRIPTING, "start")  # all that do not run yet

    def _takes_scripts(self) -> bool:
        with contextlib.suppress(RefusedError):
            self.has_our_script()
            return True
        return False

    def has_our_script(self) -> bool:
        """Whether it runs there."""
        with contextlib.closing(Bus(self.address)) as bus:
            return bool(bus.call(SCRIPTING, "isScriptLoaded", "s", "smoothtask")[0])


class Gnome(Stage):
    """`gnome-shell --headless`, beside a logind of python-dbusmock's, with our extension."""

    def start(self, extension: bool = True) -> None:
        """*extension*: whether it is installed; it is enabled in any case."""
        system = f"unix:path={self.home}/system"
        self.session.run("dbus-daemon", "--session", "--nofork", f"--address={system}")
        self.session.wait_for("system")
        mock = ("/usr/bin/python3", "-m", "dbusmock", "--system", "--template", "logind")
        self.session.run(*mock, DBUS_SYSTEM_BUS_ADDRESS=system)
        settings = self.home / ".config/glib-2.0/settings/keyfile"
        settings.parent.mkdir(parents=True)
        settings.write_text(ENABLED.format(uuid=uuid()))
        if extension:
            install_extension(self.home, shell_version())
        self.compositor = self.session.run(
            *("gnome-shell", "--headless", "--no-x11", "--virtual-monitor", "1024x768"),
            *("--wayland-display", "wayland-0"),
            DBUS_SYSTEM_BUS_ADDRESS=system,
            GSETTINGS_BACKEND="keyfile",
            LIBGL_ALWAYS_SOFTWARE="1",
            XDG_CURRENT_DESKTOP="GNOME",
        )
        wait_for(self.socket.is_socket, "the Shell listens")
        wait_for(lambda: self.owns("org.gnome.Shell"), "the Shell is on the bus")
        if extension:
            wait_for(lambda: self.owns("org.smoothtask.Windows"), "our extension runs")

    def leave_overview(self) -> None:
        """It begins there, once it has begun; no window has the focus as long."""
        name = ("org.gnome.Shell", "OverviewActive")
        with contextlib.closing(Bus(self.address)) as bus:
            wait_for(lambda: bus.call(SHELL, "Get", "ss", *name) == (("b", True),), "the Shell is in its overview")
            bus.call(SHELL, "Set", "ssv", *name, ("b", False))
            wait_for(lambda: bus.call(SHELL, "Get", "ss", *name) == (("b", False),), "it has left it")


def _installed(*programs: str) -> None:
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@contextlib.contextmanager
def kwin() -> Iterator[KWin]:
    """Up, and down again."""
    _installed("kwin_wayland", "dbus-daemon", "weston-terminal")
    with session() as started:
        stage = KWin(started)
        stage.start()
        yield stage


@contextlib.contextmanager
def gnome(extension: bool = True) -> Iterator[Gnome]:
    """Up, and down again."""
    _installed("gnome-shell", "dbus-daemon", "weston-terminal")
    if subprocess.run(["/usr/bin/python3", "-c", "import dbusmock"], check=False, capture_output=True).returncode:
        pytest.skip("not installed: python3-dbusmock")
    with session() as started:
        stage = Gnome(started)
        stage.start(extension)
        yield stage
