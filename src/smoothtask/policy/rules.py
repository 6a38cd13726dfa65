"""The semantic rules, in order: the first that has an opinion decides (pure; rules are data).

Rule 1: a rule sees `Facts` and answers with a class and a sentence, or passes.
Rule 2: a *standing* answer holds whether somebody waits or not; a restraint (`only_under_contention`)
        only while somebody does.
Rule 3: what a rule is certain of is moved by nobody but the person who has said otherwise in the same situation
        (`Yields.TO_LESSONS`); what it only thinks likely, by a model too (`Yields.TO_MODEL`).
Rule 4: lower first, raise second: no rule raises anything because it hogs.
Rule 5: a rule that looks at what a group uses, or at how old something of it is, looks at what `is_measured`: all
        others are judged again only when something else about them changes (`policy.rest`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Contention, Stage
from smoothtask.model.group import AppGroup, Behaviour
from smoothtask.model.person import NOBODY_KNOWN, PersonMetrics
from smoothtask.policy.parameters import PersonLimits

DEFAULT_LIMITS = PersonLimits()
MINIMISED_USE = 0.1
"""Cores that an application with hidden windows may use or want before it is asked to wait."""
HEAVY_IO_BPS = 50e6
"""Bytes a second from and to disks, from which on nobody waits for the next one alone."""
STILL_HEAVY_IO_BPS = 25e6
"""What is lowered moves less because of that: below this it is not heavy any more."""
PACED_VCSW = 100.0
"""Sleeps a second of each process, from which on a deadline is what explains them: sound's are 1 to 10 ms apart."""
PACED_USE = 0.1
"""Cores beyond which it takes from others what it gets first."""
PACED_WANT = 0.3
"""The same with the time for which it is kept waiting: who is late is to be helped, and not for computing more then."""
PACED_IO_BPS = 1e6
"""Bytes a second from and to disks, from which on it may sleep for the disk; recorded sound is less."""
NOT_WHILE_SOMEBODY_WORKS = frozenset({"updater", "indexer", "backup", "maintenance"})
"""Tags of what can wait until the person has gone."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a rule may look at."""

    group: AppGroup
    contention: Contention
    parent_class: PriorityClass | None
    """The class of the application that this group is a part of."""
    neighbours_wait: bool
    """Somebody else in the same application sleeps and wakes, or waits for the next line."""
    person: PersonMetrics = NOBODY_KNOWN
    limits: PersonLimits = DEFAULT_LIMITS
    parent: AppGroup | None = None
    """The application that this group is a part of."""
    lowered: bool = False
    """Whether it is in a class below NORMAL."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rule wants, and why."""

    target: PriorityClass
    text: str
    source: str | None = None


class Yields(IntEnum):
    """Whose word may move what a rule says."""

    TO_NOBODY = 0
    TO_LESSONS = 1
    TO_MODEL = 2
    """And to lessons."""
    TO_MODEL_ALONE = 3
    """It depends on what lessons know nothing of, such as age; a model sees it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One semantic rule."""

    name: str
    stage: Stage
    ask: Callable[[Facts], Answer | None]
    at_once: bool
    """Followed without hysteresis: the rule itself has waited long enough, or is certain."""
    only_under_contention: bool = False
    yields: Yields = Yields.TO_LESSONS


def _grace(f: Facts) -> Answer | None:
    c = f.group.classification
    at_hand = c.after_s > 0 and _is_at_hand(f)
    grace_s = c.after_s + f.limits.terminal_grace_s if at_hand else c.after_s
    if c.target is None or c.target >= PriorityClass.NORMAL or f.group.started_s >= grace_s:
        return None
    where = " in a terminal that somebody works in" if at_hand else ""
    text = f"{c.label} is {c.type}: left alone for its first {grace_s:g} s{where}"
    return Answer(_inherited(f), text, _source(f))


def _call(f: Facts) -> Answer | None:
    if not f.group.attention.in_call:
        return None
    return Answer(PriorityClass.LATENCY_CRITICAL, f"{f.group.label} plays and records sound: a call")


def _game(f: Facts) -> Answer | None:
    a = f.group.attention
    tags = f.group.classification.tags
    if "game" not in tags or "launcher" in tags or not (a.focused or a.fullscreen):
        return None
    how = "has the focus" if a.focused else "fills the screen"
    return Answer(PriorityClass.LATENCY_CRITICAL, f"{f.group.label} is a game and {how}", _source(f))


def _focus(f: Facts) -> Answer | None:
    if not f.group.attention.focused:
        return None
    return Answer(_at_least_interactive(f), f"{f.group.label} has the focus")


def _recent_focus(f: Facts) -> Answer | None:
    lost_s = f.group.attention.unfocused_s
    if lost_s is None or lost_s >= f.limits.focus_memory_s:
        return None
    text = f"{f.group.label} had the focus less than {f.limits.focus_memory_s:g} s ago"
    return Answer(_at_least_interactive(f), text)


def _audible(f: Facts) -> Answer | None:
    if not f.group.attention.playing:
        return None
    return Answer(_at_least_interactive(f), f"{f.group.label} plays sound")


def _typed(f: Facts) -> Answer | None:
    if not _is_typed_into(f.group, f.limits) or f.group.behaviour is Behaviour.HOG or _is_lowered(f.group):
        return None
    return Answer(PriorityClass.INTERACTIVE, f"somebody typed into its terminal ({f.group.tty}) a moment ago")


def _not_while_somebody_works(f: Facts) -> Answer | None:
    c = f.group.classification
    kinds = c.tags & NOT_WHILE_SOMEBODY_WORKS
    if not (f.person.active and kinds) or (c.certain and _is_lowered(f.group)):
        return None
    return Answer(PriorityClass.BACKGROUND, f"somebody works here, and {min(kinds)} can wait", _source(f))


def _visible(f: Facts) -> Answer | None:
    c = f.group.classification
    if not f.group.attention.visible or c.certain or not _is_lowered(f.group):
        return None
    return Answer(PriorityClass.NORMAL, f"probably {c.type}, but its window is on the screen", _source(f))


def _minimised(f: Facts) -> Answer | None:
    a, m, c = f.group.attention, f.group.metrics, f.group.classification
    if not a.minimised or a.playing or m.cpu + m.wait < MINIMISED_USE or c.certain:
        return None
    return Answer(PriorityClass.BACKGROUND, "all of its windows are hidden, and nothing of it is heard")


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


def _heavy_io(f: Facts) -> Answer | None:
    a, m, c = f.group.attention, f.group.metrics, f.group.classification
    moved_bps = m.read_bps + m.write_bps
    least_bps = STILL_HEAVY_IO_BPS if f.lowered else HEAVY_IO_BPS
    if moved_bps < least_bps or a.visible or a.playing or c.target is not None:
        return None
    return Answer(PriorityClass.BACKGROUND, f"moves {moved_bps / 1e6:.0f} MB/s from and to disks, unseen")


def _paced(f: Facts) -> Answer | None:
    m = f.group.metrics
    if f.group.classification.target is not None or not _keeps_pace(f.group):
        return None
    text = f"sleeps and wakes {m.vcsw:.0f} times a second and computes next to nothing: it keeps a pace, as sound does"
    return Answer(PriorityClass.INTERACTIVE, text)


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
    Rule("grace", Stage.RULE, _grace, at_once=True, yields=Yields.TO_MODEL_ALONE),
    Rule("call", Stage.RULE, _call, at_once=True),
    Rule("game", Stage.RULE, _game, at_once=True),
    Rule("focus", Stage.RULE, _focus, at_once=True),
    Rule("recent-focus", Stage.RULE, _recent_focus, at_once=True),
    Rule("audible", Stage.RULE, _audible, at_once=True),
    Rule("typed", Stage.RULE, _typed, at_once=True),
    Rule("not-while-somebody-works", Stage.RULE, _not_while_somebody_works, at_once=True),
    Rule(
        "noisy-neighbour",
        Stage.BEHAVIOUR,
        _noisy_neighbour,
        at_once=True,
        only_under_contention=True,
        yields=Yields.TO_MODEL,
    ),
    Rule("hog", Stage.BEHAVIOUR, _hog, at_once=True, only_under_contention=True, yields=Yields.TO_MODEL),
    Rule("certain-type", Stage.RULE, _certain_type, at_once=True),
    Rule("visible", Stage.RULE, _visible, at_once=True, yields=Yields.TO_MODEL),
    Rule("minimised", Stage.BEHAVIOUR, _minimised, at_once=False, only_under_contention=True, yields=Yields.TO_MODEL),
    Rule("heavy-io", Stage.BEHAVIOUR, _heavy_io, at_once=False, only_under_contention=True, yields=Yields.TO_MODEL),
    Rule("paced", Stage.BEHAVIOUR, _paced, at_once=False, only_under_contention=True, yields=Yields.TO_MODEL),
    Rule("likely-type", Stage.RULE, _likely_type, at_once=False, only_under_contention=True, yields=Yields.TO_MODEL),
    Rule("follows-application", Stage.DEFAULT, _follows_application, at_once=True, yields=Yields.TO_MODEL),
)


def is_measured(group: AppGroup) -> bool:
    """Whether what the rules say of *group* may depend on its metrics, its age or that of its behaviour (Rule 5)."""
    m = group.metrics
    return (
        group.behaviour is Behaviour.HOG
        or _keeps_pace(group)
        or group.attention.minimised
        or group.classification.after_s > 0
        or m.read_bps + m.write_bps >= STILL_HEAVY_IO_BPS
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


def _keeps_pace(group: AppGroup) -> bool:
    """Whether it wakes for a deadline, and takes next to nothing."""
    m = group.metrics
    return (
        group.behaviour is Behaviour.STEADY
        and m.vcsw >= PACED_VCSW * max(1, m.processes)
        and m.cpu <= PACED_USE
        and m.cpu + m.wait <= PACED_WANT
        and m.read_bps + m.write_bps < PACED_IO_BPS
    )


def _hogs(f: Facts) -> str:
    m = f.group.metrics
    if m.children > m.cpu + m.wait:
        return f"starts short-lived programs that use {m.children:.1f} cores, for {f.group.behaviour_s:.0f} s"
    return (
        f"has used or wanted {m.cpu + m.wait:.1f} cores for {f.group.behaviour_s:.0f} s "
        f"and hardly ever sleeps ({m.vcsw:.0f} sleeps/s)"
    )


def _at_least_interactive(f: Facts) -> PriorityClass:
    """INTERACTIVE, or more when its rule is sure of it."""
    c = f.group.classification
    return max(PriorityClass.INTERACTIVE, c.target) if c.certain and c.target is not None else PriorityClass.INTERACTIVE


def _is_lowered(group: AppGroup) -> bool:
    """Whether its own rule asks for less than NORMAL."""
    target = group.classification.target
    return target is not None and target < PriorityClass.NORMAL


def _is_typed_into(group: AppGroup, limits: PersonLimits) -> bool:
    typed_s = group.attention.typed_s
    return typed_s is not None and typed_s < limits.typed_s


def _is_at_hand(f: Facts) -> bool:
    """Whether somebody works in the terminal or the application that this group runs in."""
    around = f.parent.attention.focused if f.parent is not None else False
    return around or f.group.attention.focused or _is_typed_into(f.group, f.limits)


def _inherited(f: Facts) -> PriorityClass:
    return f.parent_class if f.parent_class is not None else PriorityClass.NORMAL


def _source(f: Facts) -> str | None:
    source = f.group.classification.source
    return str(source) if source is not None else None
