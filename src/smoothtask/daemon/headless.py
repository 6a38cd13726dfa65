"""The headless loop: signals, the control socket, and word to systemd."""

import signal
import sys
import time
import traceback
from collections import deque
from dataclasses import dataclass, field

from smoothtask.classifier.apart import Reading
from smoothtask.config.paths import Paths
from smoothtask.config.settings import Settings
from smoothtask.control.server import ControlServer
from smoothtask.daemon.build import build
from smoothtask.daemon.process import tell_systemd
from smoothtask.engine.loop import Loop
from smoothtask.kernel.notify import message
from smoothtask.model.text import sanitise

FORGIVEN, FORGIVEN_S = 3, 600.0
LINE_LIMIT = 500


@dataclass(slots=True)
class Forgiveness:
    """Goes on after a look that failed, so many times within so long; a daemon that fails more often had better end."""

    _failed_s: deque[float] = field(default_factory=deque)

    def __call__(self, error: Exception) -> bool:
        """Whether to go on; the journal is told where it failed, as that is a fault of ours in any case."""
        now_s = time.monotonic()
        while self._failed_s and now_s - self._failed_s[0] > FORGIVEN_S:
            self._failed_s.popleft()
        if len(self._failed_s) >= FORGIVEN:
            return False
        self._failed_s.append(now_s)
        for line in "".join(traceback.format_exception(error)).splitlines():
            print(sanitise(line, LINE_LIMIT), file=sys.stderr)
        return True


def run_daemon(settings: Settings, paths: Paths, *, observe: bool, reading: Reading | None = None) -> int:
    """Manage the machine until SIGTERM or SIGINT; SIGHUP reads configuration and rules again.

    Returns the exit status: 1 when the loop ended by itself, so that a service is started again.
    """
    loop = build(settings, paths, observe=observe, reading=reading)
    loop.forgives = Forgiveness()
    server = serve(loop, paths, settings)

    def stop(_signal: int, _frame: object) -> None:
        loop.stop()

    def reload(_signal: int, _frame: object) -> None:
        loop.call_soon(lambda: _announce_reload(loop))

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, reload)
    tell_systemd(message(ready=True, status=f"managing: {loop.engine.mode.value}"))
    try:
        loop.run()
    finally:
        tell_systemd(message(stopping=True))
        server.close()
    if loop.failure:
        print(f"smoothtask: {loop.failure}", file=sys.stderr)
    return 1 if loop.failure else 0


def serve(loop: Loop, paths: Paths, settings: Settings) -> ControlServer:
    """The control socket of a *loop* that was just built. Where there can be none, all that it opened is closed.

    Raises SocketTakenError, OSError.
    """
    try:
        return ControlServer(loop, paths.socket, settings.control.group)
    except BaseException:
        loop.on_stop()
        raise


def _announce_reload(loop: Loop) -> None:
    tell_systemd(message(reloading_mono_us=time.monotonic_ns() // 1000))
    reply = loop.commands.reload()
    loop.engine.say("system" if reply.ok else "error", reply.message)
    tell_systemd(message(ready=True, status=reply.message))
