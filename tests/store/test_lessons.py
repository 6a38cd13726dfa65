"""Lessons survive restarts and damage, as pins do (test_pins.py has what both share)."""

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smoothtask.model.classes import PriorityClass
from smoothtask.model.identity import MAX_PATH
from smoothtask.model.lesson import Attended, Lesson, Situation, Source
from smoothtask.policy.personal import KEPT
from smoothtask.store.lessons import LIMIT_BYTES, _entry, load_lessons, save_lessons

WAITED = Situation(Attended.VISIBLE, contended=True)
FIREFOX = Lesson("firefox", 1000, WAITED, PriorityClass.INTERACTIVE, Source.LABEL, 1_800_000_000.5)
BUILD = Lesson("make", 0, Situation(Attended.UNATTENDED, contended=False), PriorityClass.IDLE, Source.PIN, 1.0)


def test_lessons_come_back_in_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "state" / "lessons.json"
    assert load_lessons(path) == ((), ())
    save_lessons(path, [FIREFOX, BUILD])
    assert load_lessons(path) == ((FIREFOX, BUILD), ())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_good_goes_on_and_the_rest_is_said_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "lessons.json"
    save_lessons(path, [FIREFOX, BUILD])
    content = json.loads(path.read_text())
    content["lessons"][0] |= {"target": "TURBO", "uid": -1, "attended": "loved"}
    content["lessons"].append({"app": "a\x1b[2J"})
    path.write_text(json.dumps(content))
    lessons, problems = load_lessons(path)
    assert lessons == (BUILD,)
    said = "\n".join(problems)
    for part in ("lesson 1: target", "lesson 1: uid", "lesson 1: attended", "lesson 3: app", "1 good lessons go on"):
        assert part in said
    assert "\x1b" not in said
    assert len(list(tmp_path.glob("lessons.json.damaged-*"))) == 1
    assert load_lessons(path) == ((BUILD,), ())


def test_a_link_or_a_file_of_another_kind_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "lessons.json"
    path.symlink_to("/etc/passwd")
    assert "symbolic link" in load_lessons(path)[1][0]
    path.write_text('{"version": 2, "lessons": []}')
    assert "of version 2, expected 1" in load_lessons(path)[1][0]


def test_what_would_not_be_read_again_is_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "lessons.json"
    longest = replace(BUILD, app="exe:" + "ü" * MAX_PATH)
    save_lessons(path, [FIREFOX, longest])
    for app in (longest.app + "x", "a\x1b[2J", ""):
        with pytest.raises(OSError, match="lesson 2: app"):
            save_lessons(path, [FIREFOX, replace(BUILD, app=app)])
    assert load_lessons(path) == ((FIREFOX, longest), ())


def test_all_that_is_kept_can_be_saved() -> None:
    longest = replace(BUILD, app="exe:" + "\U00020000" * MAX_PATH)
    assert KEPT * len(json.dumps(_entry(longest), indent=1, ensure_ascii=False).encode()) < LIMIT_BYTES


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.binary(max_size=200))
def test_no_bytes_do_harm(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "lessons.json"
    path.write_bytes(data)
    lessons, problems = load_lessons(path)
    assert lessons == ()
    assert problems
