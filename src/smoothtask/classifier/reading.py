"""Reads the rule files of every layer and checks them; what a person's own rules may cost is bounded."""

import grp
import os
import pwd
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from smoothtask.classifier import ananicy, regex
from smoothtask.classifier.layers import (
    PERSONAL,
    PERSONAL_FILES,
    Loaded,
    RuleFiles,
    Source,
    compile_rules,
    names_in,
    personal_folder,
)
from smoothtask.classifier.match import PriorTable, Rule, strings
from smoothtask.classifier.schema import RuleFile, TypeRule, parse_rules, rule_of
from smoothtask.config.located import ConfigError, Located, Problem
from smoothtask.config.yamlfile import load_file, load_text
from smoothtask.model.classes import PriorityClass
from smoothtask.model.group import RuleSource
from smoothtask.model.text import sanitise

# A person's rules are read and used by root: what they can cost is bounded.
PERSONAL_BYTES = 256 * 1024
"""Of all of one person's files."""
PERSONAL_RULES = 500
PERSONAL_VALUES = 2000
"""Values of all conditions of one person's rules."""


@dataclass(slots=True)
class _Types:
    """Types by name: the highest layer's definition holds, also for the applications of lower ones."""

    fields: dict[str, TypeRule] = field(default_factory=dict)
    sources: dict[str, RuleSource] = field(default_factory=dict)

    def add(self, layer: str, document: Located, parsed: RuleFile, problems: list[Problem]) -> None:
        """Take what *parsed* defines; twice within one layer is a mistake."""
        for name, fields in parsed.types.items():
            at = ("types", name)
            source = RuleSource(layer, document.file, document.line(at))
            known = self.sources.get(name)
            if known is not None and known.layer == layer:
                problems.append(document.problem(at, f"{name} stands at {known} too"))
                continue
            self.fields[name], self.sources[name] = fields, source

    def copy(self) -> "_Types":
        """The same, to be added to."""
        return _Types(dict(self.fields), dict(self.sources))


Documents = list[tuple[Located, RuleFile]]


def load(files: RuleFiles, *, keep_alternatives: bool = False) -> Loaded:
    """Read and compile every layer; *keep_alternatives* for those who look at the rules themselves.

    Raises ConfigError with all problems of all files of the four layers.
    """
    return compile_rules(read(files), keep_alternatives=keep_alternatives)


def read(files: RuleFiles) -> Source:
    """Read and check every layer. Raises ConfigError as `load` does."""
    source, problems = survey(files)
    if problems:
        raise ConfigError(problems)
    return source


def survey(files: RuleFiles) -> tuple[Source, list[Problem]]:
    """What is right in every layer, and what is wrong with the four that must be right."""
    problems: list[Problem] = []
    types = _Types()
    layers: list[tuple[str, Documents, frozenset[str]]] = []
    for layer, folder in files.folders:
        documents = list(_documents(folder, files.instead, problems))
        for document, parsed in documents:
            types.add(layer, document, parsed, problems)
        layers.append((layer, documents, frozenset(types.fields)))
    applications: dict[str, Rule] = {}
    for layer, documents, visible in layers:
        for rule in _rules(layer, documents, {name: types.fields[name] for name in visible}, problems):
            applications.pop(rule.id, None)  # a higher layer's rule replaces the one of the same id
            applications[rule.id] = rule
    notes: list[Problem] = []
    priors = PriorTable() if files.ananicy is None else ananicy.load(files.ananicy, notes)
    own = dict(_everybodys(types, files, notes)) if files.homes else {}
    return Source(tuple(applications.values()), own, priors, tuple(notes), types.sources), problems


def _documents(
    folder: Path, instead: Mapping[str, bytes], problems: list[Problem]
) -> Iterator[tuple[Located, RuleFile]]:
    ahead = {Path(file).name for file in instead if Path(file).parent == folder}
    try:
        there = {name for name in os.listdir(folder) if name.endswith(".yaml")}
        paths = [folder / name for name in sorted(there | ahead)]
    except FileNotFoundError:
        paths = [folder / name for name in sorted(ahead)]
    except NotADirectoryError:
        paths = [folder]
    except OSError as error:
        problems.append(Problem(str(folder), 1, "", f"cannot be read: {error.strerror}"))
        return
    for path in paths:
        try:
            data = instead.get(str(path))
            document = load_file(path) if data is None else load_text(data, str(path))
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
    layer: str, documents: Iterable[tuple[Located, RuleFile]], types: Mapping[str, TypeRule], problems: list[Problem]
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


def _everybodys(types: _Types, files: RuleFiles, problems: list[Problem]) -> Iterator[tuple[int, tuple[Rule, ...]]]:
    for user in pwd.getpwall():
        if files.people is not None and user.pw_uid not in files.people:
            continue
        found: list[Problem] = []
        rules = personal(user.pw_uid, Path(user.pw_dir), types.copy(), found, files.instead)
        # The words are that person's: they must not deceive whoever reads the log.
        problems += [replace(p, field=sanitise(p.field, 128), message=sanitise(p.message)) for p in found]
        if rules:
            yield user.pw_uid, rules


def personal(
    uid: int, home: Path, types: _Types, problems: list[Problem], instead: Mapping[str, bytes] = MappingProxyType({})
) -> tuple[Rule, ...]:
    """A person's own rules, read with care: they are that person's word about their own processes, no more."""
    documents: Documents = []
    folder = Path(home, *PERSONAL)
    there = dict(_personal_files(uid, home, problems))
    there.update((file, data) for file, data in instead.items() if Path(file).parent == folder)
    for name, data in sorted(there.items()):
        try:
            document = load_text(data, name)
        except ConfigError as error:
            problems += error.problems
            continue
        parsed, found = parse_rules(document)
        problems += found
        if parsed is not None:
            types.add("personal", document, parsed, problems)
            documents.append((document, parsed))
    rules: list[Rule] = []
    budget = _Budget()
    for rule in _rules("personal", documents, types.fields, problems):
        refused = _refused(rule) or budget.refuses(rule)
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


@dataclass(slots=True)
class _Budget:
    """What one person's rules may still cost."""

    rules: int = PERSONAL_RULES
    values: int = PERSONAL_VALUES
    steps: int = regex.PERSONAL_STEPS

    def refuses(self, rule: Rule) -> str | None:
        """Why there is no room for *rule*; else take its share."""
        values = sum(len(v) for a in rule.alternatives for v in a.values() if not isinstance(v, bool))
        steps = sum(regex.steps(p, regex.PERSONAL_TEXT) for a in rule.alternatives for p in strings(a, "cmdline"))
        if self.rules < 1:
            return f"only {PERSONAL_RULES} rules are read"
        if self.values < values:
            return f"only {PERSONAL_VALUES} values are read, of all rules together"
        if self.steps < steps:
            return "the expressions for cmdline could take too long on some text: fewer, or with fewer .* in them"
        self.rules, self.values, self.steps = self.rules - 1, self.values - values, self.steps - steps
        return None


def _personal_files(uid: int, home: Path, problems: list[Problem]) -> Iterator[tuple[str, bytes]]:
    """Regular files of *uid*'s own that nobody else can write."""
    path = str(Path(home, *PERSONAL))
    left = PERSONAL_BYTES
    try:
        with personal_folder(home) as folder:
            names = names_in(folder)
            if len(names) > PERSONAL_FILES:
                problems.append(Problem(path, 1, "", f"only {PERSONAL_FILES} files are read"))
            for name in names[:PERSONAL_FILES]:
                where = sanitise(f"{path}/{name}")
                try:
                    data = _personal_file(folder, name, uid, left)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    problems.append(Problem(where, 1, "", f"cannot be read: {error.strerror}"))
                    continue
                except _Refused as refused:
                    problems.append(Problem(where, 1, "", str(refused)))
                    continue
                left -= len(data)
                yield where, data
    except (FileNotFoundError, PermissionError):  # no home, no rules, or not for us to enter
        return
    except NotADirectoryError:
        if home.is_dir():  # some users have /dev/null
            problems.append(Problem(path, 1, "", "expected folders on the way there, no links: nothing is read"))
    except OSError as error:
        problems.append(Problem(path, 1, "", f"cannot be read: {error.strerror}"))


class _Refused(Exception):  # noqa: N818 (a person's file that is not read; the message says why)
    pass


def _personal_file(folder: int, name: str, uid: int, limit: int) -> bytes:
    """The content. Raises _Refused for a file that is not as it must be, OSError, ELOOP for a link."""
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if found.st_uid != uid or not stat.S_ISREG(found.st_mode):
            raise _Refused(f"expected a file of uid {uid}")
        if found.st_mode & stat.S_IWOTH:
            raise _Refused("others can write it: chmod o-w")
        if found.st_mode & stat.S_IWGRP and not _private_group(found.st_gid, uid):
            raise _Refused("its group can write it, and is not that person's alone: chmod g-w")
        data = file.read(limit + 1) if found.st_size <= limit else None
        if data is None or len(data) > limit:
            raise _Refused(f"only {PERSONAL_BYTES} bytes are read, of all files together")
        return data


def _private_group(gid: int, uid: int) -> bool:
    """Whether nobody but *uid* is in the group: where each person has one of their own, umask 002 is usual.

    It must be their primary group, bear their name, be nobody else's primary group, and list no other member.
    A number alone says nothing: gid 1000 may be anybody's.
    """
    try:
        group = grp.getgrgid(gid)
    except KeyError:
        return False
    primary = [user for user in pwd.getpwall() if user.pw_gid == gid]
    names = {user.pw_name for user in primary}
    return all(user.pw_uid == uid for user in primary) and group.gr_name in names and names.issuperset(group.gr_mem)
