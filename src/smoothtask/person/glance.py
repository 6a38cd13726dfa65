"""One short look at everything that tells of the person, for `smoothtask doctor`."""

import select
import time
from collections.abc import Callable
from typing import Final

from smoothtask.model.person import Source
from smoothtask.person.watch import PersonWatch

LOOK_S: Final = 2.0
"""A session's child needs half a second to start."""


class Poll:
    """A loop by itself; see `children.Readers`."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._callbacks: dict[int, Callable[[], None]] = {}

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        """Call *callback* whenever *fd* can be read."""
        self._poll.register(fd, select.POLLIN)
        self._callbacks[fd] = callback

    def remove_reader(self, fd: int) -> None:
        """No longer."""
        if self._callbacks.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def turn(self, seconds: float) -> None:
        """Wait for something, or for *seconds*."""
        for fd, _ in self._poll.poll(seconds * 1000):
            if fd in self._callbacks:
                self._callbacks[fd]()


def glance(only_uid: int | None, seconds: float = LOOK_S) -> tuple[Source, ...]:
    """Every source that was heard of within *seconds*, sorted by name."""
    poll = Poll()
    watch = PersonWatch.start(poll, lambda: None, windows=True, sound=True, inputs=True, only_uid=only_uid)
    end_s = time.monotonic() + seconds
    try:
        while (now_s := time.monotonic()) < end_s:
            view = watch.look(now_s)
            poll.turn(min(0.1, end_s - now_s))
        view = watch.look(end_s)
    finally:
        watch.close()
    sources = (*view.sources, *(source for session in view.sessions for source in session.sources))
    return tuple(sorted(dict.fromkeys(sources), key=lambda source: source.name))
