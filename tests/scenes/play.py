"""A recorded scene, shown again: frames of a real engine, made by tools/scene.py.

What the recording lacks of an engine of today is given to it: the nice value that a class means now, and the event of
each change of class.
"""

import gzip
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

from smoothtask.control.protocol import decode_answer
from smoothtask.engine.frames import class_changes, class_events
from smoothtask.engine.naming import find_group
from smoothtask.model.classes import DEFAULT_EFFECTS, PriorityClass
from smoothtask.model.command import Command, Detail, Explain, ListRules, Reply
from smoothtask.model.frame import Frame, GroupFrame
from smoothtask_tui import demodetail

HERE = Path(__file__).parent


def frames(name: str = "build") -> list[Frame]:
    """Every frame of the scene, oldest first."""
    with gzip.open(HERE / f"{name}.jsonl.gz") as file:
        recorded = [frame for line in file if (frame := decode_answer(line.strip()).frame) is not None]
    return list(_of_today(recorded))


def _of_today(recorded: Iterable[Frame]) -> Iterator[Frame]:
    before: dict[str, PriorityClass] | None = None
    for frame in recorded:
        decisions = [g.decision for g in frame.groups]
        if before is None:  # what is older than the scene was decided before it
            before = {d.group: d.target for d in decisions}
        labels = {g.group.id: g.group.label for g in frame.groups}
        events = class_events(class_changes(decisions, before), labels, frame.time)
        before |= {d.group: d.target for d in decisions}
        kept = tuple(e for e in frame.events if e.kind != "class")
        yield replace(frame, groups=tuple(map(_effect_of_today, frame.groups)), events=(*kept, *events))


def _effect_of_today(g: GroupFrame) -> GroupFrame:
    nice = DEFAULT_EFFECTS[g.decision.target].nice
    if nice is None or not g.mechanism.startswith("would be nice"):
        return g
    return replace(g, mechanism=f"would be nice {nice:+d}")


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
