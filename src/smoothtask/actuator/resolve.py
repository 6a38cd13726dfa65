"""One thread, one class → the changes that bring it there, or the reason to leave it alone (pure).

Rule 1: only a fair thread that was found at nice 0 with the default slice is ever changed: any other value was
        set by the application or by a person.
Rule 2: a value that is no longer what we wrote was changed by somebody else, and is theirs from then on.
Rule 3: what we lowered is inherited by children; a value that a thread has from us counts as ours, and is
        recorded with the old value of the thread it came from.
Rule 4: what is raised resets on fork (sched(7)), so that nothing started from it inherits it.
Rule 5: nothing is changed that could not be undone with the privileges we have.
"""

from dataclasses import dataclass
from typing import NamedTuple

from smoothtask.model.change import IoPrio, SchedAttr, Value
from smoothtask.model.classes import NICE_CEILING, NICE_FLOOR, ClassEffect, IoClass

FAIR = frozenset({0, 3})  # SCHED_OTHER, SCHED_BATCH
UNTOUCHED_IO = frozenset({IoPrio(0, lv) for lv in range(8)} | {IoPrio(2, 4)})
"""IO priorities that nobody chose: none, and best-effort's middle."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What this kernel and these privileges allow."""

    slices: bool = True
    may_raise: bool = True
    """CAP_SYS_NICE: without it a lowered nice cannot be raised again."""


class Held(NamedTuple):
    """A value that we changed: what it was, what we made it."""

    old: Value
    new: Value


class Move(NamedTuple):
    """Write *new*; the ledger's old value is *old*. `old == new` puts back, `inherited` was never written by us."""

    old: SchedAttr | IoPrio | int
    new: SchedAttr | IoPrio | int
    write: bool = True


class Leave(NamedTuple):
    """Leave it alone from now on."""

    why: str
    changed_by_others: bool = False


def resolve_sched(
    now: SchedAttr,
    held: Held | None,
    inherited: bool,
    effect: ClassEffect | None,
    abilities: Abilities,
) -> Move | Leave | None:
    """What to do about nice and slice. *effect* `None` puts back; answer `None`: it is right as it is."""
    if now.policy not in FAIR:
        return Leave("not a fair thread")
    if held is not None and isinstance(held.old, SchedAttr):
        if now != held.new:
            return Leave(f"somebody set nice {now.nice}", changed_by_others=True)
        original = held.old
    elif inherited:
        original = SchedAttr(now.policy, 0, 0, reset_on_fork=False)
    else:
        original = now
        if now.nice != 0 or now.slice_ns != 0:
            return Leave("has a priority of its own")
    wanted = original if effect is None else _wanted_sched(original, effect, abilities)
    if wanted.nice < now.nice and not abilities.may_raise:
        return Leave("raising it again would need root")
    if not abilities.may_raise and (wanted.nice > original.nice or wanted.reset_on_fork > original.reset_on_fork):
        return Leave("could not be undone without root")
    if wanted == now and (held is not None or original == now):
        return None
    return Move(original, wanted, write=wanted != now)


def _wanted_sched(original: SchedAttr, effect: ClassEffect, abilities: Abilities) -> SchedAttr:
    nice = original.nice if effect.nice is None else min(max(effect.nice, NICE_FLOOR), NICE_CEILING)
    slice_ns = effect.slice_ns or 0 if abilities.slices else 0
    raised = nice < original.nice or slice_ns != 0
    return SchedAttr(original.policy, nice, slice_ns, original.reset_on_fork or raised)


def resolve_ioprio(now: IoPrio, held: Held | None, inherited: bool, effect: ClassEffect | None) -> Move | Leave | None:
    """The same for the IO priority."""
    if held is not None and isinstance(held.old, IoPrio):
        if now != held.new:
            return Leave("somebody set its IO priority", changed_by_others=True)
        original = held.old
    elif inherited:
        original = IoPrio(0, 0)
    else:
        original = now
        if now not in UNTOUCHED_IO:
            return Leave("has an IO priority of its own")
    wanted = original
    if effect is not None and effect.io_class is not None and effect.io_class is not IoClass.REALTIME:
        level = effect.io_level if effect.io_class is IoClass.BEST_EFFORT else 7
        wanted = IoPrio(effect.io_class.value, level)
    if wanted == now and (held is not None or original == now):
        return None
    return Move(original, wanted, write=wanted != now)
