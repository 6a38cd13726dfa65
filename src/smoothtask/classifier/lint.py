"""What is wrong with the rules, and which one wins for a process and why."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from smoothtask.classifier.clues import INTERPRETERS
from smoothtask.classifier.layers import RuleFiles, Source
from smoothtask.classifier.match import LAYERS, Conditions, Match, Rule, specificity, strings
from smoothtask.classifier.reading import survey
from smoothtask.config.located import Problem
from smoothtask.model.classes import PriorityClass
from smoothtask.model.group import ProcessType

_BROAD = frozenset({"*", "/*", "**", "?*"})
_BACKGROUND = frozenset({ProcessType.BATCH, ProcessType.MAINTENANCE, ProcessType.DAEMON, ProcessType.SERVICE})


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend, and where it stands."""

    severity: Severity
    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        return f"{self.file}:{self.line}: {self.severity}: {field}{self.message}"


def lint(files: RuleFiles) -> list[Finding]:
    """Every broken, undefined, shadowed or unsafe rule of every layer."""
    source, broken = survey(files)
    everybodys = [source.rules, *source.personal.values()]
    return [
        *(_finding(Severity.ERROR, p) for p in broken),
        *(_finding(Severity.WARNING, p) for p in source.problems),
        *(f for rules in everybodys for f in (*_unsafe(rules), *_shadowed(rules))),
        *_unused(source),
    ]


def findings_in(files: RuleFiles, file: str) -> list[Finding]:
    """What is wrong in one file. All that keeps its rules from being used is an error, in a personal file too."""
    source, broken = survey(files)
    everybodys = [source.rules, *source.personal.values()]
    found = [
        *(_finding(Severity.ERROR, p) for p in (*broken, *source.problems)),
        *(f for rules in everybodys for f in (*_unsafe(rules), *_shadowed(rules))),
    ]
    return [f for f in found if f.file == file]


def why(matches: Sequence[Match]) -> list[str]:
    """A sentence for each of `RuleSet.candidates`: why the first one wins and the others do not."""
    sentences = []
    for n, match in enumerate(matches):
        rule = match.rule
        target = rule.target.name if rule.target is not None else "no class"
        what = f"{rule.source}: {rule.id} ({rule.type}, {target}) by {match.evidence}"
        sentences.append(f"wins   {what}" if n == 0 else f"loses  {what}: {_reason(match, matches[0])}")
    return sentences


def _reason(match: Match, winner: Match) -> str:
    layer, specificity, _ = match.rank
    if layer != winner.rank[0]:
        return f"layer {LAYERS[layer]} is below {LAYERS[winner.rank[0]]}"
    if specificity != winner.rank[1]:
        return f"less specific ({specificity} against {winner.rank[1]})"
    return "it stands earlier"


def _finding(severity: Severity, p: Problem) -> Finding:
    return Finding(severity, p.file, p.line, p.field, p.message)


def _about(rule: Rule, severity: Severity, message: str) -> Finding:
    return Finding(severity, rule.source.file, rule.source.line, rule.id, message)


def _unsafe(rules: Sequence[Rule]) -> Iterator[Finding]:
    for rule in rules:
        low = rule.target is not None and rule.target < PriorityClass.NORMAL
        if low and rule.starts_others:
            yield _about(rule, Severity.ERROR, "lowers what starts other programs, which would inherit it")
        if rule.target is PriorityClass.LATENCY_CRITICAL and rule.process_type in _BACKGROUND:
            what = f"a {rule.process_type.value} process cannot be latency-critical: nobody waits for its next frame"
            yield _about(rule, Severity.ERROR, what)
        if rule.limits and (reason := _never_limited(rule)):
            yield _about(rule, Severity.ERROR, f"limits that never hold: {reason}")
        for alternative in rule.alternatives:
            only_names = alternative.keys() == {"name"}
            if only_names and INTERPRETERS & set(strings(alternative, "name")) and not rule.starts_others:
                yield _about(rule, Severity.WARNING, "an interpreter's name alone says nothing: add cmdline")
            if _matches_nearly_all(alternative):
                yield _about(rule, Severity.WARNING, "matches nearly every process")


def _never_limited(rule: Rule) -> str | None:
    """As `policy.limits` decides."""
    if rule.protected:
        return "what is protected is never touched"
    if rule.starts_others:
        return "what starts other programs is not limited, they would share it"
    if "audio" in rule.tags:
        return "sound is not limited"
    if rule.target is not None and rule.target > PriorityClass.BACKGROUND:
        return f"they are for BACKGROUND and IDLE, not for {rule.target.name}"
    return None


def _matches_nearly_all(alternative: Conditions) -> bool:
    """Whether no condition narrows it down: a bare `*`, an expression that finds nothing, a tty."""
    broad = {
        key
        for key, value in alternative.items()
        if key == "tty"
        or (key in {"exe", "cgroup", "unit"} and isinstance(value, tuple) and _BROAD & set(value))
        or (key == "cmdline" and isinstance(value, tuple) and {".", ".*", ".+", "^", "$"} & set(value))
    }
    return broad == alternative.keys()


def _shadowed(rules: Sequence[Rule]) -> Iterator[Finding]:
    """Rules that can never win: each alternative is covered by one of another rule that wins over it."""
    near: dict[object, list[tuple[tuple[int, int, int], Rule, Conditions]]] = defaultdict(list)
    for order, rule in enumerate(rules):
        for alternative in rule.alternatives:
            rank = (LAYERS.index(rule.source.layer), specificity(alternative), order)
            for place in _places(alternative):
                near[place].append((rank, rule, alternative))
    for order, rule in enumerate(rules):
        winners = []
        for a in rule.alternatives:
            rank = (LAYERS.index(rule.source.layer), specificity(a), order)
            listed = near[_places(a)[0]]
            winners.append(next((w for r, w, b in listed if r > rank and w is not rule and _covers(b, a)), None))
        first = winners[0]
        if first is not None and all(winners):
            yield _about(rule, Severity.WARNING, f"never wins: {first.id} at {first.source} says the same")


def _places(alternative: Conditions) -> list[tuple[frozenset[str], str]]:
    """Its keys with each value of the first one: what covers it shares all of them."""
    value = alternative[min(alternative)]
    return [(frozenset(alternative), v) for v in (value if isinstance(value, tuple) else (repr(value),))]


def _covers(wide: Conditions, narrow: Conditions) -> bool:
    """Whether *wide*, of the same keys, holds wherever *narrow* does."""
    return all(
        set(v) <= set(wide[k]) if isinstance(v, tuple) else v == wide[k]  # type: ignore[arg-type]
        for k, v in narrow.items()
    )


def _unused(source: Source) -> Iterator[Finding]:
    used = {r.type for rules in (source.rules, *source.personal.values()) for r in rules}
    for name in sorted(source.types.keys() - used):
        where = source.types[name]
        yield Finding(Severity.NOTE, where.file, where.line, f"types.{name}", "no application is of this type")
