"""Hard rules that clamp every wish, a person's pin and a model's score alike (pure).

The actuator has its own, closer to the kernel: no real-time policy, nice >= -10, RT threads and threads whose
priority the application set itself are left alone, what a person changed behind our back stays.
"""

from collections.abc import Callable
from dataclasses import dataclass

from smoothtask.model.classes import PriorityClass
from smoothtask.model.group import AppGroup


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A bound on the class of the groups it applies to."""

    name: str
    applies: Callable[[AppGroup], bool]
    lowest: PriorityClass
    highest: PriorityClass
    text: str


GUARDRAILS: tuple[Guardrail, ...] = (
    Guardrail(
        "starts-others",
        lambda g: g.starts_others and g.parent is None,
        PriorityClass.NORMAL,
        PriorityClass.INTERACTIVE,
        "starts other programs, which would inherit what is done to it",
    ),
    Guardrail(
        "audio",
        lambda g: "audio" in g.classification.tags or g.attention.playing,
        PriorityClass.NORMAL,
        PriorityClass.LATENCY_CRITICAL,
        "plays or records sound, which stutters when it waits",
    ),
    Guardrail(
        "sound-broke-up",
        lambda g: g.attention.playing and g.attention.xrun_s is not None,
        PriorityClass.INTERACTIVE,
        PriorityClass.LATENCY_CRITICAL,
        "its sound has just broken up",
    ),
    Guardrail(
        "background-work",
        lambda g: g.classification.target is not None and g.classification.target <= PriorityClass.BACKGROUND,
        PriorityClass.IDLE,
        PriorityClass.INTERACTIVE,
        "is background work by its kind: never latency-critical",
    ),
)


def clamp(group: AppGroup, wanted: PriorityClass) -> tuple[PriorityClass, Guardrail | None]:
    """*wanted* within every bound, and the guardrail that changed it last."""
    clamped_by = None
    for rail in GUARDRAILS:
        if rail.applies(group):
            bounded = min(max(wanted, rail.lowest), rail.highest)
            if bounded != wanted:
                wanted, clamped_by = bounded, rail
    return wanted, clamped_by


def is_protected(group: AppGroup, protected_apps: frozenset[str]) -> str | None:
    """Why nothing may ever be done to *group*, or `None`."""
    c = group.classification
    if c.protected:
        return f"{c.label} is protected: {c.evidence}"
    if c.app in protected_apps or c.label in protected_apps:
        return f"{c.label} is protected by the configuration"
    return None
