"""The settings of /etc/smoothtask/config.yaml: their ranges, their defaults, and what is wrong with a file."""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from smoothtask.config.located import ConfigError, Located, Location, Problem
from smoothtask.model.classes import DEFAULT_EFFECTS, NICE_CEILING, NICE_FLOOR, ClassEffect, IoClass, PriorityClass

Percent = Annotated[float, Field(ge=0, le=100)]
Nice = Annotated[int, Field(ge=NICE_FLOOR, le=NICE_CEILING)]
AppName = Annotated[str, StringConstraints(min_length=1, max_length=256)]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/", max_length=4096)]

NS_PER_MS = 1_000_000
LONGEST_INTERVAL_S = 30
"""The service's watchdog hears from the daemon once a tick, and waits a minute."""
IO_CLASSES = {"best-effort": IoClass.BEST_EFFORT, "idle": IoClass.IDLE}


class Section(BaseModel):
    """Part of the settings: frozen, unknown keys are errors, and text is never taken for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Tick(Section):
    """How often the machine is looked at."""

    interval_s: float = Field(default=1.0, ge=0.1, le=LONGEST_INTERVAL_S)
    """Seconds between two looks while something runs or somebody watches."""
    idle_interval_s: float = Field(default=5.0, ge=0.1, le=LONGEST_INTERVAL_S)
    """Seconds between two looks while nothing runs and nobody watches."""
    busy_interval_s: float = Field(default=0.25, ge=0.05, le=LONGEST_INTERVAL_S)
    """Seconds between two looks while somebody waits and classes settle."""
    self_budget_pct: float = Field(default=1.0, ge=0.05, le=100)
    """Share of one core, in percent, that all this may cost on average; the interval is stretched to keep it."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.busy_interval_s <= self.interval_s <= self.idle_interval_s:
            raise ValueError("expected busy_interval_s ≤ interval_s ≤ idle_interval_s")
        return self


class Contention(Section):
    """What counts as somebody waiting. Restraints are applied only then."""

    cpu_some_pct: Percent = 10.0
    """Share of time in which somebody waited for a CPU (PSI `some`)."""
    io_some_pct: Percent = 20.0
    """Share of time in which somebody waited for a disk."""
    memory_some_pct: Percent = 5.0
    """Share of time in which somebody waited for memory."""
    latency_p99_ms: float = Field(default=20.0, gt=0, le=10_000)
    """Milliseconds by which the probe's wake-ups are late, 99th percentile."""
    group_wait: float = Field(default=0.2, gt=0, le=100)
    """Threads of one group that does not hog, waiting for a CPU on average."""
    hold_s: float = Field(default=5.0, ge=0, le=600)
    """Seconds for which contention lasts after its last sign."""


class Hysteresis(Section):
    """How sure a change must be that is not certain by itself."""

    snapshots: int = Field(default=3, ge=1, le=100)
    """Looks in a row that want the same class."""
    min_class_s: float = Field(default=5.0, ge=0, le=600)
    """Seconds for which a class is kept at least."""


class Behaviour(Section):
    """When a process counts as a hog, and when as steady, whatever its name."""

    hog_demand: float = Field(default=0.5, gt=0, le=64)
    """Cores that a hog uses or waits for, at least."""
    hog_burst_ms: float = Field(default=30.0, gt=0, le=10_000)
    """Milliseconds that a hog computes between two voluntary sleeps, at least."""
    hog_window_s: float = Field(default=2.0, ge=0, le=600)
    """Seconds for which it must have done so."""
    steady_vcsw: float = Field(default=5.0, gt=0, le=100_000)
    """Voluntary sleeps a second of a steady process, at least."""


class Person(Section):
    """What counts as a person's attention, and which sources tell of it. Only the time of input is ever read."""

    input: bool = True
    """Whether keyboards, mice and terminals are watched for the time of the last input."""
    windows: bool = True
    """Whether each session's windows are watched: focus, on the screen, fullscreen."""
    sound: bool = True
    """Whether each session's sound server is watched: streams, and where they break up."""
    active_s: float = Field(default=60.0, ge=1, le=3600)
    """Seconds after the last input for which somebody counts as being there."""
    focus_memory_s: float = Field(default=10.0, ge=0, le=600)
    """Seconds for which what lost the focus keeps its class."""
    typed_s: float = Field(default=15.0, ge=0, le=600)
    """Seconds after the last key for which a terminal counts as worked in."""
    terminal_grace_s: float = Field(default=15.0, ge=0, le=600)
    """Seconds for which a build in such a terminal is left alone longer than elsewhere."""
    xrun_s: float = Field(default=10.0, ge=0, le=600)
    """Seconds for which an application whose sound broke up is INTERACTIVE at least."""
    confidence: float = Field(default=0.6, ge=0.5, le=1)
    """How sure a claim about a window's or stream's process must be."""


class Bad(Section):
    """From when on a person notices: `bad_responsiveness` in the records."""

    latency_p99_ms: float = Field(default=20.0, gt=0, le=10_000)
    """Milliseconds by which wake-ups are late, 99th percentile."""
    wait_share: float = Field(default=0.3, gt=0, le=1)
    """Of the CPU that an application in use wants, the share that it does not get."""
    sound_breaks: int = Field(default=1, ge=1, le=1000)
    """Breaks of sound between two looks."""
    score: float = Field(default=0.5, ge=0, le=1)
    """A responsiveness score below this is bad."""


class ClassSettings(Section):
    """What one priority class asks of the kernel; null leaves a value as it was found."""

    nice: Nice | None = None
    """Nice of each thread (sched(7)); a higher class may not get a higher one than a lower class."""
    autogroup_nice: Nice | None = None
    """Nice of the whole session where autogroups are on (sched(7))."""
    io_class: Literal["best-effort", "idle"] | None = None
    """Class for disks (ioprio_set(2))."""
    io_level: int = Field(default=4, ge=0, le=7)
    """0 (first) to 7 (last) within best-effort."""
    slice_ms: float | None = Field(default=None, ge=0.1, le=100)
    """Milliseconds of the scheduler's time slice, honoured since Linux 6.12."""
    cpu_weight: int = Field(default=100, ge=1, le=10_000)
    """cpu.weight of a cgroup of its own (cgroups(7))."""
    io_weight: int = Field(default=100, ge=1, le=10_000)
    """io.weight of the same, for disks that BFQ or io.cost schedules (cgroups(7))."""

    def effect(self) -> ClassEffect:
        """The same in the kernel's units."""
        return ClassEffect(
            nice=self.nice,
            autogroup_nice=self.autogroup_nice,
            io_class=None if self.io_class is None else IO_CLASSES[self.io_class],
            io_level=self.io_level,
            slice_ns=None if self.slice_ms is None else round(self.slice_ms * NS_PER_MS),
            cpu_weight=self.cpu_weight,
            io_weight=self.io_weight,
        )


def _default(target: PriorityClass) -> ClassSettings:
    effect = DEFAULT_EFFECTS[target]
    names = {number: name for name, number in IO_CLASSES.items()}
    return ClassSettings.model_validate(
        {
            "nice": effect.nice,
            "autogroup_nice": effect.autogroup_nice,
            "io_class": None if effect.io_class is None else names[effect.io_class],
            "io_level": effect.io_level,
            "slice_ms": None if effect.slice_ns is None else effect.slice_ns / NS_PER_MS,
            "cpu_weight": effect.cpu_weight,
            "io_weight": effect.io_weight,
        }
    )


class Classes(Section):
    """What each class means to the kernel. A setting that is left out keeps that class's default."""

    model_config = ConfigDict(validate_default=True)

    LATENCY_CRITICAL: ClassSettings = _default(PriorityClass.LATENCY_CRITICAL)
    """A game in focus, a call, sound work."""
    INTERACTIVE: ClassSettings = _default(PriorityClass.INTERACTIVE)
    """What a person is working with."""
    NORMAL: ClassSettings = _default(PriorityClass.NORMAL)
    """Everything else."""
    BACKGROUND: ClassSettings = _default(PriorityClass.BACKGROUND)
    """Builds, encoders."""
    IDLE: ClassSettings = _default(PriorityClass.IDLE)
    """Indexers, updaters, hogs while others wait."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: _over_default(name, given) for name, given in value.items()}

    @field_validator("INTERACTIVE", "NORMAL", "BACKGROUND", "IDLE")
    @classmethod
    def _in_order(cls, value: ClassSettings, info: ValidationInfo) -> ClassSettings:
        above = [(n, c) for n, c in info.data.items() if isinstance(c, ClassSettings)]
        for name, higher in above[-1:]:
            if (higher.nice or 0) > (value.nice or 0):
                raise ValueError(f"expected nice ≥ {higher.nice or 0}, that of {name} above it, got {value.nice or 0}")
            if (higher.autogroup_nice or 0) > (value.autogroup_nice or 0):
                raise ValueError(
                    f"expected autogroup_nice ≥ {higher.autogroup_nice or 0}, that of {name} above it, "
                    f"got {value.autogroup_nice or 0}"
                )
            for weight in ("cpu_weight", "io_weight"):
                bound, given = getattr(higher, weight), getattr(value, weight)
                if bound < given:
                    raise ValueError(f"expected {weight} ≤ {bound}, that of {name} above it, got {given}")
        return value


def _over_default(name: Any, given: Any) -> Any:
    if not isinstance(given, dict) or name not in PriorityClass.__members__:
        return given
    return {**_default(PriorityClass[name]).model_dump(), **given}


class Store(Section):
    """The snapshot log."""

    record: bool = True
    """Whether snapshots and labels are kept at all."""
    path: AbsolutePath | None = None
    """The database; null: `snapshots.db` in the state directory."""
    keep_days: float = Field(default=30.0, gt=0, le=3650)
    """Days after which a snapshot is forgotten."""
    keep_mb: float = Field(default=500.0, ge=10, le=1_000_000)
    """Megabytes that the log may take; the oldest snapshots go first."""
    anonymise: bool = True
    """Whether command lines, paths and names are stored as salted hashes."""


class Rules(Section):
    """Where else rules are read from."""

    ananicy: AbsolutePath | None = "/etc/ananicy.d"
    """A folder of ananicy rules to read as a prior; off: none."""
    personal: bool = True
    """Whether each person's ~/.config/smoothtask is read, for that person's processes."""

    @field_validator("ananicy", mode="before")
    @classmethod
    def _off(cls, value: object) -> object:
        # YAML 1.1 reads a bare `off` as false.
        return None if value is False or value == "off" else value


class Events(Section):
    """Exec and exit events of the kernel's proc connector."""

    enabled: bool = True
    """Whether new programs are noticed at once; without it they wait for the next look."""


class Probe(Section):
    """The process that measures how late the machine wakes a sleeper."""

    enabled: bool = True
    """Whether it runs."""
    window_s: float = Field(default=10.0, ge=1, le=600)
    """Seconds that the percentiles cover."""


class Tasks(Section):
    """How processes are read."""

    source: Literal["auto", "bpf", "procfs"] = "auto"
    """`bpf`: the kernel's task iterator; `procfs`: /proc; `auto`: the first that works."""


class Ranker(Section):
    """The learned model of hybrid mode (docs/hybrid.md)."""

    evaluator: Literal["json", "onnx", "off"] = "json"
    """`json`: numpy; `onnx`: onnxruntime, the same scores for more memory; `off`: rules alone."""
    classes: Literal["cuts", "percentiles"] = "cuts"
    """Where classes begin: at the model's calibrated scores, or at percentiles of its reference."""
    percentiles: tuple[Percent, Percent, Percent, Percent] = (10.0, 30.0, 80.0, 97.0)
    """Below these: IDLE, BACKGROUND, NORMAL, INTERACTIVE; above the last: LATENCY_CRITICAL."""

    @field_validator("evaluator", mode="before")
    @classmethod
    def _off(cls, value: object) -> object:
        # YAML 1.1 reads a bare `off` as false.
        return "off" if value is False else value

    @field_validator("percentiles", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("percentiles")
    @classmethod
    def _in_order(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if list(value) != sorted(value):
            raise ValueError("expected percentiles that do not fall")
        return value


class Meters(Section):
    """Deeper measures, counted while somebody watches, and now and then while somebody waits."""

    run_queue: bool = True
    """Delays in the run queue as percentiles; without them there are means."""
    block_io: bool = True
    """Delays of disk requests as percentiles."""
    network: bool = True
    """Bytes sent and received, and connections."""
    energy: bool = True
    """The processor's power, shared out by CPU time."""


class Control(Section):
    """The control socket."""

    allow_users_above_normal: bool = False
    """Whether ordinary users may raise their own applications above NORMAL."""
    group: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    """Only this group (and root) may connect; null: everybody, with the rights of their uid."""


class Settings(Section):
    """Everything."""

    mode: Literal["hybrid", "rules-only", "dry-run"] = "hybrid"
    """`hybrid`: by the rules and, where one is installed, a learned model; `rules-only`: never by a model;
    `dry-run`: as hybrid, but nothing is applied."""
    tick: Tick = Tick()
    contention: Contention = Contention()
    hysteresis: Hysteresis = Hysteresis()
    behaviour: Behaviour = Behaviour()
    person: Person = Person()
    bad: Bad = Bad()
    classes: Classes = Classes()
    store: Store = Store()
    rules: Rules = Rules()
    events: Events = Events()
    probe: Probe = Probe()
    tasks: Tasks = Tasks()
    ranker: Ranker = Ranker()
    meters: Meters = Meters()
    control: Control = Control()
    protected_apps: tuple[AppName, ...] = Field(default=(), max_length=1000)
    """Applications that are never touched, besides those the rules protect: `firefox`, `exe:/usr/bin/foo`."""

    @model_validator(mode="before")
    @classmethod
    def _empty_sections(cls, value: Any) -> Any:
        # `tick:` with every line below it commented out.
        if not isinstance(value, dict):
            return value
        return {k: v for k, v in value.items() if v is not None}

    @field_validator("protected_apps", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value


def effects(settings: Settings) -> dict[PriorityClass, ClassEffect]:
    """What each class asks of the kernel."""
    return {c: getattr(settings.classes, c.name).effect() for c in PriorityClass}


def load_settings(path: Path | None, *, required: bool = True) -> Settings:
    """The settings in the file *path*; defaults for `None`, or when it is missing and not *required*.

    Raises ConfigError with every problem: bad YAML, unknown keys, values out of range, a file that cannot be read.
    """
    if path is None:
        return Settings()
    try:
        if not required and not path.exists():
            return Settings()
        from smoothtask.config.yamlfile import load_file  # noqa: PLC0415 (most machines have no such file)

        return parse_settings(load_file(path))
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not required:
            return Settings()
        said = f"cannot be read: {error.strerror or error}"
        raise ConfigError([Problem(str(path), 1, "", said)]) from error


def parse_settings(document: Located) -> Settings:
    """The settings that *document* gives. Raises ConfigError with every problem."""
    if not isinstance(document.value, dict):
        raise ConfigError([document.problem((), "expected settings, such as `mode: dry-run`")])
    try:
        return Settings.model_validate(document.value)
    except ValidationError as error:
        problems = [_problem(document, dict(e)) for e in error.errors(include_url=False)]
        raise ConfigError(sorted(problems, key=lambda p: p.line)) from error


def _problem(document: Located, error: dict[str, Any]) -> Problem:
    location: Location = error["loc"]
    if error["type"] == "extra_forbidden":
        return document.problem(location, _unknown(location))
    if error["type"] == "model_type":
        return document.problem(location, f"expected settings below it, got {error['input']!r:.60}")
    message: str = error["msg"].removeprefix("Value error, ").replace("Input should", "expected to", 1)
    message = message.replace("expected to be", "expected", 1)
    value = error["input"]
    if isinstance(value, str | int | float) and "got" not in message:
        text = repr(value)
        message += f", got {text if len(text) <= 60 else text[:57] + '...'}"
    return document.problem(location, message)


def _unknown(location: Location) -> str:
    """That the last part of *location* is no setting, and which one may have been meant."""
    section: type[BaseModel] = Settings
    for part in location[:-1]:
        inner = section.model_fields[str(part)].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        section = inner
    known = list(section.model_fields)
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"unknown setting; did you mean {near[0]}?" if near else f"unknown setting; expected {', '.join(known)}"
