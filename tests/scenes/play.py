"""A recorded scene, shown again: frames of a real engine, made by tools/scene.py."""

import gzip
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from smoothtask.control.protocol import decode_answer
from smoothtask.engine.naming import find_group
from smoothtask.model.command import Command, Detail, Explain, ListRules, Reply
from smoothtask.model.frame import Frame
from smoothtask_tui import demodetail

HERE = Path(__file__).parent


def frames(name: str = "build") -> list[Frame]:
    """Every frame of the scene, oldest first."""
    with gzip.open(HERE / f"{name}.jsonl.gz") as file:
        return [frame for line in file if (frame := decode_answer(line.strip()).frame) is not None]


class Played:
    """An `EngineClient` that shows one frame and stands still; whatever it is asked, it looks up there."""

    description = "a recorded scene"
    ends_with_us = False

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self._closed = threading.Event()

    def run(self, on_frame: Callable[[Frame], None], on_state: Callable[[str], None]) -> None:
        """The frame, once."""
        on_state("")
        on_frame(self.frame)
        self._closed.wait()

    def ask(self, command: Command) -> Reply:
        """What the frame tells; orders are refused."""
        if isinstance(command, ListRules):
            return Reply(True, "", asdict(demodetail.rules(self.frame)))
        if not isinstance(command, Explain | Detail):
            return Reply(False, "this is a recording: nothing can be ordered")
        found = find_group(self.frame.groups, command.target)
        if isinstance(found, str):
            return Reply(False, found)
        if isinstance(command, Detail):
            return Reply(True, "", asdict(demodetail.detail(self.frame, found, threads=command.threads)))
        processes = [asdict(p) for p in self.frame.processes if p.group == found.group.id]
        return Reply(True, "", {"processes": processes})

    def close(self) -> None:
        """Make `run` return."""
        self._closed.set()
