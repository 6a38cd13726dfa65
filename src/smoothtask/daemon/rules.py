"""The rules in force: read at the start, and again when their files change."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path

from smoothtask.classifier.apart import Reading, RulesUnreadable
from smoothtask.classifier.behaviour import BehaviourLimits
from smoothtask.classifier.layers import Loaded, RuleFiles, signature
from smoothtask.classifier.match import Ancestors
from smoothtask.config.located import ConfigError, Problem
from smoothtask.config.paths import Paths
from smoothtask.config.settings import Settings, load_settings
from smoothtask.engine.engine import Engine
from smoothtask.engine.parameters import parameters_of
from smoothtask.model.command import Reply
from smoothtask.model.group import Classification, ProcessType, RuleSource
from smoothtask.model.identity import Identity

RULES_EVERY_S = 10.0
"""How often the rule files are looked at for changes."""


@dataclass(slots=True)
class Rules:
    """The rules in force, read again when their files change."""

    files: RuleFiles
    kept: Path
    loaded: Loaded
    seen: Hashable
    looked_at_s: float = 0.0
    own_pids: Callable[[], frozenset[int]] = frozenset
    """Of this daemon and its children."""

    @classmethod
    def of(cls, reading: Reading) -> "Rules":
        """Once they are read. Raises ConfigError."""
        try:
            loaded = reading.result()
        except RulesUnreadable as error:
            raise ConfigError([Problem(str(reading.files.user), 1, "", str(error))]) from error
        return cls(reading.files, reading.kept, loaded, reading.seen, time.monotonic())

    def changed(self, now_s: float) -> bool:
        """Whether the files are not what was read; looked at every 10 s."""
        if now_s - self.looked_at_s < RULES_EVERY_S:
            return False
        self.looked_at_s = now_s
        return signature(self.files) != self.seen

    def read_again(self) -> None:
        """Raises ConfigError, and keeps the old rules then."""
        reading = Reading(self.files, self.kept)
        self.seen = reading.seen
        self.loaded = reading.result()

    def classify(self, identity: Identity, ancestors: Ancestors) -> Classification:
        """What *identity* is; we ourselves are never touched."""
        if identity.key.pid in self.own_pids():
            return _OURSELVES
        return self.loaded.rules.classify(identity, ancestors)


_OURSELVES = Classification(
    app="smoothtask",
    label="SmoothTask",
    type="monitor",
    tags=frozenset({"self"}),
    process_type=ProcessType.GUI,
    target=None,
    certain=False,
    protected=True,
    source=RuleSource("vendor", "built in", 1),
    evidence="it is SmoothTask itself",
)


def read_anew(engine: Engine, rules: Rules, paths: Paths, follow: Callable[[Settings], None]) -> Reply:
    """The configuration and all rules again, or nothing of them; *follow* is told of the settings."""
    try:
        settings = load_settings(paths.config_file, required=paths.config_required)
        rules.read_again()
    except RulesUnreadable as error:
        return Reply(False, f"nothing is changed: {error}")
    except ConfigError as error:
        for problem in error.problems[:10]:
            engine.say("error", str(problem))
        return Reply(False, f"nothing is changed: {len(error.problems)} problems, first: {error.problems[0]}")
    engine.parameters = parameters_of(settings)
    engine.people.limits = engine.parameters.person
    follow(settings)
    engine.behaviour_limits = BehaviourLimits(**settings.behaviour.model_dump())
    engine.world.reclassify()
    return Reply(True, f"configuration and {len(rules.loaded.rules.rules)} rules are read again")


def follow_files(engine: Engine, rules: Rules, now_s: float) -> None:
    """Read the rules again if their files have changed."""
    if not rules.changed(now_s):
        return
    try:
        rules.read_again()
    except ConfigError as error:
        engine.say("error", f"the old rules stay: {error.problems[0]} ({len(error.problems)} problems)")
    except RulesUnreadable as error:
        engine.say("error", f"the old rules stay: {error}")
    else:
        engine.world.reclassify()
        engine.say("system", f"rules read again: {len(rules.loaded.rules.rules)} applications")
