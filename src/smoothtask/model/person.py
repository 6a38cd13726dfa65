"""What the person is doing: windows, sound, input. Values only; what a session says is a claim about its own user."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Window:
    """One window of one session."""

    key: str
    """Unique in its session while the window lives: `x11:0x1c00003`, `sway:12`."""
    pid: int | None
    """Of the process that owns it, in the pid namespace of the daemon; `None` when nobody can tell."""
    confidence: float
    """That *pid* is right, 0 … 1: 1 when the server or the kernel says so. Below 0.6 it changes nothing."""
    app_id: str
    """WM_CLASS or the Wayland app_id, sanitised."""
    focused: bool = False
    visible: bool = True
    """On a workspace that is shown, and neither minimised nor wholly behind a tab."""
    minimised: bool = False
    fullscreen: bool = False
    workspace: str | None = None
    title: str = ""
    """Shown on the dashboard only: never recorded, never logged."""


class Direction(StrEnum):
    """Which way sound flows."""

    PLAYBACK = "playback"
    CAPTURE = "capture"


@dataclass(frozen=True, slots=True)
class Stream:
    """One program's stream at a sound server."""

    key: str
    """Unique in its session while the stream lives."""
    pid: int | None
    confidence: float
    """1 when the kernel said whose the socket is (SO_PEERCRED); less for what the client claims."""
    app: str
    direction: Direction
    running: bool
    """Sound flows now; a paused or corked stream is not running."""
    latency_ms: float | None = None
    """What the stream asked for, or its quantum."""
    xruns: int = 0
    """Counted since it was first seen."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound server of one session. Counters rise from the moment the watcher began."""

    server: str
    """`pipewire 1.4.2`, `pulseaudio 16.1`."""
    streams: tuple[Stream, ...] = ()
    quantum: int | None = None
    """Frames a cycle of the driver that runs."""
    rate_hz: int | None = None
    dsp_load: float | None = None
    """Share of a cycle that its graph needed, in the last window: 1.0 is too late."""
    xruns: int = 0
    missing_cycles: int = 0
    """Cycles that the clock says should have been and were not: a starved server counts no xruns."""


class SourceHealth(StrEnum):
    """How a source fares here."""

    WORKING = "working"
    ABSENT = "absent"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Source:
    """One source of knowledge about the person, for `smoothtask doctor` and the dashboard."""

    name: str
    """`windows: x11 :0`, `input: evdev`, `sound: pipewire`."""
    health: SourceHealth
    text: str
    """What it gives, or why it does not work."""
    remedy: str = ""
    """What a person can do about it."""


@dataclass(frozen=True, slots=True)
class Attention:
    """What one group means to a person at this moment."""

    focused: bool = False
    unfocused_s: float | None = None
    """Seconds since it lost the focus; `None`: it has it, or never had."""
    visible: bool = False
    """One of its windows is on the screen."""
    minimised: bool = False
    """It has windows, and none of them is on the screen."""
    fullscreen: bool = False
    playing: bool = False
    """Sound of it is heard, or would be at a louder volume."""
    capturing: bool = False
    """It listens to a microphone."""
    xrun_s: float | None = None
    """Seconds since a stream of it broke up; `None`: never."""
    typed_s: float | None = None
    """Seconds since somebody typed into its terminal."""

    @property
    def in_call(self) -> bool:
        """It speaks and listens."""
        return self.playing and self.capturing


NO_ATTENTION = Attention()


@dataclass(frozen=True, slots=True)
class PersonMetrics:
    """Whether somebody is there, and what the sound does, at one tick."""

    active: bool | None = None
    """Somebody used a keyboard or mouse a moment ago; `None`: nothing here can tell."""
    since_input_s: float | None = None
    input_source: str = ""
    sound: str = ""
    """The sound server, or empty."""
    xruns: int | None = None
    """Since the tick before; `None`: no sound server is known."""
    missing_cycles: int | None = None
    dsp_load: float | None = None
    """The highest of all sound servers'."""

    @property
    def sound_breaks(self) -> int:
        """How often sound broke up since the tick before."""
        return (self.xruns or 0) + (self.missing_cycles or 0)


NOBODY_KNOWN = PersonMetrics()


@dataclass(frozen=True, slots=True)
class SessionView:
    """What one session's watchers say: true of processes of *uid* only, whatever it says."""

    uid: int
    session: str
    """`c2` of logind, or the socket that it was found by."""
    windows: tuple[Window, ...] = ()
    sound: Sound | None = None
    idle_s: float | None = None
    """Since the last input, as the session's protocol says; `None`: it does not say."""
    idle_at_mono_s: float = 0.0
    """CLOCK_MONOTONIC moment of that word."""
    sources: tuple[Source, ...] = ()
    active: bool = True
    """Whether it is the one on the screen: another user's, behind it, has no focus."""


@dataclass(frozen=True, slots=True)
class PersonView:
    """Everything known of the people at this machine, at one moment."""

    sessions: tuple[SessionView, ...] = ()
    last_input_mono_s: float | None = None
    """CLOCK_MONOTONIC moment of the newest input by any source; `None`: nobody can tell."""
    input_source: str = ""
    """Which source said so."""
    sources: tuple[Source, ...] = ()
    """Those of no session: evdev, logind, terminals."""
    terminals: tuple[tuple[str, float], ...] = ()
    """(`pts/3`, CLOCK_MONOTONIC moment of the last input there)."""


NOBODY_SEEN = PersonView()
