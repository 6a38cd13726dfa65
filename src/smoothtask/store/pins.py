"""Pins on disk: one JSON file, replaced whole. What cannot be understood is said and kept, never dropped."""

import json
import os
import stat
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from smoothtask.config.atomic import replace_file
from smoothtask.model.amounts import problem_with
from smoothtask.model.classes import NO_LIMITS, Limits, PriorityClass
from smoothtask.model.decision import Pin
from smoothtask.model.text import sanitise

VERSION = 1
LIMIT_BYTES = 1 << 20
_UID_LIMIT = (1 << 32) - 2
"""The last uid that is one (credentials(7)): −1 means none."""


def _known_class(name: str) -> str:
    if name not in PriorityClass.__members__:
        raise ValueError(f"expected one of {', '.join(PriorityClass.__members__)}")
    return name


def _printable(text: str) -> str:
    if sanitise(text, len(text)) != text:
        raise ValueError("expected printable text")
    return text


class _Limits(BaseModel):
    """`Limits`, of which only what is asked for stands in the file."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    cpu_pct: float | None = None
    cpu_idle: bool = False
    memory_high_bytes: int | None = None
    io_read_bps: int | None = None
    io_write_bps: int | None = None

    @model_validator(mode="after")
    def _can_be_lived_with(self) -> "_Limits":
        problem = problem_with(self.value)
        if problem is not None:
            raise ValueError(problem)
        return self

    @property
    def value(self) -> Limits:
        """For the policy."""
        return Limits(**self.model_dump())


class _Entry(BaseModel):
    """One pin as the file has it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    app: Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_printable)]
    target: Annotated[str, AfterValidator(_known_class)]
    uid: Annotated[int, Field(ge=0, le=_UID_LIMIT)]
    made_at: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    limits: _Limits | None = None


class _DamagedError(Exception):
    """Nothing in the file can be used."""


def load_pins(path: Path) -> tuple[tuple[Pin, ...], tuple[str, ...]]:
    """The pins in *path*, and every problem with them (file, entry, what is wrong). No file: no pins.

    When there are problems, the file is kept beside as `….damaged-TIME` and what is good in it is saved anew, so
    that the next save loses nothing. Raises OSError when the file cannot be read, moved or written.
    """
    try:
        text = _read(path)
    except FileNotFoundError:
        return (), ()
    except _DamagedError as error:
        return (), (f"{path}: {error}; {_set_aside(path)}",)
    try:
        pins, problems = _parse(text)
    except _DamagedError as error:
        return (), (f"{path}: {error}; {_set_aside(path)}",)
    if not problems:
        return pins, ()
    kept = _set_aside(path)
    save_pins(path, pins)
    return pins, (*(f"{path}: {problem}" for problem in problems), f"{path}: {len(pins)} good pins go on; {kept}")


def save_pins(path: Path, pins: Sequence[Pin]) -> None:
    """Replace *path* (mode 0600) by *pins*; durable when this returns. Raises OSError, and then the old file stands."""
    entries = [_entry(p) for p in pins]
    data = json.dumps({"version": VERSION, "pins": entries}, indent=1, allow_nan=False).encode()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(path, data + b"\n", mode=0o600)


def _entry(pin: Pin) -> dict[str, Any]:
    entry = {"app": pin.app, "target": pin.target.name, "uid": pin.uid, "made_at": pin.made_at}
    asked = {name: value for name, value in asdict(pin.limits).items() if value not in {None, False}}
    return {**entry, "limits": asked} if asked else entry


def _read(path: Path) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink():
            raise _DamagedError("expected a regular file, found a symbolic link") from error
        raise
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise _DamagedError(f"expected a regular file of uid {os.geteuid()}")
        if found.st_size > LIMIT_BYTES:
            raise _DamagedError(f"longer than {LIMIT_BYTES} bytes")
        return os.read(fd, LIMIT_BYTES)
    finally:
        os.close(fd)


def _parse(data: bytes) -> tuple[tuple[Pin, ...], list[str]]:
    """Pins and problems; raises _DamagedError when nothing can be made of *data*."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _DamagedError(f"not JSON ({sanitise(str(error))})") from error
    if not isinstance(content, dict) or not isinstance(content.get("pins"), list):
        raise _DamagedError("expected an object with a list `pins`")
    if content.get("version") != VERSION:
        raise _DamagedError(f"of version {sanitise(str(content.get('version')), 20)}, expected {VERSION}")
    pins: dict[tuple[str, int], Pin] = {}
    problems = []
    for number, raw in enumerate(content["pins"], 1):
        try:
            entry = _Entry.model_validate(raw)
        except ValidationError as error:
            problems += [f"pin {number}: {_said(e)}" for e in error.errors(include_url=False)]
            continue
        if (entry.app, entry.uid) in pins:
            problems.append(f"pin {number}: a second one for {entry.app} of uid {entry.uid}; the first holds")
            continue
        limits = NO_LIMITS if entry.limits is None else entry.limits.value
        pin = Pin(entry.app, PriorityClass[entry.target], entry.uid, entry.made_at, limits)
        pins[entry.app, entry.uid] = pin
    return tuple(pins.values()), problems


def _said(error: ErrorDetails) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "entry"
    return sanitise(f"{where}: {error['msg']}, found {error['input']!r}")


def _set_aside(path: Path) -> str:
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    aside = path.with_name(f"{path.name}.damaged-{moment}")
    number = 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{moment}-{number}")
    path.rename(aside)
    return f"the file is kept as {aside}"
