"""An engine host without an engine: a real epoll loop that answers and publishes what a test tells it."""

import os
import select
import weakref
from collections import deque
from collections.abc import Callable

from scenery import QUIET, group, system
from smoothtask.model.classes import PriorityClass
from smoothtask.model.command import Caller, Command, Reply
from smoothtask.model.decision import Decision, Reason, Stage
from smoothtask.model.frame import Event, Frame, GroupFrame, Mark, Mode, ProcessFrame, SelfCost


def group_frame(number: int = 1) -> GroupFrame:
    reason = Reason(Stage.BEHAVIOUR, "hog", "it hogs", "apps.yaml:3")
    group_id = f"proc:{number}-1000"
    decision = Decision(group_id, PriorityClass.IDLE, PriorityClass.IDLE, Stage.BEHAVIOUR, (reason,), since_s=2.5)
    return GroupFrame(group(group_id), decision, "nice +19 on 1 thread", frozenset({Mark.PINNED, Mark.LABELLED}))


def frame(seq: int = 1, groups: int = 1, processes: int = 1) -> Frame:
    process = ProcessFrame(10, 1000, 1, 1000, "proc:1-1000", "prog", "prog --fast", 2, 0, 0.9, 0.1, 0, 0, 1 << 20)
    return Frame(
        seq=seq,
        time=1.7e9 + 0.125,
        mono_s=12.5,
        mode=Mode.RULES_ONLY,
        mode_reason="",
        system=system(12.0, 3.25),
        contention=QUIET,
        groups=tuple(group_frame(i) for i in range(groups)),
        processes=(process,) * processes,
        events=(Event(1.7e9, "class", "prog: NORMAL → IDLE", "proc:0-1000"),),
        cost=SelfCost(0.4, 3.0, 50 << 20, 1.0),
        sources={"tasks": "bpf"},
    )


class FakeHost:
    """Implements `EngineHost`."""

    def __init__(self) -> None:
        self.asked: list[tuple[Command, Caller]] = []
        self.answer: Callable[[Command, Caller], Reply] = lambda command, _caller: Reply(True, f"did {command.op}")
        self.frame: Frame | None = None
        self.watchers = 0
        self.turns = 0
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._listeners: list[Callable[[Frame], None]] = []
        self.later: list[tuple[float, Callable[[], None]]] = []
        """(delay in seconds, callback): the test says when."""
        self._soon: deque[Callable[[], None]] = deque()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK)
        # Not with the loop: whoever stops it may still be about to write.
        weakref.finalize(self, os.close, self._wake_fd)
        self._stopping = False

    def add_reader(self, fd: int, callback: Callable[[], None], events: int = select.EPOLLIN) -> None:
        self._epoll.register(fd, events)
        self._readers[fd] = callback

    def modify_reader(self, fd: int, events: int) -> None:
        self._epoll.modify(fd, events)

    def remove_reader(self, fd: int) -> None:
        if self._readers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def handle(self, command: Command, caller: Caller) -> Reply:
        self.asked.append((command, caller))
        return self.answer(command, caller)

    def latest(self) -> Frame | None:
        return self.frame

    def on_frame(self, callback: Callable[[Frame], None]) -> None:
        self._listeners.append(callback)

    def watch(self, delta: int) -> None:
        self.watchers += delta

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._soon.append(callback)
        os.eventfd_write(self._wake_fd, 1)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        self.later.append((delay_s, callback))

    def stop(self) -> None:
        self._stopping = True
        os.eventfd_write(self._wake_fd, 1)

    def publish(self, new: Frame) -> None:
        self.frame = new
        for listener in self._listeners:
            listener(new)

    def turn(self, timeout_s: float = 0.0) -> bool:
        """One turn of the loop; whether anything happened."""
        self.turns += 1
        ready = self._epoll.poll(timeout_s)
        for fd, _events in ready:
            callback = self._readers.get(fd)
            if callback is not None:
                callback()
        while self._soon:
            self._soon.popleft()()
        return bool(ready)

    def settle(self) -> None:
        """Turn until nothing happens for a moment."""
        while self.turn(0.003):
            pass

    def run(self) -> None:
        self.add_reader(self._wake_fd, lambda: os.eventfd_read(self._wake_fd) and None)
        try:
            while not self._stopping:
                self.turn(1.0)
        finally:
            self.close()

    def close(self) -> None:
        """Idempotent."""
        self._epoll.close()
