"""Which limits hold for a group beyond its class, and who asked for them (pure)."""

from smoothtask.model.amounts import limits_text
from smoothtask.model.classes import NO_LIMITS, Limits, PriorityClass
from smoothtask.model.decision import Pin, Reason, Stage
from smoothtask.model.group import AppGroup

NOTHING: tuple[Limits, tuple[Reason, ...]] = (NO_LIMITS, ())


def limits_of(
    group: AppGroup, target: PriorityClass, pin: Pin | None, *, somebody_waits: bool
) -> tuple[Limits, tuple[Reason, ...]]:
    """What *group*, which is not protected, may use in class *target*, and the link of the chain that says so.

    A pin's limits hold always. A rule's are restraints: they take something even from an idle machine, so they hold
    below NORMAL and while somebody waits.
    """
    source: str | None = None
    if pin is not None and pin.limits:
        asked, stage, by = pin.limits, Stage.PIN, f"the pin of {pin.app}"
    elif group.classification.limits:
        asked, stage, by = group.classification.limits, Stage.RULE, "its rule"
        source = str(group.classification.source) if group.classification.source is not None else None
    else:
        return NOTHING
    never = _never(group)
    if never is not None:
        text = f"no limits, which {by} asks for: {never}"
        return NO_LIMITS, (Reason(Stage.GUARDRAIL, "no-limits", text),)
    if stage is Stage.RULE and not (target <= PriorityClass.BACKGROUND and somebody_waits):
        return NOTHING
    return asked, (Reason(stage, "limits", f"{limits_text(asked)}, as {by} asks", source),)


def _never(group: AppGroup) -> str | None:
    """Why *group* is never limited."""
    if group.starts_others and group.parent is None:
        return "everything it starts would share them"
    if "audio" in group.classification.tags or group.attention.playing:
        return "sound that has to wait is heard"
    return None
