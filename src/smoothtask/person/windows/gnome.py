"""The windows of GNOME Shell, told by our extension inside it, and its idle time, which needs no extension.

The Shell gives a list of windows to nobody else (org.gnome.Shell.Introspect refuses). Only what comes from the
Shell's own connection counts: whoever else owns the extension's name is not listened to.
"""

from typing import Any, Final

from jeepney.low_level import Message
from jeepney.wrappers import DBusAddress

from smoothtask.model.person import Source, SourceHealth, Window
from smoothtask.person.bus import (
    TIMEOUT_S,
    Bus,
    RefusedError,
    answer_of,
    is_from,
    new_owner,
    reply_to,
    sender,
    text_of,
)
from smoothtask.person.watcher import IdleReport, LostError, Sink, SourceReport, WindowsReport
from smoothtask.person.windows.listing import parse_windows

NAME: Final = "windows: gnome"
IDLE_NAME: Final = "input: gnome"
PAUSE_S: Final = 1.0
"""Between two looks at the idle time, while somebody is active; else an event comes."""
_SHELL: Final = "org.gnome.Shell"
_EXTENSION: Final = "org.smoothtask.Windows"
_WINDOWS: Final = DBusAddress("/org/smoothtask/Windows", bus_name=_EXTENSION, interface=_EXTENSION)
_IDLE: Final = "org.gnome.Mutter.IdleMonitor"
_MONITOR: Final = DBusAddress("/org/gnome/Mutter/IdleMonitor/Core", bus_name=_IDLE, interface=_IDLE)
_SHELLS: Final = DBusAddress("/org/gnome/Shell", bus_name=_SHELL, interface="org.gnome.Shell.Extensions")
_UUID: Final = "windows@smoothtask"
_INSTALL: Final = "as this user: smoothtask gnome-extension install"
_STATES: Final = {
    2: ("is not enabled", f"as this user: gnome-extensions enable {_UUID}"),
    3: ("failed in this Shell", f"`gnome-extensions info {_UUID}` says why; {_INSTALL} writes it anew"),
    4: ("is for another version of the Shell", f"{_INSTALL}, then log in again"),
    6: ("is not enabled", f"as this user: gnome-extensions enable {_UUID}"),
}
"""ExtensionState of the Shell (js/misc/extensionUtils.js): disabled, error, out of date, initialised."""


def open_gnome(bus_address: str, sink: Sink, timeout_s: float = TIMEOUT_S) -> "GnomeWatcher":
    """Watch a GNOME Shell. Raises OSError (there is none) or LostError, within a few times *timeout_s*."""
    bus = Bus(bus_address, timeout_s)
    try:
        return GnomeWatcher(bus, sink)
    except BaseException:
        bus.close()
        raise


def missing(state: int | None) -> Source:
    """How the extension fares that does not run, by the Shell's word on its *state*; `None`: it knows of none."""
    what, remedy = _STATES.get(state or 0, ("is not installed", _INSTALL))
    text = f"GNOME Shell tells its windows to extensions alone, and ours {what}"
    return Source(NAME, SourceHealth.ABSENT, text, remedy)


class GnomeWatcher:
    """See `smoothtask.person.watcher.Watcher`. It waits for the extension as long as that does not run."""

    name = NAME

    def __init__(self, bus: Bus, sink: Sink) -> None:
        self._bus = bus
        self._sink = sink
        shell = bus.owner(_SHELL)
        if shell is None:
            raise OSError("GNOME Shell is not on this session's bus")
        self._shell = shell
        self._listed: int | None = None
        """The serial of the question for all windows; `None`: nothing is asked."""
        self._looked: int | None = None
        """The same, of what the Shell knows of the extension."""
        self._reported: tuple[Window, ...] = ()
        self._idle = _IdleTime(bus, sink)
        bus.listen(f"type='signal',interface='{_EXTENSION}',member='Changed'")
        self._meet(bus.owner(_EXTENSION))
        self._idle.start()

    def filenos(self) -> tuple[int, ...]:
        """The bus."""
        return (self._bus.fileno(),)

    def ready(self, now_s: float) -> None:
        """Take in signals and answers."""
        for message in self._bus.messages():
            self._take(message, now_s)

    def wake_at_s(self) -> float | None:
        """For the idle time, and for messages that came along with an answer."""
        return 0.0 if self._bus.has_messages else self._idle.wake_at_s

    def wake(self, now_s: float) -> None:
        """Ask for what is due."""
        if self._idle.wake_at_s is not None and now_s >= self._idle.wake_at_s:
            self._idle.ask()
        self.ready(now_s)

    def close(self) -> None:
        """Close the connection."""
        self._bus.close()

    def _take(self, message: Message, now_s: float) -> None:
        if new_owner(message, _SHELL) is not None:
            raise LostError("GNOME Shell is gone")
        owner = new_owner(message, _EXTENSION)
        if owner is not None:
            self._meet(owner)
        elif self._idle.take(message, now_s):
            pass
        elif sender(message) != self._shell:
            self._bus.answer(message, refuse=True)
        elif self._listed is not None and reply_to(message) == self._listed:
            self._take_list(message)
        elif self._looked is not None and reply_to(message) == self._looked:
            self._looked = None
            self._sink(SourceReport(missing(_state(message))))
        elif is_from(message, _EXTENSION, "Changed"):
            self._report(parse_windows(text_of(message), "gnome"))

    def _meet(self, owner: str | None) -> None:
        """The extension has come, or gone; anybody else with its name is as good as none."""
        if owner != self._shell:
            self._listed = None
            self._looked = self._bus.ask(_SHELLS, "GetExtensionInfo", "s", _UUID)
            self._sink(SourceReport(missing(None)))
            self._report(())
            return
        self._looked = None
        text = "windows and focus by our extension; pids of Wayland windows are the kernel's word"
        self._sink(SourceReport(Source(NAME, SourceHealth.WORKING, text)))
        self._listed = self._bus.ask(_WINDOWS, "Get")

    def _take_list(self, message: Message) -> None:
        self._listed = None
        try:
            answer = answer_of(message)
        except RefusedError as error:
            raise LostError(f"our extension does not tell the windows: {error}") from error
        if len(answer) != 1 or not isinstance(answer[0], str):
            raise LostError("our extension answers what is no list of windows")
        self._report(parse_windows(answer[0], "gnome"))

    def _report(self, windows: tuple[Window, ...]) -> None:
        if windows != self._reported:
            self._reported = windows
            self._sink(WindowsReport(NAME, windows))


class _IdleTime:
    """When somebody last used this session, by Mutter's idle monitor: looked at while somebody is active alone."""

    def __init__(self, bus: Bus, sink: Sink) -> None:
        self._bus = bus
        self._sink = sink
        self.wake_at_s: float | None = None
        self._monitor: str | None = None
        self._asked: int | None = None
        self._arming: int | None = None
        self._watch: object = None
        """The number of the watch for the next input; `None`: none is set."""

    def start(self) -> None:
        """Ask for the first time, if there is a monitor."""
        self._monitor = self._bus.owner(_IDLE)
        if self._monitor is None:
            self._tell(SourceHealth.ABSENT, "this GNOME Shell has no idle monitor")
            return
        self._bus.listen(f"type='signal',sender='{_IDLE}',interface='{_IDLE}',member='WatchFired'")
        self._tell(SourceHealth.WORKING, "the last input, by Mutter's idle monitor")
        self.ask()

    def ask(self) -> None:
        """The answer comes to `take`."""
        self.wake_at_s = None
        if self._asked is None:
            self._asked = self._bus.ask(_MONITOR, "GetIdletime")

    def take(self, message: Message, now_s: float) -> bool:
        """Whether *message* is about the idle time."""
        if self._monitor is None or sender(message) != self._monitor:
            return False
        if self._asked is not None and reply_to(message) == self._asked:
            self._asked = None
            self._take_time(_number(message), now_s)
        elif self._arming is not None and reply_to(message) == self._arming:
            self._arming, self._watch = None, _number(message)
        elif is_from(message, _IDLE, "WatchFired"):
            if self._watch is not None and message.body == (self._watch,):
                self._watch = None
                self.ask()
        else:
            return False
        return True

    def _take_time(self, idle_ms: int | None, now_s: float) -> None:
        if idle_ms is None:
            self._tell(SourceHealth.REFUSED, "Mutter's idle monitor does not answer as it should")
            self._monitor = None
            return
        self._sink(IdleReport(IDLE_NAME, idle_ms / 1000, now_s))
        if idle_ms < PAUSE_S * 1000:
            self.wake_at_s = now_s + PAUSE_S
        elif self._watch is None and self._arming is None:
            self._arming = self._bus.ask(_MONITOR, "AddUserActiveWatch")
            self.ask()  # there may have been input between the two

    def _tell(self, health: SourceHealth, text: str) -> None:
        remedy = "" if health is SourceHealth.WORKING else "nothing: input devices tell it, too"
        self._sink(SourceReport(Source(IDLE_NAME, health, text, remedy)))


def _number(message: Message) -> int | None:
    try:
        answer: tuple[Any, ...] = answer_of(message)
    except RefusedError:
        return None
    return answer[0] if len(answer) == 1 and type(answer[0]) is int and answer[0] >= 0 else None


def _state(message: Message) -> int | None:
    """Of an extension, which the Shell gives as a double; `None`: it knows of no such one."""
    try:
        (said,) = answer_of(message)
        _, state = said["state"]
        return int(state)
    except (RefusedError, LookupError, TypeError, ValueError, OverflowError):
        return None
