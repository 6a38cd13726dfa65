"""Where rules are read from: vendor < distro < user < runtime, a person's own, and ananicy's as a prior."""

import os
import pwd
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

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


def signature(files: RuleFiles) -> Hashable:
    """Changes whenever a rule file does: path, inode, size and time of change (chmod(2) counts) of each."""
    entries = [entry for _, folder in files.folders for entry in stats(folder)]
    if files.ananicy is not None:
        entries += [e for folder, _, _ in os.walk(files.ananicy) for e in stats(Path(folder))]
    if files.homes:
        entries += [entry for user in pwd.getpwall() for entry in _personal_stats(Path(user.pw_dir))]
    return tuple(entries)


Stat = tuple[str, int, int, int]


def stats(folder: Path) -> Iterator[Stat]:
    """Path, inode, size and time of change of each file of a folder."""
    try:
        paths = [folder / name for name in sorted(os.listdir(folder))]
    except NotADirectoryError:
        paths = [folder]
    except OSError:  # it is not there, or not for us: that is part of the signature
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
    except OSError:  # as in `stats`
        return


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
