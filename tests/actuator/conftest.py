"""Ledgers that tests open are closed again: some open hundreds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from smoothtask.actuator import restore as restoring
from smoothtask.actuator.ledger import Ledger


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Doubles do not fork meanwhile."""
    monkeypatch.setattr(restoring, "FORK_S", 0.0)


@pytest.fixture(autouse=True)
def closed_ledgers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close every ledger at the end of the test that opened it."""
    opened: list[Ledger] = []
    really_open = Ledger.open

    def open_and_remember(path: Path, boot_id: str) -> Ledger:
        ledger = really_open(path, boot_id)
        opened.append(ledger)
        return ledger

    monkeypatch.setattr(Ledger, "open", open_and_remember)
    yield
    for ledger in opened:
        ledger.close()
