"""The one interface that the dashboard, the command line and the socket have to an engine."""

from collections.abc import Callable
from typing import Protocol

from smoothtask.model.command import Command, Reply
from smoothtask.model.frame import Frame


class EngineClient(Protocol):
    """One engine: in this process (`LocalEngine`) or behind the socket (`RemoteEngine`)."""

    @property
    def description(self) -> str:
        """Where the engine is: `this process` or `daemon, pid 812`."""
        ...

    @property
    def ends_with_us(self) -> bool:
        """Whether the engine stands still and ends with this process."""
        ...

    def run(self, on_frame: Callable[[Frame], None], on_state: Callable[[str], None]) -> None:
        """Block in a worker thread until `close`: turn the local loop, or follow the socket.

        *on_frame* gets every frame; *on_state* gets a sentence when the connection is lost and an empty
        string when it is back. Both are called in this thread.
        """
        ...

    def ask(self, command: Command) -> Reply:
        """Send one command and wait for its answer, 5 s at most. From any thread."""
        ...

    def close(self) -> None:
        """Make `run` return; idempotent. A local engine restores what it changed before `run` returns."""
        ...
