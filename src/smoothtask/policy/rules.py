"""The semantic rules, in order: the first that has an opinion decides (pure; rules are data).

Rule 1: a rule sees `Facts` and answers with a class and a sentence, or passes.
Rule 2: a *standing* answer holds whether somebody waits or not; a restraint (`only_under_contention`)
        only while somebody does.
Rule 3: lower first, raise second: no rule raises anything because it hogs.
"""

from collections.abc import Callable
from dataclasses import dataclass

from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Contention, Stage
from smoothtask.model.group import AppGroup, Behaviour


@dataclass(frozen=True, slots=True)
class Facts:
    """What a rule may look at."""

    group: AppGroup
    contention: Contention
    parent_class: PriorityClass | None
    """The class of the application that this group is a part of."""
    neighbours_wait: bool
    """Somebody else in the same application sleeps and wakes, or waits for the next line."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rule wants, and why."""

    target: PriorityClass
    text: str
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One semantic rule."""

    name: str
    stage: Stage
    ask: Callable[[Facts], Answer | None]
    at_once: bool
    """Followed without hysteresis: the rule itself has waited long enough, or is certain."""
    only_under_contention: bool = False


def _grace(f: Facts) -> Answer | None:
    c = f.group.classification
    if c.target is None or c.target >= PriorityClass.NORMAL or f.group.started_s >= c.after_s:
        return None
    text = f"{c.label} is {c.type}: left alone for its first {c.after_s:g} s"
    return Answer(_inherited(f), text, _source(f))


def _certain_type(f: Facts) -> Answer | None:
    c = f.group.classification
    if c.target is None or not c.certain:
        return None
    return Answer(c.target, f"{c.label} is {c.type} ({c.evidence})", _source(f))


def _noisy_neighbour(f: Facts) -> Answer | None:
    if not (_accused(f) and f.neighbours_wait):
        return None
    return Answer(PriorityClass.IDLE, f"{_hogs(f)}, beside others of its application that sleep and wake")


def _hog(f: Facts) -> Answer | None:
    return Answer(PriorityClass.BACKGROUND, _hogs(f)) if _accused(f) else None


def _likely_type(f: Facts) -> Answer | None:
    c = f.group.classification
    if c.target is None:
        return None
    return Answer(c.target, f"{c.label} is probably {c.type} ({c.evidence})", _source(f))


def _follows_application(f: Facts) -> Answer | None:
    if f.parent_class is None:
        return None
    return Answer(f.parent_class, "part of an application of this class")


RULES: tuple[Rule, ...] = (
    Rule("grace", Stage.RULE, _grace, at_once=True),
    Rule("noisy-neighbour", Stage.BEHAVIOUR, _noisy_neighbour, at_once=True, only_under_contention=True),
    Rule("hog", Stage.BEHAVIOUR, _hog, at_once=True, only_under_contention=True),
    Rule("certain-type", Stage.RULE, _certain_type, at_once=True),
    Rule("likely-type", Stage.RULE, _likely_type, at_once=False, only_under_contention=True),
    Rule("follows-application", Stage.DEFAULT, _follows_application, at_once=True),
)


def _accused(f: Facts) -> bool:
    """Whether behaviour may lower this group: it hogs, and no certain rule speaks for it.

    A part of an application (a renderer, a job in a terminal) is accused for itself: throttle the tab,
    not the browser. A class that is already lower than what behaviour would give stays with its rule.
    """
    c = f.group.classification
    if f.group.behaviour is not Behaviour.HOG:
        return False
    if c.target is not None and c.target <= PriorityClass.BACKGROUND:
        return False
    return f.group.parent is not None or c.target is None or not c.certain


def _hogs(f: Facts) -> str:
    m = f.group.metrics
    return (
        f"has used or wanted {m.cpu + m.wait:.1f} cores for {f.group.behaviour_s:.0f} s "
        f"and hardly ever sleeps ({m.vcsw:.0f} sleeps/s)"
    )


def _inherited(f: Facts) -> PriorityClass:
    return f.parent_class if f.parent_class is not None else PriorityClass.NORMAL


def _source(f: Facts) -> str | None:
    source = f.group.classification.source
    return str(source) if source is not None else None
