"""What the sessions say → what each group means to the person (pure).

A session speaks for its own user: what it says of a process that belongs to somebody else is not heard.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from smoothtask.model.person import (
    NO_ATTENTION,
    Attention,
    Direction,
    PersonMetrics,
    PersonView,
    SessionView,
    Sound,
    Stream,
    Window,
)
from smoothtask.policy.parameters import PersonLimits

Find = Callable[[int, int], str | None]
"""(pid, uid) → the group of that process, when it is a process of that user; else `None`."""
_SEVERAL = 64
"""Lost focuses that are remembered."""


@dataclass(frozen=True, slots=True)
class AttentionState:
    """What is remembered; times are CLOCK_MONOTONIC seconds."""

    focused: frozenset[str] = frozenset()
    lost_s: Mapping[str, float] = field(default_factory=dict)
    """Group → when it lost the focus."""
    streams: Mapping[tuple[int, str, str], int] = field(default_factory=dict)
    """(uid, session, stream) → its xruns."""
    broke_s: Mapping[str, float] = field(default_factory=dict)
    """Group → when a stream of it last broke up."""


def attend(
    view: PersonView, find: Find, state: AttentionState, now_s: float, limits: PersonLimits
) -> tuple[dict[str, Attention], AttentionState]:
    """The groups that mean something to somebody. An application shares what its parts have, and not the reverse."""
    seen: dict[str, Attention] = {}
    streams: dict[tuple[int, str, str], int] = {}
    broke = {g: at for g, at in state.broke_s.items() if now_s - at < limits.xrun_s}
    for session in view.sessions:
        for window in session.windows if session.active else ():
            for group in _groups(window, session.uid, find, limits):
                seen[group] = _with_window(seen.get(group, NO_ATTENTION), window)
        for stream in session.sound.streams if session.sound is not None else ():
            if stream.direction is Direction.CAPTURE and not session.active:
                continue  # who is not at the screen is in no call
            key = (session.uid, session.session, stream.key)
            streams[key] = stream.xruns
            for group in _groups(stream, session.uid, find, limits):
                seen[group] = _with_stream(seen.get(group, NO_ATTENTION), stream)
                if stream.xruns > state.streams.get(key, stream.xruns):
                    broke[group] = now_s
    focused = frozenset(g for g, a in seen.items() if a.focused)
    lost = {g: at for g, at in state.lost_s.items() if now_s - at < limits.focus_memory_s and g not in focused}
    lost.update(dict.fromkeys(state.focused - focused, now_s))
    lost = dict(sorted(lost.items(), key=lambda item: -item[1])[:_SEVERAL])
    for group, at in lost.items():
        seen[group] = replace(seen.get(group, NO_ATTENTION), unfocused_s=now_s - at)
    for group, at in broke.items():
        if group in seen:
            seen[group] = replace(seen[group], xrun_s=now_s - at)
    return seen, AttentionState(focused, lost, streams, broke)


def typed_into(view: PersonView, now_s: float) -> dict[str, float]:
    """Terminal → seconds since somebody typed into it."""
    return {tty: max(0.0, now_s - at) for tty, at in view.terminals}


def _groups(claim: Window | Stream, uid: int, find: Find, limits: PersonLimits) -> Iterable[str]:
    """The group that *claim* is about, and the application around it."""
    if claim.pid is None or claim.confidence < limits.confidence:
        return ()
    group = find(claim.pid, uid)
    if group is None:
        return ()
    outer = group.partition("/")[0]
    return (group,) if outer == group else (group, outer)


def _with_window(known: Attention, window: Window) -> Attention:
    visible = known.visible or (window.visible and not window.minimised)
    return replace(
        known,
        focused=known.focused or window.focused,
        visible=visible,
        minimised=not visible,
        fullscreen=known.fullscreen or (window.fullscreen and window.visible),
    )


def _with_stream(known: Attention, stream: Stream) -> Attention:
    if not stream.running:
        return known
    if stream.direction is Direction.CAPTURE:
        return replace(known, capturing=True)
    return replace(known, playing=True)


@dataclass(frozen=True, slots=True)
class SoundState:
    """Counters of the tick before, by session."""

    totals: Mapping[tuple[int, str], tuple[str, int, int]] = field(default_factory=dict)
    """(uid, session) → (server, xruns, missing cycles)."""


def person_metrics(
    view: PersonView, state: SoundState, now_s: float, limits: PersonLimits
) -> tuple[PersonMetrics, SoundState]:
    """Whether somebody is there and what the sound did since the tick before."""
    since_s = None if view.last_input_mono_s is None else max(0.0, now_s - view.last_input_mono_s)
    sounds = [(s, s.sound) for s in view.sessions if s.sound is not None]
    totals = {(s.uid, s.session): (sound.server, sound.xruns, sound.missing_cycles) for s, sound in sounds}
    breaks = [_rise(s, sound, state) for s, sound in sounds]
    loads = [sound.dsp_load for _, sound in sounds if sound.dsp_load is not None]
    metrics = PersonMetrics(
        active=None if since_s is None else since_s < limits.active_s,
        since_input_s=since_s,
        input_source=view.input_source,
        sound=", ".join(sorted({sound.server for _, sound in sounds})),
        xruns=sum(x for x, _ in breaks) if sounds else None,
        missing_cycles=sum(m for _, m in breaks) if sounds else None,
        dsp_load=max(loads, default=None),
    )
    return metrics, SoundState(totals)


def _rise(session: SessionView, sound: Sound, state: SoundState) -> tuple[int, int]:
    """How much both counters grew; a server that is new, or was started again, has not grown."""
    server, xruns, missing = state.totals.get(
        (session.uid, session.session), (sound.server, sound.xruns, sound.missing_cycles)
    )
    if server != sound.server:
        return 0, 0
    return max(0, sound.xruns - xruns), max(0, sound.missing_cycles - missing)
