"""The streams of a PulseAudio server, through libpulse (pulsectl): its protocol tells of no xruns and no quantum.

libpulse has a loop of its own. Here it is turned by whoever waits for its descriptors; each question to the server
is asked when an event says that something changed, and waits for the answer no longer than *TIMEOUT_S* in all.
"""

import os
import select
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar

from smoothtask.model.person import Direction, Sound, Source, SourceHealth, Stream
from smoothtask.model.text import sanitise
from smoothtask.person.audio import claims
from smoothtask.person.audio.limits import CLAIMED, MAX_STREAMS, NAME_LIMIT, parse_pid
from smoothtask.person.watcher import LostError, Sink, SoundReport, SourceReport

TIMEOUT_S: Final = 1.0
LIST_PAUSE_S: Final = 0.5
"""A change is looked at at once; more of them within this time after it, together."""
_NOW_S: Final = 1e-6
"""Zero would be without an end to pulsectl."""
_ROUNDS: Final = 16
"""Of the loop in one call of `ready`: a flood must not hold up the other watchers."""
_NONE: Final = 0xFFFFFFFF
"""PA_INVALID_INDEX."""
_METER: Final = "peaks"
"""How a volume control resamples what it shows as a bar: it listens to nobody."""
_CHECKS: Final = 32

_Answer = TypeVar("_Answer")


def open_pulse(path: Path, sink: Sink) -> "PulseWatcher":
    """Connect to a server's native socket, as the user whose it is, and report what is there.

    Raises OSError (PermissionError: another user's, or it refuses us) or LostError within a few times *TIMEOUT_S*.
    """
    _check_owner(path)
    import pulsectl  # noqa: PLC0415 (8 MiB, and OSError where there is no libpulse)

    pulse = pulsectl.Pulse("smoothtask", server=f"unix:{path}", connect=False)
    try:
        return PulseWatcher(pulse, path, sink, time.monotonic())
    except BaseException:
        pulse.close()
        raise


class PulseWatcher:
    """See `smoothtask.person.watcher.Watcher`."""

    name = "sound: pulseaudio"

    def __init__(self, pulse: Any, path: Path, sink: Sink, now_s: float) -> None:
        self._pulse = pulse
        self._path = path
        self._uid = path.parent.stat().st_uid
        self._sink = sink
        self._descriptors: tuple[int, ...] = ()
        self._deadline_s = 0.0
        self._polled: int | None = None
        """How many descriptors were ready when libpulse asked last; `None`: it did not ask."""
        self._is_stale = False
        self._list_at_s = now_s
        """No list is asked for before."""
        self._owners: dict[int, tuple[int | None, float]] = {}
        """Client → whose it is, and how sure that is."""
        self._reported: Sound | None = None
        pulse.set_poll_func(self._poll, self._on_poll_error)
        self._ask(pulse.connect, PermissionError(1, f"PulseAudio at {path} refuses us"))
        info = self._ask(pulse.server_info)
        server = f"{info.server_name} {info.server_version}"
        self._server = sanitise(server, NAME_LIMIT).lower()
        pulse.event_callback_set(self._on_event)
        self._ask(lambda: pulse.event_mask_set("sink_input", "source_output"))
        sink(SourceReport(Source(self.name, SourceHealth.WORKING, f"{self._server}: streams")))
        self._list(now_s)

    def filenos(self) -> tuple[int, ...]:
        """Those of libpulse's loop."""
        return self._descriptors

    def ready(self, now_s: float) -> None:
        """Turn libpulse's loop, and look at what changed."""
        for _ in range(_ROUNDS):
            self._polled = None
            self._ask(lambda: self._pulse.event_listen(_NOW_S))
            if self._polled == 0:
                break
        if self._is_stale and now_s >= self._list_at_s:
            self._list(now_s)

    def wake_at_s(self) -> float | None:
        """When the next list is due."""
        return self._list_at_s if self._is_stale else None

    def wake(self, now_s: float) -> None:
        """See `wake_at_s`."""
        self.ready(now_s)

    def close(self) -> None:
        """Disconnect."""
        self._pulse.close()

    # libpulse's loop.

    def _ask(self, question: Callable[[], _Answer], refusal: Exception | None = None) -> _Answer:
        """The answer, or LostError when there is none in time; *refusal* instead when the server gave a wrong one."""
        self._deadline_s = time.monotonic() + TIMEOUT_S
        try:
            return question()
        except Exception as error:  # pulsectl has errors of several unrelated classes, one of them private
            is_late = time.monotonic() >= self._deadline_s
            text = f"said nothing for {TIMEOUT_S:g} s" if is_late else "is gone"
            raise (refusal if refusal is not None and not is_late else LostError(f"PulseAudio {text}")) from error

    def _poll(self, descriptors: list[Any], timeout_s: float) -> int:
        """In place of poll(2) for libpulse: *timeout_s* below zero is without an end to it, but not to us."""
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        poll = select.poll()
        for entry in descriptors:
            entry.revents = 0
            poll.register(entry.fd, entry.events)
        self._descriptors = tuple(entry.fd for entry in descriptors)
        happened = dict(poll.poll(1000 * (left_s if timeout_s < 0 else min(timeout_s, left_s))))
        for entry in descriptors:
            entry.revents = happened.get(entry.fd, 0)
        self._polled = len(happened)
        return len(happened)

    def _on_poll_error(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """The loop ends with an error of its own, which `_ask` takes."""

    def _on_event(self, _event: Any) -> None:
        self._is_stale = True

    # Streams.

    def _list(self, now_s: float) -> None:
        """Ask for all streams, and report them when they are not as before."""
        self._is_stale = False
        self._list_at_s = now_s + LIST_PAUSE_S
        played = self._ask(self._pulse.sink_input_list)[:MAX_STREAMS]
        captured = self._ask(self._pulse.source_output_list)[: MAX_STREAMS - len(played)]
        if captured:
            monitors = {s.index for s in self._ask(self._pulse.source_list) if s.monitor_of_sink != _NONE}
            captured = [s for s in captured if s.source not in monitors and s.resample_method != _METER]
        self._find_owners([*played, *captured])
        streams = [self._stream(s, Direction.PLAYBACK, s.sink_usec) for s in played]
        streams += [self._stream(s, Direction.CAPTURE, s.source_usec) for s in captured]
        sound = Sound(self._server, tuple(streams))
        if sound != self._reported:
            self._reported = sound
            self._sink(SoundReport(self.name, sound))

    def _find_owners(self, streams: list[Any]) -> None:
        """Whose the streams' clients are; one that is known already is not looked at again."""
        self._owners = {s.client: self._owners[s.client] for s in streams if s.client in self._owners}
        new = {s.client: parse_pid(s.proplist.get("application.process.id")) for s in streams}
        new = {client: pid for client, pid in new.items() if client not in self._owners}
        if not new:
            return
        if None in new.values():  # some programs say it of the client alone
            for client in self._ask(self._pulse.client_list):
                if client.index in new and new[client.index] is None:
                    new[client.index] = parse_pid(client.proplist.get("application.process.id"))
        try:
            ends = claims.accepted(claims.read_sockets(), os.fspath(self._path))
        except OSError:
            ends = frozenset()  # what they claim stays a claim
        for number, (client, pid) in enumerate(new.items()):
            if pid is None:
                self._owners[client] = None, 0.0
            else:
                self._owners[client] = claims.confirm(pid, ends, self._uid) if number < _CHECKS else (pid, CLAIMED)

    def _stream(self, said: Any, direction: Direction, device_us: int) -> Stream:
        pid, confidence = self._owners[said.client]
        kind = "in" if direction is Direction.CAPTURE else "out"
        return Stream(
            key=f"pulse:{kind}:{said.index}",
            pid=pid,
            confidence=confidence,
            app=sanitise(str(said.proplist.get("application.name") or said.name), NAME_LIMIT),
            direction=direction,
            running=not said.corked,
            latency_ms=round((said.buffer_usec + device_us) / 1000, 1),
        )


def _check_owner(path: Path) -> None:
    """Who listens is the user, or root, or whoever owns the folder that root was told of. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as probe:
        probe.connect(os.fspath(path))
        _pid, uid, _gid = struct.unpack("=iII", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid not in {0, os.geteuid(), path.parent.stat().st_uid}:
        raise PermissionError(1, f"uid {uid} answers for {path}")
