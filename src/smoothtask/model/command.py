"""What a client may ask of the engine, and what it answers."""

from dataclasses import dataclass, field
from typing import Any, Literal

from smoothtask.model.classes import NO_LIMITS, Limits, PriorityClass


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the kernel says (SO_PEERCRED, unix(7)), never as the message says."""

    uid: int
    pid: int = 0


@dataclass(frozen=True, slots=True)
class PinApp:
    """Pin the application of *group* (a group id) to *target*, with *limits* in whatever class it is."""

    group: str
    target: PriorityClass
    limits: Limits = NO_LIMITS
    op: Literal["pin"] = "pin"


@dataclass(frozen=True, slots=True)
class Unpin:
    """Remove the pin of the application of *group* (a group id or an app key)."""

    group: str
    op: Literal["unpin"] = "unpin"


@dataclass(frozen=True, slots=True)
class SetOverride:
    """Give one running group a class, until it exits or *seconds* pass. `target=None` takes it away."""

    group: str
    target: PriorityClass | None
    seconds: float | None = None
    op: Literal["override"] = "override"


@dataclass(frozen=True, slots=True)
class LabelGroup:
    """Training label: *group* should have been *target* in the newest snapshot."""

    group: str
    target: PriorityClass
    op: Literal["label"] = "label"


@dataclass(frozen=True, slots=True)
class LabelMoment:
    """Training label: how the machine felt just now."""

    verdict: Literal["laggy", "fine"]
    op: Literal["label-moment"] = "label-moment"


@dataclass(frozen=True, slots=True)
class Undo:
    """Take back the caller's latest pin, unpin, override, label, pause or dry-run."""

    op: Literal["undo"] = "undo"


@dataclass(frozen=True, slots=True)
class Redo:
    """Do again what the caller's latest undo took back."""

    op: Literal["redo"] = "redo"


@dataclass(frozen=True, slots=True)
class Rehearse:
    """Undo every change, and only say what would be done (`on=True`); or apply decisions again (`on=False`)."""

    on: bool
    op: Literal["dry-run"] = "dry-run"


@dataclass(frozen=True, slots=True)
class Pause:
    """Undo every change and apply nothing (`on=True`), or go on (`on=False`)."""

    on: bool
    passing: bool = False
    """For as long as the one who asks stands still: no deed, so that undo and redo don't know of it."""
    op: Literal["pause"] = "pause"


@dataclass(frozen=True, slots=True)
class Explain:
    """Everything known about one group: *target* is a group id, a pid, or a name."""

    target: str
    op: Literal["explain"] = "explain"


@dataclass(frozen=True, slots=True)
class Detail:
    """`model.detail.GroupDetail` of one group (a group id, a pid, or a name), with its *threads* when asked for."""

    target: str
    threads: bool = False
    op: Literal["detail"] = "detail"


@dataclass(frozen=True, slots=True)
class ListRules:
    """`model.detail.RuleUses`: the rules that hold for the caller, and what each has matched."""

    op: Literal["rules"] = "rules"


@dataclass(frozen=True, slots=True)
class Reload:
    """Read configuration and rules again."""

    op: Literal["reload"] = "reload"


@dataclass(frozen=True, slots=True)
class ListLessons:
    """What the caller has taught; for root, what everybody has."""

    op: Literal["lessons"] = "lessons"


@dataclass(frozen=True, slots=True)
class Forget:
    """Forget what the caller (for root: everybody) has taught of *app*, an app key."""

    app: str
    op: Literal["forget"] = "forget"


Question = Explain | Detail | ListRules | ListLessons
"""Commands that only ask."""
Command = (
    PinApp
    | Unpin
    | SetOverride
    | LabelGroup
    | LabelMoment
    | Undo
    | Redo
    | Pause
    | Rehearse
    | Reload
    | Forget
    | Question
)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one command."""

    ok: bool
    message: str
    """One sentence for a person: what was done and how to undo it, or why not."""
    data: dict[str, Any] = field(default_factory=dict)
    """For a `Question`: what was asked for, as JSON values."""
