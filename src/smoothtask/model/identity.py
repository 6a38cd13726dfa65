"""Who a process is: read once, and again when it executes another program."""

from dataclasses import dataclass, field
from typing import Final

from smoothtask.model.process import ProcKey

MAX_PATH: Final = 1024
"""So many characters of a path are kept."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A process as names and files say. Every string is sanitised and bounded; unread is `None`.

    Source: proc(5), and cgroups(7) for /proc/PID/cgroup.
    """

    key: ProcKey
    ppid: int
    name: str
    """comm: at most 15 bytes (proc(5), /proc/PID/comm)."""
    uid: int
    user: str | None = None
    exe: str | None = None
    """The file that runs; a removed one without its ` (deleted)` mark."""
    cmdline: tuple[str, ...] = ()
    """At most 32 arguments of 256 characters; 4 KiB in all."""
    cgroup: str | None = None
    """Path below the cgroup-v2 mount (or of the name=systemd hierarchy on v1), such as `/user.slice/…`."""
    unit: str | None = None
    """The innermost systemd unit (*.service or *.scope) of `cgroup`."""
    slice: str | None = None
    container: str | None = None
    """Container id as its cgroup tells (docker, podman, lxc, kubepods, machined): 12 characters."""
    flatpak: str | None = None
    snap: str | None = None
    wine_exe: str | None = None
    r"""`game.exe` of a Windows program under Wine or Proton (`Z:\…\game.exe` among the arguments)."""
    tty: str | None = None
    sid: int = 0
    environ: frozenset[tuple[str, str]] = field(default=frozenset())
    """Only the variables that rules may ask for: see `collector.identity.ENVIRON_KEYS`."""
    kernel_thread: bool = False
    foreign_namespace: bool = False

    @property
    def basename(self) -> str:
        """The name to show and match first: of the exe, else of argv[0], else comm."""
        for path in (self.exe, self.cmdline[0] if self.cmdline else None):
            if path:
                return path.rstrip("/").rpartition("/")[2] or self.name
        return self.name
