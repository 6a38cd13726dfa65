"""A group at rest is not judged anew: when what was wished for it a tick ago must be wished again (pure).

A wish is made of what is `Seen` of a group, of the `Circumstances` that all groups share, and of nothing else: where
an amount or an age counts (`rules.is_measured`), a person's override or a model's opinion, there is no rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Pin
from smoothtask.policy.parameters import PolicyParameters
from smoothtask.policy.personal import Learnt
from smoothtask.policy.rules import Facts, is_measured
from smoothtask.policy.wishes import Ruled, Wish

Seen = tuple[object, ...]
"""Everything about one group that a wish without amounts and ages is made of."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What all groups share."""

    contended: bool
    person_active: bool | None
    pins: Sequence[Pin]
    learnt: Learnt
    parameters: PolicyParameters


@dataclass(frozen=True, slots=True)
class Judged:
    """What was wished for a group."""

    seen: Seen | None
    reasons: tuple[str, ...] | None
    """Of contention, where the wish cites them."""
    rules: PriorityClass
    """What the rules alone would have while somebody waits."""
    wish: Wish

    def holds(self, seen: Seen | None, reasons: tuple[str, ...]) -> bool:
        """Whether the same is wished for what is *seen* now. *reasons*: of contention."""
        return seen is not None and self.seen == seen and (self.reasons is None or self.reasons == reasons)


def judged_of(seen: Seen | None, rules: Ruled, wish: Wish, reasons: tuple[str, ...]) -> Judged:
    """*wish* to be remembered, which *rules* led to. *reasons*: of contention, which restraints alone cite."""
    return Judged(seen, reasons if rules.waiting.restraint else None, rules.waiting.target, wish)


def seen_of(facts: Facts, closed: str | None) -> Seen | None:
    """What the wish for a group is made of; `None`: of amounts and ages, too. *closed*: why it may not be touched."""
    group, parent = facts.group, facts.parent
    if is_measured(group):
        return None
    return (
        group.classification,
        group.behaviour,
        group.attention,
        group.starts_others,
        group.parent,
        group.label,
        group.tty,
        group.uid,
        facts.parent_class,
        facts.neighbours_wait,
        facts.lowered,
        None if parent is None else parent.attention,
        closed,
    )
