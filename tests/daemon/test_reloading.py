"""A reload follows each setting of the configuration at once, or names it as one that waits for a restart."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from smoothtask.config.paths import find_paths
from smoothtask.config.settings import Settings, load_settings
from smoothtask.daemon.reloading import Configuration, differences
from smoothtask.engine.lessons import Labels
from smoothtask.engine.people import People

CHANGES: dict[str, dict[str, object]] = {
    "mode": {"mode": "rules-only"},
    "tick": {"tick": {"interval_s": 2.0}},
    "contention": {"contention": {"cpu_some_pct": 33.0}},
    "hysteresis": {"hysteresis": {"snapshots": 7}},
    "behaviour": {"behaviour": {"hog_demand": 0.7}},
    "person": {"person": {"active_s": 77.0, "input": False, "windows": False, "sound": False}},
    "bad": {"bad": {"score": 0.25}},
    "classes": {"classes": {"IDLE": {"slice_ms": 50.0}}},
    "store": {"store": {"keep_days": 3.0}},
    "rules": {"rules": {"ananicy": "/nowhere", "personal": False}},
    "events": {"events": {"enabled": False}},
    "probe": {"probe": {"enabled": False}},
    "tasks": {"tasks": {"source": "procfs"}},
    "ranker": {"ranker": {"evaluator": "off"}},
    "meters": {"meters": {"energy": False}},
    "control": {"control": {"allow_users_above_normal": True, "group": "wheel"}},
    "protected_apps": {"protected_apps": ["firefox"]},
}
WAIT = {
    "classes.IDLE.slice_ms", "store.keep_days", "events.enabled", "probe.enabled", "tasks.source", "meters.energy",
    "person.input", "person.windows", "person.sound", "control.group",
}  # fmt: skip


class Daemon:
    """As much of one as a reload touches."""

    def __init__(self, root: Path, started: Settings, *, can_act: bool = True) -> None:
        nobody = Labels(lambda *_: None, lambda *_: None, lambda _: None, lambda _: False)
        self.rehearsals: list[bool] = []
        self.followed: list[Settings] = []
        self.files: Any = None
        people = People((), lambda _: None, nobody, owner_uid=7)
        people.let_raise(started.control.allow_users_above_normal)
        engine: Any = SimpleNamespace(
            people=people, rehearse=self._rehearse, world=SimpleNamespace(reclassify=lambda: None), say=self._say
        )
        self.said: list[str] = []
        self.loop: Any = SimpleNamespace(engine=engine, settings=None)
        loaded = SimpleNamespace(rules=SimpleNamespace(rules=(1, 2)))
        rules: Any = SimpleNamespace(read_again=self._read_again, loaded=loaded)
        paths = find_paths(str(root / "c.yaml"), str(root / "run"), str(root / "state"))
        self.configuration = Configuration(self.loop, rules, paths, started, (self.followed.append,), can_act=can_act)

    def _rehearse(self, on: bool) -> tuple[str, ...]:
        self.rehearsals.append(on)
        return ()

    def _read_again(self, files: Any, _now_s: float) -> None:
        self.files = files

    def _say(self, _kind: str, text: str) -> None:
        self.said.append(text)

    @property
    def shows(self) -> str:
        """All that a reload can change."""
        engine = self.loop.engine
        return repr(
            (
                getattr(engine, "parameters", None),
                getattr(engine, "behaviour_limits", None),
                self.loop.settings,
                engine.people.may_raise,
                engine.people.lessons.lifted,
                self.files,
                self.rehearsals,
                [(s.ranker, s.mode) for s in self.followed[-1:]],
            )
        )


def reload(root: Path, daemon: Daemon, **settings: object) -> str:
    (root / "c.yaml").write_text(json.dumps(settings))
    reply = daemon.configuration.read_anew()
    assert reply.ok, reply
    return reply.message


def test_every_section_is_tried_here() -> None:
    assert set(CHANGES) == set(Settings.model_fields)


@pytest.mark.parametrize("section", CHANGES)
def test_a_setting_is_followed_or_named(tmp_path: Path, section: str) -> None:
    """Each on its own, so that no other's effect is taken for it."""
    changed = CHANGES[section]
    for name in differences(Settings().model_dump(), Settings.model_validate(changed).model_dump()):
        at, _, leaf = name.partition(".")
        value: Any = changed[at]
        one: dict[str, object] = {at: {leaf: value[leaf]} if leaf and leaf in value else value}
        daemon = Daemon(tmp_path, Settings())
        assert reload(tmp_path, daemon) == "configuration and 2 rules are read again"
        before = daemon.shows
        said = reload(tmp_path, daemon, **one)
        if name in WAIT:
            assert said == f"configuration and 2 rules are read again; these wait for a restart: {name}"
        else:
            assert "restart" not in said
            assert daemon.shows != before, name


def test_dry_run_comes_and_goes_with_the_file(tmp_path: Path) -> None:
    """And what a person switched stays where the file says nothing new."""
    daemon = Daemon(tmp_path, Settings())
    reload(tmp_path, daemon)
    reload(tmp_path, daemon, mode="dry-run")
    reload(tmp_path, daemon, mode="dry-run", tick={"interval_s": 2.0})
    reload(tmp_path, daemon, mode="hybrid")
    assert daemon.rehearsals == [True, False]


def test_who_was_started_without_acting_acts_after_a_restart(tmp_path: Path) -> None:
    """There is no ledger, and nobody holds the scope."""
    daemon = Daemon(tmp_path, Settings(mode="dry-run"), can_act=False)
    assert reload(tmp_path, daemon, mode="rules-only").endswith("these wait for a restart: mode")
    assert daemon.rehearsals == []
    observer = Daemon(tmp_path, Settings(), can_act=False)
    assert "restart" not in reload(tmp_path, observer, mode="dry-run")


def test_users_who_may_no_longer_raise_do_not_by_what_they_taught(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, Settings())
    reload(tmp_path, daemon, control={"allow_users_above_normal": True})
    people = daemon.loop.engine.people
    assert (people.rights.may_raise, people.lessons.lifted, people.lessons.learnt.lifted) == (True, None, None)
    reload(tmp_path, daemon)
    assert (people.rights.may_raise, people.lessons.learnt.lifted) == (False, frozenset({0, 7}))


def test_what_waits_is_named_again_until_it_is_put_back(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, Settings())
    for _ in range(2):
        assert reload(tmp_path, daemon, store={"keep_days": 3.0}).endswith("restart: store.keep_days")
    assert "restart" not in reload(tmp_path, daemon)


def test_a_long_list_is_cut(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, Settings())
    both: dict[str, object] = {"nice": 3, "io_level": 1, "slice_ms": 9.0, "cpu_weight": 7, "io_weight": 7}
    classes = {"BACKGROUND": both, "IDLE": both, "INTERACTIVE": {"io_level": 1}}
    said = reload(tmp_path, daemon, classes=classes)
    total = len(list(differences(Settings().model_dump(), load_settings(tmp_path / "c.yaml").model_dump())))
    assert said.endswith(f" and {total - 10} more")


def test_nothing_of_a_wrong_file_is_followed(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, Settings())
    before = daemon.shows
    (tmp_path / "c.yaml").write_text("tick: {interval_s: 0}\nmode: dry-run\n")
    assert not daemon.configuration.read_anew().ok
    assert daemon.shows == before
    assert "tick.interval_s" in daemon.said[0]
