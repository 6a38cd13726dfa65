"""The one-line menus: what can be chosen with which key, and what comes of it (pure).

Rule 1: a menu knows the group it was opened for by id, and keeps it while the list moves.
Rule 2: nothing in a menu asks for a confirmation, because every order can be undone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from smoothtask.model.classes import PriorityClass
from smoothtask.model.command import Command, LabelGroup, LabelMoment, PinApp, SetOverride
from smoothtask.model.frame import GroupFrame
from smoothtask_tui.rows import SortKey

CLASSES: tuple[tuple[str, PriorityClass, str], ...] = (
    ("1", PriorityClass.LATENCY_CRITICAL, "critical"),
    ("2", PriorityClass.INTERACTIVE, "interactive"),
    ("3", PriorityClass.NORMAL, "normal"),
    ("4", PriorityClass.BACKGROUND, "background"),
    ("5", PriorityClass.IDLE, "idle"),
)
TIMES: tuple[tuple[str, str, float | None], ...] = (
    ("1", "10 min", 600.0),
    ("2", "1 hour", 3600.0),
    ("3", "until it exits", None),
)
SORTS: tuple[tuple[str, SortKey, str], ...] = (
    ("c", SortKey.CPU, "cpu"),
    ("w", SortKey.WAIT, "wait"),
    ("i", SortKey.IO, "io"),
    ("m", SortKey.MEMORY, "memory"),
    ("n", SortKey.NAME, "name"),
    ("k", SortKey.CLASS, "class"),
    ("t", SortKey.TIME, "time in class"),
    ("p", SortKey.PROCESSES, "processes"),
)


class Choice(NamedTuple):
    """One key of a menu."""

    key: str
    label: str
    outcome: "Outcome"
    current: bool = False
    """Whether this is how things are now."""


@dataclass(frozen=True, slots=True)
class Menu:
    """A question in the status line."""

    title: str
    choices: tuple[Choice, ...]
    group: str | None = None
    """Id of the group it is about (Rule 1)."""
    label: str = ""
    others: tuple[str, ...] = ()
    """Ids of more groups that the choice is about: those that were marked."""

    def choice(self, key: str) -> Choice | None:
        """What *key* chooses here."""
        return next((c for c in self.choices if c.key == key), None)


Outcome = Command | Menu | SortKey
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
    """First the class, then for how long."""
    return _about(
        g,
        "override",
        [Choice(key, word, _time_menu(g, target, word), g.decision.target is target) for key, target, word in CLASSES],
    )


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


def moment_menu() -> Menu:
    """How the machine felt just now."""
    return Menu(
        "just now this machine was",
        (Choice("l", "laggy", LabelMoment("laggy")), Choice("f", "fine", LabelMoment("fine"))),
    )


def sort_menu(current: SortKey) -> Menu:
    """By what to sort."""
    return Menu("sort by", tuple(Choice(key, word, sort, sort is current) for key, sort, word in SORTS))


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


def about(order: GroupOrder, group: str) -> GroupOrder:
    """The same order about *group*."""
    return replace(order, group=group)


def _time_menu(g: GroupFrame, target: PriorityClass, word: str) -> Menu:
    choices = [Choice(key, label, SetOverride(g.group.id, target, seconds)) for key, label, seconds in TIMES]
    return _about(g, f"how long {word}:", choices)


def _about(g: GroupFrame, title: str, choices: list[Choice]) -> Menu:
    return Menu(title, tuple(choices), g.group.id, g.group.label)
