"""Reads ananicy's rules as a prior: what a name probably is, never what must be done with it.

One JSON object a line; `#` comments. Real rule sets have defects, and none of them stops the reading: text after
the closing brace, undefined types, broken lines, names that differ in case alone (which are different names).
Later files, by path, replace what earlier ones said.
"""

import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from smoothtask.classifier.match import Prior, PriorTable
from smoothtask.config.located import Problem
from smoothtask.model.classes import PriorityClass
from smoothtask.model.group import ProcessType
from smoothtask.model.text import sanitise

LINE_LIMIT = 65536
FILES_LIMIT = 5000
FILE_BYTES = 16 * 1024 * 1024
_SUFFIXES = frozenset({".types", ".cgroups", ".rules"})

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
_STARTERS = frozenset({
    "sh", "bash", "zsh", "fish", "dash", "ksh", "tmux", "screen", "sshd", "login", "sudo", "su", "systemd",
    "sddm", "sddm-helper", "gdm", "lightdm", "ly-dm",
    "xterm", "konsole", "kitty", "alacritty", "foot", "gnome-terminal-server", "xfce4-terminal",
})  # fmt: skip


def load(root: Path, problems: list[Problem]) -> PriorTable:
    """Every `.types`, `.cgroups` and `.rules` file below *root*; what is wrong goes to *problems*, with its line."""
    paths = _paths(root, problems)
    types = _definitions(paths, ".types", "type", problems)
    cgroups = _definitions(paths, ".cgroups", "cgroup", problems)
    table = PriorTable()
    index: dict[Prior, int] = {}
    files: dict[str, int] = {}
    for path, line, entry in _entries(paths, ".rules", problems):
        name, kind, cgroup = entry.get("name"), entry.get("type"), entry.get("cgroup")
        if not isinstance(name, str) or not name:
            problems.append(Problem(path, line, "name", "expected a name"))
            continue
        if kind is not None and not (isinstance(kind, str) and kind in types):
            problems.append(Problem(path, line, "type", f"undefined type {sanitise(str(kind), 64)}"))
        if cgroup is not None and not (isinstance(cgroup, str) and cgroup in cgroups):
            problems.append(Problem(path, line, "cgroup", f"undefined cgroup {sanitise(str(cgroup), 64)}"))
        known = types.get(kind, {}) if isinstance(kind, str) else {}
        prior = _prior(kind if isinstance(kind, str) else "", {**known, **entry})
        if name in _STARTERS:
            prior = Prior(prior.type, None, prior.process_type, prior.tags, starts_others=True)
        which = index.setdefault(prior, len(index))
        file = files.setdefault(path, len(files))
        table.names[sanitise(name)] = (which, file, line)
    table.priors, table.files = list(index), list(files)
    return table


def _definitions(paths: list[Path], suffix: str, key: str, problems: list[Problem]) -> dict[str, dict[str, Any]]:
    """Entries by the name that their *key* gives; a later one replaces."""
    found = {}
    for path, line, entry in _entries(paths, suffix, problems):
        name = entry.get(key)
        if isinstance(name, str):
            found[name] = entry
        else:
            problems.append(Problem(path, line, key, "expected a name"))
    return found


def _prior(kind: str, fields: dict[str, Any]) -> Prior:
    """By the type's name, else by its nice."""
    known = _KNOWN.get(kind)
    if known is not None:
        return known
    nice = fields.get("nice")
    target = None
    if isinstance(nice, int | float):
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


def _paths(root: Path, problems: list[Problem]) -> list[Path]:
    """Regular files below *root*, sorted; a folder that does not exist has none."""

    def failed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            problems.append(Problem(str(error.filename), 1, "", f"cannot be read: {error.strerror}"))

    found = (Path(folder, name) for folder, _, names in os.walk(root, onerror=failed) for name in names)
    return sorted(path for path in islice(found, FILES_LIMIT) if path.suffix in _SUFFIXES)


def _entries(paths: list[Path], suffix: str, problems: list[Problem]) -> Iterator[tuple[str, int, dict[str, Any]]]:
    for path in paths:
        if path.suffix != suffix:
            continue
        where = sanitise(str(path), 1024)
        try:
            lines = _read(path).splitlines()
        except OSError as error:
            problems.append(Problem(where, 1, "", f"cannot be read: {error.strerror}"))
            continue
        for number, line in enumerate(lines, 1):
            entry, problem = parse_line(line.decode("utf-8", "replace"))
            if problem:
                problems.append(Problem(where, number, "", problem))
            if entry is not None:
                yield where, number, entry


def _read(path: Path) -> bytes:
    """At most FILE_BYTES; a pipe of that name is empty and waits for nobody."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        return file.read(FILE_BYTES)
