"""Several sources, made one."""

from smoothtask.model.person import SessionView, Window
from smoothtask.person.merge import FOCUSED_AT_MOST, person_of, windows_of

X, WAYLAND = "windows: x11 :0", "windows: sway"


def window(key: str, focused: bool, confidence: float = 1.0) -> Window:
    return Window(key, 42, confidence, "app", focused=focused)


def test_an_x_window_is_in_focus_where_the_compositor_is_not_sure_of_another() -> None:
    said = {X: (window("x", True),), WAYLAND: (window("w", True, 0.5),)}
    assert [w.key for w in windows_of(said) if w.focused] == ["x", "w"]


def test_the_compositor_knows_better_who_has_the_focus() -> None:
    said = {X: (window("x", True),), WAYLAND: (window("w", True),)}
    assert [w.key for w in windows_of(said) if w.focused] == ["w"]


def test_no_desktop_has_the_focus_everywhere() -> None:
    said = {f"windows: {name}": tuple(window(f"{name}{n}", True) for n in range(50)) for name in ("a", "b")}
    assert sum(w.focused for w in windows_of(said)) == FOCUSED_AT_MOST
    assert len(windows_of(said)) == 100


def test_real_input_goes_before_hints_and_terminals() -> None:
    session = SessionView(1000, "user 1000", idle_s=3.0, idle_at_mono_s=50.0)
    terminals = (("pts/1", 99.0),)
    view = person_of((session,), [("evdev", 40.0)], [("logind", 90.0)], terminals, ())
    assert (view.last_input_mono_s, view.input_source) == (47.0, "session of uid 1000")
    assert person_of((), [], [("logind", 90.0)], terminals, ()).input_source == "logind"
    assert person_of((), [], [], terminals, ()).input_source == "terminal pts/1"


def test_nobody_known_is_nobody_known() -> None:
    view = person_of((), [], [], (), ())
    assert (view.last_input_mono_s, view.input_source) == (None, "")
