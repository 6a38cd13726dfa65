"""The windows of KWin, told by a script of ours inside it, over the session's bus.

KWin offers no list of windows to ordinary clients, but runs scripts for the user (org.kde.kwin.Scripting). Ours calls
us back with every window's pid whenever something changes. Nobody but KWin's own connection is listened to.
"""

import contextlib
import os
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from typing import Final

from jeepney.low_level import Message
from jeepney.wrappers import DBusAddress

from smoothtask.model.person import Source, SourceHealth, Window
from smoothtask.person.bus import TIMEOUT_S, Bus, RefusedError, is_from, new_owner, sender, text_of
from smoothtask.person.watcher import LostError, Sink, SourceReport, WindowsReport
from smoothtask.person.windows.listing import parse_windows

NAME: Final = "windows: kwin"
_KWIN: Final = "org.kde.KWin"
_SCRIPTING: Final = DBusAddress("/Scripting", bus_name=_KWIN, interface="org.kde.kwin.Scripting")
_PLUGINS: Final = ("smoothtask", "smoothtask-2", "smoothtask-3", "smoothtask-4")
"""KWin numbers a script by how many it has. Once one was taken out, a new one may have the number of another, and that
is run in its place: then ours is loaded again, under the next name and with the next number."""
_INTERFACE: Final = "org.smoothtask.Windows"
_PAUSE_S: Final = 0.01


def open_kwin(bus_address: str, runtime_dir: Path, sink: Sink, timeout_s: float = TIMEOUT_S) -> "KWinWatcher":
    """Load the script, and report what it tells. *runtime_dir*: a folder of the user's, which KWin can read.

    Raises OSError (there is no KWin) or LostError, within a few times *timeout_s*.
    """
    bus = Bus(bus_address, timeout_s)
    try:
        return KWinWatcher(bus, runtime_dir, sink, timeout_s)
    except BaseException:
        bus.close()
        raise


def script_for(destination: str) -> str:
    """Our script, which tells *destination*, a connection of the bus."""
    source = (files("smoothtask") / "data" / "kwin" / "windows.js").read_text("utf-8")
    return source.replace("@DESTINATION@", destination)


class KWinWatcher:
    """See `smoothtask.person.watcher.Watcher`."""

    name = NAME

    def __init__(self, bus: Bus, runtime_dir: Path, sink: Sink, timeout_s: float) -> None:
        self._bus = bus
        self._sink = sink
        self._reported: tuple[Window, ...] | None = None
        owner = bus.owner(_KWIN)
        if owner is None:
            raise OSError("KWin is not on this session's bus")
        self._owner = owner
        self._closed = False
        self._loaded: list[str] = []
        self._start(runtime_dir, timeout_s)
        text = "windows and focus by a script in KWin; pids of Wayland windows are the kernel's word"
        sink(SourceReport(Source(NAME, SourceHealth.WORKING, text)))

    def filenos(self) -> tuple[int, ...]:
        """The bus."""
        return (self._bus.fileno(),)

    def ready(self, now_s: float) -> None:  # noqa: ARG002 - the interface
        """Take in what the script tells."""
        for message in self._bus.messages():
            self._take(message)

    def wake_at_s(self) -> float | None:
        """For messages that came along with an answer."""
        return 0.0 if self._bus.has_messages else None

    def wake(self, now_s: float) -> None:
        """See `ready`."""
        self.ready(now_s)

    def close(self) -> None:
        """Take the script out of KWin again, and close the connection."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(LostError):  # then the script went with KWin or the bus
                for name in self._loaded:
                    self._bus.ask(_SCRIPTING, "unloadScript", "s", name)
            self._bus.close()

    def _start(self, runtime_dir: Path, timeout_s: float) -> None:
        """KWin reads the file at its own pace: it stays until the script has spoken."""
        descriptor, path = tempfile.mkstemp(prefix="smoothtask-", suffix=".js", dir=runtime_dir)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(script_for(self._bus.name))
            for name in _PLUGINS:  # of one who was killed
                self._bus.call(_SCRIPTING, "unloadScript", "s", name)
            for name in _PLUGINS:
                self._load(path, name)
                if self._speaks(timeout_s / len(_PLUGINS)):
                    return
            raise LostError(f"KWin ran our script, and it said nothing for {timeout_s:g} s")
        except RefusedError as error:
            raise LostError(f"KWin does not take our script: {error}") from error
        finally:
            Path(path).unlink(missing_ok=True)

    def _speaks(self, timeout_s: float) -> bool:
        """Whether the script tells of the windows in time."""
        deadline_s = time.monotonic() + timeout_s
        while self._reported is None and time.monotonic() < deadline_s:
            self.ready(0.0)
            time.sleep(_PAUSE_S)
        return self._reported is not None

    def _load(self, path: str, name: str) -> None:
        loaded = self._bus.call(_SCRIPTING, "loadScript", "ss", path, name)
        self._loaded.append(name)
        if len(loaded) != 1 or type(loaded[0]) is not int or loaded[0] < 0:
            raise LostError("KWin does not take our script")
        try:
            self._run(f"/Scripting/Script{loaded[0]}")  # Plasma 6
        except RefusedError:
            self._run(f"/{loaded[0]}")  # Plasma 5

    def _run(self, path: str) -> None:
        self._bus.call(DBusAddress(path, bus_name=_KWIN, interface="org.kde.kwin.Script"), "run")

    def _take(self, message: Message) -> None:
        if new_owner(message, _KWIN) is not None:
            raise LostError("KWin is gone")
        if sender(message) != self._owner or not is_from(message, _INTERFACE, "Changed"):
            self._bus.answer(message, refuse=True)
            return
        self._bus.answer(message)
        windows = parse_windows(text_of(message), "kwin")
        if windows != self._reported:
            self._reported = windows
            self._sink(WindowsReport(NAME, windows))
