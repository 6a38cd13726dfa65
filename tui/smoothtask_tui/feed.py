"""The way of a frame from the engine's thread to the screen: the latest wins, older ones are dropped."""

import threading
from collections.abc import Callable

from smoothtask.model.frame import Frame


class Mailbox:
    """Room for one frame. *notify* is called (in the engine's thread) when a frame comes into an empty box."""

    def __init__(self, notify: Callable[[], object]) -> None:
        self._notify = notify
        self._lock = threading.Lock()
        self._frame: Frame | None = None

    def put(self, frame: Frame) -> None:
        """Leave *frame*, in place of one that nobody has taken yet."""
        with self._lock:
            was_empty, self._frame = self._frame is None, frame
        if was_empty:
            self._notify()

    def take(self) -> Frame | None:
        """The newest frame, once."""
        with self._lock:
            frame, self._frame = self._frame, None
        return frame
