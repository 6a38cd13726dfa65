"""A person's own rule files: what a new rule would make of them, a look before, the change, and its undoing.

Everything happens with the rights of whoever asks. Root's rules are the machine's, anybody else's their own.
"""

import errno
import os
import pwd
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from smoothtask.classifier.apart import lint_apart
from smoothtask.classifier.layers import PERSONAL, RuleFiles
from smoothtask.classifier.lint import Finding, Severity
from smoothtask.classifier.making import Draft, MakingError, ids_in, unified, with_rule
from smoothtask.config.atomic import replace_file

NAME = "local.yaml"
"""Where new rules go."""
SIZE_LIMIT = 1 << 20
MODE = 0o644


class ChangedMeanwhileError(MakingError):
    """The file is not what the proposal was made of, and will not be again by itself."""


@dataclass(frozen=True, slots=True)
class OwnRules:
    """Where one person's rules are."""

    files: RuleFiles
    """Every layer, for lint."""
    folder: Path
    layer: str
    """`user` (the machine's) or `personal`."""

    @classmethod
    def of(cls, files: RuleFiles, uid: int, home: Path) -> "OwnRules":
        """Root's are everybody's."""
        return cls(files, files.user, "user") if uid == 0 else cls(files, Path(home, *PERSONAL), "personal")

    @classmethod
    def mine(cls, files: RuleFiles) -> "OwnRules":
        """Of whoever runs this process. A daemon looks for homes where the user database says, whatever HOME is."""
        uid = os.geteuid()
        try:
            home = Path(pwd.getpwuid(uid).pw_dir)
        except KeyError:
            home = Path.home()
        return cls.of(files, uid, home)

    def ids(self) -> dict[str, Path]:
        """Id → file of each rule in the folder. Raises MakingError."""
        return {id_: path for path in self._paths() for id_ in ids_in(_read(path) or "")}

    def _paths(self) -> list[Path]:
        try:
            return sorted(self.folder / name for name in os.listdir(self.folder) if name.endswith(".yaml"))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise MakingError(f"{self.folder} cannot be read: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class Proposal:
    """A file before and after."""

    path: Path
    before: str | None
    """`None`: there is no such file yet."""
    after: str
    rule: Draft

    @property
    def diff(self) -> list[str]:
        """As `diff -u` says it."""
        return unified(str(self.path), self.before or "", self.after)


def propose(own: OwnRules, rule: Draft) -> Proposal:
    """What *rule* makes of the file that has its id already, or of the file for new ones.

    Raises ConfigError for a file that is not YAML, MakingError when it cannot be read or changed.
    """
    path = own.ids().get(rule.id, own.folder / NAME)
    before = _read(path)
    return Proposal(path, before, with_rule(before or "", str(path), rule), rule)


def check(own: OwnRules, proposal: Proposal) -> list[Finding]:
    """What would be wrong in the file. Raises RulesUnreadable. Takes a second: thousands of rules are read."""
    ahead = replace(own.files, instead={str(proposal.path): proposal.after.encode()})
    return lint_apart(ahead, str(proposal.path))


def refuses(findings: list[Finding]) -> bool:
    """Whether the rule may not be saved so."""
    return any(f.severity is Severity.ERROR for f in findings)


def save(proposal: Proposal) -> None:
    """Put the new content in place, all or nothing.

    Raises ChangedMeanwhileError when the file is not what the proposal was made of, MakingError or OSError when it
    cannot be read or written just now.
    """
    _expect(proposal.path, proposal.before)
    proposal.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    _write(proposal.path, proposal.after)


def take_back(proposal: Proposal) -> None:
    """Undo `save`. Raises as that does: what somebody changed since is not lost."""
    _expect(proposal.path, proposal.after)
    if proposal.before is None:
        proposal.path.unlink()
    else:
        _write(proposal.path, proposal.before)


def _expect(path: Path, content: str | None) -> None:
    try:
        now = _read(path)
    except MakingError as error:
        if isinstance(error.__cause__, OSError):  # it may pass
            raise
        raise ChangedMeanwhileError(f"{path} has been changed meanwhile: {error}") from error
    if now != content:
        what = "is gone" if now is None else "has been changed meanwhile"
        raise ChangedMeanwhileError(f"{path} {what}: nothing is done")


def _read(path: Path) -> str | None:
    """The content; `None` without a file. Raises MakingError for what is no file of rules."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise MakingError(f"{path}: expected a regular file, not a link") from None
        raise MakingError(f"{path} cannot be read: {error.strerror}") from error
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise MakingError(f"{path}: expected a regular file")
        data = file.read(SIZE_LIMIT + 1)
    if len(data) > SIZE_LIMIT:
        raise MakingError(f"{path}: expected at most {SIZE_LIMIT} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MakingError(f"{path}:{line}: expected UTF-8 text") from error


def _write(path: Path, content: str) -> None:
    try:
        found = path.stat()
    except FileNotFoundError:
        replace_file(path, content.encode(), mode=MODE)
    else:
        replace_file(path, content.encode(), mode=stat.S_IMODE(found.st_mode), owner=(found.st_uid, found.st_gid))
