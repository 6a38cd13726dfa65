"""Where rules are read from: vendor < distro < user < runtime, a person's own, and ananicy's as a prior."""

import os
import pwd
import stat
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from smoothtask.classifier import ananicy
from smoothtask.classifier.match import PriorTable, Rule, RuleSet, rule_of
from smoothtask.classifier.schema import RuleFile, TypeRule, parse_rules
from smoothtask.config.located import ConfigError, Located, Problem, load_file, load_text
from smoothtask.model.classes import PriorityClass
from smoothtask.model.group import RuleSource

VENDOR = Path(__file__).parent.parent / "data" / "vendor"
DISTRO = Path("/usr/share/smoothtask/rules.d")
USER = Path("/etc/smoothtask/rules.d")
ANANICY = Path("/etc/ananicy.d")
PERSONAL = (".config", "smoothtask", "rules.d")
PERSONAL_BYTES = 256 * 1024
PERSONAL_RULES = 500


@dataclass(frozen=True, slots=True)
class RuleFiles:
    """Folders of rule files; one that does not exist has no rules."""

    runtime: Path
    vendor: Path = VENDOR
    distro: Path = DISTRO
    user: Path = USER
    ananicy: Path | None = ANANICY
    homes: bool = True
    """Whether people's own rules are read."""

    @property
    def folders(self) -> tuple[tuple[str, Path], ...]:
        """The layers, the weakest first."""
        return (("vendor", self.vendor), ("distro", self.distro), ("user", self.user), ("runtime", self.runtime))


@dataclass(frozen=True, slots=True)
class Source:
    """What the files say, checked, before it is compiled."""

    rules: tuple[Rule, ...]
    personal: dict[int, tuple[Rule, ...]]
    priors: PriorTable
    problems: tuple[Problem, ...]
    types: frozenset[str]


@dataclass(frozen=True, slots=True)
class Loaded:
    """Rules ready to use, and what was wrong with those that are not needed to start."""

    rules: RuleSet
    problems: tuple[Problem, ...]
    """Of ananicy's files and of people's own: said, never fatal."""
    types: frozenset[str]


def load(files: RuleFiles, *, keep_alternatives: bool = False) -> Loaded:
    """Read and compile every layer; *keep_alternatives* for those who look at the rules themselves.

    Raises ConfigError with all problems of all files of the four layers.
    """
    return compile_rules(read(files), keep_alternatives=keep_alternatives)


def compile_rules(source: Source, *, keep_alternatives: bool = False) -> Loaded:
    """Make *source* ready to use."""
    rules = RuleSet(source.rules, source.personal, source.priors, keep_alternatives=keep_alternatives)
    return Loaded(rules, source.problems, source.types)


def read(files: RuleFiles) -> Source:
    """Read and check every layer. Raises ConfigError as `load` does."""
    types: dict[str, TypeRule] = {}
    applications: dict[str, Rule] = {}
    problems: list[Problem] = []
    for layer, folder in files.folders:
        documents = list(_documents(folder, problems))
        for _, parsed in documents:
            types.update(parsed.types)
        for rule in _rules(layer, documents, types, problems):
            applications.pop(rule.id, None)  # a higher layer's rule replaces the one of the same id
            applications[rule.id] = rule
    if problems:
        raise ConfigError(problems)
    notes: list[Problem] = []
    priors = PriorTable()
    if files.ananicy is not None and files.ananicy.is_dir():
        priors, notes = ananicy.load(files.ananicy)
    own = dict(_everybodys(types, notes)) if files.homes else {}
    return Source(tuple(applications.values()), own, priors, tuple(notes), frozenset(types))


def signature(files: RuleFiles) -> Hashable:
    """Changes whenever a rule file does: path, inode, size and time of each."""
    folders = [folder for _, folder in files.folders]
    if files.ananicy is not None:
        folders.append(files.ananicy)
    if files.homes:
        folders += [Path(user.pw_dir, *PERSONAL) for user in pwd.getpwall()]
    return tuple(entry for folder in folders for entry in _stats(folder))


def _stats(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:  # it is not there, or not for us: that is part of the signature
        return
    for name in names:
        try:
            s = os.lstat(folder / name)
        except FileNotFoundError:
            continue
        yield str(folder / name), s.st_ino, s.st_size, s.st_mtime_ns


def _documents(folder: Path, problems: list[Problem]) -> Iterator[tuple[Located, RuleFile]]:
    paths = [folder] if folder.is_file() else sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    for path in paths:
        try:
            document = load_file(path)
        except ConfigError as error:
            problems += error.problems
            continue
        except OSError as error:
            problems.append(Problem(str(path), 1, "", f"cannot be read: {error.strerror}"))
            continue
        parsed, found = parse_rules(document)
        problems += found
        if parsed is not None:
            yield document, parsed


def _rules(
    layer: str,
    documents: Iterable[tuple[Located, RuleFile]],
    types: dict[str, TypeRule],
    problems: list[Problem],
) -> Iterator[Rule]:
    seen: dict[str, str] = {}
    for document, parsed in documents:
        for i, app in enumerate(parsed.applications):
            at = ("applications", i)
            source = RuleSource(layer, document.file, document.line(at))
            if app.id in seen:
                problems.append(document.problem((*at, "id"), f"{app.id} stands at {seen[app.id]} too"))
                continue
            seen[app.id] = str(source)
            if app.type not in types:
                problems.append(document.problem((*at, "type"), f"undefined type {app.type}"))
                continue
            yield rule_of(app, types, source)


def _everybodys(types: dict[str, TypeRule], problems: list[Problem]) -> Iterator[tuple[int, tuple[Rule, ...]]]:
    for user in pwd.getpwall():
        rules = personal(user.pw_uid, Path(user.pw_dir), types, problems)
        if rules:
            yield user.pw_uid, rules


def personal(uid: int, home: Path, types: dict[str, TypeRule], problems: list[Problem]) -> tuple[Rule, ...]:
    """A person's own rules, read with care: they are that person's word about their own processes, no more."""
    documents = []
    own_types = dict(types)
    for name, data in _personal_files(uid, home, problems):
        try:
            document = load_text(data, name)
        except ConfigError as error:
            problems += error.problems
            continue
        parsed, found = parse_rules(document)
        problems += found
        if parsed is not None:
            own_types.update(parsed.types)
            documents.append((document, parsed))
    rules: list[Rule] = []
    for rule in _rules("personal", documents, own_types, problems):
        refused = _refused(rule) or (f"only {PERSONAL_RULES} rules are read" if len(rules) >= PERSONAL_RULES else None)
        if refused:
            problems.append(Problem(rule.source.file, rule.source.line, rule.id, refused))
        else:
            rules.append(rule)
    return tuple(rules)


def _refused(rule: Rule) -> str | None:
    if rule.protected:
        return "only the administrator can protect an application"
    if rule.target is not None and rule.target > PriorityClass.NORMAL:
        return "only the administrator can ask for more than NORMAL"
    return None


def _personal_files(uid: int, home: Path, problems: list[Problem]) -> Iterator[tuple[str, bytes]]:
    """Files below *home*, no link followed on the way, all of *uid*'s own."""
    try:
        folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # no home, or none that we may enter: no rules
        return
    try:
        for part in PERSONAL:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = inner
        for name in sorted(n for n in os.listdir(folder) if n.endswith(".yaml")):
            path = str(Path(home, *PERSONAL, name))
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            with os.fdopen(fd, "rb") as file:
                found = os.fstat(fd)
                mine = found.st_uid == uid and stat.S_ISREG(found.st_mode) and not found.st_mode & stat.S_IWOTH
                if not mine or found.st_size > PERSONAL_BYTES:
                    said = f"expected a file of uid {uid} that others cannot write, of {PERSONAL_BYTES} bytes at most"
                    problems.append(Problem(path, 1, "", said))
                    continue
                yield path, file.read(PERSONAL_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        problems.append(Problem(str(Path(home, *PERSONAL)), 1, "", f"cannot be read: {error.strerror}"))
    finally:
        os.close(folder)
