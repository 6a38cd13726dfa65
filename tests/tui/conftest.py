"""The terminal that every test of the dashboard sees, wherever it runs."""

import pytest


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    """256 colours."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("COLORTERM", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("SUDO_UID", raising=False)
