"""The rules in force follow their files, and nothing that reads them makes the loop wait or ends it."""

import errno
import os
import pickle
import pwd
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.places import until
from smoothtask.classifier import apart
from smoothtask.classifier.apart import Reading, see
from smoothtask.classifier.layers import RuleFiles
from smoothtask.classifier.reading import read
from smoothtask.config.located import ConfigError
from smoothtask.daemon import rules as module
from smoothtask.daemon.rules import PEOPLE_EVERY_S, RULES_EVERY_S, Rules, follow_files


def rule(name: str) -> str:
    return f"applications: [{{id: {name}, type: t, match: [{{name: {name}}}]}}]\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RuleFiles:
    """The vendor's type, an administrator's rule, and one person, who runs this."""
    person = SimpleNamespace(pw_name="ann", pw_uid=os.getuid(), pw_gid=os.getgid(), pw_dir=str(tmp_path / "home"))
    monkeypatch.setattr(pwd, "getpwall", lambda: [person])
    for layer in ("vendor", "distro", "user", "home/.config/smoothtask/rules.d"):
        (tmp_path / layer).mkdir(parents=True)
    (tmp_path / "vendor/a.yaml").write_text("types: {t: {class: IDLE}}\n")
    (tmp_path / "user/a.yaml").write_text(rule("foo"))
    layers = {layer: tmp_path / layer for layer in ("vendor", "distro", "user", "runtime")}
    return RuleFiles(**layers, ananicy=None)


@pytest.fixture
def rules(files: RuleFiles, tmp_path: Path) -> Iterator[Rules]:
    found = Rules.of(Reading(files, tmp_path / "kept"))
    yield found
    found.close()


class Engine:
    """What is said, and how often groups are made anew."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.world = SimpleNamespace(reclassify=lambda: self.said.append("reclassified"))

    def say(self, _kind: str, text: str) -> None:
        self.said.append(text)


def ids(rules: Rules) -> list[str]:
    return [r.id for r in rules.loaded.rules.rules]


class Inside:
    """In the place of the child, which would look into the homes of the machine."""

    pid, status, timed_out = None, 0, False

    def __init__(self, _module: str, given: bytes, *, within_s: float) -> None:
        _task, files, _only = pickle.loads(given)
        self._files = files

    def poll(self) -> bool:
        return True

    def wait(self) -> None:
        """It is there."""

    def answer(self) -> bytes:
        return pickle.dumps(read(self._files))

    def close(self) -> None:
        """Nothing is open."""


def personal_ids(rules: Rules) -> list[str]:
    return [r.id for own in rules.loaded.rules.personal.values() for r in own]


def stop_the_reader(engine: Any, rules: Rules, files: RuleFiles) -> tuple[int, float]:
    """There are new rules, and the child that is to read them stands still: its pid, and when it began."""
    (files.user / "a.yaml").write_text(rule("bar"))
    now_s = rules.looked_at_s + RULES_EVERY_S
    follow_files(engine, rules, now_s)
    (pid,) = rules.pids
    os.kill(pid, signal.SIGSTOP)
    return pid, now_s


def test_a_child_that_does_not_answer_keeps_nobody_waiting(rules: Rules, files: RuleFiles) -> None:
    """It is stopped; ticks go on, and its answer is taken once it is there."""
    engine: Any = Engine()
    pid, now_s = stop_the_reader(engine, rules, files)
    for n in range(100):
        follow_files(engine, rules, now_s + n / 10)
    assert (ids(rules), engine.said) == (["foo"], [])
    os.kill(pid, signal.SIGCONT)
    assert until(lambda: bool(follow_files(engine, rules, now_s)) or bool(engine.said))
    assert (ids(rules), engine.said[0]) == (["bar"], "reclassified")
    assert rules.pids == frozenset()


def test_a_child_that_never_answers_is_ended_and_another_tries(rules: Rules, files: RuleFiles) -> None:
    engine: Any = Engine()
    pid, now_s = stop_the_reader(engine, rules, files)
    assert rules._reading is not None
    assert rules._reading._child is not None
    rules._reading._child._until_s = 0.0
    follow_files(engine, rules, now_s)
    assert engine.said == ["the old rules stay: reading the rules took more than 60 s; tried again in a minute"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    follow_files(engine, rules, now_s + PEOPLE_EVERY_S - 1)
    assert rules.pids == frozenset()
    follow_files(engine, rules, now_s + PEOPLE_EVERY_S)
    assert until(lambda: bool(follow_files(engine, rules, now_s)) or len(engine.said) > 1)
    assert ids(rules) == ["bar"]


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM])
def test_without_a_process_the_old_rules_stay(
    rules: Rules, files: RuleFiles, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    engine: Any = Engine()

    def fails(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    (files.user / "a.yaml").write_text(rule("bar"))
    now_s = rules.looked_at_s + RULES_EVERY_S
    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "Popen", fails)
        follow_files(engine, rules, now_s)
        follow_files(engine, rules, now_s + 1)
    assert len(engine.said) == 1
    assert os.strerror(number) in engine.said[0]
    follow_files(engine, rules, now_s + 1 + PEOPLE_EVERY_S)
    assert until(lambda: bool(follow_files(engine, rules, now_s)) or len(engine.said) > 1)
    assert ids(rules) == ["bar"]


def test_a_start_without_a_process_is_an_error_in_words(files: RuleFiles, tmp_path: Path, monkeypatch: Any) -> None:
    def fails(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(subprocess, "Popen", fails)
    with pytest.raises(ConfigError, match="no process can be had that reads the rules"):
        Rules.of(Reading(files, tmp_path / "kept"))


def test_a_home_that_does_not_answer_keeps_nobody_waiting(rules: Rules, files: RuleFiles, monkeypatch: Any) -> None:
    """The administrator's rules are followed all the same."""
    gate, looked = threading.Event(), []

    def hangs(_files: RuleFiles) -> tuple[()]:
        looked.append(1)
        gate.wait(30)
        return ()

    monkeypatch.setattr(module, "look_into_homes", hangs)
    engine: Any = Engine()
    now_s = rules.looked_at_s + PEOPLE_EVERY_S
    for n in range(50):
        follow_files(engine, rules, now_s + n * PEOPLE_EVERY_S)
    assert len(looked) == 1
    (files.user / "a.yaml").write_text(rule("bar"))
    now_s += 51 * PEOPLE_EVERY_S
    follow_files(engine, rules, now_s)
    assert until(lambda: bool(follow_files(engine, rules, now_s)) or bool(engine.said))
    assert ids(rules) == ["bar"]
    gate.set()


def test_rules_that_are_read_again_keep_those_of_a_home_that_does_not_answer(
    rules: Rules, files: RuleFiles, tmp_path: Path, monkeypatch: Any
) -> None:
    """Silence is not "has none". What it answers later is followed."""
    monkeypatch.setattr(apart, "Child", Inside)
    own = tmp_path / "home/.config/smoothtask/rules.d/a.yaml"
    own.write_text(rule("mine"))
    rules.read_again(files, 0.0)
    assert (ids(rules), personal_ids(rules)) == (["foo"], ["mine"])
    gate, look = threading.Event(), module.look_into_homes

    def hangs(files: RuleFiles) -> Any:
        gate.wait(30)
        return look(files)

    monkeypatch.setattr(module, "look_into_homes", hangs)
    monkeypatch.setattr(module, "HOMES_WITHIN_S", 0.01)
    (files.user / "a.yaml").write_text(rule("bar"))
    rules.read_again(files, 0.0)
    assert (ids(rules), personal_ids(rules)) == (["bar"], ["mine"])
    own.write_text(rule("other"))
    gate.set()
    assert until(lambda: rules._people is None or rules._people.is_done)
    rules.beat(1.0)
    now_s = rules.looked_at_s + RULES_EVERY_S
    assert until(lambda: rules.beat(now_s))
    assert (ids(rules), personal_ids(rules)) == (["bar"], ["other"])


def test_rules_that_cannot_be_used_change_nothing_of_what_is_known(rules: Rules, files: RuleFiles) -> None:
    """Neither which files they are, nor how people's own looked."""
    before = rules.files, (("as they looked", ()),)
    rules._people_seen = before[1]  # type: ignore[assignment]
    (files.user / "a.yaml").write_text("applications: 5\n")
    with pytest.raises(ConfigError):
        rules.read_again(replace(files, homes=False), 0.0)
    assert (rules.files, rules._people_seen) == before
    assert ids(rules) == ["foo"]


def test_only_whom_the_loop_waits_for_is_hurried(rules: Rules, files: RuleFiles, monkeypatch: Any) -> None:
    """A machine that emulates another needs half a minute for it."""
    given: list[float] = []
    child = apart.Child

    def begun(module: str, pickled: bytes, *, within_s: float) -> Any:
        given.append(within_s)
        return child(module, pickled, within_s=within_s)

    monkeypatch.setattr(apart, "Child", begun)
    (files.user / "a.yaml").write_text(rule("bar"))
    rules.beat(rules.looked_at_s + RULES_EVERY_S)
    (files.user / "a.yaml").write_text(rule("other"))
    rules.read_again(files, 0.0)
    assert given == [60.0, 30.0]


def test_a_persons_files_are_followed_once_a_minute(rules: Rules, tmp_path: Path) -> None:
    """Whoever touches one all the time costs no more than that."""
    engine: Any = Engine()
    begun_s = rules._people_at_s
    own = tmp_path / "home/.config/smoothtask/rules.d/a.yaml"
    readings = 0
    for tick in range(150):
        own.write_text(rule("mine") + "#" * tick)
        now_s = begun_s + tick + 1
        follow_files(engine, rules, now_s)
        assert until(lambda: rules._people is None or rules._people.is_done)
        if rules.pids:
            readings += 1
            assert until(lambda: rules._reading is not None and rules._reading.is_ready)
    assert readings == 2


def test_only_homes_of_those_who_have_a_process_are_looked_into(files: RuleFiles, monkeypatch: Any) -> None:
    class Homes:
        """A home tells when somebody asks where it is."""

        def __init__(self, uid: int) -> None:
            self.pw_uid = uid

        @property
        def pw_dir(self) -> str:
            asked.append(self.pw_uid)
            return "/nonexistent"

    asked: list[int] = []
    monkeypatch.setattr(pwd, "getpwall", lambda: [Homes(os.getuid()), Homes(4_000_000_000)])
    assert see(files).personal == ()
    assert asked == [os.getuid()]


def test_the_child_is_one_of_ours(rules: Rules, files: RuleFiles) -> None:
    (files.user / "a.yaml").write_text(rule("bar"))
    rules.beat(rules.looked_at_s + RULES_EVERY_S)
    (pid,) = rules.pids
    assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1] == str(os.getpid())
    rules.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
