"""The rule files' format, checked by pydantic: every problem at once, with file, line and field."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from smoothtask.classifier import regex
from smoothtask.classifier.match import Conditions, Rule
from smoothtask.config.located import Located, Problem
from smoothtask.model.amounts import parse_percent, parse_size, problem_with
from smoothtask.model.classes import NO_LIMITS, Limits, PriorityClass
from smoothtask.model.group import ProcessType, RuleSource
from smoothtask.model.text import sanitise

ClassName = Literal["LATENCY_CRITICAL", "INTERACTIVE", "NORMAL", "BACKGROUND", "IDLE"]


def _visible(text: str) -> str:
    # Names of processes are sanitised: one with such characters would match nothing, and could deceive a reader.
    if sanitise(text, len(text)) != text:
        raise ValueError("expected text without control or invisible characters")
    return text


def _glob(text: str) -> str:
    at = text.find("[")
    while at >= 0:
        # As fnmatch reads it: `]` or `!]` just after the bracket belong to the set.
        end = text.find("]", at + 3 if text[at + 1 : at + 2] == "!" else at + 2)
        if end < 0:
            raise ValueError("expected a glob: a [ is never closed (write [[] for the character itself)")
        at = text.find("[", end)
    return text


def _regex(text: str) -> str:
    regex.check(text)
    return text


def _one_or_many(value: object) -> object:
    many = value if isinstance(value, list | tuple) else (value,)
    return tuple(str(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in many)


Word = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_visible)]
Glob = Annotated[Word, AfterValidator(_glob)]
Regex = Annotated[str, StringConstraints(min_length=1), AfterValidator(_regex)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Size = Annotated[int, BeforeValidator(parse_size)]
Percent = Annotated[float, BeforeValidator(parse_percent)]
Words = Annotated[tuple[Word, ...], BeforeValidator(_one_or_many), Field(min_length=1)]
Globs = Annotated[tuple[Glob, ...], BeforeValidator(_one_or_many), Field(min_length=1)]
Regexes = Annotated[tuple[Regex, ...], BeforeValidator(_one_or_many), Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LimitFields(_Strict):
    """What may be asked for beyond a class (`model.classes.Limits`)."""

    cpu: Percent | None = None
    cpu_idle: bool = False
    memory_high: Size | None = None
    io_read: Size | None = None
    io_write: Size | None = None

    @model_validator(mode="after")
    def _can_be_lived_with(self) -> "LimitFields":
        problem = problem_with(self.value)
        if problem is not None:
            raise ValueError(problem)
        if not self.value:
            raise ValueError("expected at least one of cpu, cpu_idle, memory_high, io_read, io_write")
        return self

    @property
    def value(self) -> Limits:
        """For the policy."""
        return Limits(self.cpu, self.cpu_idle, self.memory_high, self.io_read, self.io_write)


class _Fields(_Strict):
    """What a type says, and an application may override."""

    target: ClassName | None = Field(default=None, alias="class")
    certain: bool | None = None
    tags: tuple[Word, ...] = ()
    process_type: ProcessType | None = None
    protected: bool | None = None
    starts_others: bool | None = None
    part: Name | None = None
    after_s: float | None = Field(default=None, ge=0, le=86400, allow_inf_nan=False)
    limits: LimitFields | None = None


class TypeRule(_Fields):
    """One entry of `types`."""

    description: str = ""


class Alternative(_Strict):
    """One entry of `match`: all of its keys must hold, any of a list's values."""

    exe: Globs = ()
    name: Words = ()
    cmdline: Regexes = ()
    flatpak: Words = ()
    snap: Words = ()
    unit: Globs = ()
    cgroup: Globs = ()
    parent: Words = ()
    ancestor: Words = ()
    user: Words = ()
    environ: Annotated[dict[Word, Glob], Field(min_length=1)] = {}
    wine: Globs = ()
    container: Globs = ()
    tty: bool | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Alternative":
        if not self.model_fields_set:
            raise ValueError("expected at least one condition, such as `name: foo`")
        if "tty" in self.model_fields_set and self.tty is None:
            raise ValueError("expected true or false for tty")
        return self

    @property
    def conditions(self) -> Conditions:
        """What each key that stands here asks for."""
        return {key: getattr(self, key) for key in type(self).model_fields if key in self.model_fields_set}


class ApplicationRule(_Fields):
    """One entry of `applications`."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    label: Annotated[Word, StringConstraints(max_length=64)] | None = None
    type: Word
    match: Annotated[tuple[Alternative, ...], Field(min_length=1)]


class RuleFile(_Strict):
    """One file."""

    types: dict[Name, TypeRule] = {}
    applications: tuple[ApplicationRule, ...] = ()


def parse_rules(document: Located) -> tuple[RuleFile | None, tuple[Problem, ...]]:
    """The rules of a document, or every problem with it."""
    try:
        return RuleFile.model_validate(document.value), ()
    except ValidationError as error:
        problems = sorted(dict.fromkeys(document.problems_of(error)), key=lambda p: p.line)
        return None, tuple(p for p in problems if not _follows(p, problems))


def _follows(problem: Problem, others: list[Problem]) -> bool:
    """Whether a list is called empty only because each of its values is wrong, which is said already."""
    empty = "at least 1 item after" in problem.message
    return empty and any(p.field.startswith(f"{problem.field}[") for p in others)


T = TypeVar("T")


def _pick(own: T | None, default: T | None, last: T) -> T:
    """The application's word, else its type's, else the last resort."""
    return own if own is not None else default if default is not None else last


def rule_of(app: ApplicationRule, types: Mapping[str, TypeRule], source: RuleSource) -> Rule:
    """*app* with its type's fields filled in. Raises KeyError when the type is defined nowhere."""
    kind = types[app.type]
    target = app.target if app.target is not None else kind.target
    limits = app.limits if app.limits is not None else kind.limits
    return Rule(
        id=app.id,
        label=app.label or app.id,
        type=app.type,
        target=None if target is None else PriorityClass[target],
        certain=_pick(app.certain, kind.certain, False),
        tags=_tags(kind.tags, app.tags),
        process_type=_pick(app.process_type, kind.process_type, ProcessType.CLI),
        protected=_pick(app.protected, kind.protected, False),
        starts_others=_pick(app.starts_others, kind.starts_others, False),
        part=app.part if app.part is not None else kind.part,
        after_s=_pick(app.after_s, kind.after_s, 0.0),
        source=source,
        alternatives=tuple(a.conditions for a in app.match),
        limits=NO_LIMITS if limits is None else limits.value,
    )


@lru_cache(1024)
def _tags(kind: tuple[str, ...], own: tuple[str, ...]) -> frozenset[str]:
    return frozenset(kind) | frozenset(own)  # thousands of rules share a few sets
