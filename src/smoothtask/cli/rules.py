"""`smoothtask rules`: what is wrong with them, which one wins for a process, all of them, and a new one."""

import argparse
import os
from collections.abc import Iterator
from typing import Any

from smoothtask.classifier.apart import RulesUnreadable
from smoothtask.classifier.clues import clues_of
from smoothtask.classifier.layers import RuleFiles
from smoothtask.classifier.lint import Severity, lint, why
from smoothtask.classifier.making import MakingError, conditions, draft, id_for
from smoothtask.classifier.match import Rule, RuleSet
from smoothtask.classifier.reading import load
from smoothtask.classifier.saving import OwnRules, check, propose, refuses, save
from smoothtask.collector.identity import read_identity
from smoothtask.kernel.sched import start_ticks
from smoothtask.model.classes import PriorityClass
from smoothtask.model.identity import Identity

ANCESTORS = 16


def run(options: argparse.Namespace, files: RuleFiles) -> tuple[bool, list[str], Any]:
    """Carry out `rules lint|which|list|make`: whether it went well, its lines, and the same as JSON values.

    Raises ConfigError for rules that cannot be used.
    """
    if options.what == "lint":
        findings = lint(files)
        data = [
            {"severity": f.severity, "file": f.file, "line": f.line, "field": f.field, "message": f.message}
            for f in findings
        ]
        fine = not any(f.severity is Severity.ERROR for f in findings)
        return fine, [str(f) for f in findings] or ["nothing is wrong"], data
    if options.what == "make":
        return _make(options, files)
    rules = load(files).rules
    if options.what == "list":
        return True, [_line(r) for r in rules.rules], [_data(r) for r in rules.rules]
    return _which(rules, options.target)


def _which(rules: RuleSet, target: str) -> tuple[bool, list[str], Any]:
    lines: list[str] = []
    data = []
    for identity in _processes(target):
        ancestors = tuple(_ancestors(identity))
        said = rules.classify(identity, ancestors)
        sentences = why(rules.candidates(identity, ancestors))
        lines.append(f"{identity.key.pid} {identity.basename}: {said.label} ({said.type}), {said.evidence}")
        lines += [f"  {sentence}" for sentence in sentences]
        data.append(
            {
                "pid": identity.key.pid,
                "app": said.app,
                "type": said.type,
                "class": None if said.target is None else said.target.name,
                "rule": None if said.source is None else str(said.source),
                "why": sentences,
            }
        )
    return bool(data), lines or [f"no process is called {target}"], data


def _make(options: argparse.Namespace, files: RuleFiles) -> tuple[bool, list[str], Any]:
    """A rule about the process that is meant: its file's difference, and unless it is a dry run, the save."""
    identity = next(_processes(options.target), None)
    if identity is None:
        return False, [f"no process is called {options.target}"], None
    own = OwnRules.mine(files)
    said = load(files).rules.classify(identity, tuple(_ancestors(identity)))
    if said.protected:
        return False, [f"{said.label} is protected: {said.evidence}"], None
    offers = [c for c in conditions(clues_of(identity)) if options.match in {None, c.match[-1][0]}]
    if not offers:
        return False, [f"{said.label} is not known by its {options.match or 'name'}"], None
    try:
        id_ = id_for(said, frozenset(own.ids()))
        rule = draft(said, offers[0], PriorityClass[options.class_name], options.type or "", id_)
        proposal = propose(own, rule)
        findings = check(own, proposal)
        fine = not refuses(findings)
        if fine and not options.dry_run:
            save(proposal)
    except (MakingError, RulesUnreadable) as error:
        return False, [str(error)], None
    saved = fine and not options.dry_run
    why_not = ": a dry run" if fine else ""
    within = "10 s" if own.layer == "user" else "about a minute"
    done = f"saved in {proposal.path}: a daemon follows within {within}" if saved else f"not saved{why_not}"
    said_of_it = [str(f) for f in findings]
    data = {
        "file": str(proposal.path),
        "rule": rule.value,
        "diff": proposal.diff,
        "saved": saved,
        "findings": said_of_it,
    }
    return fine, [*proposal.diff, *said_of_it, done], data


def _processes(target: str) -> Iterator[Identity]:
    """The process with that pid, or every one of that name."""
    pids = [target] if target.isdecimal() else sorted((p for p in os.listdir("/proc") if p.isdecimal()), key=int)
    for pid in pids:
        found = _identity(int(pid)) if len(pid) < 9 else None
        if found is not None and (target.isdecimal() or target in {found.name, found.basename}):
            yield found


def _ancestors(identity: Identity) -> Iterator[Identity]:
    """The parent first."""
    for _ in range(ANCESTORS):
        parent = _identity(identity.ppid) if identity.ppid > 0 else None
        if parent is None:
            return
        yield parent
        identity = parent


def _identity(pid: int) -> Identity | None:
    start = start_ticks(pid)
    return None if start is None else read_identity(pid, start)


def _line(rule: Rule) -> str:
    target = "-" if rule.target is None else rule.target.name
    return f"{rule.id:<28} {rule.type:<16} {target:<16} {rule.source.layer:<8} {rule.source}"


def _data(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "label": rule.label,
        "type": rule.type,
        "class": None if rule.target is None else rule.target.name,
        "protected": rule.protected,
        "layer": rule.source.layer,
        "source": str(rule.source),
    }
