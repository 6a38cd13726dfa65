"""Small JSON files of the state directory: replaced whole, read with suspicion, kept aside when they are damaged."""

import errno
import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import ErrorDetails

from smoothtask.config.atomic import replace_file
from smoothtask.model.classes import PriorityClass
from smoothtask.model.identity import MAX_PATH
from smoothtask.model.text import sanitise

T = TypeVar("T")
UID_LIMIT = (1 << 32) - 2
"""The last uid that is one (credentials(7)): −1 means none."""


class DamagedError(Exception):
    """Nothing in the file can be used."""


def known_class(name: str) -> str:
    """For pydantic: the name of a class. Raises ValueError."""
    if name not in PriorityClass.__members__:
        raise ValueError(f"expected one of {', '.join(PriorityClass.__members__)}")
    return name


def printable(text: str) -> str:
    """For pydantic: text without anything that a terminal could take for an order. Raises ValueError."""
    if sanitise(text, len(text)) != text:
        raise ValueError("expected printable text")
    return text


App = Annotated[str, Field(min_length=1, max_length=len("exe:") + MAX_PATH), AfterValidator(printable)]
"""For pydantic: an app key."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One kind of file: the list *name* in it, and what may stand there."""

    name: str
    version: int
    limit_bytes: int
    take: Callable[[list[Any]], tuple[tuple[T, ...], list[str]]]
    """Values and problems of a list."""


def load_entries(path: Path, kind: Kind[T]) -> tuple[tuple[T, ...], tuple[str, ...], bool]:
    """The entries in *path*; every problem (file, entry, what is wrong); whether to save them anew.

    A file with problems is kept beside as `….damaged-TIME`. No file: no entries. Raises OSError when the file cannot be
    read or moved.
    """
    try:
        values, problems = kind.take(_listed(_read(path, kind.limit_bytes), kind.name, kind.version))
    except FileNotFoundError:
        return (), (), False
    except DamagedError as error:
        return (), (f"{path}: {error}; {_set_aside(path)}",), False
    if not problems:
        return values, (), False
    kept = _set_aside(path)
    said = (*(f"{path}: {p}" for p in problems), f"{path}: {len(values)} good {kind.name} go on; {kept}")
    return values, said, True


def save_entries(path: Path, kind: Kind[T], entries: list[dict[str, Any]]) -> None:
    """Replace *path* (mode 0600); durable when this returns. Raises OSError, and then the old file stands.

    What `load_entries` would not take is refused, too: at the next start it would be missed, and the rest of it maybe.
    """
    _, problems = kind.take(entries)
    if problems:
        raise OSError(f"{path}: {problems[0]}")
    content = {"version": kind.version, kind.name: entries}
    data = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False).encode() + b"\n"
    if len(data) > kind.limit_bytes:
        raise OSError(errno.EFBIG, f"longer than {kind.limit_bytes} bytes", str(path))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(path, data, mode=0o600)


def problems_with(entry: str, error: ValidationError) -> list[str]:
    """Everything that is wrong with one entry (`pin 3`), for people."""
    return [f"{entry}: {_said(e)}" for e in error.errors(include_url=False)]


def _said(error: ErrorDetails) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "entry"
    return sanitise(f"{where}: {error['msg']}, found {error['input']!r}")


def _read(path: Path, limit_bytes: int) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink():
            raise DamagedError("expected a regular file, found a symbolic link") from error
        raise
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise DamagedError(f"expected a regular file of uid {os.geteuid()}")
        if found.st_size > limit_bytes:
            raise DamagedError(f"longer than {limit_bytes} bytes")
        return os.read(fd, limit_bytes)
    finally:
        os.close(fd)


def _listed(data: bytes, name: str, version: int) -> list[Any]:
    """The list in the file. Raises DamagedError when nothing can be made of *data*."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"not JSON ({sanitise(str(error))})") from error
    if not isinstance(content, dict) or not isinstance(content.get(name), list):
        raise DamagedError(f"expected an object with a list `{name}`")
    if content.get("version") != version:
        raise DamagedError(f"of version {sanitise(str(content.get('version')), 20)}, expected {version}")
    listed: list[Any] = content[name]
    return listed


def _set_aside(path: Path) -> str:
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    aside = path.with_name(f"{path.name}.damaged-{moment}")
    number = 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{moment}-{number}")
    path.rename(aside)
    return f"the file is kept as {aside}"
