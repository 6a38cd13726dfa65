"""Lessons survive restarts and damage, as pins do (test_pins.py has what both share)."""

import json
import stat
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smoothtask.model.classes import PriorityClass
from smoothtask.model.lesson import Attended, Lesson, Situation, Source
from smoothtask.store.lessons import load_lessons, save_lessons

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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.binary(max_size=200))
def test_no_bytes_do_harm(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "lessons.json"
    path.write_bytes(data)
    lessons, problems = load_lessons(path)
    assert lessons == ()
    assert problems
