"""The streams of a PipeWire server, and whether sound breaks up, over its native protocol: no library, no thread.

Streams come, run, pause and go by events. The profiler tells of every cycle, hundreds a second, so it is listened
to in short windows while streams run, no more often than *BYTES_PER_S* allows.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from smoothtask.model.person import Sound, Source, SourceHealth
from smoothtask.person.audio.graph import Graph
from smoothtask.person.audio.limits import REPORT_PAUSE_S
from smoothtask.person.audio.pod import Pod
from smoothtask.person.audio.profiler import Meter, Window, parse_cycles
from smoothtask.person.audio.protocol import Protocol
from smoothtask.person.audio.wire import Connection
from smoothtask.person.watcher import LostError, Sink, SoundReport, SourceReport

GREETING_S: Final = 5.0
"""A server that has not said by then what it has is lost."""
WINDOW_S: Final = 1.3
"""0.3.65 hands cycles over once a second when they are few."""
WINDOW_CYCLES: Final = 96
BATCH_S: Final = 0.1
"""In a window, messages are taken in as seldom as this: later versions send one for every cycle."""
FIRST_WINDOW_S: Final = 0.5
"""After a stream began."""
PERIOD_S: Final = 5.0
"""From the beginning of one window to that of the next, at least."""
BROKEN_PERIOD_S: Final = 2.5
"""The same, after a window in which sound broke up."""
BYTES_PER_S: Final = 12_000
"""Of the profiler, on average: at 48 kHz a third of all cycles with a quantum of 1024, a fortieth with 64."""
_FLUSH_S: Final = 0.05


def open_pipewire(path: Path, sink: Sink) -> "PipeWireWatcher":
    """Connect to a socket. Raises OSError (PermissionError: another user's) or LostError.

    Returns at once; the first reports come when the server has said what it has.
    """
    connection = Connection(path)
    try:
        return PipeWireWatcher(connection, path, sink, time.monotonic())
    except BaseException:
        connection.close()
        raise


class PipeWireWatcher:
    """See `smoothtask.person.watcher.Watcher`."""

    name = "sound: pipewire"

    def __init__(self, connection: Connection, path: Path, sink: Sink, now_s: float) -> None:
        self._connection = connection
        self._sink = sink
        self._now_s = now_s
        self._graph = Graph(path)
        self._meter = Meter()
        self._window: Window | None = None
        """The newest that has ended."""
        self._xruns = 0
        self._missing_cycles = 0
        self._listening: int | None = None
        """Our number for the profiler, in a window."""
        self._window_at_s: float | None = None
        """When the open window began, or when the next one is to begin."""
        self._window_bytes = 0
        self._next_window_s = now_s
        """No window begins before."""
        self._read_at_s: float | None = None
        """In a window: when the next batch is taken in."""
        self._greeted_by_s: float | None = now_s + GREETING_S
        self._reported: Sound | None = None
        self._reported_at_s = now_s - REPORT_PAUSE_S
        self._owes_report = False
        self._said: Source | None = None
        self._protocol = Protocol(connection, lambda *event: self._graph.on_registry(self._protocol, *event))
        # Everything there is; then, what was bound because of it; then, clients of nodes that came meanwhile.
        self._protocol.sync(lambda: self._protocol.sync(lambda: self._protocol.sync(self._begin)))

    @property
    def serves_sound(self) -> bool | None:
        """Whether sound goes through it; `None`: it has not said yet."""
        return None if self._greeted_by_s is not None else self._graph.has_sound

    def filenos(self) -> tuple[int, ...]:
        """The connection; nothing between two batches of a window."""
        return () if self._read_at_s is not None else (self._connection.fileno(),)

    def ready(self, now_s: float) -> None:
        """Take in what the server says, and report what it changed."""
        self._now_s = self._graph.now_s = now_s
        for message in self._connection.receive():
            if message.object_id == self._listening:
                self._window_bytes += len(message.body)
            self._protocol.take(message)
        self._read_at_s = None if self._listening is None else now_s + BATCH_S
        self._act()

    def wake_at_s(self) -> float | None:
        """For the next batch, window or report, for claims to check, and for a server that says nothing."""
        return min(self._moments(), default=None)

    def wake(self, now_s: float) -> None:
        """See `wake_at_s`."""
        self._now_s = self._graph.now_s = now_s
        if self._greeted_by_s is not None and now_s >= self._greeted_by_s:
            raise LostError(f"PipeWire said nothing for {GREETING_S:g} s")
        self._connection.flush()
        if self._read_at_s is not None and now_s >= self._read_at_s:
            self.ready(now_s)
        else:
            self._act()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _begin(self) -> None:
        self._greeted_by_s = None

    def _moments(self) -> Iterator[float]:
        if self._connection.has_unsent:
            yield self._now_s + _FLUSH_S
        if self._greeted_by_s is not None:
            yield self._greeted_by_s
            return
        for moment in (self._read_at_s, self._graph.check_at_s):
            if moment is not None:
                yield moment
        if self._window_at_s is not None:
            yield self._window_at_s + (WINDOW_S if self._listening is not None else 0.0)
        if self._owes_report:
            yield self._reported_at_s + REPORT_PAUSE_S

    def _act(self) -> None:
        """Do what is due."""
        if self._greeted_by_s is not None:
            return
        if self._graph.check_at_s is not None and self._now_s >= self._graph.check_at_s:
            self._graph.check_claims(self._now_s)
        self._mind_window()
        self._tell_source()
        self._tell_sound()

    # Windows of the profiler.

    def _mind_window(self) -> None:
        """Plan one, open it, or close it, when it is time."""
        runs = bool(self._graph.starts())
        if self._listening is not None:
            self._mind_open_window(self._listening)
        elif self._graph.profiler is None or not runs:
            self._window_at_s = None
        elif self._window_at_s is None:
            self._window_at_s = max(self._now_s + FIRST_WINDOW_S, self._next_window_s)
        elif self._now_s >= self._window_at_s:
            self._window_at_s = self._now_s
            self._window_bytes = 0
            self._meter.begin()
            self._listening = self._protocol.bind(
                self._graph.profiler, "Profiler", self._on_profile, self._on_profiler_lost
            )

    def _mind_open_window(self, listening: int) -> None:
        began_s = self._now_s if self._window_at_s is None else self._window_at_s
        if self._graph.profiler is None:
            self._on_profiler_lost()
        elif self._now_s >= began_s + WINDOW_S or self._meter.cycles >= WINDOW_CYCLES:
            self._protocol.destroy(listening)
            self._listening = self._read_at_s = None
            window = self._meter.end(self._graph.starts())
            if window is not None:
                self._count(window)
            broken = window is not None and window.xruns + window.missing_cycles > 0
            pause_s = max(BROKEN_PERIOD_S if broken else PERIOD_S, self._window_bytes / BYTES_PER_S)
            self._window_at_s = self._next_window_s = began_s + pause_s

    def _on_profile(self, opcode: int, arguments: Pod) -> None:
        if opcode == 0:
            starts = self._graph.starts()
            for cycle in parse_cycles(arguments):
                self._meter.add(cycle, starts)

    def _on_profiler_lost(self) -> None:
        """It was unloaded, or we may not have it."""
        self._graph.profiler = self._listening = self._read_at_s = self._window_at_s = None

    def _count(self, window: Window) -> None:
        self._window = window
        self._xruns += window.xruns
        self._missing_cycles += window.missing_cycles
        self._graph.add_xruns(window.stream_xruns)

    # Reports.

    def _sound(self) -> Sound:
        """All of it; how the graph turns is of no meaning while nothing runs."""
        window = self._window if self._graph.starts() else None
        return Sound(
            server=f"pipewire {self._protocol.version}".strip(),
            streams=self._graph.streams(1000 * window.quantum / window.rate_hz if window is not None else None),
            quantum=window.quantum if window is not None else None,
            rate_hz=window.rate_hz if window is not None else None,
            dsp_load=round(window.load, 4) if window is not None else None,
            xruns=self._xruns,
            missing_cycles=self._missing_cycles,
        )

    def _tell_sound(self) -> None:
        sound = self._sound()
        self._owes_report = sound != self._reported
        if self._owes_report and self._now_s >= self._reported_at_s + REPORT_PAUSE_S:
            self._reported, self._reported_at_s, self._owes_report = sound, self._now_s, False
            self._sink(SoundReport(self.name, sound))

    def _tell_source(self) -> None:
        version = f"PipeWire {self._protocol.version}".strip()
        if not self._graph.has_sound:
            text = f"{version} has no sound devices: another server has them, or there are none"
            remedy = "nothing, where another server has them; else `wpctl status` shows what is missing"
            source = Source(self.name, SourceHealth.ABSENT, text, remedy)
        elif self._graph.profiler is None:
            text = f"{version}: streams, but no xruns and no load, for it has no profiler"
            remedy = "load libpipewire-module-profiler in pipewire.conf"
            source = Source(self.name, SourceHealth.WORKING, text, remedy)
        else:
            source = Source(self.name, SourceHealth.WORKING, f"{version}: streams, xruns, load")
        if source != self._said:
            self._said = source
            self._sink(SourceReport(source))
