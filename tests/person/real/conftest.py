"""`make test-desktops`: the watchers beside the real KWin and GNOME Shell, and a PipeWire that breaks up.

Their packages are large, and sound that breaks up wants a machine of its own: elsewhere nothing here is collected.
"""

import os
from pathlib import Path


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Only where it was asked for."""
    return None if os.environ.get("SMOOTHTASK_DESKTOPS") else True
