"""A terminal that may vanish (a closed window, a lost ssh connection) without freezing the dashboard.

Textual writes from a thread of its own, through a queue of bounded length. When a write fails with EIO that
thread ends, the queue fills up, and the application blocks for ever: with every priority as it was changed.
Here a failed write is dropped, and the application is told to end.
"""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
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

    def _sigcont_application(self, *_: object) -> None:
        """Textual begins anew after any SIGCONT: without a stop of ours before, a second reader would eat keys."""
        if self._auto_restart and not self._must_signal_resume:  # stopped by SIGSTOP, which cannot be caught
            self.suspend_application_mode()
            self._must_signal_resume = True  # and what another program wrote meanwhile is drawn over
        super()._sigcont_application()


GUARD = r"""
trap '' HUP INT QUIT TERM TSTP TTOU TTIN
read -r word
[ "$word" = well ] && exit 0
stty "$1" <&1
for mode in 1049l 1000l 1002l 1003l 1006l 1015l 1004l 2004l 7h 25h; do printf '\033[?%s' $mode; done
printf '\033[<u\033[0m'
printf '\r\n%s\r\n' "$2"
"""
"""A shell that waits for the dashboard's end. TTOU is ignored so that a background process may set the terminal."""
KILLED = "smoothtask was killed. If it ran the engine itself, `smoothtask restore` undoes what it had changed."


@contextlib.contextmanager
def guarded_terminal() -> Iterator[None]:
    """Whatever kills this process meanwhile, SIGKILL and a fault included, the terminal is put back afterwards."""
    try:
        saved = subprocess.run(["stty", "-g"], stdin=sys.__stdin__, capture_output=True, text=True, check=True).stdout
        guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "guard", saved.strip(), KILLED], stdin=subprocess.PIPE, stdout=sys.__stdout__
        )
    except (OSError, subprocess.CalledProcessError):  # no stty: as any other program then
        yield
        return
    assert guard.stdin is not None  # noqa: S101 (asked for above)
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            guard.stdin.write(b"well\n")
            guard.stdin.close()
        guard.wait()
