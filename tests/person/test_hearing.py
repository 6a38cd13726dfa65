"""What a child says comes through whole, and nothing else does."""

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.model.person import Direction, Sound, Source, SourceHealth, Stream, Window
from smoothtask.person.hearing import parse_line
from smoothtask.person.lines import LIMIT_BYTES, line_of
from smoothtask.person.watcher import (
    GoneReport,
    IdleReport,
    LostError,
    Report,
    SoundReport,
    SourceReport,
    WindowsReport,
)

WINDOW = {
    "key": "x11:0x1",
    "pid": 42,
    "confidence": 1.0,
    "app_id": "XTerm",
    "focused": True,
    "visible": True,
    "minimised": False,
    "fullscreen": False,
    "workspace": None,
    "title": "a",
}
pids = st.none() | st.integers(1, 1 << 22)
shares = st.floats(0, 1)
names = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40)
windows = st.builds(
    Window,
    names,
    pids,
    shares,
    names,
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.none() | names,
    names,
)
streams = st.builds(
    Stream,
    names,
    pids,
    shares,
    names,
    st.sampled_from(Direction),
    st.booleans(),
    st.none() | st.floats(0, 1e4),
    st.integers(0, 99),
)
reports = st.one_of(
    st.builds(WindowsReport, names, st.lists(windows, max_size=4).map(tuple)),
    st.builds(SoundReport, names, st.builds(Sound, names, st.lists(streams, max_size=4).map(tuple))),
    st.builds(IdleReport, names, st.floats(0, 1e6), st.floats(0, 100)),
    st.builds(SourceReport, st.builds(Source, names, st.sampled_from(SourceHealth), names, names)),
    st.builds(GoneReport, names),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=600),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)


@given(reports)
def test_what_is_said_is_what_is_heard(report: Report) -> None:
    assert parse_line(line_of(report).rstrip(b"\n"), now_s=100.0) == report


@pytest.mark.parametrize(
    "change",
    [
        {"pid": 0},
        {"pid": -1},
        {"pid": 1 << 23},
        {"pid": True},
        {"pid": "42"},
        {"confidence": 1.5},
        {"confidence": math.nan},
        {"focused": 1},
        {"title": "x" * 5000},
        {"workspace": ["1"]},
        {"more": 1},
    ],
)
def test_a_window_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    line = {"kind": "windows", "source": "windows: x11 :0", "windows": [{**WINDOW, **change}]}
    with pytest.raises(LostError, match="may not say"):
        parse_line(json.dumps(line).encode(), 1.0)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"kind":"order"}',
        b'{"kind":"idle","source":"x","idle_s":-1,"mono_s":0}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_nonsense_is_refused(line: bytes) -> None:
    with pytest.raises(LostError):
        parse_line(line, 1.0)


@given(st.binary(max_size=200))
def test_any_bytes_are_heard_or_refused(line: bytes) -> None:
    with contextlib.suppress(LostError):
        parse_line(line, 1.0)


@given(reports, st.data())
def test_a_line_with_other_bytes_in_it_is_heard_or_refused(report: Report, data: st.DataObject) -> None:
    line = bytearray(line_of(report).rstrip(b"\n"))
    for _ in range(data.draw(st.integers(1, 4))):
        line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(LostError):
        parse_line(bytes(line), 1.0)


@given(reports, st.data())
def test_a_line_with_another_value_in_it_is_what_it_may_be_or_refused(report: Report, data: st.DataObject) -> None:
    said = json.loads(line_of(report))
    inner = next((item for value in said.values() if isinstance(value, list) for item in value), said)
    inner[data.draw(st.sampled_from([*inner, "more"]))] = data.draw(values)
    with contextlib.suppress(LostError):
        heard = parse_line(json.dumps(said).encode(), 1.0)
        assert parse_line(line_of(heard).rstrip(b"\n"), 1.0) == heard, "it can be said again"
        if isinstance(heard, WindowsReport):
            assert all(w.pid is None or 1 <= w.pid <= 1 << 22 for w in heard.windows)
            assert all(0 <= w.confidence <= 1 and len(w.title) <= 120 for w in heard.windows)


def test_text_is_made_safe_again() -> None:
    line = {"kind": "windows", "source": "windows: x11 :0", "windows": [{**WINDOW, "title": "a\x1b[31m\u202eb"}]}
    heard = parse_line(json.dumps(line).encode(), 1.0)
    assert isinstance(heard, WindowsReport)
    assert heard.windows[0].title == "a\ufffd[31m\ufffdb"


def test_no_moment_is_in_the_future() -> None:
    heard = parse_line(b'{"kind":"idle","source":"x","idle_s":1.0,"mono_s":1e9}', 5.0)
    assert heard == IdleReport("x", 1.0, 5.0)


def test_a_line_is_never_too_long() -> None:
    many = tuple(Window(f"w{n}", n + 1, 1.0, "\u00e4" * 64, title="\U0001f600" * 120) for n in range(512))
    assert len(line_of(WindowsReport("windows: x", many))) <= LIMIT_BYTES
