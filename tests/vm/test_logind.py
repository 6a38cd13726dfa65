"""The real logind: a session of PAM's that is graphical, its hint that nobody is there, and its end."""

import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from smoothtask.model.person import SourceHealth
from smoothtask.person.input.logind import Logind
from vm.guest import User, until

UNIT = "desktop-of-tests.service"
PAM = Path("/etc/pam.d/desktop-of-tests")


class Readers:
    """As the daemon's loop."""

    def __init__(self) -> None:
        self.callbacks: dict[int, Callable[[], None]] = {}

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        self.callbacks[fd] = callback

    def remove_reader(self, fd: int) -> None:
        del self.callbacks[fd]

    def turn(self) -> None:
        """Take in what has come."""
        for fd in select.select([*self.callbacks], [], [], 0)[0]:
            self.callbacks[fd]()


@pytest.fixture
def desktop(tester: User) -> Iterator[User]:
    """A session as a login screen opens it, without the desktop."""
    PAM.write_text("account required pam_permit.so\nsession required pam_systemd.so\n")
    session = [f"--unit={UNIT}", "--property=PAMName=desktop-of-tests", f"--property=User={tester.name}"]
    subprocess.run(
        ["systemd-run", "--quiet", *session, "--setenv=XDG_SESSION_TYPE=wayland", "sleep", "infinity"], check=True
    )
    yield tester
    subprocess.run(["systemctl", "stop", UNIT], check=False)


def test_a_session_comes_falls_idle_and_goes(desktop: User) -> None:
    readers = Readers()
    with closing(Logind(readers)) as logind:
        logind.look(time.monotonic())
        assert logind.source.health is SourceHealth.WORKING, logind.source

        def graphical() -> list[str]:
            logind.look(time.monotonic())
            readers.turn()
            return [path for path, login in logind.logins.items() if login.uid == desktop.uid and login.graphical]

        (path,) = until(graphical)
        assert logind.is_active(desktop.uid)
        assert not logind.logins[path].idle
        hint = ["org.freedesktop.login1", path, "org.freedesktop.login1.Session", "SetIdleHint", "b", "true"]
        before_s = time.monotonic()
        subprocess.run(["busctl", "call", *hint], check=True, stdout=subprocess.DEVNULL)
        until(lambda: graphical() and logind.logins[path].idle)
        assert before_s <= logind.logins[path].idle_since_s <= time.monotonic()
        subprocess.run(["systemctl", "stop", UNIT], check=True)
        until(lambda: not graphical())
