"""What is wrong with the rules, and which one wins for a process and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from smoothtask.classifier.layers import Loaded, RuleFiles, load
from smoothtask.classifier.match import LAYERS, Match, Rule
from smoothtask.config.located import ConfigError, Problem
from smoothtask.model.classes import PriorityClass
from smoothtask.model.group import ProcessType

INTERPRETERS = frozenset(
    ["python", "python3", "perl", "ruby", "node", "java", "mono", "dotnet", "php", "lua", "electron", "gjs"]
)


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
    try:
        loaded = load(files, keep_alternatives=True)
    except ConfigError as error:
        return [_finding(Severity.ERROR, p) for p in error.problems]
    notes = [_finding(Severity.WARNING, p) for p in loaded.problems]
    rules = [*loaded.rules.rules, *(r for own in loaded.rules.personal.values() for r in own)]
    return [*notes, *_unsafe(rules), *_shadowed(rules), *_unused(loaded, files)]


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
        background = rule.process_type in {ProcessType.BATCH, ProcessType.MAINTENANCE}
        if rule.target is PriorityClass.LATENCY_CRITICAL and background:
            yield _about(rule, Severity.ERROR, "background work cannot be latency-critical")
        for alternative in rule.alternatives:
            names_only = alternative.model_fields_set == {"name"}
            if names_only and INTERPRETERS & set(alternative.name) and rule.target is not None:
                yield _about(rule, Severity.WARNING, "an interpreter's name alone says nothing: add cmdline")
            if any(set(glob) <= {"*", "/"} for glob in (*alternative.exe, *alternative.cgroup)):
                yield _about(rule, Severity.WARNING, "matches every process")


def _shadowed(rules: Sequence[Rule]) -> Iterator[Finding]:
    """Rules all of whose alternatives stand in another one that wins over them."""
    owner: dict[object, tuple[tuple[int, int], Rule]] = {}
    for order, rule in enumerate(rules):
        rank = (LAYERS.index(rule.source.layer), order)
        for alternative in rule.alternatives:
            known = owner.get(_key(alternative))
            if known is None or known[0] < rank:
                owner[_key(alternative)] = (rank, rule)
    for rule in rules:
        winners = [owner[_key(a)][1] for a in rule.alternatives]
        if all(w is not rule for w in winners):
            yield _about(rule, Severity.WARNING, f"never wins: {winners[0].id} at {winners[0].source} says the same")


def _key(alternative: object) -> str:
    return repr(alternative)


def _unused(loaded: Loaded, files: RuleFiles) -> Iterator[Finding]:
    used = {r.type for r in loaded.rules.rules}
    used |= {r.type for own in loaded.rules.personal.values() for r in own}
    for name in sorted(loaded.types - used):
        yield Finding(Severity.NOTE, str(files.vendor), 1, f"types.{name}", "no application is of this type")
