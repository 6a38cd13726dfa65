"""What tests of real daemons share."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from daemon.places import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Folders and a registry of this test's own."""
    with ExitStack() as stack:
        yield Place(tmp_path, stack)
