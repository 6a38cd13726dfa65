"""How the parts are put together, and taken apart."""

import gc
import os
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from smoothtask.cli import main
from smoothtask.config.held import holders
from smoothtask.daemon.build import _beat
from smoothtask.daemon.opening import Opened
from smoothtask.daemon.process import HighWater


def test_one_that_cannot_be_closed_keeps_none_from_it() -> None:
    closed: list[str] = []

    def fails(name: str) -> None:
        closed.append(name)
        raise OSError(f"{name} is stuck")

    opened = Opened([lambda: closed.append("first"), lambda: fails("second"), lambda: fails("third")])
    with pytest.raises(OSError, match="third is stuck"):
        opened.close()
    assert closed == ["third", "second", "first"]
    opened.close()


def test_without_a_socket_nothing_is_held_and_nothing_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The doctor would take what is left for that of a daemon that died."""
    monkeypatch.setenv("SMOOTHTASK_HELD_DIR", str(tmp_path / "held"))
    config = (
        "control: {group: no-such-group}\nrules: {personal: false}\nstore: {record: false}\nprobe: {enabled: false}\n"
    )
    (tmp_path / "c.yaml").write_text(config)
    options = ["--runtime-dir", str(tmp_path / "run"), "--state-dir", str(tmp_path / "state"), "--scope", "12345"]
    assert main([*options, "--config", str(tmp_path / "c.yaml"), "--daemon"]) == 1
    assert capsys.readouterr().err == "smoothtask: control.group: there is no group no-such-group\n"
    gc.enable()  # a start that came further would have done so
    assert holders(tmp_path / "held") == []
    assert set(os.listdir(tmp_path / "run")) <= {"lock"}


def test_what_is_done_later_is_done_again_when_it_failed() -> None:
    """A piece at a time, none of them lost."""
    failures, done = [OSError("no descriptor")], []

    def start() -> None:
        if failures:
            raise failures.pop()
        done.append("start")

    quiet: Any = SimpleNamespace(beat=lambda *_: False)
    loop: Any = SimpleNamespace(engine=SimpleNamespace(hands=None, frame=None))
    later = deque([start, lambda: done.append("next")])

    def beat() -> None:
        _beat(loop, quiet, quiet, None, [], later, HighWater())

    with pytest.raises(OSError, match="no descriptor"):
        beat()
    for _ in range(3):
        beat()
    assert done == ["start", "next"]
