"""What sessions say → what groups mean: only their own user's, only when sure, with a short memory."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.model.person import Direction, PersonView, SessionView, Sound, Stream, Window
from smoothtask.policy.attention import AttentionState, SoundState, attend, person_metrics, typed_into
from smoothtask.policy.parameters import PersonLimits

LIMITS = PersonLimits()
OWNERS = {10: ("firefox", 1000), 11: ("firefox/renderer", 1000), 20: ("editor", 1000), 66: ("sshd", 0)}


def find(pid: int, uid: int) -> str | None:
    """Groups of the processes that there are."""
    group, owner = OWNERS.get(pid, (None, None))
    return group if owner == uid else None


def window(pid: int | None, *, key: str = "w", confidence: float = 1.0, **more: bool) -> Window:
    """One on the screen."""
    return Window(key, pid, confidence, "app", **more)


def stream(pid: int, *, running: bool = True, xruns: int = 0, direction: Direction = Direction.PLAYBACK) -> Stream:
    """One at a sound server."""
    return Stream(f"s{pid}{direction}", pid, 1.0, "app", direction, running, xruns=xruns)


def view(*windows: Window, streams: tuple[Stream, ...] = (), uid: int = 1000, active: bool = True) -> PersonView:
    """One session."""
    sound = Sound("pipewire 1.4", streams) if streams else None
    return PersonView((SessionView(uid, "c1", windows, sound, active=active),))


def seen(v: PersonView, state: AttentionState | None = None, now_s: float = 100.0):
    """Groups and the next state."""
    return attend(v, find, state or AttentionState(), now_s, LIMITS)


def test_an_application_shares_what_its_parts_have() -> None:
    """And not the reverse."""
    groups, _ = seen(view(window(11, focused=True)))
    assert groups["firefox/renderer"].focused
    assert groups["firefox"].focused
    groups, _ = seen(view(window(10, focused=True)))
    assert "firefox/renderer" not in groups


@pytest.mark.parametrize("claim", [window(None), window(10, confidence=0.5), window(66), window(12345)])
def test_who_is_not_sure_or_not_its_users_is_not_heard(claim: Window) -> None:
    """A session can raise nobody else's processes."""
    assert seen(view(replace(claim, focused=True)))[0] == {}


def test_a_session_behind_the_screen_has_no_focus_but_its_sound_is_heard() -> None:
    """Music of the other user goes on."""
    groups, _ = seen(view(window(10, focused=True), streams=(stream(20),), active=False))
    assert set(groups) == {"editor"}
    assert groups["editor"].playing


def test_who_is_not_at_the_screen_is_in_no_call() -> None:
    both = (stream(20), stream(20, direction=Direction.CAPTURE))
    assert seen(view(streams=both))[0]["editor"].in_call
    groups, _ = seen(view(streams=both, active=False))
    assert groups["editor"].playing
    assert not groups["editor"].in_call


def test_windows_add_up() -> None:
    """One visible window is enough; all hidden is minimised."""
    hidden = window(10, key="a", visible=False, minimised=True)
    groups, _ = seen(view(hidden))
    assert groups["firefox"].minimised
    assert not groups["firefox"].visible
    groups, _ = seen(view(hidden, window(10, key="b", fullscreen=True)))
    assert (groups["firefox"].visible, groups["firefox"].minimised, groups["firefox"].fullscreen) == (True, False, True)


def test_a_lost_focus_is_remembered_for_a_while() -> None:
    """Ten seconds; having it again ends that."""
    _, state = seen(view(window(10, focused=True)))
    groups, state = seen(view(window(20, focused=True)), state, 103.0)
    assert groups["firefox"].unfocused_s == 0
    groups, after = seen(view(window(20, focused=True)), state, 108.0)
    assert groups["firefox"].unfocused_s == pytest.approx(5.0)
    assert "firefox" not in seen(view(window(20, focused=True)), after, 114.0)[0]
    back, _ = seen(view(window(10, focused=True)), state, 105.0)
    assert back["firefox"].unfocused_s is None
    assert back["editor"].unfocused_s == 0


def test_calls_and_breaks() -> None:
    """Playing and capturing is a call; a counter that rises is a break, a new stream's is none."""
    both = (stream(20, xruns=7), stream(20, direction=Direction.CAPTURE))
    groups, state = seen(view(streams=both))
    assert groups["editor"].in_call
    assert groups["editor"].xrun_s is None
    groups, state = seen(view(streams=(stream(20, xruns=8),)), state, 101.0)
    assert groups["editor"].xrun_s == 0
    groups, state = seen(view(streams=(stream(20, xruns=8),)), state, 105.0)
    assert groups["editor"].xrun_s == pytest.approx(4.0)
    assert seen(view(streams=(stream(20, xruns=8),)), state, 112.0)[0]["editor"].xrun_s is None
    assert not seen(view(streams=(stream(20, running=False),)))[0]["editor"].playing


def test_metrics_of_the_person() -> None:
    """Unknown stays unknown; counters are since the tick before; a new server has not grown."""
    nothing, state = person_metrics(PersonView(), SoundState(), 100.0, LIMITS)
    assert (nothing.active, nothing.xruns, nothing.sound_breaks) == (None, None, 0)
    v = PersonView((SessionView(1000, "c1", sound=Sound("a", xruns=5, missing_cycles=1, dsp_load=0.4)),), 90.0, "evdev")
    first, state = person_metrics(v, state, 100.0, LIMITS)
    assert (first.active, first.since_input_s, first.xruns, first.dsp_load) == (True, 10.0, 0, 0.4)
    v = replace(v, sessions=(SessionView(1000, "c1", sound=Sound("a", xruns=7, missing_cycles=2)),))
    second, state = person_metrics(v, state, 160.0, LIMITS)
    assert (second.active, second.xruns, second.missing_cycles, second.sound_breaks) == (False, 2, 1, 3)
    v = replace(v, sessions=(SessionView(1000, "c1", sound=Sound("b", xruns=90)),))
    assert person_metrics(v, state, 161.0, LIMITS)[0].xruns == 0


def test_terminals() -> None:
    """By name, in seconds, never in the future."""
    assert typed_into(PersonView(terminals=(("pts/1", 95.0), ("tty2", 101.0))), 100.0) == {"pts/1": 5.0, "tty2": 0.0}


claims = st.builds(
    Window,
    key=st.text(max_size=3),
    pid=st.none() | st.sampled_from([10, 11, 20, 66, 0, -1, 1 << 40]),
    confidence=st.floats(),
    app_id=st.just("x"),
    focused=st.booleans(),
    visible=st.booleans(),
    minimised=st.booleans(),
    fullscreen=st.booleans(),
)


@given(st.lists(claims, max_size=6), st.sampled_from([0, 1000, 1001]))
def test_whatever_a_session_claims_touches_its_own_users_groups_alone(windows: list[Window], uid: int) -> None:
    """For any claims."""
    own = {g for g, owner in OWNERS.values() if owner == uid} | {
        g.partition("/")[0] for g, owner in OWNERS.values() if owner == uid
    }
    assert set(seen(view(*windows, uid=uid))[0]) <= own
