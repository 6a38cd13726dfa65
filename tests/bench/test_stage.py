"""The stage's own end."""

import pytest

from smoothtask.bench import stage
from smoothtask.kernel.systemd import SYSTEM, ManagerError, NoSuchUnitError, SilentError


@pytest.mark.parametrize("error", [ManagerError, NoSuchUnitError, SilentError])
def test_a_manager_that_does_not_stop_the_slice_costs_no_measurement(tmp_path, monkeypatch, error):
    """All programs have ended by then."""
    asked = []

    class Managers:
        def stop(self, uid: int, unit: str) -> None:
            asked.append((uid, unit))
            raise error("no answer")

    monkeypatch.setattr(stage, "end_children", lambda: asked.append("ended"))  # pytest's own are none of its
    stage.Stage(tmp_path, None, Managers()).clear()
    assert asked == ["ended", (SYSTEM, stage.SLICE)]
