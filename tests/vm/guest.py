"""What the tests in the VM work with: users with a systemd of their own, cgroups, and waiting for slow things."""

import os
import pwd
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
CGROUPS = Path("/sys/fs/cgroup")
HOG = ("sh", "-c", "while :; do :; done")
"""A program that uses a whole CPU."""


def until(probe: Callable[[], T], seconds: float = 60.0) -> T:
    """What *probe* returned as soon as that was true. A process costs 0.1 s here, importing Python modules seconds.

    Raise AssertionError with the last answer when *seconds* have passed.
    """
    deadline = time.monotonic() + seconds
    while not (answer := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still {answer!r} after {seconds:g} s")
        time.sleep(0.1)
    return answer


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One cgroup by its path as in /proc/PID/cgroup, read without the help of what is tested."""

    path: str

    @classmethod
    def of(cls, pid: int) -> "Cgroup":
        """The one that a process is in."""
        return cls(Path(f"/proc/{pid}/cgroup").read_text().strip().removeprefix("0::"))

    @property
    def folder(self) -> Path:
        """Where it is."""
        return CGROUPS / self.path.lstrip("/")

    @property
    def exists(self) -> bool:
        """Whether it is there."""
        return self.folder.is_dir()

    def read(self, name: str) -> str | None:
        """One file of it; `None` when that is not there, as without its controller."""
        try:
            return (self.folder / name).read_text().strip()
        except FileNotFoundError:
            return None

    def write(self, name: str, text: str) -> None:
        """Write one file of it."""
        (self.folder / name).write_text(text)

    def stat(self, name: str = "cpu.stat") -> dict[str, int]:
        """A file of names and numbers."""
        lines = (line.split() for line in (self.folder / name).read_text().splitlines())
        return {key: int(value) for key, value in lines}

    def pids(self) -> set[int]:
        """The processes in it, without those below it."""
        return set(map(int, (self.read("cgroup.procs") or "").split()))


class Spin(Protocol):
    """Starts *count* programs that use all they can get of *cpu*, in *cgroup* if one is given."""

    def __call__(self, count: int = 1, cpu: int = 0, cgroup: Cgroup | None = None) -> "list[subprocess.Popen[bytes]]":
        """The running processes."""
        ...


class User:
    """A user who lingers: the user's systemd runs without a login. Units are stopped at the end of each test."""

    def __init__(self, name: str) -> None:
        entry = pwd.getpwnam(name)
        self.name, self.uid, self.gid = name, entry.pw_uid, entry.pw_gid
        self.manager = Cgroup(f"/user.slice/user-{self.uid}.slice/user@{self.uid}.service")
        self.app_slice = Cgroup(f"{self.manager.path}/app.slice")
        runtime = f"/run/user/{self.uid}"
        self.bus = Path(runtime, "bus")
        self.environment = {
            "HOME": entry.pw_dir,
            "USER": name,
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": runtime,
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.bus}",
        }
        self._units: list[str] = []
        self._scopes: list[subprocess.Popen[bytes]] = []

    def run(self, *command: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a program as the user, to its end."""
        return subprocess.run(command, check=check, capture_output=True, text=True, stdin=-3, **self._as_user())

    def start(self, *command: str) -> "subprocess.Popen[bytes]":
        """Start a program as the user, in the cgroup of the tests. The caller ends it."""
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **self._as_user())

    def systemctl(self, *words: str, check: bool = True) -> str:
        """What `systemctl --user` answers (half a second of CPU)."""
        return self.run("systemctl", "--user", *words, check=check).stdout.strip()

    def is_ready(self) -> bool:
        """Whether the user's systemd has started what it starts."""
        return self.systemctl("is-system-running", check=False) == "running"

    def service(self, name: str, *command: str, **properties: str) -> Cgroup:
        """A transient service NAME.service in app.slice that executes *command*; its cgroup.

        *properties* are those of systemd.resource-control(5) and its like: `CPUWeight="50"`, `CPUAffinity="0"`.
        """
        unit = f"{name}.service"
        self._units.append(unit)
        options = [f"--property={key}={value}" for key, value in {"Type": "exec", **properties}.items()]
        self.run(
            "systemd-run", "--user", "--quiet", "--collect", f"--unit={unit}", "--slice=app.slice", *options, *command
        )
        return Cgroup(f"{self.app_slice.path}/{unit}")

    def scope(self, name: str, *command: str, **properties: str) -> "tuple[Cgroup, subprocess.Popen[bytes]]":
        """A transient scope NAME.scope in app.slice around *command*, as desktops make; its cgroup and the process."""
        unit = f"{name}.scope"
        cgroup = Cgroup(f"{self.app_slice.path}/{unit}")
        options = [f"--property={key}={value}" for key, value in properties.items()]
        prefix = ["systemd-run", "--user", "--quiet", "--scope", "--collect", f"--unit={unit}", "--slice=app.slice"]
        process = self.start(*prefix, *options, "--", *command)
        self._units.append(unit)
        self._scopes.append(process)
        until(lambda: process.pid in cgroup.pids() and _comm(process.pid) != "systemd-run")
        return cgroup, process

    def stop_units(self) -> None:
        """Stop what was started since the last time."""
        if self._units:
            self.systemctl("stop", *self._units, check=False)
        for process in self._scopes:
            process.kill()
            process.wait()
        self._units.clear()
        self._scopes.clear()

    def _as_user(self) -> dict[str, Any]:
        return {"user": self.uid, "group": self.gid, "extra_groups": (), "env": self.environment, "cwd": "/"}


def add_users(names: Sequence[str]) -> list[User]:
    """Make users, and wait until the systemd of each is there. What their session would start is left out."""
    _mask_user_units()
    for name in names:
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", name], check=True)
    subprocess.run(["loginctl", "enable-linger", *names], check=True)
    users = [User(name) for name in names]
    for user in users:
        until(user.bus.is_socket, 120)
        until(user.is_ready, 120)
    return users


def _mask_user_units() -> None:
    """The packages of the host bring pipewire, agents and so on: each would cost seconds."""
    masks = Path("/etc/systemd/user")
    for folder in (masks, Path("/usr/lib/systemd/user")):
        for unit in folder.glob("*.wants/*"):
            if unit.name != "dbus.socket":
                (masks / unit.name).unlink(missing_ok=True)
                (masks / unit.name).symlink_to("/dev/null")


def _comm(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()
