"""A rule made from a running application: what it could match, its text, and the file with it in its place (pure).

The rest of a file stays as it is, comments too: lines are put in or replaced, nothing is written anew. What cannot be
changed so is refused with a sentence.
"""

import difflib
import glob
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from smoothtask.config.located import ConfigError
from smoothtask.config.yamlfile import load_text
from smoothtask.model.classes import PriorityClass
from smoothtask.model.detail import Clues
from smoothtask.model.group import Classification

LABEL_LIMIT = 64
HEAD = "# Rules of one's own; `smoothtask rules lint` checks them.\n"
TYPE_OF = {
    PriorityClass.LATENCY_CRITICAL: "utility",
    PriorityClass.INTERACTIVE: "utility",
    PriorityClass.NORMAL: "utility",
    PriorityClass.BACKGROUND: "batch",
    PriorityClass.IDLE: "batch",
}
"""What an application without a type is taken for, by the class that it gets."""


class MakingError(Exception):
    """The rule or the file cannot be made; the text is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One way to know an application again."""

    match: tuple[tuple[str, str], ...]
    """Keys of `schema.Alternative` and their values: all of them hold together."""
    words: str
    """For a person: what it means."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule to be."""

    id: str
    label: str
    type: str
    target: PriorityClass
    condition: Condition

    @property
    def value(self) -> dict[str, Any]:
        """As it stands in a file."""
        return {
            "id": self.id,
            "label": self.label,
            "type": self.type,
            "class": self.target.name,
            "certain": True,
            "match": [dict(self.condition.match)],
        }


def conditions(clues: Clues) -> tuple[Condition, ...]:
    """What a rule about this process could match, the most certain first."""
    found = [
        ("flatpak", clues.flatpak, "the flatpak, with all that runs in it"),
        ("snap", clues.snap, "the snap, with all that runs in it"),
        ("wine", glob.escape(clues.wine), "the Windows program"),
        ("exe", glob.escape(clues.exe), "this very file"),
        ("unit", glob.escape(clues.unit), "the systemd unit, with all that runs in it"),
        ("name", clues.name, "every program of this name, wherever it is"),
    ]
    said = [Condition(((key, value),), words) for key, value, words in found if value]
    if clues.script and clues.name:
        match = (("name", clues.name), ("cmdline", re.escape(clues.script)))
        said.insert(0, Condition(match, f"what {clues.name} runs: this script"))
    return tuple(said)


def draft(c: Classification, condition: Condition, target: PriorityClass, kind: str, id_: str) -> Draft:
    """A rule that always gives the application of *c* that class; *kind*: its type, empty for a fitting one."""
    known = c.type if c.type != "unknown" else ""
    return Draft(id_, c.label[:LABEL_LIMIT] or id_, kind or known or TYPE_OF[target], target, condition)


def id_for(c: Classification, ours: frozenset[str]) -> str:
    """The rule's id: of a rule in *ours* (ids of the person's own layer) that knows it already, or a new one.

    Never the id of a rule below: a rule of the administrator's replaces the one of the same id, with all it matches.
    """
    if c.app in ours and c.source is not None:
        return c.app
    base = re.sub(r"[^a-z0-9._-]+", "-", (c.app if c.source is not None else c.label).casefold()).strip("-._")
    base = f"{base[:50] or 'application'}-local"
    return next(name for n in range(1, len(ours) + 2) if (name := base if n == 1 else f"{base}-{n}") not in ours)


def ids_in(text: str) -> frozenset[str]:
    """Ids of the applications in a file; none when it cannot be understood."""
    try:
        value = load_text(text.encode(), "").value
    except ConfigError:
        return frozenset()
    listed = value.get("applications") if isinstance(value, dict) else None
    return frozenset(a["id"] for a in listed or () if isinstance(a, dict) and isinstance(a.get("id"), str))


def with_rule(text: str, file: str, rule: Draft) -> str:
    """*text*, the content of *file*, with *rule* in it, in place of the one of its id or at the end of its list.

    Raises ConfigError for a file that is not YAML, MakingError for one that cannot be changed line by line.
    """
    before = load_text(text.encode(), file).value
    if not isinstance(before, dict):
        raise MakingError(f"{file}: expected a mapping with `applications`")
    after = _put(text or HEAD, before, rule, file)
    listed = before.get("applications") or []
    kept = [a for a in listed if not (isinstance(a, dict) and a.get("id") == rule.id)]
    meant = load_text(after.encode(), file).value
    place = next((i for i, a in enumerate(listed) if isinstance(a, dict) and a.get("id") == rule.id), len(listed))
    if meant != {**before, "applications": [*kept[:place], rule.value, *kept[place:]]}:
        raise MakingError(f"{file} is written in a way that cannot be changed line by line: put the rule in yourself")
    return after


def _put(text: str, before: dict[str, Any], rule: Draft, file: str) -> str:
    if text[-1:] not in {"", "\n"}:
        text += "\n"
    lines = text.splitlines(keepends=True)
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if before and isinstance(root, yaml.MappingNode) else ()
    value = next((v for k, v in pairs if k.value == "applications"), None)
    if value is None:
        return "".join([*lines, "applications:\n", *_lines(rule, 2)])
    if not isinstance(value, yaml.SequenceNode) or value.flow_style or not value.value:
        raise MakingError(
            f"{file}:{value.start_mark.line + 1}: expected `applications:` with one application below the other"
        )
    new = list(_lines(rule, value.start_mark.column))
    same = next((n for n in value.value if _id_of(n) == rule.id), None)
    if same is None:
        at = _last_line(value.value[-1]) + 1
        return "".join([*lines[:at], *new, *lines[at:]])
    first, end = same.start_mark.line, _last_line(same) + 1
    said = [line for line in lines[first:end] if line.lstrip().startswith("#")]
    return "".join([*lines[:first], *said, *new, *lines[end:]])


def _id_of(node: yaml.Node) -> object:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((v.value for k, v in node.value if k.value == "id"), None)


def _last_line(node: yaml.Node) -> int:
    """The line (from 0) on which *node* ends: comments and blanks that follow are not its own."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_line(last[1] if isinstance(last, tuple) else last)
    end = node.end_mark
    return int(end.line - 1 if end.column == 0 and end.line > node.start_mark.line else end.line)


def _lines(rule: Draft, indent: int) -> Iterator[str]:
    """The rule as an item of a list that begins at column *indent*."""
    text = yaml.safe_dump([rule.value], sort_keys=False, allow_unicode=True, width=1000)
    return (" " * indent + line for line in text.splitlines(keepends=True))


def snippet(rule: Draft) -> str:
    """The rule alone, for a person to read."""
    return "".join(_lines(rule, 0))


def unified(file: str, before: str, after: str) -> list[str]:
    """The difference as `diff -u` says it, without line ends."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), file, f"{file} (new)", lineterm="")
    return list(lines)
