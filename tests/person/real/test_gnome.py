"""The real GNOME Shell, without a screen, with our extension in it."""

from collections.abc import Iterator

import pytest

from person.real.stage import Gnome, gnome
from person.test_children import Loop
from person.windows.xservers import Heard
from smoothtask.model.person import SourceHealth
from smoothtask.person.children import Children
from smoothtask.person.endpoints import endpoints_of
from smoothtask.person.watcher import IdleReport, LostError
from smoothtask.person.windows.gnome import NAME, open_gnome


@pytest.fixture(name="stage", scope="module")
def _stage() -> Iterator[Gnome]:
    with gnome() as stage:
        stage.leave_overview()
        yield stage


@pytest.fixture(name="heard")
def _heard(stage: Gnome) -> Iterator[Heard]:
    heard = Heard()
    heard.watcher = open_gnome(stage.address, heard)
    yield heard
    heard.watcher.close()


def test_windows_and_focus_with_pids_by_the_kernel(stage: Gnome, heard: Heard) -> None:
    assert heard.sources[-1].source.health is SourceHealth.WORKING
    first = stage.window()
    heard.until(lambda: heard.focused == first)
    second = stage.window()
    heard.until(lambda: heard.of(second))  # GNOME gives the focus to nobody who just comes
    window = heard.of(second)
    assert window is not None
    assert (window.confidence, window.visible, window.focused) == (1.0, True, False)
    stage.end(first)
    heard.until(lambda: heard.focused == second)
    assert heard.of(first) is None
    stage.end(second)
    heard.until(lambda: not heard.windows)


def test_idle_time_is_mutters(heard: Heard) -> None:
    heard.until(lambda: any(isinstance(r, IdleReport) for r in heard.reports))


def test_a_sessions_child_finds_it_by_itself(stage: Gnome) -> None:
    pid = stage.window()
    loop = Loop()
    children = Children(loop, windows=True, sound=False, endpoints=lambda: endpoints_of([str(stage.socket)]))
    try:
        loop.until(children, lambda: any(w.pid == pid and w.focused for v in children.views() for w in v.windows))
        working = (NAME, SourceHealth.WORKING)
        loop.until(children, lambda: working in {(s.name, s.health) for v in children.views() for s in v.sources})
    finally:
        children.close()


def test_its_end_is_said(stage: Gnome, heard: Heard) -> None:
    """The last one with this Shell."""
    assert stage.compositor is not None
    stage.compositor.kill()
    with pytest.raises(LostError):
        heard.until(lambda: False)


def test_without_the_extension_it_is_said_what_to_do() -> None:
    with gnome(extension=False) as stage:
        heard = Heard()
        heard.watcher = open_gnome(stage.address, heard)
        heard.until(lambda: sum(r.source.name == NAME for r in heard.sources) == 2)
        source = next(r.source for r in reversed(heard.sources) if r.source.name == NAME)
        assert source.health is SourceHealth.ABSENT
        assert "gnome-extension install" in source.remedy
        heard.watcher.close()
