"""The one-line menus: what can be chosen with which key, and what comes of it (pure).

Rule 1: a menu knows the group it was opened for by id, and keeps it while the list moves.
Rule 2: only what cannot be undone (a signal that may end a program) asks twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from smoothtask.model.classes import PriorityClass
from smoothtask.model.command import Command, LabelGroup, LabelMoment, PinApp, SetOverride
from smoothtask.model.frame import GroupFrame
from smoothtask_tui.rows import SortKey

if TYPE_CHECKING:
    from smoothtask_tui.rulelist import RuleSort

CLASSES: tuple[tuple[str, PriorityClass, str], ...] = (
    ("1", PriorityClass.LATENCY_CRITICAL, "critical"),
    ("2", PriorityClass.INTERACTIVE, "interactive"),
    ("3", PriorityClass.NORMAL, "normal"),
    ("4", PriorityClass.BACKGROUND, "background"),
    ("5", PriorityClass.IDLE, "idle"),
)
OTHER_TIMES: tuple[tuple[str, str, float | None], ...] = (
    ("t", "10 min", 600.0),
    ("e", "8 hours", 28800.0),
    ("x", "until it exits", None),
)
SORTS: tuple[tuple[str, SortKey, str], ...] = (
    ("c", SortKey.CPU, "cpu"),
    ("w", SortKey.WAIT, "wait"),
    ("i", SortKey.IO, "io"),
    ("m", SortKey.MEMORY, "memory"),
    ("s", SortKey.PRESSURE, "psi"),
    ("n", SortKey.NAME, "name"),
    ("k", SortKey.CLASS, "class"),
    ("t", SortKey.TIME, "time in class"),
    ("p", SortKey.PROCESSES, "processes"),
)
MORE_SORTS: tuple[tuple[str, SortKey, str], ...] = (
    ("q", SortKey.QUEUE, "queue"),
    ("d", SortKey.DISK, "disk"),
    ("n", SortKey.NETWORK, "net"),
    ("w", SortKey.WATTS, "watts"),
)
"""Those of the deeper measures, which not everybody has."""


SIGNALS: tuple[tuple[str, int, str, bool], ...] = (
    ("t", 15, "TERM", True),
    ("i", 2, "INT", True),
    ("h", 1, "HUP", True),
    ("s", 19, "STOP", False),
    ("c", 18, "CONT", False),
    ("k", 9, "KILL", True),
)
"""Key, number, name, and whether it may end a program."""
NICES: tuple[tuple[str, int], ...] = (("1", -10), ("2", -5), ("3", 0), ("4", 5), ("5", 10), ("6", 19))


class Choice(NamedTuple):
    """One key of a menu."""

    key: str
    label: str
    outcome: "Outcome"
    current: bool = False
    """Whether this is how things are now."""
    refused: str = ""
    """Why this person may not choose it."""


@dataclass(frozen=True, slots=True)
class Menu:
    """A question in the status line."""

    title: str
    choices: tuple[Choice, ...]
    group: str | None = None
    """Id of the group it is about (Rule 1)."""
    label: str = ""
    """What it is about; gives way when there is little room."""
    rest: str = ""
    """The title's end, behind the label."""
    others: tuple[str, ...] = ()
    """Ids of more groups that the choice is about: those that were marked."""

    def choice(self, key: str) -> Choice | None:
        """What *key* chooses here."""
        return next((c for c in self.choices if c.key == key), None)


@dataclass(frozen=True, slots=True)
class Send:
    """A signal, by its number (signal(7))."""

    signal: int


@dataclass(frozen=True, slots=True)
class Nice:
    """A nice value set by hand."""

    nice: int


@dataclass(frozen=True, slots=True)
class FilterBy:
    """Another filter for the list."""

    text: str


@dataclass(frozen=True, slots=True)
class Train:
    """A model, from what was recorded."""


Outcome: TypeAlias = "Command | Menu | SortKey | RuleSort | Send | Nice | FilterBy | Train"
GroupOrder = PinApp | SetOverride | LabelGroup
"""Orders that say which group they are about."""


def class_menu(g: GroupFrame) -> Menu:
    """Give the running group a class until it exits, or leave it to the rules."""
    choices = [
        Choice(key, word, SetOverride(g.group.id, target), g.decision.target is target) for key, target, word in CLASSES
    ]
    choices.append(Choice("0", "auto", SetOverride(g.group.id, None)))
    return _about(g, "class of", choices)


def override_menu(g: GroupFrame) -> Menu:
    """A class for an hour; first a letter for another time."""
    others = [Choice(key, label, _timed_menu(g, label, seconds)) for key, label, seconds in OTHER_TIMES]
    menu = _timed_menu(g, "1 hour", 3600.0)
    return replace(menu, choices=(*menu.choices, *others))


def pin_menu(g: GroupFrame) -> Menu:
    """Always this class for this application."""
    return _about(
        g,
        "always treat",
        [Choice(key, word, PinApp(g.group.id, target), g.decision.target is target) for key, target, word in CLASSES],
    )


def label_menu(g: GroupFrame) -> Menu:
    """What the class should have been: teaches, changes nothing now."""
    return _about(
        g,
        "should have been:",
        [
            Choice(key, word, LabelGroup(g.group.id, target), g.decision.target is target)
            for key, target, word in CLASSES
        ],
    )


def signal_menu(groups: Sequence[GroupFrame], processes: int, pid: int | None = None) -> Menu:
    """Which signal, to all of their *processes* or to *pid* alone; what may end a program is asked again."""
    g = groups[0]
    name = g.group.label
    whom = f"process {pid} of" if pid is not None else f"all {processes} processes of"

    def outcome(number: int, word: str, ends: bool) -> Outcome:
        yes = (Choice("y", "yes, send it", Send(number)),)
        sure = Menu(f"{word} to {whom}", yes, g.group.id, name, ": sure?")
        return sure if ends else Send(number)

    choices = [Choice(key, word, outcome(number, word, ends)) for key, number, word, ends in SIGNALS]
    return for_all(Menu(f"signal to {whom}", tuple(choices), g.group.id, name, ":"), groups)


def nice_menu(groups: Sequence[GroupFrame], pid: int | None = None, now: int | None = None) -> Menu:
    """A nice value by hand: SmoothTask leaves such a process alone from then on."""
    g = groups[0]
    title = "nice of" if pid is None else f"nice of process {pid} of"
    choices = [Choice(key, f"{nice:+d}" if nice else "0", Nice(nice), nice == now) for key, nice in NICES]
    return for_all(Menu(title, tuple(choices), g.group.id, g.group.label, ", by hand:"), groups)


def train_menu() -> Menu:
    """It takes minutes of a processor's time: a key that was meant for something else does not begin it."""
    return Menu("train a model from what was recorded, in the background?", (Choice("y", "yes", Train()),))


def moment_menu() -> Menu:
    """How the machine felt just now."""
    return Menu(
        "just now this machine was",
        (Choice("l", "laggy", LabelMoment("laggy")), Choice("f", "fine", LabelMoment("fine"))),
    )


def sort_menu(current: SortKey) -> Menu:
    """By what to sort."""

    def choices(sorts: tuple[tuple[str, SortKey, str], ...]) -> tuple[Choice, ...]:
        return tuple(Choice(key, word, sort, sort is current) for key, sort, word in sorts)

    more = choices(MORE_SORTS)
    deeper = Choice("d", "deeper …", Menu("sort by", more), any(c.current for c in more))
    return Menu("sort by", (*choices(SORTS), deeper))


def users_menu(users: Sequence[tuple[str, int]], current: str) -> Menu:
    """Whose applications to show. *users*: names with how many applications each has; *current*: the filter now."""
    choices = [
        Choice(str(i), f"{name} ({count})", FilterBy(f"user={name}"), current == f"user={name}")
        for i, (name, count) in enumerate(users[:9], 1)
    ]
    return Menu("applications of", (*choices, Choice("0", "everybody", FilterBy(""), not current)))


def for_all(menu: Menu, groups: Sequence[GroupFrame]) -> Menu:
    """*menu*, opened for the first of *groups*, about all of them."""
    if len(groups) < 2:
        return menu
    choices = tuple(
        c._replace(
            current=False,
            outcome=for_all(c.outcome, groups) if isinstance(c.outcome, Menu) else c.outcome,
        )
        for c in menu.choices
    )
    others = tuple(g.group.id for g in groups[1:])
    return replace(menu, choices=choices, label=f"{len(groups)} applications", others=others)


def permitted(menu: Menu, refusal: Callable[[str, PriorityClass | None], str | None]) -> Menu:
    """*menu* with what may not be chosen marked. *refusal*: why a group may not get a class, or None."""

    def judged(choice: Choice) -> Choice:
        outcome = choice.outcome
        if isinstance(outcome, Menu):
            inner = permitted(outcome, refusal)
            refused = inner.choices[0].refused if all(c.refused for c in inner.choices) else ""
            return choice._replace(outcome=inner, refused=refused)
        if not isinstance(outcome, GroupOrder):
            return choice
        # A label changes nothing: only whose it is counts.
        target = None if isinstance(outcome, LabelGroup) else outcome.target
        said = [refusal(group, target) for group in (menu.group or outcome.group, *menu.others)]
        return choice._replace(refused=(said[0] or "") if all(said) else "")

    return replace(menu, choices=tuple(judged(c) for c in menu.choices))


def about(order: GroupOrder, group: str) -> GroupOrder:
    """The same order about *group*."""
    return replace(order, group=group)


def _timed_menu(g: GroupFrame, label: str, seconds: float | None) -> Menu:
    choices = [
        Choice(key, word, SetOverride(g.group.id, target, seconds), g.decision.target is target)
        for key, target, word in CLASSES
    ]
    return _about(g, f"{'' if seconds is None else 'for '}{label}:", choices)


def _about(g: GroupFrame, title: str, choices: list[Choice]) -> Menu:
    return Menu(title, tuple(choices), g.group.id, g.group.label)
