"""A session's child: becomes the user for good, watches that user's windows and sound, and says so in lines.

Started by `children.py` as `python -m smoothtask.person.child UID PARENT WHAT…`. It finds the sockets itself, with the
user's own rights; what it says is believed as far as that user's own processes go.
"""

import contextlib
import os
import select
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from smoothtask.model.person import Source, SourceHealth
from smoothtask.model.text import sanitise
from smoothtask.person.endpoints import Endpoint, Kind, read_endpoints
from smoothtask.person.environs import Variables, bus_address, cookie_files, displays, read_environs
from smoothtask.person.lines import line_of
from smoothtask.person.privileges import become, die_with
from smoothtask.person.programs import runs
from smoothtask.person.watcher import GoneReport, LostError, Report, Sink, SourceReport, Watcher

LOOK_S: Final = 5.0
"""How often new sockets are looked for."""
ENVIRONS_S: Final = 60.0
"""How often processes are asked which displays they use."""
FIRST_PAUSE_S, LAST_PAUSE_S = 1.0, 60.0
WAIT_S: Final = 15.0
"""For what does not run: each look goes through all processes."""
PIPEWIRE, PULSEAUDIO = "sound: pipewire", "sound: pulseaudio"
REMEDIES: Final = {
    "windows: x11": "in that session, as its user: xhost +si:localuser:NAME",
    PULSEAUDIO: "look whether libpulse0 is installed, and whether the server runs as this user",
}
"""What to do where a kind of source refuses, or cannot be had."""
AGAIN: Final = "nothing: it is tried again by itself"
_ERRNO_REFUSED: Final = 1

Open = Callable[[Sink], Watcher]


class NotYetError(Exception):
    """What would answer does not run: it is not to be started by our asking."""


@dataclass(slots=True)
class _Place:
    """Something to watch, watched or not."""

    name: str
    open: Open
    watcher: Watcher | None = None
    try_at_s: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    told: set[str] = field(default_factory=set)
    """Sources that were said to work."""

    def wait(self, now_s: float) -> None:
        """Try again, later each time."""
        self.try_at_s = now_s + self.pause_s
        self.pause_s = min(2 * self.pause_s, LAST_PAUSE_S)


@dataclass(slots=True)
class Child:
    """All watchers of one user, and their loop."""

    uid: int
    home: Path
    windows: bool
    sound: bool
    say: Callable[[Report], None]
    proc: Path = Path("/proc")
    _places: dict[str, _Place] = field(default_factory=dict)
    _environs: tuple[Variables, ...] = ()
    _environs_at_s: float = float("-inf")
    _displays: frozenset[str] = frozenset()
    _look_at_s: float = 0.0

    def turn(self, output: int) -> bool:
        """Wait for what comes next, and take it in; False when nobody reads *output* any more."""
        now_s = time.monotonic()
        if now_s >= self._look_at_s:
            self._look(now_s)
        for place in self._places.values():
            if place.watcher is None and now_s >= place.try_at_s:
                self._open(place, now_s)
        poll = select.poll()
        poll.register(output, 0)  # POLLERR comes unasked
        waiting = {fd: p for p in self._places.values() if p.watcher is not None for fd in p.watcher.filenos()}
        for fd in waiting:
            poll.register(fd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(max(0.0, self._next_s() - time.monotonic()) * 1000)}
        self._serve(waiting, ready, time.monotonic())
        return output not in ready

    def close(self) -> None:
        """Let go of everything."""
        for place in self._places.values():
            if place.watcher is not None:
                place.watcher.close()
        self._places.clear()

    def _serve(self, waiting: dict[int, _Place], ready: set[int], now_s: float) -> None:
        for place in {p.name: p for fd, p in waiting.items() if fd in ready}.values():
            self._guarded(place, lambda w: w.ready(now_s))
        for place in self._places.values():
            due_s = None if place.watcher is None else place.watcher.wake_at_s()
            if due_s is not None and due_s <= now_s:
                self._guarded(place, lambda w: w.wake(now_s))

    def _next_s(self) -> float:
        moments = [p.try_at_s if p.watcher is None else p.watcher.wake_at_s() for p in self._places.values()]
        return min([self._look_at_s, *(at for at in moments if at is not None)])

    def _look(self, now_s: float) -> None:
        """Which places there are now."""
        self._look_at_s = now_s + LOOK_S
        endpoints = read_endpoints(self.proc)
        screens = frozenset(e.display for e in endpoints if e.kind is Kind.X11)
        if screens != self._displays or now_s - self._environs_at_s > ENVIRONS_S:
            self._displays, self._environs_at_s = screens, now_s
            self._environs = read_environs(self.uid, self.proc)
        wanted = self.wanted(endpoints)
        for name in self._places.keys() - wanted.keys():
            self._forget(self._places.pop(name))
        for name, opener in wanted.items():
            self._places.setdefault(name, _Place(name, opener))

    def wanted(self, endpoints: Iterable[Endpoint]) -> dict[str, Open]:
        """What to watch, by name, in the order in which it is opened."""
        found: dict[str, Open] = {}
        used = displays(self._environs)
        for endpoint in sorted(endpoints):
            ours = endpoint.uid == self.uid
            if self.windows and endpoint.kind is Kind.X11 and (ours or endpoint.display in used):
                found[f"windows: x11 {endpoint.display}"] = _with(endpoint, self._x11)
            elif self.windows and ours and endpoint.kind in _COMPOSITORS:
                found |= {name: _with(endpoint, opener) for name, opener in self._of_compositor(endpoint).items()}
            elif self.sound and ours and endpoint.kind is Kind.PIPEWIRE:
                found[PIPEWIRE] = _with(endpoint, self._pipewire)  # the manager's socket comes last, and is preferred
            elif self.sound and ours and endpoint.kind is Kind.PULSE:
                found[PULSEAUDIO] = _with(endpoint, self._pulse)
        return found

    def _of_compositor(self, endpoint: Endpoint) -> "dict[str, Callable[[Endpoint, Sink], Watcher]]":
        own = {
            Kind.SWAY: ("sway", self._sway),
            Kind.HYPRLAND: ("hyprland", self._hyprland),
            Kind.NIRI: ("niri", self._niri),
        }
        if endpoint.kind in own:
            name, opener = own[endpoint.kind]
            return {f"windows: {name}": opener}
        return {"windows: kwin": self._kwin, "windows: gnome": self._gnome, "windows: wayland": self._wayland}

    def _x11(self, endpoint: Endpoint, sink: Sink) -> Watcher:
        from smoothtask.person.windows.x11 import open_x11  # noqa: PLC0415 (only where there is an X server)
        from smoothtask.person.windows.x11_servers import is_live  # noqa: PLC0415

        if not is_live(endpoint.display, str(self.proc)):
            raise NotYetError("no X server runs there")
        refused = PermissionError(_ERRNO_REFUSED, "no cookie fits")
        for file in cookie_files(endpoint.display, self._environs, self.home, self._runtime_dir()):
            try:
                return open_x11(endpoint.display, file, sink)
            except PermissionError as error:
                refused = error
        raise refused

    def _sway(self, endpoint: Endpoint, sink: Sink) -> Watcher:
        from smoothtask.person.windows.i3ipc import open_i3ipc  # noqa: PLC0415

        return open_i3ipc(Path(endpoint.path), sink)

    def _hyprland(self, endpoint: Endpoint, sink: Sink) -> Watcher:
        from smoothtask.person.windows.hyprland import open_hyprland  # noqa: PLC0415

        return open_hyprland(Path(endpoint.path), sink)

    def _niri(self, endpoint: Endpoint, sink: Sink) -> Watcher:
        from smoothtask.person.windows.niri import open_niri  # noqa: PLC0415

        return open_niri(Path(endpoint.path), sink)

    def _kwin(self, endpoint: Endpoint, sink: Sink) -> Watcher:
        from smoothtask.person.windows.kwin import open_kwin  # noqa: PLC0415

        self._must_run("kwin_wayland")
        return open_kwin(bus_address(self._environs, endpoint.runtime_dir), endpoint.runtime_dir, sink)

    def _gnome(self, endpoint: Endpoint, sink: Sink) -> Watcher:
        from smoothtask.person.windows.gnome import open_gnome  # noqa: PLC0415

        self._must_run("gnome-shell")
        return open_gnome(bus_address(self._environs, endpoint.runtime_dir), sink)

    def _wayland(self, endpoint: Endpoint, sink: Sink) -> Watcher:
        """Windows where nobody says more; the idle time in any case."""
        from smoothtask.person.windows.wayland import open_wayland  # noqa: PLC0415

        better = any(f"windows: {name}" in self._places for name in ("sway", "hyprland", "niri"))
        better = better or runs(frozenset({"kwin_wayland", "gnome-shell"}), self.uid, self.proc)
        return open_wayland(Path(endpoint.path), sink, windows=not better)

    def _pipewire(self, endpoint: Endpoint, sink: Sink) -> Watcher:
        from smoothtask.person.audio.pipewire import open_pipewire  # noqa: PLC0415

        self._must_run("pipewire")
        return open_pipewire(Path(endpoint.path), sink)

    def _pulse(self, endpoint: Endpoint, sink: Sink) -> Watcher:
        from smoothtask.person.audio.pipewire import PipeWireWatcher  # noqa: PLC0415
        from smoothtask.person.audio.pulse import open_pulse  # noqa: PLC0415

        self._must_run("pulseaudio", "pipewire-pulse")
        place = self._places.get(PIPEWIRE)
        pipewire = None if place is None else place.watcher
        if isinstance(pipewire, PipeWireWatcher) and pipewire.serves_sound is not False:
            raise NotYetError("PipeWire serves the sound, and says more")
        return open_pulse(Path(endpoint.path), sink)

    def _must_run(self, *names: str) -> None:
        if not runs(frozenset(names), self.uid, self.proc):
            raise NotYetError(f"no {' or '.join(names)} runs")

    def _runtime_dir(self) -> Path:
        named = next((e["XDG_RUNTIME_DIR"] for e in self._environs if "XDG_RUNTIME_DIR" in e), None)
        return Path(named or f"/run/user/{self.uid}")

    def _open(self, place: _Place, now_s: float) -> None:
        def sink(report: Report) -> None:
            if isinstance(report, SourceReport):
                place.told.add(report.source.name)
            self.say(report)

        try:
            place.watcher = place.open(sink)
        except NotYetError:
            place.try_at_s = now_s + WAIT_S
        except PermissionError as error:
            self._tell(place.name, SourceHealth.REFUSED, error.strerror or str(error))
            place.wait(now_s)
        except Exception as error:  # one that fails is told of, and takes no other along
            self._tell(place.name, SourceHealth.ABSENT, _why(error))
            place.wait(now_s)
        else:
            place.pause_s = FIRST_PAUSE_S

    def _guarded(self, place: _Place, act: Callable[[Watcher], None]) -> None:
        if place.watcher is None:
            return
        try:
            act(place.watcher)
        except Exception as error:  # see `_open`
            self._lose(place, _why(error))
            place.wait(time.monotonic())
            self._look_at_s = min(self._look_at_s, place.try_at_s)

    def _lose(self, place: _Place, why: str) -> None:
        """It does not work any more, and is tried again."""
        self._let_go(place)
        for name in {place.name, *place.told}:
            self._tell(name, SourceHealth.ABSENT, why)
        place.told.clear()

    def _forget(self, place: _Place) -> None:
        """There is nothing there any more."""
        self._let_go(place)
        for name in {place.name, *place.told}:
            self.say(GoneReport(name))

    def _let_go(self, place: _Place) -> None:
        if place.watcher is not None:
            place.watcher.close()
            place.watcher = None

    def _tell(self, name: str, health: SourceHealth, text: str) -> None:
        remedy = next((r for kind, r in REMEDIES.items() if name.startswith(kind)), AGAIN)
        if health is SourceHealth.ABSENT and name.startswith("windows: x11"):
            remedy = AGAIN
        self.say(SourceReport(Source(name, health, sanitise(text, 200), remedy)))


def _why(error: Exception) -> str:
    """In words; of what nobody expected its name, too."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) if isinstance(error, (OSError, LostError)) else f"our watcher failed: {error!r:.120}"


_COMPOSITORS: Final = frozenset({Kind.WAYLAND, Kind.SWAY, Kind.HYPRLAND, Kind.NIRI})


def _with(endpoint: Endpoint, opener: "Callable[[Endpoint, Sink], Watcher]") -> Open:
    return lambda sink: opener(endpoint, sink)


def _preload(windows: bool, sound: bool) -> None:
    """Import while our own files can be read: an installation below /root is closed to the user."""
    if windows:
        import smoothtask.person.windows.gnome  # noqa: PLC0415
        import smoothtask.person.windows.hyprland  # noqa: PLC0415
        import smoothtask.person.windows.i3ipc  # noqa: PLC0415
        import smoothtask.person.windows.kwin  # noqa: PLC0415
        import smoothtask.person.windows.niri  # noqa: PLC0415
        import smoothtask.person.windows.wayland  # noqa: PLC0415
        import smoothtask.person.windows.x11  # noqa: PLC0415
        import smoothtask.person.windows.x11_servers  # noqa: PLC0415
    if sound:
        import smoothtask.person.audio.pipewire  # noqa: PLC0415
        import smoothtask.person.audio.pulse  # noqa: F401, PLC0415

        with contextlib.suppress(ImportError, OSError):  # no libpulse here: `open_pulse` says so
            import pulsectl  # noqa: F401, PLC0415


def main(arguments: list[str]) -> None:
    """UID, the parent's pid, and what to watch: `windows`, `sound`."""
    uid, parent, what = int(arguments[0]), int(arguments[1]), arguments[2:]
    die_with(parent)
    _preload("windows" in what, "sound" in what)
    with contextlib.suppress(OSError):  # it may be the first to go when memory is short, unlike the daemon
        Path("/proc/self/oom_score_adj").write_text("0", "ascii")
    output = sys.stdout.fileno()

    def say(report: Report) -> None:
        line = line_of(report)
        try:
            while line:
                line = line[os.write(output, line) :]
        except BrokenPipeError:  # the daemon is gone, and so are we
            raise SystemExit(0) from None

    def refuse(text: str, remedy: str) -> None:
        say(SourceReport(Source("session", SourceHealth.REFUSED, sanitise(text, 300), remedy)))

    try:
        home = become(uid)
        die_with(parent)
    except OSError as error:
        text = f"its watcher may not become uid {uid}: {error.strerror or error}"
        refuse(text, "run it as root with CAP_SETUID and CAP_SETGID")
        raise SystemExit(1) from None
    child = Child(uid, home, "windows" in what, "sound" in what, say)
    try:
        while child.turn(output):
            pass
    except Exception as error:
        refuse(f"the watcher of uid {uid} failed: {error!r}", "report it: it starts again by itself")
        raise
    finally:
        child.close()


if __name__ == "__main__":
    main(sys.argv[1:])
