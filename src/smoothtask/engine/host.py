"""What the control socket and a local client need of a running engine."""

import select
from collections.abc import Callable
from typing import Protocol

from smoothtask.model.command import Caller, Command, Reply
from smoothtask.model.frame import Frame


class EngineHost(Protocol):
    """One thread, one epoll loop. Only `call_soon` and `stop` may be called from other threads."""

    def add_reader(self, fd: int, callback: Callable[[], None], events: int = select.EPOLLIN) -> None:
        """Call *callback* in the loop whenever *fd* has *events*."""
        ...

    def modify_reader(self, fd: int, events: int) -> None:
        """Wait for other *events* on *fd*."""
        ...

    def remove_reader(self, fd: int) -> None:
        """Forget *fd*; one that is unknown is ignored."""
        ...

    def handle(self, command: Command, caller: Caller) -> Reply:
        """Carry out *command* if *caller* may; says so if not."""
        ...

    def latest(self) -> Frame | None:
        """The newest frame; `None` before the first tick."""
        ...

    def on_frame(self, callback: Callable[[Frame], None]) -> None:
        """Call *callback* with every frame, in the loop's thread."""
        ...

    def watch(self, delta: int) -> None:
        """A watcher came (+1) or left (−1): the engine ticks faster while somebody looks."""
        ...

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Run *callback* in the loop's thread, soon."""
        ...

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        """Run *callback* once in the loop's thread, *delay_s* from now. From the loop's own thread."""
        ...

    def run(self) -> None:
        """Turn the loop until `stop`; then undo every change."""
        ...

    def stop(self) -> None:
        """Make `run` return."""
        ...
