"""What of a frame's text may be kept: names that a rule knows stay, everything else becomes a salted hash.

Rule 1: names of applications that a rule knows are public; so are types, tags, roles and our own words.
Rule 2: names, paths, command lines (each argument), unit names and flatpak ids are replaced by their hash.
Rule 3: a sentence keeps its words; names and paths in it are replaced one by one.
Rule 4: the same text has the same hash everywhere in one installation, and another one elsewhere.
"""

import os
import re
import stat
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from smoothtask.model.group import AppGroup, Classification, RuleSource
from smoothtask.model.text import sanitise

SALT_BYTES = 32
HASH_BYTES = 8
COMMAND_LIMIT = 512
TEXT_LIMIT = 1024
_MEMO = 2048
_PATH = re.compile(r"(?<![\w/])~?/[^\s,;:()\"'“”]+")
_CONTAINER_ID = re.compile(r"[0-9a-f]{12}")
"""As docker and podman number them; lxc and nspawn have names that people gave."""
_SET_ON = re.compile(r"(?<= on )[^\s,;]+")
_UNKNOWN_APP = re.compile(r"(exe|name|wine|cmdline):")
_KNOWN_TAIL = re.compile(r"\.(service|scope|slice)$")


class Privacy(Protocol):
    """How text of a frame is written down."""

    anonymises: bool

    def name(self, name: str, group: AppGroup | None) -> str:
        """A program's name (comm) of a process in *group*."""
        ...

    def command(self, command: str) -> str:
        """A command line, its arguments parted by spaces."""
        ...

    def app(self, known: Classification) -> str:
        """`Classification.app`."""
        ...

    def label(self, group: AppGroup) -> str:
        """`AppGroup.label`."""
        ...

    def group_id(self, group_id: str, group: AppGroup | None) -> str:
        """A group's id; *group* is the one that it is of, when known."""
        ...

    def unit(self, unit: str) -> str:
        """A systemd unit's name."""
        ...

    def source(self, source: RuleSource | None) -> str | None:
        """Where a rule stands: file:line."""
        ...

    def evidence(self, known: Classification) -> str:
        """`Classification.evidence`: a word for what matched, and what that was."""
        ...

    def mechanism(self, text: str) -> str:
        """What is in effect: `CPUWeight 25 on session-2.scope`."""
        ...

    def sentence(self, text: str, groups: Iterable[AppGroup]) -> str:
        """A sentence that may speak of *groups*."""
        ...


class Plain:
    """Keeps every text as it is, sanitised and bounded (`log.anonymise: false`)."""

    anonymises = False

    def name(self, name: str, group: AppGroup | None) -> str:  # noqa: ARG002
        """As it is."""
        return sanitise(name)

    def command(self, command: str) -> str:
        """As it is."""
        return sanitise(command, COMMAND_LIMIT)

    def app(self, known: Classification) -> str:
        """As it is."""
        return sanitise(known.app)

    def label(self, group: AppGroup) -> str:
        """As it is."""
        return sanitise(group.label)

    def group_id(self, group_id: str, group: AppGroup | None) -> str:  # noqa: ARG002
        """As it is."""
        return sanitise(group_id)

    def unit(self, unit: str) -> str:
        """As it is."""
        return sanitise(unit)

    def source(self, source: RuleSource | None) -> str | None:
        """As it is."""
        return None if source is None else sanitise(str(source))

    def evidence(self, known: Classification) -> str:
        """As it is."""
        return sanitise(known.evidence)

    def mechanism(self, text: str) -> str:
        """As it is."""
        return sanitise(text, TEXT_LIMIT)

    def sentence(self, text: str, groups: Iterable[AppGroup]) -> str:  # noqa: ARG002
        """As it is."""
        return sanitise(text, TEXT_LIMIT)


class Anonymiser:
    """Replaces what may tell of a person by hashes keyed with the installation's *salt*."""

    anonymises = True

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self._memo: dict[str, str] = {}

    def hash(self, text: str) -> str:
        """16 hex digits that stand for *text*."""
        known = self._memo.get(text)
        if known is None:
            data = text.encode("utf-8", "surrogatepass")
            known = blake2b(data, digest_size=HASH_BYTES, key=self._salt).hexdigest()
            if len(self._memo) >= _MEMO:
                self._memo.clear()
            self._memo[text] = known
        return known

    def name(self, name: str, group: AppGroup | None) -> str:
        """As it is when it is the name of an application that a rule knows."""
        public = group is not None and name.casefold() in _public_names(group)
        return sanitise(name) if public else self.hash(name)

    def command(self, command: str) -> str:
        """A hash for each argument."""
        return " ".join(self.hash(argument) for argument in command.split(" ")[:COMMAND_LIMIT] if argument)

    def app(self, known: Classification) -> str:
        """As it is when a rule knows it; else its kind and a hash: `exe:0123456789abcdef`."""
        if is_known(known):
            return sanitise(known.app)
        kind, colon, rest = known.app.partition(":")
        return f"{kind}:{self.hash(rest)}" if colon and _UNKNOWN_APP.match(known.app) else self.hash(known.app)

    def label(self, group: AppGroup) -> str:
        """As it is when a rule knows the application."""
        return sanitise(group.label) if group.label.casefold() in _public_names(group) else self.hash(group.label)

    def group_id(self, group_id: str, group: AppGroup | None) -> str:
        """Numbers, kinds and roles stay: `unit:0123456789abcdef.service@1000/build`."""
        outer, slash, part = group_id.partition("/")
        kind, colon, rest = outer.partition(":")
        if kind == "unit":
            unit, at, uid = rest.rpartition("@")
            rest = f"{self.unit(unit)}@{uid}" if at and uid.isdecimal() else self.unit(rest)
        elif kind == "flatpak":
            name, _, uid = rest.rpartition("@")
            rest = f"{self.hash(name)}@{uid}"
        elif kind == "container":
            name, at, uid = rest.partition("@")
            rest = (name if _CONTAINER_ID.fullmatch(name) else self.hash(name)) + at + uid
        elif kind not in {"proc", "kernel"}:
            rest = self.hash(rest)
        role, role_colon, name = part.partition(":")
        if name and not (group is not None and name.casefold() in _public_names(group)):
            name = self.hash(name)
        return sanitise(f"{kind}{colon}{rest}{slash}{role}{role_colon}{name}")

    def unit(self, unit: str) -> str:
        """A hash that keeps its kind: `0123456789abcdef.service`. People choose unit names."""
        kind = _KNOWN_TAIL.search(unit)
        return self.hash(unit) + (kind[0] if kind else "")

    def mechanism(self, text: str) -> str:
        """Values stay; what they are set on is hashed."""
        return sanitise(_SET_ON.sub(lambda found: self.unit(found[0]), text), TEXT_LIMIT)

    def source(self, source: RuleSource | None) -> str | None:
        """The file's name and line; of a person's own rules not even that name."""
        if source is None:
            return None
        name = source.file.rpartition("/")[2]
        return f"{self.hash(source.file) if source.layer == 'personal' else sanitise(name)}:{source.line}"

    def evidence(self, known: Classification) -> str:
        """The first word (exe, name, cmdline …) stays; the rest too when it is the application's name."""
        kind, _, what = known.evidence.partition(" ")
        if not is_known(known):
            return f"{kind} {self.hash(what)}" if kind in {"exe", "name", "cmdline"} else "no rule knows it"
        public = what.casefold() in {known.app.casefold(), known.label.casefold()}
        return sanitise(known.evidence) if public else f"{sanitise(kind, 32)} {self.hash(what)}"

    def sentence(self, text: str, groups: Iterable[AppGroup]) -> str:
        """Names of *groups* that no rule knows, what their rules matched, and every path become hashes."""
        for group in groups:
            known = group.classification
            if known.evidence and known.evidence in text:
                text = text.replace(known.evidence, self.evidence(known))
            if known.source is not None:
                text = text.replace(str(known.source), self.source(known.source) or "")
            if known.app and not is_known(known) and known.app in text:
                text = text.replace(known.app, self.app(known))
            if group.label and group.label in text and group.label.casefold() not in _public_names(group):
                text = re.sub(rf"(?<!\w){re.escape(group.label)}(?!\w)", self.hash(group.label), text)
        if "/" in text:
            text = _PATH.sub(lambda found: self.hash(found[0]), text)
        return sanitise(text, TEXT_LIMIT)


def is_known(known: Classification) -> bool:
    """Whether a rule names the application, so that its name tells nothing of a person."""
    return known.source is not None and not _UNKNOWN_APP.match(known.app)


def _public_names(group: AppGroup) -> Sequence[str]:
    """What a group that a rule knows may be called, in lower case: itself, and a role within it."""
    known = group.classification
    if not is_known(known):
        return ()
    app, label = known.app.casefold(), known.label.casefold()
    return (app, label, f"{label} ({(known.part or group.id.rpartition('/')[2]).casefold()})")


def load_salt(path: Path) -> bytes:
    """The installation's salt at *path*, made on first use: 32 random bytes, mode 0600.

    Raises OSError when it cannot be read or made, ValueError when the file is not a salt of ours. A damaged one is
    never replaced silently: every hash would change with it.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        _make_salt(path)
        return load_salt(path)
    with open(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise ValueError(f"{path}: expected a regular file of uid {os.geteuid()}")
        salt = file.read(SALT_BYTES + 1)
        if len(salt) != SALT_BYTES:
            raise ValueError(f"{path}: expected {SALT_BYTES} bytes, found {found.st_size}; move it away to begin anew")
        if stat.S_IMODE(found.st_mode) != 0o600:
            os.fchmod(fd, 0o600)
        return salt


def _make_salt(path: Path) -> None:
    """Write a new salt beside *path* and link it there whole; who comes second keeps the first one's."""
    draft = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            file.write(os.urandom(SALT_BYTES))
            file.flush()
            os.fsync(fd)
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
