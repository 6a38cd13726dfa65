"""Everything that watches, put together, and the short look of `smoothtask doctor`."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from person.test_children import Loop, endpoint, hostile
from smoothtask.model.person import SourceHealth
from smoothtask.person import children, glance
from smoothtask.person.watch import PersonWatch


def started(loop: Loop, *, windows: bool = False, sound: bool = False, inputs: bool = False) -> PersonWatch:
    return PersonWatch.start(loop, loop.hasten, windows=windows, sound=sound, inputs=inputs, only_uid=None)


def test_what_is_turned_off_is_not_opened_and_says_how_to_turn_it_on() -> None:
    loop = Loop()
    with contextlib.closing(started(loop)) as watch:
        view = watch.look(time.monotonic())
    assert view.terminals == ()
    assert watch.pids == frozenset()
    off = {s.name: s.remedy for s in view.sources if s.text == "off, as configured"}
    assert off.keys() == {"input: evdev", "terminals", "windows", "sound"}
    assert all("person." in remedy for remedy in off.values())


def test_what_alone_is_turned_off_is_said() -> None:
    with contextlib.closing(started(Loop(), windows=True)) as watch:
        assert watch.children is not None
        watch.children.endpoints = frozenset
        assert "sound" in {s.name for s in watch.look(time.monotonic()).sources if s.text == "off, as configured"}


def test_where_nobody_has_a_desktop_that_is_said() -> None:
    loop = Loop()
    with contextlib.closing(started(loop, windows=True, sound=True, inputs=True)) as watch:
        assert watch.children is not None
        watch.children.endpoints = frozenset
        view = watch.look(time.monotonic())
    assert view.sessions == ()
    assert {s.name for s in view.sources} >= {"input: evdev", "input: logind", "terminals", "windows and sound"}
    assert all(s.remedy for s in view.sources if s.health is not SourceHealth.WORKING)


def test_a_sessions_word_reaches_the_view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its source is named once."""
    source = '{"kind":"source","name":"windows: x","health":"working","text":"here","remedy":""}'
    idle = '{"kind":"idle","source":"windows: x","idle_s":2.5,"mono_s":0.0}'
    hostile(tmp_path, monkeypatch, f"echo '{source}'; echo '{idle}'; exec sleep 100")
    loop = Loop()
    with contextlib.closing(started(loop, windows=True)) as watch:
        assert watch.children is not None
        watch.children.endpoints = endpoint
        watch.look(time.monotonic())
        loop.until(watch.children, lambda: any(v.idle_s is not None for v in watch.children.views()))  # type: ignore[union-attr]
        assert len(watch.pids) == 1
        view = watch.look(time.monotonic())
    assert [s.name for v in view.sessions for s in v.sources] == ["windows: x"]
    assert view.input_source == f"session of uid {os.geteuid()}"
    assert watch.pids == frozenset()


def test_a_short_look_names_every_source_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids: list[int] = []
    line = '{"kind":"source","name":"windows: x","health":"refused","text":"no","remedy":"ask"}'
    hostile(tmp_path, monkeypatch, f"echo '{line}'; exec sleep 100")
    remember: Callable[..., None] = children.Children._start

    def start(self: children.Children, *more: object) -> None:
        remember(self, *more)
        pids.extend(self.pids)

    monkeypatch.setattr(children.Children, "_start", start)
    monkeypatch.setattr(children.Children, "_users", lambda _self, _now_s: frozenset({os.geteuid()}))
    sources = glance.glance(None, seconds=0.5)
    assert [s.name for s in sources] == sorted(s.name for s in sources)
    assert {"input: evdev", "input: logind", "terminals", "windows: x"} <= {s.name for s in sources}
    assert pids
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
