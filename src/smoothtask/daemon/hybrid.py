"""Hybrid mode as the settings want it: begun, followed from tick to tick, ended."""

from dataclasses import dataclass
from pathlib import Path

from smoothtask.config.settings import Settings
from smoothtask.daemon.process import tidy_memory
from smoothtask.engine import hybrid
from smoothtask.engine.engine import Engine


@dataclass(slots=True)
class HybridMode:
    """Whatever model is in use in *engine*."""

    engine: Engine
    models: Path
    _asked: object = None
    """What the settings said of it."""

    @property
    def pids(self) -> frozenset[int]:
        """Of the process in which a model is tried out."""
        found = self.engine.hybrid
        return frozenset() if found is None or found.ranker.child is None else frozenset({found.ranker.child})

    def follow(self, settings: Settings) -> None:
        """Begin, or begin again, where *settings* say something new."""
        asked = (settings.mode, settings.ranker)
        if asked == self._asked:
            return
        self.close()
        self._asked = asked
        found = self.engine.hybrid = hybrid.start(settings, self.models, self.engine.say, tidy_memory)
        self.engine.sources["model"] = "off (as configured)" if found is None else found.ranker.status

    def beat(self) -> None:
        """Between two ticks."""
        if self.engine.hybrid is not None:
            self.engine.hybrid.ranker.beat()
            self.engine.sources["model"] = self.engine.hybrid.ranker.status

    def close(self) -> None:
        """Rules decide alone from now on."""
        if self.engine.hybrid is not None:
            self.engine.hybrid.ranker.close()
            self.engine.hybrid = None
