"""The rules in force: read at the start, and again when their files change."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from smoothtask.classifier.apart import (
    HOMES_WITHIN_S,
    WAITED_FOR_S,
    WITHIN_S,
    Reading,
    RulesUnreadable,
    look_into_homes,
)
from smoothtask.classifier.layers import Loaded, Personal, RuleFiles, Seen, see_system
from smoothtask.classifier.match import Ancestors
from smoothtask.config.located import ConfigError, Problem
from smoothtask.engine.engine import Engine
from smoothtask.kernel.apart import Beside
from smoothtask.model.group import Classification, ProcessType, RuleSource
from smoothtask.model.identity import Identity

RULES_EVERY_S = 10.0
"""How often the rule files are looked at for changes."""
PEOPLE_EVERY_S = 60.0
"""The same of people's own, whose changes anybody can make; and after a failure that may pass."""


@dataclass(slots=True)
class Rules:
    """The rules in force, read again when their files change. The loop never waits for that, nor for anybody's home."""

    files: RuleFiles
    kept: Path
    loaded: Loaded
    seen: Seen
    """How the files looked when they were read last, or their reading began."""
    looked_at_s: float = 0.0
    own_pids: Callable[[], frozenset[int]] = frozenset
    """Of this daemon and its children."""
    _people: Beside[Personal] | None = None
    """A look into people's homes."""
    _people_seen: Personal = ()
    _people_at_s: float = 0.0
    _reading: Reading | None = None

    @classmethod
    def of(cls, reading: Reading) -> "Rules":
        """Once they are read. Raises ConfigError."""
        try:
            loaded = reading.result()
        except RulesUnreadable as error:
            raise ConfigError([Problem(str(reading.files.user), 1, "", str(error))]) from error
        now_s, seen = time.monotonic(), reading.seen
        return cls(reading.files, reading.kept, loaded, seen, now_s, _people_seen=seen.personal, _people_at_s=now_s)

    @property
    def pids(self) -> frozenset[int]:
        """Of the child that reads them."""
        pid = None if self._reading is None else self._reading.pid
        return frozenset() if pid is None else frozenset({pid})

    def beat(self, now_s: float) -> bool:
        """Between two ticks: look for changes, and take what was read; whether there are other rules now.

        Raises ConfigError, RulesUnreadable, and keeps the old rules then; the latter is tried again.
        """
        if self._reading is not None:
            return self._reading.is_ready and self._take(now_s)
        self._look_at_people(now_s)
        if now_s - self.looked_at_s >= RULES_EVERY_S:
            self.looked_at_s = now_s
            seen = Seen(see_system(self.files), self._people_seen)
            if seen != self.seen:
                self._begin(seen)
        return False

    def read_again(self, files: RuleFiles, now_s: float) -> None:
        """Read *files* now. Raises ConfigError, RulesUnreadable, and keeps the old rules then.

        Where homes do not answer, people's own stay as they were seen last, and what they answer later is followed.
        """
        self.close()
        before, self.files = (self.files, self._people_seen), files
        self._people, self._people_at_s = Beside(partial(look_into_homes, files)), now_s
        with suppress(OSError, RuntimeError):
            self._people_seen = self._people.result(HOMES_WITHIN_S)
        self._begin(Seen(see_system(files), self._people_seen), WAITED_FOR_S)
        try:
            self._take(now_s)
        except (ConfigError, RulesUnreadable):
            self.files, self._people_seen = before
            self._people = None
            raise

    def close(self) -> None:
        """End what reads them; idempotent."""
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    def _begin(self, seen: Seen, within_s: float = WITHIN_S) -> None:
        self.seen = seen
        self._reading = Reading(self.files, self.kept, seen, within_s)

    def _take(self, now_s: float) -> bool:
        reading, self._reading = self._reading, None
        assert reading is not None  # noqa: S101 (whoever calls has begun one)
        try:
            self.loaded = reading.result()
        except RulesUnreadable:
            self.seen = Seen((), ())
            self.looked_at_s = now_s + PEOPLE_EVERY_S - RULES_EVERY_S
            raise
        return True

    def _look_at_people(self, now_s: float) -> None:
        """A home that does not answer keeps a thread waiting, and us from looking again; nothing else."""
        if self._people is None:
            if self.files.homes and now_s - self._people_at_s >= PEOPLE_EVERY_S:
                self._people_at_s = now_s
                self._people = Beside(partial(look_into_homes, self.files))
        elif self._people.is_done:
            with suppress(OSError, RuntimeError):  # looked at again in a minute
                self._people_seen = self._people.result()
            self._people = None

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


def follow_files(engine: Engine, rules: Rules, now_s: float) -> None:
    """Read the rules again if their files have changed, and say so."""
    try:
        anew = rules.beat(now_s)
    except ConfigError as error:
        engine.say("error", f"the old rules stay: {error.problems[0]} ({len(error.problems)} problems)")
    except RulesUnreadable as error:
        engine.say("error", f"the old rules stay: {error}; tried again in a minute")
    else:
        if anew:
            engine.world.reclassify()
            engine.say("system", f"rules read again: {len(rules.loaded.rules.rules)} applications")
