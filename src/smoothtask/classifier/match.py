"""Which rule knows a process (pure): indexed by exact name, so that 16,000 rules cost no more than 16."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import translate

from smoothtask.classifier.belief import is_believed
from smoothtask.classifier.regex import PERSONAL_TEXT, SHARED_TEXT
from smoothtask.model.classes import NO_LIMITS, Limits, PriorityClass
from smoothtask.model.group import Classification, ProcessType, RuleSource
from smoothtask.model.identity import Identity

LAYERS = ("ananicy", "vendor", "distro", "user", "runtime", "personal")
COMM_BYTES = 15
"""A longer name is cut to this in comm (proc(5))."""

# How much a condition that holds says; several add up.
_WEIGHTS = {
    "exe": 60, "flatpak": 80, "snap": 80, "unit": 75, "container": 75, "wine": 70, "environ": 50, "cmdline": 40,
    "name": 30, "parent": 20, "ancestor": 15, "user": 10, "cgroup": 10, "tty": 5,
}  # fmt: skip
_EXACT_BONUS = 20
_GLOBS = frozenset({"exe", "unit", "cgroup", "wine", "container"})
_INDEXED = ("flatpak", "snap", "wine", "unit", "container", "exe", "name", "parent", "user", "cgroup")
"""Keys whose exact values are looked up in a dictionary, those that few processes share first."""
_TRAITS = ("wine", "container", "unit", "environ", "tty", "exe")
"""What most processes lack, the rarest first: a pattern that asks for one need not be tried on those."""
_TOGETHER = 16
"""Patterns that are ruled out by one question."""
_GLOB = re.compile(r"[*?\[]")

Ancestors = Sequence[Identity]
Test = Callable[[Identity, Ancestors], str | None]
"""What of the process it recognised (empty: nothing that need be said), or `None` when it does not hold."""
Conditions = Mapping[str, tuple[str, ...] | dict[str, str] | bool]
"""One alternative of a rule (`schema.Conditions`): every key must hold, and any of its values."""


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
    alternatives: tuple[Conditions, ...]
    limits: Limits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class Pattern:
    """One alternative, compiled: what is left to ask once the index has found it."""

    rule: Rule
    tests: tuple[Test, ...]
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
        def kept(listed: Sequence[Rule]) -> tuple[Rule, ...]:
            return tuple(r if keep_alternatives else replace(r, alternatives=()) for r in listed)

        self.rules = kept(rules)
        self.personal = {uid: kept(own) for uid, own in (personal or {}).items()}
        self.priors = priors or PriorTable()
        self._shared = _Index(self.rules, rules)
        self._personal = {uid: _Index(self.personal[uid], own) for uid, own in (personal or {}).items()}

    def classify(self, identity: Identity, ancestors: Ancestors) -> Classification:
        """What *identity* is; *ancestors*: its parent first."""
        if identity.kernel_thread or identity.key.pid == 1:
            what = "a kernel thread" if identity.kernel_thread else "the first process"
            return _unknown(identity, protected=True, evidence=what)
        best = max(self._matches(identity, ancestors), key=lambda m: m.rank, default=None)
        best = best or self.priors.match(identity)
        return _unknown(identity) if best is None else _classification(best)

    def candidates(self, identity: Identity, ancestors: Ancestors) -> list[Match]:
        """Every rule that matches, the winner first; ananicy's prior is the last."""
        ranked = sorted(self._matches(identity, ancestors), key=lambda m: m.rank, reverse=True)
        prior = self.priors.match(identity)
        return ranked if prior is None else [*ranked, prior]

    def _matches(self, identity: Identity, ancestors: Ancestors) -> Iterator[Match]:
        yield from self._shared.matches(identity, ancestors)
        own = self._personal.get(identity.uid)
        if own is not None:
            yield from own.matches(identity, ancestors)


class _Index:
    """Patterns by an exact value that they ask for; the few that ask for none are tried one by one."""

    def __init__(self, rules: Sequence[Rule], full: Sequence[Rule]) -> None:
        """*rules* are what a match refers to, *full* the same with their alternatives."""
        self._exact: dict[str, dict[str, list[Pattern]]] = {}
        self._cut_names: dict[str, list[tuple[str, Pattern]]] = {}
        """By the first 15 bytes: (the whole name, the pattern)."""
        self._scanned: list[_Scan] = []
        by_trait: dict[str, list[tuple[Conditions, Pattern]]] = {}
        for order, (rule, alternatives) in enumerate(zip(rules, (f.alternatives for f in full), strict=True)):
            names = frozenset(n for a in alternatives for n in strings(a, "name")) if rule.protected else frozenset()
            for alternative in alternatives:
                pattern = self._add(rule, alternative, order, names)
                if pattern is not None:
                    trait = next((t for t in _TRAITS if t in alternative), "")
                    by_trait.setdefault(trait, []).append((alternative, pattern))
        for trait, found in by_trait.items():
            self._scanned += (_Scan.of(trait, found[i : i + _TOGETHER]) for i in range(0, len(found), _TOGETHER))

    def _add(self, rule: Rule, alternative: Conditions, order: int, names: frozenset[str]) -> Pattern | None:
        """Index a pattern; return it when it has no exact value. *names*: all those of the rule."""
        key = next((k for k in _INDEXED if k in alternative and _is_exact(k, alternative[k])), None)
        tests = tuple(_test(k, v, personal=rule.source.layer == "personal") for k, v in alternative.items() if k != key)
        if rule.protected:
            tests = (*tests, lambda i, _: "" if is_believed(i, alternative, names) else None)
        layer = LAYERS.index(rule.source.layer)
        pattern = Pattern(rule, tests, (layer, specificity(alternative), order))
        if key is None:
            return pattern
        by_value = self._exact.setdefault(key, {})
        for value in strings(alternative, key):
            by_value.setdefault(value.lower() if key == "wine" else value, []).append(pattern)
            if key == "name" and len(value.encode()) > COMM_BYTES:
                self._cut_names.setdefault(_cut(value), []).append((value, pattern))
        return None

    def matches(self, identity: Identity, ancestors: Ancestors) -> Iterator[Match]:
        """Every pattern that holds, once."""
        seen: set[int] = set()
        for evidence, pattern in self._near(identity, ancestors):
            if id(pattern) in seen:
                continue
            seen.add(id(pattern))
            found = [evidence] if evidence else []
            for test in pattern.tests:
                said = test(identity, ancestors)
                if said is None:
                    break
                found.append(said)
            else:
                yield Match(pattern.rule, ", ".join(filter(None, found)), pattern.rank)

    def _near(self, identity: Identity, ancestors: Ancestors) -> Iterator[tuple[str, Pattern]]:
        """Patterns worth trying, each with what the index has recognised already."""
        for key, by_value in self._exact.items():
            for value in _values(key, identity, ancestors):
                for pattern in by_value.get(value, ()):
                    yield f"{key} {value}", pattern
        cut = cut_name(identity) if self._cut_names else None
        if cut is not None:
            for name, pattern in self._cut_names.get(cut, ()):
                yield f"name {name} (cut to {cut})", pattern
        for scan in self._scanned:
            if scan.may_hold(identity):
                for pattern in scan.patterns:
                    yield "", pattern


@dataclass(frozen=True, slots=True)
class _Scan:
    """Some patterns without an exact value, and one question that rules all of them out for most processes."""

    trait: str
    any_glob: Callable[[str], object] | None
    """Whether any of their globs for the trait matches."""
    patterns: tuple[Pattern, ...]

    @classmethod
    def of(cls, trait: str, found: Sequence[tuple[Conditions, Pattern]]) -> "_Scan":
        """For patterns that all ask for *trait*."""
        globs = [glob for alternative, _ in found for glob in strings(alternative, trait)] if trait in _GLOBS else []
        return cls(trait, _matcher(trait, globs) if globs else None, tuple(p for _, p in found))

    def may_hold(self, identity: Identity) -> bool:
        """False when none of the patterns holds."""
        if not self.trait or self.trait == "tty":  # a pattern may ask for its absence
            return True
        if self.any_glob is None:
            return bool(getattr(identity, self.trait))
        return any(map(self.any_glob, _values(self.trait, identity, ())))


def _is_exact(key: str, value: object) -> bool:
    return key not in _GLOBS or not any(_GLOB.search(v) for v in value)  # type: ignore[attr-defined]


def _values(key: str, identity: Identity, ancestors: Ancestors) -> Iterable[str]:
    """What an exact value of *key* is compared with."""
    match key:
        case "name":
            return names_of(identity)
        case "parent":
            return names_of(ancestors[0]) if ancestors else ()
        case "user":
            return (str(identity.uid), identity.user) if identity.user else (str(identity.uid),)
        case "unit":
            return [u for u in (identity.unit, identity.slice) if u]
        case "wine":
            return (identity.wine_exe.lower(),) if identity.wine_exe else ()
        case _:
            value = getattr(identity, key)
            return (value,) if value else ()


@dataclass(slots=True)
class PriorTable:
    """Names that ananicy's rules know: a dictionary, since there are thousands."""

    priors: list[Prior] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    names: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """Name → (index of the prior, index of the file, line)."""

    def match(self, identity: Identity) -> Match | None:
        """What the best of a process's names probably is: never certain, never protected."""
        for name in names_of(identity):
            found = self.names.get(name)
            if found is not None:
                return Match(self._rule(name, *found), f"name {name}", (LAYERS.index("ananicy"), 0, 0))
        return None

    def _rule(self, name: str, which: int, file: int, line: int) -> Rule:
        prior = self.priors[which]
        return Rule(
            id=name,
            label=name,
            type=prior.type,
            target=prior.target,
            certain=False,
            tags=prior.tags,
            process_type=prior.process_type,
            protected=False,
            starts_others=prior.starts_others,
            part=None,
            after_s=0.0,
            source=RuleSource("ananicy", self.files[file], line),
            alternatives=(),
        )


def names_of(identity: Identity) -> list[str]:
    """What a process may be called, the best first: by its exe, argv[0], Windows program, comm."""
    names = [identity.basename]
    if identity.cmdline:
        names.append(identity.cmdline[0].rpartition("/")[2])
    if identity.wine_exe:
        names.append(identity.wine_exe)
    names.append(identity.name)
    return list(dict.fromkeys(n for n in names if n))


def cut_name(identity: Identity) -> str | None:
    """The comm, when it may be the beginning of a longer name that nothing else tells."""
    comm = identity.name
    if len(comm.encode()) < COMM_BYTES:
        return None
    known = (identity.basename, identity.cmdline[0].rpartition("/")[2] if identity.cmdline else "")
    return None if any(n != comm and _cut(n) == comm for n in known) else comm


def specificity(alternative: Conditions) -> int:
    """How much an alternative says when it holds; the greater wins within a layer."""
    exact = sum(_EXACT_BONUS for key in ("exe", "unit") if key in alternative and _is_exact(key, alternative[key]))
    return exact + sum(_WEIGHTS[key] for key in alternative)


def strings(alternative: Conditions, key: str) -> tuple[str, ...]:
    """The values of a key that has a list of them; none when it does not stand there."""
    values = alternative.get(key)
    return values if isinstance(values, tuple) else ()


def _cut(name: str) -> str:
    return name.encode()[:COMM_BYTES].decode(errors="replace")


def _test(key: str, value: object, *, personal: bool) -> Test:
    if isinstance(value, dict):
        return _environ(value)
    if isinstance(value, bool):
        return lambda i, _: ("has a tty" if value else "has no tty") if (i.tty is not None) is value else None
    words = value if isinstance(value, tuple) else ()
    if key == "cmdline":
        return _cmdline(words, PERSONAL_TEXT if personal else SHARED_TEXT)
    if key in _GLOBS:
        return _glob(key, words)
    wanted = frozenset(words)
    if key == "ancestor":
        return lambda _, up: next((f"ancestor {n}" for a in up for n in names_of(a) if n in wanted), None)
    if key == "name":
        cut = frozenset(_cut(w) for w in words if len(w.encode()) > COMM_BYTES)
        return lambda i, up: _one_of("name", wanted, i, up) or (f"name {i.name}" if cut_name(i) in cut else None)
    return lambda i, up: _one_of(key, wanted, i, up)


def _one_of(key: str, wanted: frozenset[str], identity: Identity, ancestors: Ancestors) -> str | None:
    return next((f"{key} {v}" for v in _values(key, identity, ancestors) if v in wanted), None)


def _cmdline(patterns: Sequence[str], limit: int) -> Test:
    searches = [re.compile(p).search for p in patterns]
    return lambda i, _: _found_in(searches, " ".join(i.cmdline)[:limit])


def _found_in(searches: Sequence[Callable[[str], "re.Match[str] | None"]], text: str) -> str | None:
    found = next((m for search in searches if (m := search(text))), None)
    return None if found is None else f"command line with “{found[0][:40]}”"


def _glob(key: str, words: Sequence[str]) -> Test:
    matches = _matcher(key, words)

    def test(identity: Identity, ancestors: Ancestors) -> str | None:
        found = next((v for v in _values(key, identity, ancestors) if matches(v)), None)
        return None if found is None else f"{'slice' if key == 'unit' and found != identity.unit else key} {found}"

    return test


def _matcher(key: str, globs: Sequence[str]) -> Callable[[str], object]:
    flags = re.IGNORECASE if key == "wine" else 0
    return re.compile("|".join(f"(?:{translate(g)})" for g in globs), flags).match


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
        limits=r.limits,
    )


def _unknown(identity: Identity, *, protected: bool = False, evidence: str = "no rule knows it") -> Classification:
    return Classification(
        app=f"exe:{identity.exe}" if identity.exe else f"name:{identity.basename}",
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
    on_screen = {"DISPLAY", "WAYLAND_DISPLAY"} & {name for name, _ in identity.environ}
    if on_screen and identity.unit and identity.unit.startswith("app-"):
        return ProcessType.GUI
    return ProcessType.DAEMON
