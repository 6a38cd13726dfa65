"""What a user is told of somebody else's applications, and what not (pure).

Told are names, use, class and what any `ps` shows; withheld are command lines, the paths of programs and what tells
what a person does: windows, sound, keys. Root and who runs the engine are told everything.
"""

from dataclasses import replace

from smoothtask.model.decision import Decision, Reason, Stage
from smoothtask.model.detail import GroupDetail
from smoothtask.model.frame import Event, Frame, GroupFrame, Mark, ProcessFrame
from smoothtask.model.group import AppGroup, Classification
from smoothtask.model.person import NO_ATTENTION

PRIVATE_MARKS = frozenset({Mark.FOCUSED, Mark.PLAYING, Mark.CAPTURING})
TOLD = frozenset(
    {
        "protected", "scope", "pin", "override", "certain-type", "likely-type", "noisy-neighbour", "paced", "hog",
        "contention", "default", "held", "follows-application", "limits",
    }
)  # fmt: skip
"""Rules whose words say nothing of what a person does; of a new rule that is to be said here."""


def frame_for(frame: Frame, uid: int) -> Frame:
    """*frame* as *uid* may see it."""
    if frame.rights.is_owner(uid):
        return frame
    own = frozenset(g.group.id for g in frame.groups if g.group.uid == uid)
    return replace(
        frame,
        groups=tuple(g if g.group.id in own else group_for_others(g) for g in frame.groups),
        processes=tuple(p if p.uid == uid else process_for_others(p) for p in frame.processes),
        events=tuple(e for e in frame.events if _is_told(e, own)),
        person=replace(frame.person, since_input_s=None, input_source=""),
    )


def group_for_others(g: GroupFrame) -> GroupFrame:
    """Without what is its owner's."""
    group = replace(g.group, classification=_classification(g.group), attention=NO_ATTENTION)
    return replace(g, group=group, decision=_decision(g), marks=g.marks - PRIVATE_MARKS)


def process_for_others(process: ProcessFrame) -> ProcessFrame:
    """Without its arguments."""
    return replace(process, command=process.name)


def detail_for_others(detail: GroupDetail) -> GroupDetail:
    """Without reasons and arguments. Threads and clues were never looked for."""
    return replace(
        detail,
        in_force=tuple(replace(x, why="") for x in detail.in_force),
        past=tuple(replace(x, text="") for x in detail.past),
        what_if=tuple(replace(x, text="") for x in detail.what_if),
        processes=tuple(map(process_for_others, detail.processes)),
    )


def _is_told(event: Event, own: frozenset[str]) -> bool:
    return event.group in own if event.group is not None else event.kind != "person"


def _classification(group: AppGroup) -> Classification:
    c = group.classification
    if c.source is not None:
        return replace(c, evidence=_evidence(group))
    return replace(c, app=f"name:{c.label}")  # else the path of its program


def _evidence(group: AppGroup) -> str:
    return f"told to uid {group.uid} alone"


def _decision(g: GroupFrame) -> Decision:
    """Its class and the reasons that any onlooker may know."""
    d = g.decision
    told = tuple(_reason(r, g.group) for r in d.reasons if r.rule in TOLD)
    if len(told) < len(d.reasons):
        told = (*told, Reason(Stage.DEFAULT, "private", f"told to uid {g.group.uid} alone"))
    return replace(d, reasons=told)


def _reason(reason: Reason, group: AppGroup) -> Reason:
    c = group.classification
    if c.source is None or c.evidence not in reason.text:
        return reason
    return replace(reason, text=reason.text.replace(c.evidence, _evidence(group)))
