"""The rule files' format, checked by pydantic: every problem at once, with file, line and field."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from smoothtask.config.located import Located, Problem
from smoothtask.model.group import ProcessType

ClassName = Literal["LATENCY_CRITICAL", "INTERACTIVE", "NORMAL", "BACKGROUND", "IDLE"]
Word = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Words = tuple[Word, ...]
REGEX_LIMIT = 512
MAX_UNBOUNDED = 3
"""Repeats without an end in one regular expression: each multiplies the time that a hostile text can cost."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Fields(_Strict):
    """What a type says, and an application may override."""

    target: ClassName | None = Field(default=None, alias="class")
    certain: bool | None = None
    tags: tuple[Word, ...] = ()
    process_type: ProcessType | None = None
    protected: bool | None = None
    starts_others: bool | None = None
    part: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")] | None = None
    after_s: float | None = Field(default=None, ge=0, le=86400)


class TypeRule(_Fields):
    """One entry of `types`."""

    description: str = ""


class Alternative(_Strict):
    """One entry of `match`: all of its keys must hold, any of a list's values."""

    exe: Words = ()
    name: Words = ()
    cmdline: Words = ()
    flatpak: Words = ()
    snap: Words = ()
    unit: Words = ()
    cgroup: Words = ()
    parent: Words = ()
    ancestor: Words = ()
    user: Words = ()
    environ: dict[Word, Word] = {}
    wine: Words = ()
    container: Words = ()
    tty: bool | None = None

    @field_validator(
        "exe", "name", "cmdline", "flatpak", "snap", "unit", "cgroup", "parent", "ancestor", "user", "wine",
        "container",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        many = value if isinstance(value, list | tuple) else (value,)
        return tuple(str(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in many)

    @field_validator("cmdline")
    @classmethod
    def _safe_regex(cls, value: Words) -> Words:
        for pattern in value:
            check_regex(pattern)
        return value

    @model_validator(mode="after")
    def _says_something(self) -> "Alternative":
        if not self.model_fields_set:
            raise ValueError("expected at least one condition, such as `name: foo`")
        return self


class ApplicationRule(_Fields):
    """One entry of `applications`."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    label: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    type: Word
    match: Annotated[tuple[Alternative, ...], Field(min_length=1)]


class RuleFile(_Strict):
    """One file."""

    types: dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")], TypeRule] = {}
    applications: tuple[ApplicationRule, ...] = ()


def check_regex(pattern: str) -> None:
    """Raise ValueError for one that is broken, or can take very long: a repeat in a repeat, a back reference."""
    if len(pattern) > REGEX_LIMIT:
        raise ValueError(f"expected at most {REGEX_LIMIT} characters")
    try:
        re.compile(pattern)
        tree = re._parser.parse(pattern)  # type: ignore[attr-defined]
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"expected a regular expression: {error}") from error
    if _unbounded(tree, inside=False) > MAX_UNBOUNDED:
        raise ValueError(f"expected at most {MAX_UNBOUNDED} of * and + in one expression")


def _unbounded(tree: Any, *, inside: bool) -> int:
    count = 0
    for operation, argument in tree:
        name = str(operation)
        if name.startswith("GROUPREF"):
            raise ValueError("back references are not supported here")
        if name in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
            _low, high, body = argument
            endless = int(high) > 16
            if endless and inside:
                raise ValueError("a repeat inside a repeat can take for ever: write it without")
            count += endless + _unbounded(body, inside=inside or endless)
        elif name == "BRANCH":
            count += sum(_unbounded(b, inside=inside) for b in argument[1])
        elif name == "SUBPATTERN":
            count += _unbounded(argument[3], inside=inside)
        elif name in {"ASSERT", "ASSERT_NOT"}:
            count += _unbounded(argument[1], inside=inside)
        elif name == "ATOMIC_GROUP":
            count += _unbounded(argument, inside=inside)
    return count


def parse_rules(document: Located) -> tuple[RuleFile | None, tuple[Problem, ...]]:
    """The rules of a document, or every problem with it."""
    try:
        return RuleFile.model_validate(document.value), ()
    except ValidationError as error:
        problems = document.problems_of(error)
        return None, tuple(sorted(set(problems), key=lambda p: p.line))
