"""Changes of a configuration file that keep its comments: made as text, checked as settings, put in place whole."""

import difflib
import os
import re
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from smoothtask.config.atomic import replace_file
from smoothtask.config.located import ConfigError
from smoothtask.config.settings import Settings, parse_settings
from smoothtask.config.yamlfile import load_file, load_text
from smoothtask_trainer.space import Value, value_of, with_values

INDENT = "  "
_SCALAR = re.compile(r"^(?P<head>\s*[\w]+\s*:\s*)(?P<value>[^\s#]+)(?P<tail>\s*(#.*)?)$")


class EditError(Exception):
    """The file cannot be changed by us; the text is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A configuration file before and after."""

    path: Path
    before: str
    after: str

    @property
    def diff(self) -> str:
        """Unified, as `patch` reads it; empty when nothing changes."""
        name = str(self.path)
        lines = difflib.unified_diff(
            self.before.splitlines(keepends=True), self.after.splitlines(keepends=True), name, f"{name} (proposed)"
        )
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def edited(path: Path, values: Mapping[str, Value]) -> Edit:
    """What the file at *path* (which need not exist) becomes when `section.name` → value are written into it.

    Raises EditError when the result would not mean exactly that, ConfigError when the file is wrong already.
    """
    before, wanted = "", with_values(Settings(), values)
    if path.exists():
        try:
            before = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise EditError(f"{path} cannot be read: {error}") from error
        wanted = with_values(parse_settings(load_file(path)), values)
    lines = before.splitlines()
    for key in values:
        section, _, name = key.partition(".")
        _write(lines, section, name, value_of(wanted, key))
    after = "\n".join(lines) + "\n" if lines else ""
    try:
        meant = parse_settings(load_text(after.encode(), str(path)))
    except ConfigError as error:
        raise EditError(_by_hand(path, values)) from error
    if meant != wanted:
        raise EditError(_by_hand(path, values))
    return Edit(path, before, after)


def _write(lines: list[str], section: str, name: str, value: Value) -> None:
    """Put one setting into *lines*, where it stands, or below its section, or at the end."""
    heads = [n for n, line in enumerate(lines) if re.match(rf"^{section}\s*:\s*(#.*)?$", line)]
    if not heads:
        lines += [f"{section}:", f"{INDENT}{name}: {value}"]
        return
    head = heads[-1]
    end = next(
        (n for n in range(head + 1, len(lines)) if re.match(r"^\S", lines[n]) and lines[n][0] != "#"), len(lines)
    )
    for n in range(head + 1, end):
        found = _SCALAR.match(lines[n])
        if found and re.match(rf"^\s+{name}\s*:", lines[n]):
            lines[n] = f"{found['head']}{value}{found['tail']}"
            return
    inside = [line for line in lines[head + 1 : end] if line.strip() and not line.lstrip().startswith("#")]
    indent = inside[0][: len(inside[0]) - len(inside[0].lstrip())] if inside else INDENT
    lines.insert(head + 1, f"{indent}{name}: {value}")


def _by_hand(path: Path, values: Mapping[str, Value]) -> str:
    said = ", ".join(f"{key}: {value}" for key, value in values.items())
    return f"{path} is written in a way that cannot be changed line by line: write into it yourself {said}"


def apply(edit: Edit, now: datetime) -> Path | None:
    """Put *edit* in place, all or nothing; the copy of the old file that is kept, `None` when there was none.

    Raises EditError when the file has changed since, OSError when it cannot be written.
    """
    path = Path(os.path.realpath(edit.path))
    kept = None
    if path.exists():
        if path.read_text(encoding="utf-8") != edit.before:
            raise EditError(f"{path} has been changed in the meantime: nothing is done")
        kept = path.with_name(f"{path.name}.before-tune-{now:%Y%m%dT%H%M%S}")
        _copy(path, kept)
    elif edit.before:
        raise EditError(f"{path} is gone: nothing is done")
    path.parent.mkdir(parents=True, exist_ok=True)
    found = path.stat() if kept is not None else None
    replace_file(
        path,
        edit.after.encode(),
        mode=0o644 if found is None else stat.S_IMODE(found.st_mode),
        owner=None if found is None else (found.st_uid, found.st_gid),
    )
    return kept


def _copy(path: Path, kept: Path) -> None:
    """A copy of *path* that is on the disk, and never in place of another."""
    with path.open("rb") as old, kept.open("xb") as new:
        shutil.copyfileobj(old, new)
        new.flush()
        os.fsync(new.fileno())
    shutil.copystat(path, kept)
