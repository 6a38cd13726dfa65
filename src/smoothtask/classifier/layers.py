"""Where rules are read from: vendor < distro < user < runtime, a person's own, and ananicy's as a prior."""

import os
import pwd
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from smoothtask.classifier.match import PriorTable, Rule, RuleSet
from smoothtask.config.located import Problem
from smoothtask.config.paths import Paths
from smoothtask.config.settings import Settings
from smoothtask.model.group import RuleSource

VENDOR = Path(__file__).parent.parent / "data" / "vendor"
DISTRO = Path("/usr/share/smoothtask/rules.d")
USER = Path("/etc/smoothtask/rules.d")
ANANICY = Path("/etc/ananicy.d")
PERSONAL = (".config", "smoothtask", "rules.d")
PERSONAL_FILES = 32
"""Of one person; further ones are not read."""


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
    people: frozenset[int] | None = None
    """Whose; `None`: everybody's."""
    instead: Mapping[str, bytes] = field(default_factory=dict, hash=False)
    """File → what it shall be taken to hold, whether it is there or not: for a look before it is written."""

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
    types: dict[str, RuleSource]


@dataclass(frozen=True, slots=True)
class Loaded:
    """Rules ready to use, and what was wrong with those that are not needed to start."""

    rules: RuleSet
    problems: tuple[Problem, ...]
    """Of ananicy's files and of people's own: said, never fatal."""
    types: dict[str, RuleSource]
    """Where each type of the four layers is defined."""


def compile_rules(source: Source, *, keep_alternatives: bool = False) -> Loaded:
    """Make *source* ready to use."""
    rules = RuleSet(source.rules, source.personal, source.priors, keep_alternatives=keep_alternatives)
    return Loaded(rules, source.problems, source.types)


Stat = tuple[str, int, int, int]
"""Path, inode, size and time of change (chmod(2) counts)."""
Personal = tuple[tuple[int, tuple[Stat, ...]], ...]
"""(uid, that person's rule files) of everybody who has a process and files."""


class Seen(NamedTuple):
    """How the rule files look: another value whenever one of them changes."""

    system: tuple[Stat, ...]
    personal: Personal

    @property
    def uids(self) -> frozenset[int]:
        """Who has rules of their own."""
        return frozenset(uid for uid, _ in self.personal)


def see_system(files: RuleFiles) -> tuple[Stat, ...]:
    """How the files of the four layers and ananicy's look."""
    entries = [entry for _, folder in files.folders for entry in stats(folder)]
    if files.ananicy is not None:
        entries += [e for folder, _, _ in os.walk(files.ananicy) for e in stats(Path(folder))]
    return tuple(entries)


def see_personal(uids: Container[int]) -> Personal:
    """How the own files of people with these *uids* look. May take as long as a home on a network does."""
    looks = ((user.pw_uid, tuple(_personal_stats(Path(user.pw_dir)))) for user in pwd.getpwall() if user.pw_uid in uids)
    return tuple((uid, found) for uid, found in looks if found)


def stats(folder: Path) -> Iterator[Stat]:
    """Of each file of a folder."""
    try:
        paths = [folder / name for name in sorted(os.listdir(folder))]
    except NotADirectoryError:
        paths = [folder]
    except OSError:  # it is not there, or not for us: that is part of how it looks
        return
    for path in paths:
        try:
            yield _entry(str(path), path.stat())
        except OSError:  # vanished, or a link to nowhere
            continue


def _entry(path: str, s: os.stat_result) -> Stat:
    return path, s.st_ino, s.st_size, s.st_ctime_ns


def _personal_stats(home: Path) -> Iterator[Stat]:
    try:
        with personal_folder(home) as folder:
            for name in names_in(folder)[:PERSONAL_FILES]:
                yield _entry(f"{home}/{name}", os.stat(name, dir_fd=folder, follow_symlinks=False))
    except (FileNotFoundError, PermissionError):  # as in `stats`
        return
    except OSError as error:  # a link on the way there: whoever reads it says so
        yield str(home), 0, 0, -(error.errno or 0)


def rule_files(settings: Settings, paths: Paths) -> RuleFiles:
    """Where rules are read from with these settings."""
    prior = Path(settings.rules.ananicy) if settings.rules.ananicy else None
    return RuleFiles(runtime=paths.runtime_dir / "rules.d", ananicy=prior, homes=settings.rules.personal)


@contextmanager
def personal_folder(home: Path) -> Iterator[int]:
    """A descriptor of a person's rule folder, no link followed on the way below *home*. Raises OSError."""
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in PERSONAL:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def names_in(folder: int) -> list[str]:
    """Rule files of an open folder; not more than a thousand entries are looked at."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in islice(entries, 1000) if e.name.endswith(".yaml"))
