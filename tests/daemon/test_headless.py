"""A daemon that goes on after a look that failed, but not for ever."""

import pytest

from smoothtask.daemon import headless
from smoothtask.daemon.headless import FORGIVEN, FORGIVEN_S, Forgiveness


def test_forgiveness_ends(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """And comes back with time; the journal hears where it failed, without a control character."""
    now_s = [0.0]
    monkeypatch.setattr(headless.time, "monotonic", lambda: now_s[0])
    forgives = Forgiveness()
    error = ValueError("a\x1b[2Jb")
    assert [forgives(error) for _ in range(FORGIVEN + 1)] == [True] * FORGIVEN + [False]
    said = capsys.readouterr().err
    assert said.count("ValueError") == FORGIVEN
    assert "\x1b" not in said
    now_s[0] = FORGIVEN_S + 1
    assert forgives(error)
