"""The configuration and the rules again, while everything runs: what is followed at once, what waits for a restart."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smoothtask.classifier.apart import RulesUnreadable
from smoothtask.classifier.behaviour import BehaviourLimits
from smoothtask.classifier.layers import rule_files
from smoothtask.config.located import ConfigError
from smoothtask.config.paths import Paths
from smoothtask.config.settings import Settings, load_settings
from smoothtask.daemon.rules import Rules
from smoothtask.engine.loop import Loop
from smoothtask.engine.parameters import parameters_of
from smoothtask.engine.ticker import TickSettings
from smoothtask.model.command import Reply

AT_START = frozenset(
    {"classes", "store", "events", "probe", "tasks", "meters"}
    | {"person.input", "person.windows", "person.sound", "control.group"}
)
"""Sections and settings that are looked at when a daemon starts, and not again."""
NAMED = 10


@dataclass(slots=True)
class Configuration:
    """What a running daemon makes of its configuration."""

    loop: Loop
    rules: Rules
    paths: Paths
    started: Settings
    """What the daemon started with."""
    followers: tuple[Callable[[Settings], None], ...] = ()
    """Told of all settings."""
    can_act: bool = True
    """Whether it has what it takes to apply decisions: one that was started to observe has not."""
    _in_force: Settings | None = None

    def read_anew(self) -> Reply:
        """The configuration and all rules again, or nothing of them."""
        engine = self.loop.engine
        try:
            settings = load_settings(self.paths.config_file, required=self.paths.config_required)
            self.rules.read_again(rule_files(settings, self.paths), time.monotonic())
        except RulesUnreadable as error:
            return Reply(False, f"nothing is changed: {error}")
        except ConfigError as error:
            for problem in error.problems[:NAMED]:
                engine.say("error", str(problem))
            return Reply(False, f"nothing is changed: {len(error.problems)} problems, first: {error.problems[0]}")
        self._follow(settings)
        engine.world.reclassify()
        done = f"configuration and {len(self.rules.loaded.rules.rules)} rules are read again"
        late = self._waiting(settings)
        if not late:
            return Reply(True, done)
        more = f" and {len(late) - NAMED} more" if len(late) > NAMED else ""
        return Reply(True, f"{done}; these wait for a restart: {', '.join(late[:NAMED])}{more}")

    def _follow(self, settings: Settings) -> None:
        engine, before = self.loop.engine, self._in_force or self.started
        self._in_force = settings
        engine.parameters = parameters_of(settings)
        engine.behaviour_limits = BehaviourLimits(**settings.behaviour.model_dump())
        engine.people.limits = engine.parameters.person
        engine.people.let_raise(settings.control.allow_users_above_normal)
        self.loop.settings = TickSettings(**settings.tick.model_dump())
        rehearses = settings.mode == "dry-run"
        if self.can_act and rehearses != (before.mode == "dry-run"):
            for unsaid in engine.rehearse(rehearses):
                engine.say("error", unsaid)
        for follow in self.followers:
            follow(settings)

    def _waiting(self, settings: Settings) -> list[str]:
        """Settings that are not what the daemon started with, and that it will not look at again."""
        changed = list(differences(self.started.model_dump(), settings.model_dump()))
        late = [name for name in changed if AT_START & {name, name.partition(".")[0]}]
        starts_to_act = not self.can_act and self.started.mode == "dry-run" != settings.mode
        return ["mode", *late] if starts_to_act else late


def differences(one: Mapping[str, Any], other: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """The dotted names of what differs."""
    for key, value in one.items():
        if isinstance(value, Mapping):
            yield from differences(value, other[key], f"{within}{key}.")
        elif value != other[key]:
            yield within + key
