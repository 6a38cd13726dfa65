"""The real KWin, without a screen."""

from collections.abc import Iterator

import pytest

from person.real.stage import KWin, kwin, wait_for
from person.test_children import Loop
from person.windows.xservers import Heard
from smoothtask.model.person import SourceHealth
from smoothtask.person.children import Children
from smoothtask.person.endpoints import endpoints_of
from smoothtask.person.watcher import IdleReport, LostError
from smoothtask.person.windows.kwin import NAME, open_kwin
from smoothtask.person.windows.wayland import open_wayland


@pytest.fixture(name="stage", scope="module")
def _stage() -> Iterator[KWin]:
    with kwin() as stage:
        yield stage


@pytest.fixture(name="heard")
def _heard(stage: KWin) -> Iterator[Heard]:
    heard = Heard()
    heard.watcher = open_kwin(stage.address, stage.home, heard)
    yield heard
    heard.watcher.close()


def test_windows_and_focus_with_pids_by_the_kernel(stage: KWin, heard: Heard) -> None:
    first = stage.window()
    heard.until(lambda: heard.focused == first)
    second = stage.window()
    heard.until(lambda: heard.focused == second)
    window = heard.of(first)
    assert window is not None
    assert (window.confidence, window.visible, window.focused) == (1.0, True, False)
    stage.act(f"workspace.activeClient = window({first});")
    heard.until(lambda: heard.focused == first)
    stage.act(f"window({second}).minimized = true; window({first}).fullScreen = true;")
    heard.until(lambda: heard.of(second).minimised and heard.of(first).fullscreen)  # type: ignore[union-attr]
    stage.act("workspace.createDesktop(1, 'two'); workspace.currentDesktop = 2;")
    heard.until(lambda: not heard.of(first).visible)  # type: ignore[union-attr]
    stage.act("workspace.currentDesktop = 1;")
    heard.until(lambda: heard.of(first).visible)  # type: ignore[union-attr]


def test_our_script_goes_with_us(stage: KWin) -> None:
    heard = Heard()
    heard.watcher = open_kwin(stage.address, stage.home, heard)
    assert stage.has_our_script()
    assert not list(stage.home.glob("smoothtask-*.js")), "the file is taken away once it was read"
    heard.watcher.close()
    wait_for(lambda: not stage.has_our_script(), "it is taken out")


def test_idle_time_by_its_protocol(stage: KWin) -> None:
    heard = Heard()
    heard.watcher = open_wayland(stage.socket, heard, windows=False)
    assert [r.source.health for r in heard.sources] == [SourceHealth.WORKING]
    heard.until(lambda: any(isinstance(r, IdleReport) and r.idle_s > 0 for r in heard.reports))
    heard.watcher.close()


def test_a_sessions_child_finds_it_by_itself(stage: KWin) -> None:
    pid = stage.window()
    loop = Loop()
    children = Children(loop, windows=True, sound=False, endpoints=lambda: endpoints_of([str(stage.socket)]))
    try:
        loop.until(children, lambda: any(w.pid == pid and w.focused for v in children.views() for w in v.windows))
        working = (NAME, SourceHealth.WORKING)
        loop.until(children, lambda: working in {(s.name, s.health) for v in children.views() for s in v.sources})
    finally:
        children.close()
    assert not stage.has_our_script(), "the child takes it out before it ends"


def test_a_script_with_the_number_of_ours_is_not_taken_for_it(stage: KWin) -> None:
    for _ in range(3):  # the first leaves its number to one that is left behind
        heard = Heard()
        heard.watcher = open_kwin(stage.address, stage.home, heard)
        stage.act("")
        heard.watcher.close()
        wait_for(lambda: not stage.has_our_script(), "it is taken out")


def test_its_end_is_said(stage: KWin, heard: Heard) -> None:
    """The last one in this file."""
    assert stage.compositor is not None
    stage.compositor.kill()
    with pytest.raises(LostError):
        heard.until(lambda: False)
