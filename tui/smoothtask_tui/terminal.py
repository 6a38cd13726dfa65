"""A terminal that may vanish (a closed window, a lost ssh connection) without freezing the dashboard.

Textual writes from a thread of its own, through a queue of bounded length. When a write fails with EIO that
thread ends, the queue fills up, and the application blocks for ever: with every priority as it was changed.
Here a failed write is dropped, and the application is told to end.
"""

from collections.abc import Callable
from typing import IO, Any

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver


class TerminalFile:
    """The terminal as the driver writes to it. *on_gone* is called once, in the writing thread."""

    def __init__(self, file: IO[str], on_gone: Callable[[], object]) -> None:
        self._file = file
        self._on_gone = on_gone
        self.gone = False

    def write(self, text: str) -> None:
        """Write, or drop what nobody will see."""
        self._try(lambda: self._file.write(text))

    def flush(self) -> None:
        """Flush, while there is a terminal."""
        self._try(self._file.flush)

    def fileno(self) -> int:
        """The descriptor, for sizes and modes."""
        return self._file.fileno()

    def isatty(self) -> bool:
        """As the file says."""
        return self._file.isatty()

    def _try(self, act: Callable[[], object]) -> None:
        if self.gone:
            return
        try:
            act()
        except OSError:  # EIO after a hangup (termios(3)), EPIPE
            self.gone = True
            self._on_gone()


class TerminalDriver(LinuxDriver):
    """Textual's driver over a `TerminalFile`; the application must have `close_engine`."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        end: Callable[[], object] = getattr(app, "close_engine", app.exit)
        self._file: Any = TerminalFile(self._file, lambda: app.call_later(end))
