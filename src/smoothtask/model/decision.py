"""What is decided for a group, by whom, and why."""

from dataclasses import dataclass
from enum import StrEnum

from smoothtask.model.classes import NO_LIMITS, Limits, PriorityClass


class Stage(StrEnum):
    """The step of `policy.decide` that a reason comes from, in the order they run."""

    PROTECTION = "protection"
    PIN = "pin"
    OVERRIDE = "override"
    RULE = "rule"
    BEHAVIOUR = "behaviour"
    RANKER = "ranker"
    LEARNT = "learnt"
    DEFAULT = "default"
    GUARDRAIL = "guardrail"
    HYSTERESIS = "hysteresis"


@dataclass(frozen=True, slots=True)
class Reason:
    """One link of the chain, in plain words."""

    stage: Stage
    rule: str
    """Name of the rule, stable: what tests and docs/policy.md call it."""
    text: str
    source: str | None = None
    """`file:line` where a file's rule spoke."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A group's class after every stage."""

    group: str
    target: PriorityClass
    """The class in force (NORMAL for a protected group, which is left alone)."""
    wanted: PriorityClass
    """What was wanted before hysteresis held it back."""
    decided_by: Stage
    reasons: tuple[Reason, ...]
    protected: bool = False
    restraint: bool = False
    """True when `target` is a measure for the time of contention only."""
    since_s: float = 0.0
    """Seconds in this class."""
    limits: Limits = NO_LIMITS
    rules: PriorityClass | None = None
    """What the rules alone would have while somebody waits; `None` for what is protected."""
    score: float | None = None
    """A model's, when there is one."""

    @property
    def text(self) -> str:
        """The chain as one line."""
        return "; ".join(r.text for r in self.reasons)


@dataclass(frozen=True, slots=True)
class Pin:
    """A person's standing order for an application: kept in the state directory."""

    app: str
    """`Classification.app`."""
    target: PriorityClass
    uid: int
    """Whose order: 0 holds for everybody's processes, another uid for its own."""
    made_at: float
    """Unix time."""
    limits: Limits = NO_LIMITS
    """What was ordered with it; holds in every class."""


@dataclass(frozen=True, slots=True)
class Override:
    """A person's order for one running group, until it exits or `expires_mono_s` passes."""

    group: str
    target: PriorityClass
    uid: int
    expires_mono_s: float | None


@dataclass(frozen=True, slots=True)
class Contention:
    """Whether somebody is waiting, and how that is known."""

    active: bool
    since_s: float
    """Seconds in this state."""
    reasons: tuple[str, ...]
    """Such as `cpu pressure 34 % (limit 10 %)`."""
