"""Where things are: from flags, else the environment, else the defaults of root or of an ordinary user."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SYSTEM_RUNTIME_DIR = Path("/run/smoothtask")
SYSTEM_STATE_DIR = Path("/var/lib/smoothtask")
SYSTEM_CONFIG_FILE = Path("/etc/smoothtask/config.yaml")

RUNTIME_MODE = 0o755
"""Everybody may come as far as the socket, which asks the kernel who they are."""
STATE_MODE = 0o700


class UnsafeDirectoryError(Exception):
    """A directory cannot be trusted: a link, somebody else's, or one that others may write to."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The three places, and what is in them."""

    runtime_dir: Path
    """Gone after a reboot: socket, lock, ledger."""
    state_dir: Path
    """Kept: pins, snapshots, salt."""
    config_file: Path
    config_required: bool = False
    """Somebody named the file, so it has to be there."""
    runtime_named: bool = False
    """Somebody named the runtime directory: no other daemon is looked for."""

    @property
    def socket(self) -> Path:
        """The control socket of a daemon that runs here."""
        return self.runtime_dir / "control.sock"

    @property
    def sockets(self) -> tuple[Path, ...]:
        """Where a client looks for a daemon: here, and at the system's unless a directory was named."""
        system = SYSTEM_RUNTIME_DIR / "control.sock"
        return (self.socket,) if self.runtime_named or self.socket == system else (system, self.socket)

    @property
    def lock(self) -> Path:
        """Held by the one daemon of this runtime directory."""
        return self.runtime_dir / "lock"

    @property
    def ledger(self) -> Path:
        """What was changed, and from what."""
        return self.runtime_dir / "ledger"

    @property
    def pins(self) -> Path:
        """People's standing orders."""
        return self.state_dir / "pins.json"

    @property
    def database(self) -> Path:
        """The snapshot log."""
        return self.state_dir / "snapshots.db"

    @property
    def salt(self) -> Path:
        """What makes this installation's hashes its own."""
        return self.state_dir / "salt"

    def prepare(self) -> None:
        """Make the runtime and the state directory. Raises UnsafeDirectoryError, OSError."""
        _make(self.runtime_dir, RUNTIME_MODE)
        _make(self.state_dir, STATE_MODE)


def find_paths(
    config_file: str | None = None,
    runtime_dir: str | None = None,
    state_dir: str | None = None,
    environ: Mapping[str, str] | None = None,
    uid: int | None = None,
) -> Paths:
    """Paths from flags (the arguments), else from the environment, else the defaults for *uid*."""
    environ = os.environ if environ is None else environ
    uid = os.geteuid() if uid is None else uid
    config = config_file or environ.get("SMOOTHTASK_CONFIG")
    runtime = runtime_dir or environ.get("SMOOTHTASK_RUNTIME_DIR")
    state = state_dir or environ.get("SMOOTHTASK_STATE_DIR")
    default_runtime, default_state, default_config = _defaults(environ, uid)
    return Paths(
        runtime_dir=Path(runtime).absolute() if runtime else default_runtime,
        state_dir=Path(state).absolute() if state else default_state,
        config_file=Path(config).absolute() if config else default_config,
        config_required=bool(config),
        runtime_named=bool(runtime),
    )


def _defaults(environ: Mapping[str, str], uid: int) -> tuple[Path, Path, Path]:
    if uid == 0:
        return SYSTEM_RUNTIME_DIR, SYSTEM_STATE_DIR, SYSTEM_CONFIG_FILE
    home = Path(environ.get("HOME") or "~").expanduser()
    session = environ.get("XDG_RUNTIME_DIR")
    # Without a session directory, a name of one's own in /tmp; `prepare` refuses it if somebody else was there first.
    runtime = Path(session) / "smoothtask" if session else Path(f"/tmp/smoothtask-{uid}")  # noqa: S108
    state = Path(environ.get("XDG_STATE_HOME") or home / ".local/state") / "smoothtask"
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "smoothtask/config.yaml"
    return runtime, state, config


def _make(path: Path, mode: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode)
        path.chmod(mode)  # whatever the umask took away
    except FileExistsError:
        _check(path)


def _check(path: Path) -> None:
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeDirectoryError(f"{path}: expected a directory, not a link or a file")
    if found.st_uid != os.geteuid():
        raise UnsafeDirectoryError(f"{path}: belongs to uid {found.st_uid}, expected {os.geteuid()}")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UnsafeDirectoryError(f"{path}: others may write to it (mode {stat.S_IMODE(found.st_mode):04o})")
