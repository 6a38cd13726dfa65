"""What is wrong with a file, and where: file, line and field of each value of a document."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file, and what was expected."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        return f"{self.file}:{self.line}: {field}{self.message}"


class ConfigError(Exception):
    """A file cannot be used; carries every problem found, not the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type["ConfigError"], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


@dataclass(frozen=True, slots=True)
class Located:
    """A document's plain values and the line of each."""

    file: str
    value: Any
    lines: dict[Location, int]

    def line(self, location: Location) -> int:
        """Line (from 1) of the value at *location*, or of the nearest thing around it."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)

    def problem(self, location: Location, message: str) -> Problem:
        """A problem at *location*."""
        return Problem(self.file, self.line(location), field_name(location), message)

    def problems_of(self, error: ValidationError, at: Location = ()) -> tuple[Problem, ...]:
        """Every problem of a pydantic *error* about the value at *at*."""
        return tuple(
            self.problem((*at, *e["loc"]), f"{e['msg']}{_got(e['input'])}")
            for e in error.errors(include_url=False, include_context=False)
        )


def field_name(location: Location) -> str:
    """`('applications', 3, 'match')` → `applications[3].match`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _got(value: object) -> str:
    if isinstance(value, dict | list) or value is None:
        return ""
    text = repr(value)
    return f", got {text if len(text) <= 60 else text[:57] + '...'}"
