"""Hybrid mode as the settings want it: begun when there is a model, followed from tick to tick, ended."""

import os
from dataclasses import dataclass

from smoothtask.config.paths import Paths
from smoothtask.config.settings import Settings
from smoothtask.daemon.process import tidy_memory
from smoothtask.engine.engine import Engine
from smoothtask.kernel import sched

SOURCE = "model"


@dataclass(slots=True)
class HybridMode:
    """Whatever model is in use in *engine*. Where none is installed, nothing that models need is loaded."""

    engine: Engine
    paths: Paths
    _settings: Settings | None = None
    """As followed last."""

    @property
    def pids(self) -> frozenset[int]:
        """Of the process in which a model is tried out."""
        found = self.engine.hybrid
        return frozenset() if found is None or found.ranker.child is None else frozenset({found.ranker.child})

    def follow(self, settings: Settings) -> None:
        """Begin, or begin again, where *settings* say something new."""
        before, self._settings = self._settings, settings
        if before is None or (before.mode, before.ranker) != (settings.mode, settings.ranker):
            self.close()
            self.beat()

    def beat(self) -> None:
        """Between two ticks."""
        if self.engine.hybrid is None:
            self._begin()
        if self.engine.hybrid is not None:
            self.engine.hybrid.ranker.beat()
            self.engine.sources[SOURCE] = self.engine.hybrid.ranker.status

    def _begin(self) -> None:
        settings = self._settings
        if settings is None or settings.mode == "rules-only" or settings.ranker.evaluator == "off":
            self.engine.sources[SOURCE] = "off (as configured)"
        elif not os.path.lexists(self.paths.model_in_use):
            self.engine.sources[SOURCE] = "off: no model is installed"
        else:
            from smoothtask.engine.hybrid import start  # noqa: PLC0415 - 1.5 MiB

            self.engine.hybrid = start(settings, self.paths.models, sched.boot_id(), self.engine.say, tidy_memory)

    def close(self) -> None:
        """Rules decide alone from now on."""
        if self.engine.hybrid is not None:
            self.engine.hybrid.ranker.close()
            self.engine.hybrid = None
