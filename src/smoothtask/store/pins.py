"""Pins on disk: one JSON file, replaced whole. What cannot be understood is said and kept, never dropped."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from smoothtask.model.amounts import problem_with
from smoothtask.model.classes import NO_LIMITS, Limits, PriorityClass
from smoothtask.model.decision import Pin
from smoothtask.store.jsonfile import UID_LIMIT, App, Kind, known_class, load_entries, problems_with, save_entries

VERSION = 1
LIMIT_BYTES = 8 << 20


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

    app: App
    target: Annotated[str, AfterValidator(known_class)]
    uid: Annotated[int, Field(ge=0, le=UID_LIMIT)]
    made_at: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    limits: _Limits | None = None


def load_pins(path: Path) -> tuple[tuple[Pin, ...], tuple[str, ...]]:
    """The pins in *path*, and every problem with them (file, entry, what is wrong). No file: no pins.

    When there are problems, the file is kept beside as `….damaged-TIME` and what is good in it is saved anew, so
    that the next save loses nothing. Raises OSError when the file cannot be read, moved or written.
    """
    pins, problems, again = load_entries(path, _KIND)
    if again:
        save_pins(path, pins)
    return pins, problems


def save_pins(path: Path, pins: Sequence[Pin]) -> None:
    """Replace *path* (mode 0600) by *pins*; durable when this returns. Raises OSError, and then the old file stands."""
    save_entries(path, _KIND, [_entry(p) for p in pins])


def _entry(pin: Pin) -> dict[str, Any]:
    entry = {"app": pin.app, "target": pin.target.name, "uid": pin.uid, "made_at": pin.made_at}
    asked = {name: value for name, value in asdict(pin.limits).items() if value is not None and value is not False}
    return {**entry, "limits": asked} if asked else entry


def _parse(listed: list[Any]) -> tuple[tuple[Pin, ...], list[str]]:
    """Pins and problems."""
    pins: dict[tuple[str, int], Pin] = {}
    problems = []
    for number, raw in enumerate(listed, 1):
        try:
            entry = _Entry.model_validate(raw)
        except ValidationError as error:
            problems += problems_with(f"pin {number}", error)
            continue
        if (entry.app, entry.uid) in pins:
            problems.append(f"pin {number}: a second one for {entry.app} of uid {entry.uid}; the first holds")
            continue
        limits = NO_LIMITS if entry.limits is None else entry.limits.value
        pin = Pin(entry.app, PriorityClass[entry.target], entry.uid, entry.made_at, limits)
        pins[entry.app, entry.uid] = pin
    return tuple(pins.values()), problems


_KIND = Kind("pins", VERSION, LIMIT_BYTES, _parse)
