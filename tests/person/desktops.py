"""A sway of nobody's, headless, all gone at its end."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

NOBODY = 65534
LIMIT_S = 15.0
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}


class Sway:
    """One compositor with a few terminals; sway refuses to run as root, so it is nobody's."""

    def __init__(self, home: Path, terminals: int, name: str, xwayland: bool) -> None:
        self.home = home
        os.chown(home, NOBODY, NOBODY)
        home.chmod(0o700)
        program = Path(shutil.copy(shutil.which("foot") or "foot", home / name))
        config = home / "config"
        lazily = "enable" if xwayland else "disable"
        config.write_text(f"xwayland {lazily}\n" + f"exec setsid {program} sleep 1000\n" * terminals)
        config.chmod(0o644)
        self._environment = {
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(home),
            "WLR_BACKENDS": "headless",
            "WLR_LIBINPUT_NO_DEVICES": "1",
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
        }
        self._programs: list[subprocess.Popen[bytes]] = []
        self.server = self._as_nobody("sway", "-c", str(config))
        self.socket = self._appears()

    def run(self, *arguments: str, **variables: str) -> "subprocess.Popen[bytes]":
        """A program of nobody's, in this session; it ends with it at the latest."""
        self._environment.update(variables)
        process = self._as_nobody(*arguments)
        self._programs.append(process)
        return process

    def message(self, *words: str) -> None:
        """Act as a person would: `[pid=4711] focus`."""
        self._as_nobody("swaymsg", "-s", str(self.socket), *words).wait(LIMIT_S)

    def stop(self) -> None:
        """Kill everything that runs, and wait: terminals end with their compositor."""
        for process in self._programs:
            process.kill()
            process.wait(LIMIT_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.server.pid, signal.SIGKILL)
        self.server.wait(LIMIT_S)

    def _appears(self) -> Path:
        deadline_s = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline_s:
            found = next(self.home.glob("sway-ipc.*.sock"), None)
            if found is not None:
                return found
            time.sleep(0.02)
        raise AssertionError("sway does not start")

    def _as_nobody(self, *arguments: str) -> "subprocess.Popen[bytes]":
        become = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
        return subprocess.Popen([*become, *arguments], env=self._environment, process_group=0, **QUIET)  # type: ignore[call-overload]


@contextlib.contextmanager
def sway(terminals: int = 2, name: str = "foot", xwayland: bool = False) -> Iterator[Sway]:
    """Up, and down again. *name*: what the terminals' processes are called. Its folder's path is short.

    *xwayland*: it starts one as soon as somebody connects to its X socket, and not before.
    """
    with tempfile.TemporaryDirectory(prefix="st-sway-") as home:
        screen = Sway(Path(home), terminals, name, xwayland)
        try:
            yield screen
        finally:
            screen.stop()


def installed() -> bool:
    """Whether all that is needed is there."""
    return os.geteuid() == 0 and all(shutil.which(name) for name in ("sway", "swaymsg", "foot", "setpriv"))
