"""Pins survive: restarts, damage, and other people's editors."""

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smoothtask.engine.people import PINS_OF_USER
from smoothtask.model.classes import NO_LIMITS, Limits, PriorityClass
from smoothtask.model.decision import Pin
from smoothtask.model.identity import MAX_PATH
from smoothtask.store.pins import LIMIT_BYTES, load_pins, save_pins

FIREFOX = Pin("firefox", PriorityClass.INTERACTIVE, 0, 1_800_000_000.5)
BUILD = Pin("exe:/home/al/ü b", PriorityClass.IDLE, 1000, 1_800_000_001.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """In a folder that does not exist yet."""
    return tmp_path / "state" / "pins.json"


def aside(path: Path) -> list[Path]:
    """The copies that were kept."""
    return sorted(path.parent.glob("pins.json.damaged-*"))


def test_no_file_is_no_pins(path: Path) -> None:
    """And no problem."""
    assert load_pins(path) == ((), ())


def test_pins_come_back(path: Path) -> None:
    """As they were, in a private file in a private folder, with no draft left."""
    save_pins(path, [FIREFOX, BUILD])
    assert load_pins(path) == ((FIREFOX, BUILD), ())
    save_pins(path, [BUILD])
    assert load_pins(path) == ((BUILD,), ())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_limits_come_back(path: Path) -> None:
    """Only what is asked for stands in the file; what nothing can run with is damage."""
    limited = Pin("ffmpeg", PriorityClass.IDLE, 0, 1.0, Limits(cpu_pct=150.0, memory_high_bytes=1 << 30))
    save_pins(path, [FIREFOX, limited])
    assert load_pins(path) == ((FIREFOX, limited), ())
    entries = json.loads(path.read_text())["pins"]
    assert "limits" not in entries[0]
    assert entries[1]["limits"] == {"cpu_pct": 150.0, "memory_high_bytes": 1 << 30}
    for wrong in ({"cpu_pct": 0.1}, {"gpu": 1}, {"memory_high_bytes": "2G"}, []):
        path.write_text(json.dumps({"version": 1, "pins": [{**entries[1], "limits": wrong}]}))
        pins, problems = load_pins(path)
        assert not pins
        assert "pin 1: limits" in problems[0]


def test_every_problem_is_said_and_the_good_pins_go_on(path: Path) -> None:
    """With file and entry; the file is kept as it was, and what was good is saved anew."""
    good = {"app": "firefox", "target": "INTERACTIVE", "uid": 0, "made_at": 1_800_000_000.5}
    bad = [
        {**good, "target": "REALTIME"},
        {**good, "app": "a\x1b[31m", "uid": -1},
        {**good, "app": "x", "made_at": "yesterday"},
        {"app": "y", "target": "IDLE", "uid": 0, "made_at": 1.0, "mood": 1},
        "nonsense",
        {**good, "target": "IDLE"},
        {**good, "app": "z", "uid": True},
    ]
    save_pins(path, [])
    content = json.dumps({"version": 1, "pins": [good, *bad]}).encode()
    path.write_bytes(content)
    pins, problems = load_pins(path)
    assert pins == (FIREFOX,)
    said = "\n".join(problems)
    assert "\x1b" not in said
    assert all(p.startswith(str(path)) for p in problems)
    for words in (
        "pin 2: target: Value error, expected one of IDLE",
        "pin 3: app:",
        "pin 3: uid:",
        "pin 4: made_at:",
        "pin 5: mood:",
        "pin 6: entry:",
        "pin 7: a second one for firefox",
        "pin 8: uid:",
        "1 good pins go on",
    ):
        assert words in said
    (kept,) = aside(path)
    assert kept.read_bytes() == content
    assert str(kept) in said
    assert load_pins(path) == ((FIREFOX,), ())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff" * 100,
        b'{"version": 1, "pins": [',
        b"[" * 100_000,
        b"[]",
        b'{"version": 1, "pins": {}}',
        b'{"version": 2, "pins": []}',
        b'{"pins": []}',
        b" " * LIMIT_BYTES + b"{}",
    ],
)
def test_a_damaged_file_is_kept_and_said(path: Path, content: bytes) -> None:
    """Never dropped, never raised; the next start has nothing more to say."""
    save_pins(path, [FIREFOX])
    path.write_bytes(content)
    pins, problems = load_pins(path)
    assert pins == ()
    assert len(problems) == 1
    (kept,) = aside(path)
    assert kept.read_bytes() == content
    assert str(kept) in problems[0]
    assert load_pins(path) == ((), ())


def test_two_damaged_files_are_both_kept(path: Path) -> None:
    """Also within one second."""
    save_pins(path, [])
    for content in (b"one", b"two", b"three"):
        path.write_bytes(content)
        load_pins(path)
    assert {f.read_bytes() for f in aside(path)} == {b"one", b"two", b"three"}


@pytest.mark.parametrize("kind", ["symlink", "fifo", "folder"])
def test_what_is_no_file_is_moved_aside(path: Path, kind: str) -> None:
    """A link is not followed, a fifo not waited for."""
    secret = path.parent / "secret"
    save_pins(secret, [BUILD])
    match kind:
        case "symlink":
            path.symlink_to(secret)
        case "fifo":
            os.mkfifo(path)
        case _:
            path.mkdir()
    pins, problems = load_pins(path)
    assert (pins, len(problems)) == ((), 1)
    save_pins(path, [FIREFOX])
    assert load_pins(path) == ((FIREFOX,), ())
    assert load_pins(secret) == ((BUILD,), ())


def test_a_save_that_fails_keeps_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full in the middle: pins are as before and no draft is left."""
    save_pins(path, [FIREFOX])

    def fail(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        save_pins(path, [BUILD])
    monkeypatch.undo()
    assert load_pins(path) == ((FIREFOX,), ())
    assert list(path.parent.iterdir()) == [path]


a_number = st.none() | st.integers() | st.floats() | st.sampled_from([5.0, 150.0, 1 << 26, 1 << 30])
some_limits = st.just(NO_LIMITS) | st.builds(Limits, a_number, st.booleans(), a_number, a_number, a_number)
an_app = (
    st.text(max_size=9)
    | st.sampled_from(["a" * 513, "exe:" + "ü" * MAX_PATH, "x" * (MAX_PATH + 5)])
    | st.text("aü\U00020000", min_size=1)
)
a_time = st.floats() | st.just(1_800_000_000.5)
a_uid = st.integers(0, 2000) | st.integers(-2, 1 << 33)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.builds(Pin, an_app, st.sampled_from(PriorityClass), a_uid, a_time, some_limits), max_size=3))
def test_what_is_saved_is_read_again(path: Path, pins: list[Pin]) -> None:
    """And what would not be is refused, with the old file in its place."""
    save_pins(path, [FIREFOX])
    try:
        save_pins(path, pins)
    except OSError:
        assert load_pins(path) == ((FIREFOX,), ())
    else:
        assert load_pins(path) == (tuple(pins), ())


def test_the_longest_path_is_no_damage_and_a_longer_file_is_refused(path: Path) -> None:
    """Every user of a small machine may pin as much as there may be; who comes after that is told."""
    long = "\U00020000" * (MAX_PATH - 4)
    pins = [Pin(f"exe:/{n:03}{long}", PriorityClass.IDLE, uid, 1.0) for uid in range(8) for n in range(PINS_OF_USER)]
    save_pins(path, pins)
    assert load_pins(path) == (tuple(pins), ())
    with pytest.raises(OSError, match="longer than"):
        save_pins(path, [*pins, *(replace(p, uid=1000 + p.uid) for p in pins)])
    assert load_pins(path) == (tuple(pins), ())


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["version", "pins", "app", "target", "uid", "made_at"]), inner, max_size=6
            )
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps({"version": 1, "pins": [value]}).encode())
)
def test_no_content_breaks_the_start(path: Path, content: bytes) -> None:
    """Whatever stands in the file: pins or problems, and a clean file afterwards."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    pins, problems = load_pins(path)
    assert pins or problems
    assert load_pins(path) == (pins, ())
    for kept in aside(path):
        kept.unlink()
