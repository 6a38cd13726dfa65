"""Reads ananicy's rules as a prior: what a name probably is, never what must be done with it.

One JSON object a line; `#` comments. Real rule sets have defects, and none of them stops the reading: text after
the closing brace, undefined types, broken lines, names that differ in case alone (which are different names).
Later files, by path, replace what earlier ones said.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smoothtask.classifier.match import Prior, PriorTable
from smoothtask.config.located import Problem
from smoothtask.model.classes import PriorityClass
from smoothtask.model.group import ProcessType
from smoothtask.model.text import sanitise

LINE_LIMIT = 65536
FILES_LIMIT = 5000

_KNOWN = {
    "Game": Prior("game", PriorityClass.INTERACTIVE, ProcessType.GUI, frozenset({"game", "gui"})),
    "Player-Audio": Prior("audio-player", None, ProcessType.AUDIO_CLIENT, frozenset({"audio"})),
    "Player-Video": Prior("video-player", PriorityClass.INTERACTIVE, ProcessType.GUI, frozenset({"video", "gui"})),
    "LowLatency_RT": Prior("audio", PriorityClass.INTERACTIVE, ProcessType.AUDIO_CLIENT, frozenset({"audio"})),
    "Chat": Prior("chat", PriorityClass.INTERACTIVE, ProcessType.GUI, frozenset({"chat", "gui"})),
    "Doc-View": Prior("viewer", None, ProcessType.GUI, frozenset({"gui"})),
    "Image-View": Prior("viewer", None, ProcessType.GUI, frozenset({"gui"})),
    "Launcher": Prior("launcher", None, ProcessType.GUI, frozenset({"launcher"}), starts_others=True),
    "BG_CPUIO": Prior("background", PriorityClass.BACKGROUND, ProcessType.MAINTENANCE, frozenset({"background"})),
    "BG_CPU": Prior("background", PriorityClass.BACKGROUND, ProcessType.BATCH, frozenset({"background"})),
    "Heavy_CPU": Prior("batch", PriorityClass.BACKGROUND, ProcessType.BATCH, frozenset({"batch"})),
    "Service": Prior("service", None, ProcessType.SERVICE, frozenset({"service"})),
}
# What a rule set may lower in good faith and must not be believed: everything they start would inherit it.
_STARTERS = frozenset(
    [
        "sh",
        "bash",
        "zsh",
        "fish",
        "dash",
        "ksh",
        "tmux",
        "screen",
        "sshd",
        "login",
        "sudo",
        "su",
        "sddm",
        "sddm-helper",
        "gdm",
        "lightdm",
        "ly-dm",
        "systemd",
    ]
)


def load(root: Path) -> tuple[PriorTable, list[Problem]]:
    """Every `.types` and `.rules` file below *root*; what is wrong with them, each with its line."""
    table, problems = PriorTable(), list[Problem]()
    types: dict[str, dict[str, Any]] = {}
    for path, line, entry in _entries(root, ".types", problems):
        name = entry.get("type")
        if isinstance(name, str):
            types[name] = entry
        else:
            problems.append(Problem(str(path), line, "type", "expected a name"))
    index: dict[Prior, int] = {}
    files: dict[str, int] = {}
    for path, line, entry in _entries(root, ".rules", problems):
        name, kind = entry.get("name"), entry.get("type")
        if not isinstance(name, str) or not name:
            problems.append(Problem(str(path), line, "name", "expected a name"))
            continue
        if isinstance(kind, str) and kind not in types:
            problems.append(Problem(str(path), line, "type", f"undefined type {sanitise(kind, 64)}"))
        prior = _prior(kind if isinstance(kind, str) else "", {**types.get(str(kind), {}), **entry})
        if name in _STARTERS:
            prior = Prior(prior.type, None, prior.process_type, prior.tags, starts_others=True)
        which = index.setdefault(prior, len(index))
        file = files.setdefault(str(path), len(files))
        table.names[sanitise(name)] = (which, file, line)
    table.priors, table.files = list(index), list(files)
    return table, problems


def _prior(kind: str, fields: dict[str, Any]) -> Prior:
    """By the type's name, else by its nice."""
    known = _KNOWN.get(kind)
    if known is not None:
        return known
    nice = fields.get("nice")
    target = None
    if isinstance(nice, int):
        target = PriorityClass.INTERACTIVE if nice <= -3 else PriorityClass.BACKGROUND if nice >= 5 else None
    return Prior(sanitise(kind, 32) or "unknown", target, ProcessType.DAEMON, frozenset())


def parse_line(text: str) -> tuple[dict[str, Any] | None, str | None]:
    """The object of one line and what is wrong with it; (None, None) for a comment or nothing."""
    text = text.strip()
    if not text or text.startswith("#"):
        return None, None
    if len(text) > LINE_LIMIT:
        return None, f"expected at most {LINE_LIMIT} characters"
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None, "expected a JSON object"
    if not isinstance(value, dict):
        return None, "expected a JSON object"
    rest = text[end:].strip()
    return value, f"text after the object is ignored: {sanitise(rest, 40)}" if rest and rest[0] != "#" else None


def _entries(root: Path, suffix: str, problems: list[Problem]) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    for path in sorted(root.rglob(f"*{suffix}"))[:FILES_LIMIT]:
        try:
            lines = path.read_bytes().splitlines()
        except OSError as error:
            problems.append(Problem(str(path), 1, "", f"cannot be read: {error.strerror}"))
            continue
        for number, line in enumerate(lines, 1):
            entry, problem = parse_line(line.decode("utf-8", "replace"))
            if problem:
                problems.append(Problem(str(path), number, "", problem))
            if entry is not None:
                yield path, number, entry
