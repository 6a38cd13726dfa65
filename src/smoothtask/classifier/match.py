"""Which rule knows a process (pure): indexed by exact name, so that 16,000 rules cost no more than 16."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import translate
from itertools import chain
from typing import TypeVar

from smoothtask.classifier.schema import Alternative, ApplicationRule, TypeRule
from smoothtask.model.classes import PriorityClass
from smoothtask.model.group import Classification, ProcessType, RuleSource
from smoothtask.model.identity import Identity

LAYERS = ("ananicy", "vendor", "distro", "user", "runtime", "personal")
TEXT_LIMIT = 2048
"""Characters of a command line that a regular expression sees."""
COMM_BYTES = 15
"""A longer name is cut to this in comm (proc(5))."""

# How much a condition that holds says; several add up.
_WEIGHTS = {
    "exe": 60, "flatpak": 80, "snap": 80, "unit": 60, "container": 70, "wine": 70, "environ": 50, "cmdline": 40,
    "name": 30, "parent": 20, "ancestor": 15, "user": 10, "cgroup": 10, "tty": 5,
}  # fmt: skip
_EXACT_BONUS = 20
_TRAITS = ("flatpak", "snap", "wine", "container", "unit", "environ", "tty", "exe")
"""What most processes lack, the rarest first: a pattern that asks for one need not be tried on those."""
_GLOB = re.compile(r"[*?\[]")

Ancestors = Sequence[Identity]
Test = Callable[[Identity, Ancestors], str | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """One application's rule with its type's fields filled in."""

    id: str
    label: str
    type: str
    target: PriorityClass | None
    certain: bool
    tags: frozenset[str]
    process_type: ProcessType
    protected: bool
    starts_others: bool
    part: str | None
    after_s: float
    source: RuleSource
    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """One alternative, compiled."""

    rule: Rule
    tests: tuple[Test, ...]
    specificity: int
    rank: tuple[int, int, int]
    """(layer, specificity, order): the greatest wins."""


@dataclass(frozen=True, slots=True)
class Match:
    """A pattern that holds, and what of the process it recognised."""

    rule: Rule
    evidence: str
    rank: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Prior:
    """What an ananicy rule makes of a name."""

    type: str
    target: PriorityClass | None
    process_type: ProcessType
    tags: frozenset[str]
    starts_others: bool = False


class RuleSet:
    """Every rule that holds on this machine; personal ones for their owner's processes alone."""

    def __init__(
        self,
        rules: Sequence[Rule],
        personal: Mapping[int, Sequence[Rule]] | None = None,
        priors: "PriorTable | None" = None,
        *,
        keep_alternatives: bool = False,
    ) -> None:
        # What is compiled is not kept: a daemon holds thousands of rules for weeks.
        slim = [(r if keep_alternatives else replace(r, alternatives=()), r.alternatives) for r in rules]
        self.rules = tuple(r for r, _ in slim)
        self.priors = priors or PriorTable()
        self._shared = _Index(slim)
        self._personal = {uid: _Index([(r, r.alternatives) for r in own]) for uid, own in (personal or {}).items()}
        self.personal = {uid: tuple(own) for uid, own in (personal or {}).items()}

    def classify(self, identity: Identity, ancestors: Ancestors) -> Classification:
        """What *identity* is; *ancestors*: its parent first."""
        if identity.kernel_thread or identity.key.pid == 1:
            what = "a kernel thread" if identity.kernel_thread else "the first process"
            return _unknown(identity, protected=True, evidence=what)
        best = max(self._matches(identity, ancestors), key=lambda m: m.rank, default=None)
        if best is not None:
            return _classification(best)
        return self.priors.classify(identity) or _unknown(identity)

    def candidates(self, identity: Identity, ancestors: Ancestors) -> list[Match]:
        """Every rule that matches, the winner first."""
        return sorted(self._matches(identity, ancestors), key=lambda m: m.rank, reverse=True)

    def _matches(self, identity: Identity, ancestors: Ancestors) -> Iterable[Match]:
        yield from self._shared.matches(identity, ancestors)
        own = self._personal.get(identity.uid)
        if own is not None:
            yield from own.matches(identity, ancestors)


class _Index:
    """Patterns by the names they ask for; the others are tried one by one."""

    def __init__(self, rules: Sequence[tuple[Rule, tuple[Alternative, ...]]]) -> None:
        self._by_name: dict[str, list[Pattern]] = {}
        self._by_trait: dict[str, list[Pattern]] = {}
        """Patterns without a name, by the first trait that they ask for."""
        for order, (rule, alternatives) in enumerate(rules):
            for alternative in alternatives:
                pattern = _compile(rule, alternative, order)
                for name in alternative.name:
                    self._by_name.setdefault(name, []).append(pattern)
                    if len(name.encode()) > COMM_BYTES:
                        self._by_name.setdefault(_cut(name), []).append(pattern)
                if not alternative.name:
                    trait = next((t for t in _TRAITS if t in alternative.model_fields_set), "")
                    self._by_trait.setdefault(trait, []).append(pattern)

    def matches(self, identity: Identity, ancestors: Ancestors) -> Iterable[Match]:
        seen: set[int] = set()
        named = (p for name in names_of(identity) for p in self._by_name.get(name, ()))
        traits = (p for t, listed in self._by_trait.items() if not t or _has(identity, t) for p in listed)
        for pattern in chain(named, traits):
            if id(pattern) in seen:
                continue
            seen.add(id(pattern))
            evidence = [] if pattern.tests else [f"name {identity.basename}"]
            for test in pattern.tests:
                found = test(identity, ancestors)
                if found is None:
                    break
                evidence.append(found)
            else:
                yield Match(pattern.rule, ", ".join(evidence), pattern.rank)


def _has(identity: Identity, trait: str) -> bool:
    match trait:
        case "wine":
            return identity.wine_exe is not None
        case "unit":
            return identity.unit is not None or identity.slice is not None
        case "tty":
            return True  # a pattern may ask for its absence
        case _:
            return bool(getattr(identity, trait))


@dataclass(slots=True)
class PriorTable:
    """Names that ananicy's rules know: a dictionary, since there are thousands."""

    priors: list[Prior] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    names: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """Name → (index of the prior, index of the file, line)."""

    def classify(self, identity: Identity) -> Classification | None:
        """A likely class, never a certain one."""
        for name in names_of(identity):
            found = self.names.get(name)
            if found is None:
                continue
            which, file, line = found
            prior = self.priors[which]
            return Classification(
                app=name,
                label=name,
                type=prior.type,
                tags=prior.tags,
                process_type=prior.process_type,
                target=prior.target,
                certain=False,
                protected=False,
                source=RuleSource("ananicy", self.files[file], line),
                evidence=f"name {name}",
                starts_others=prior.starts_others,
            )
        return None


def names_of(identity: Identity) -> list[str]:
    """What a process may be called, the best first: a comm counts when nothing better is known, or it is whole."""
    names = [identity.basename]
    if identity.cmdline:
        names.append(identity.cmdline[0].rpartition("/")[2])
    if identity.wine_exe:
        names.append(identity.wine_exe)
    names.append(identity.name)
    return list(dict.fromkeys(n for n in names if n))


def _cut(name: str) -> str:
    return name.encode()[:COMM_BYTES].decode(errors="replace")


def _compile(rule: Rule, a: Alternative, order: int) -> Pattern:
    tests: list[Test] = []
    specificity = 0
    names_only = a.model_fields_set == {"name"}  # the index has asked that already: thousands of rules need no test
    for key in a.model_fields_set:
        value = getattr(a, key)
        specificity += _WEIGHTS[key]
        if key in {"exe", "unit"} and not any(_GLOB.search(v) for v in value):
            specificity += _EXACT_BONUS
        if not names_only:
            tests.append(_test(key, value))
    layer = LAYERS.index(rule.source.layer)
    return Pattern(rule, tuple(tests), specificity, (layer, specificity, order))


def _test(key: str, value: object) -> Test:
    if key == "environ" and isinstance(value, dict):
        return _environ(value)
    if key == "tty":
        return lambda i, _: ("has a tty" if value else "has no tty") if (i.tty is not None) is value else None
    words = value if isinstance(value, tuple) else ()
    if key == "name":
        exact = frozenset(words) | {_cut(w) for w in words if len(w.encode()) > COMM_BYTES}
        return lambda i, _: next((f"name {n}" for n in names_of(i) if n in exact), None)
    if key in {"parent", "ancestor"}:
        wanted = frozenset(words)
        reach = 1 if key == "parent" else None
        return lambda _, up: next((f"{key} {a.basename}" for a in up[:reach] if a.basename in wanted), None)
    if key == "user":
        wanted = frozenset(words)
        return lambda i, _: f"user {i.user or i.uid}" if {i.user, str(i.uid)} & wanted else None
    if key == "cmdline":
        searches = [re.compile(w).search for w in words]
        return lambda i, _: _found_in(searches, " ".join(i.cmdline)[:TEXT_LIMIT])
    return _glob(key, words)


def _found_in(searches: Sequence[Callable[[str], "re.Match[str] | None"]], text: str) -> str | None:
    found = next((m for search in searches if (m := search(text))), None)
    return None if found is None else f"command line with “{found[0][:40]}”"


def _glob(key: str, words: tuple[str, ...]) -> Test:
    flags = re.IGNORECASE if key == "wine" else 0
    matches = re.compile("|".join(f"(?:{translate(w)})" for w in words), flags).match
    attribute = {"wine": "wine_exe"}.get(key, key)

    def test(identity: Identity, _: Ancestors) -> str | None:
        text = getattr(identity, attribute)
        if text and matches(text):
            return f"{key} {text}"
        if key == "unit" and identity.slice and matches(identity.slice):
            return f"slice {identity.slice}"
        return None

    return test


def _environ(wanted: Mapping[str, str]) -> Test:
    compiled = {name: re.compile(translate(glob)).match for name, glob in wanted.items()}

    def test(identity: Identity, _: Ancestors) -> str | None:
        values = dict(identity.environ)
        holds = all(name in values and match(values[name]) for name, match in compiled.items())
        return f"environment with {', '.join(compiled)}" if holds else None

    return test


def _classification(match: Match) -> Classification:
    r = match.rule
    return Classification(
        app=r.id,
        label=r.label,
        type=r.type,
        tags=r.tags,
        process_type=r.process_type,
        target=r.target,
        certain=r.certain,
        protected=r.protected,
        source=r.source,
        evidence=match.evidence,
        after_s=r.after_s,
        part=r.part,
        starts_others=r.starts_others,
    )


def _unknown(identity: Identity, *, protected: bool = False, evidence: str = "no rule knows it") -> Classification:
    return Classification(
        app=f"exe:{identity.exe}" if identity.exe else f"name:{identity.name}",
        label=identity.basename,
        type="unknown",
        tags=frozenset(),
        process_type=_guess(identity),
        target=None,
        certain=False,
        protected=protected,
        source=None,
        evidence=evidence,
    )


def _guess(identity: Identity) -> ProcessType:
    if identity.tty is not None:
        return ProcessType.CLI
    if identity.unit and identity.unit.endswith(".service") and "/system.slice/" in (identity.cgroup or ""):
        return ProcessType.SERVICE
    if {"DISPLAY", "WAYLAND_DISPLAY"} & {name for name, _ in identity.environ}:
        return ProcessType.GUI
    return ProcessType.DAEMON


T = TypeVar("T")


def _pick(own: T | None, default: T | None, last: T) -> T:
    """The application's word, else its type's, else the last resort."""
    return own if own is not None else default if default is not None else last


def rule_of(app: ApplicationRule, types: Mapping[str, TypeRule], source: RuleSource) -> Rule:
    """*app* with its type's fields filled in. Raises KeyError when the type is defined nowhere."""
    kind = types[app.type]
    target = app.target if app.target is not None else kind.target

    return Rule(
        id=app.id,
        label=app.label or app.id,
        type=app.type,
        target=None if target is None else PriorityClass[target],
        certain=_pick(app.certain, kind.certain, False),
        tags=frozenset(kind.tags) | frozenset(app.tags),
        process_type=_pick(app.process_type, kind.process_type, ProcessType.DAEMON),
        protected=_pick(app.protected, kind.protected, False),
        starts_others=_pick(app.starts_others, kind.starts_others, False),
        part=app.part if app.part is not None else kind.part,
        after_s=_pick(app.after_s, kind.after_s, 0.0),
        source=source,
        alternatives=app.match,
    )
