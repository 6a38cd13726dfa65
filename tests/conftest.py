"""For every test: daemons that tests start are not met by others of this machine, meet none, and time is no matter."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# A machine that is busy makes no test fail: how long an example takes says nothing of what is tested.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(scope="session", autouse=True)
def own_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A registry of held scopes of this run's own, for the processes that tests start as well."""
    before = os.environ.get("SMOOTHTASK_HELD_DIR")
    os.environ["SMOOTHTASK_HELD_DIR"] = str(tmp_path_factory.mktemp("held") / "held")
    yield
    if before is None:
        del os.environ["SMOOTHTASK_HELD_DIR"]
    else:
        os.environ["SMOOTHTASK_HELD_DIR"] = before
