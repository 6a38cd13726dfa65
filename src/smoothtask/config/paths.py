"""Where things are: from flags, else the environment, else the defaults of root or of an ordinary user."""

import os
import pwd
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from smoothtask.model.scope import MOUNTS, Scope, parse_scope

SYSTEM_RUNTIME_DIR = Path("/run/smoothtask")
SYSTEM_STATE_DIR = Path("/var/lib/smoothtask")
SYSTEM_CONFIG_FILE = Path("/etc/smoothtask/config.yaml")
SCOPES = "scopes"
"""Below a runtime or state directory: those of daemons that manage a part of the machine."""

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
    scope: Scope = field(default_factory=Scope.everything)
    """What a daemon here manages."""
    held: Path = SYSTEM_RUNTIME_DIR / "held"
    """Which scopes are held by the daemons of this host (`config.held`)."""

    @property
    def socket(self) -> Path:
        """The control socket of a daemon that runs here."""
        return self.runtime_dir / "control.sock"

    @property
    def sockets(self) -> tuple[Path, ...]:
        """Where a client looks for a daemon: here, and at the system's unless a directory was named."""
        system = _place(SYSTEM_RUNTIME_DIR, self.scope) / "control.sock"
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
    def lessons(self) -> Path:
        """What people have said of applications."""
        return self.state_dir / "lessons.json"

    @property
    def database(self) -> Path:
        """The snapshot log."""
        return self.state_dir / "snapshots.db"

    @property
    def models(self) -> Path:
        """Learned rankers, a folder each, and the link to the one in use (`config.bundle`)."""
        return self.state_dir / "models"

    @property
    def model_in_use(self) -> Path:
        """That link; replaced as one (`config.bundle.CURRENT`)."""
        return self.models / "current"

    @property
    def rules_kept(self) -> Path:
        """What the rule files said when they were read last (`classifier.kept`)."""
        return self.state_dir / "rules.kept"

    @property
    def training(self) -> Path:
        """What the trainer made, for people, and how far it is."""
        return self.state_dir / "training"

    @property
    def salt(self) -> Path:
        """What makes this installation's hashes its own."""
        return self.state_dir / "salt"

    def database_at(self, configured: str | None) -> Path:
        """The snapshot log where the configuration may name a place: no two daemons write to one."""
        if configured is None:
            return self.database
        path = Path(configured)
        return path if self.scope.is_everything else path.with_stem(f"{path.stem}-{self.scope.slug}")

    def prepare(self) -> None:
        """Make the runtime and the state directory. Raises UnsafeDirectoryError, OSError."""
        for place, mode in ((self.runtime_dir, RUNTIME_MODE), (self.state_dir, STATE_MODE)):
            base = place.parent.parent
            if not self.scope.is_everything and place == _place(base, self.scope):
                make_folder(base, mode)
                make_folder(place.parent, mode)
            make_folder(place, mode)


def find_paths(
    config_file: str | None = None,
    runtime_dir: str | None = None,
    state_dir: str | None = None,
    environ: Mapping[str, str] | None = None,
    uid: int | None = None,
    scope: str | None = None,
) -> Paths:
    """Paths from flags (the arguments), else from the environment, else the defaults for *uid*.

    Raises ScopeError for a scope that cannot be meant.
    """
    environ = os.environ if environ is None else environ
    uid = os.geteuid() if uid is None else uid
    config = config_file or environ.get("SMOOTHTASK_CONFIG")
    runtime = runtime_dir or environ.get("SMOOTHTASK_RUNTIME_DIR")
    state = state_dir or environ.get("SMOOTHTASK_STATE_DIR")
    scoped = scope or environ.get("SMOOTHTASK_SCOPE")
    limits = parse_scope(scoped, _uid_of) if scoped else Scope.everything()
    held = environ.get("SMOOTHTASK_HELD_DIR")
    default_runtime, default_state, default_config = _defaults(environ, uid)
    return Paths(
        runtime_dir=Path(runtime).absolute() if runtime else _place(default_runtime, limits),
        state_dir=Path(state).absolute() if state else _place(default_state, limits),
        config_file=Path(config).absolute() if config else default_config,
        config_required=bool(config),
        runtime_named=bool(runtime),
        scope=limits,
        held=Path(held).absolute() if held else SYSTEM_RUNTIME_DIR / "held",
    )


def _place(base: Path, scope: Scope) -> Path:
    return base if scope.is_everything else base / SCOPES / scope.slug


def cgroup_exists(path: str, mounts: Iterable[str] = MOUNTS) -> bool:
    """Whether *path*, as in /proc/PID/cgroup, is a cgroup."""
    return any(Path(f"{mount}{path}").is_dir() for mount in mounts)


def _uid_of(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):  # ValueError: a name with a null character
        return None


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


def make_folder(path: Path, mode: int) -> None:
    """Make a folder of ours; one that is there already must be safe. Raises UnsafeDirectoryError, OSError."""
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
