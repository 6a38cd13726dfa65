"""What several sources say, made one (pure): windows of a session, and the last input of the machine."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from smoothtask.model.person import PersonView, SessionView, Source, Window

SURE = 0.6
FOCUSED_AT_MOST = 4
"""In one session: a person at each of some seats, and no desktop that raises all that its user runs."""


def windows_of(said: Mapping[str, tuple[Window, ...]]) -> tuple[Window, ...]:
    """The windows of one session.

    Under a Wayland compositor the X server beside it knows its clients' processes, and the compositor does not; but
    which window has the focus, the compositor knows better: an X window counts as focused only while no window that
    the compositor is sure of does.
    """
    compositors = [name for name in said if not name.startswith("windows: x11")]
    focused = any(w.focused and w.confidence >= SURE for name in compositors for w in said[name])
    found = []
    left = FOCUSED_AT_MOST
    for name, windows in said.items():
        behind = focused and name not in compositors
        for window in windows:
            if window.focused and (behind or left == 0):
                found.append(replace(window, focused=False))
            else:
                left -= window.focused
                found.append(window)
    return tuple(found)


def person_of(
    sessions: tuple[SessionView, ...],
    inputs: Iterable[tuple[str, float]],
    hints: Iterable[tuple[str, float]],
    terminals: tuple[tuple[str, float], ...],
    sources: tuple[Source, ...],
) -> PersonView:
    """All of it.

    *inputs* are (source, CLOCK_MONOTONIC moment) of real input (evdev); what sessions say of their idle time is as
    good. *hints* (logind) count where nobody knows better, and the terminals where nobody else says anything.
    """
    best = [
        *inputs,
        *((f"session of uid {s.uid}", s.idle_at_mono_s - s.idle_s) for s in sessions if s.idle_s is not None),
    ]
    ranked = best or [*hints] or [(f"terminal {tty}", at) for tty, at in terminals]
    source, last_s = max(ranked, key=lambda named: named[1], default=("", None))
    return PersonView(sessions, last_s, source, sources, terminals)
