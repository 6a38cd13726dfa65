"""What a user is told of somebody else's applications, and what not (pure).

Told are names, use, class and what any `ps` shows; withheld are command lines, the paths of programs and what tells
what a person does: windows, sound, keys; and what somebody wrote in rules of their own. Root and who runs the engine
are told everything.
"""

import re
from dataclasses import replace

from smoothtask.model.decision import Contention, Decision, Reason, Stage
from smoothtask.model.detail import GroupDetail
from smoothtask.model.frame import Event, Frame, GroupFrame, Mark, ProcessFrame, Scores
from smoothtask.model.group import AppGroup, Classification
from smoothtask.model.person import NO_ATTENTION, PersonMetrics

PRIVATE_MARKS = frozenset({Mark.FOCUSED, Mark.PLAYING, Mark.CAPTURING})
TOLD = frozenset(
    {
        "protected", "scope", "pin", "override", "certain-type", "likely-type", "noisy-neighbour", "paced", "hog",
        "contention", "default", "held", "follows-application", "limits",
    }
)  # fmt: skip
"""Rules whose words say nothing of what a person does; of a new rule that is to be said here."""
TOLD_EVENTS = frozenset({"system", "error"})
"""Kinds of events that are everybody's, when they are of no group."""
TOLD_SIGNS = ("wake-ups ", "responsiveness ")
"""How those reasons of a bad score begin that speak of the machine: others name what is watched or heard."""
_SOUND = re.compile(r"(; | after: |, )?sound broke up \d+ times")


def frame_for(frame: Frame, uid: int) -> Frame:
    """*frame* as *uid* may see it."""
    if frame.rights.is_owner(uid):
        return frame
    own = frozenset(g.group.id for g in frame.groups if g.group.uid == uid)
    names = {p.pid: p.name for p in frame.processes}
    if not _is_about(frame, own):
        frame = _without_person(frame)
    return replace(
        frame,
        contention=_contention(frame, own),
        groups=tuple(
            g if g.group.id in own else group_for_others(g, names.get(g.group.root_pid, "")) for g in frame.groups
        ),
        processes=tuple(p if p.uid == uid else process_for_others(p) for p in frame.processes),
        events=tuple(e for e in frame.events if _is_told(e, own)),
        person=replace(frame.person, since_input_s=None, input_source=""),
    )


def group_for_others(g: GroupFrame, name: str = "") -> GroupFrame:
    """Without what is its owner's. *name*: of its first process, in place of what the owner's own rule calls it."""
    label = (name or f"pid {g.group.root_pid}") if _is_personal(g.group) else g.group.label
    group = replace(g.group, label=label, classification=_classification(g.group, label), attention=NO_ATTENTION)
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
    return event.group in own if event.group is not None else event.kind in TOLD_EVENTS


def _is_about(frame: Frame, own: frozenset[str]) -> bool:
    """Whether what is watched and heard here is *own*, all of it: then there is nothing of others to tell."""
    watched = {g.group.id for g in frame.groups if g.group.attention != NO_ATTENTION}
    return bool(watched) and watched <= own and not frame.left_out


def _without_person(frame: Frame) -> Frame:
    """Without sound, and without what is watched."""
    reasons = tuple(r for r in frame.scores.reasons if r.startswith(TOLD_SIGNS))
    signs = tuple(told for r in frame.contention.reasons if (told := _without_sound(r)))
    return replace(
        frame,
        contention=replace(frame.contention, reasons=signs),
        person=PersonMetrics(active=frame.person.active),
        scores=Scores(frame.scores.responsiveness, bad=bool(reasons), reasons=reasons),
    )


def _contention(frame: Frame, own: frozenset[str]) -> Contention:
    """Without what others call their applications in rules of their own."""
    secret = [g.group.label for g in frame.groups if g.group.id not in own and _is_personal(g.group)]
    told = tuple(r for r in frame.contention.reasons if not any(label in r for label in secret))
    return replace(frame.contention, reasons=told)


def _without_sound(text: str) -> str:
    return _SOUND.sub("", text)


def _is_personal(group: AppGroup) -> bool:
    """Whether a rule that its owner wrote says what it is."""
    source = group.classification.source
    return source is not None and source.layer == "personal"


def _classification(group: AppGroup, label: str) -> Classification:
    c = group.classification
    if _is_personal(group):
        return replace(
            c, app=f"name:{label}", label=label, type="unknown", tags=frozenset(), source=None, part=None,
            evidence=_evidence(group),
        )  # fmt: skip
    if c.source is not None:
        return replace(c, evidence=_evidence(group))
    return replace(c, app=f"name:{c.label}")  # else the path of its program


def _evidence(group: AppGroup) -> str:
    return f"told to uid {group.uid} alone"


def _decision(g: GroupFrame) -> Decision:
    """Its class and the reasons that any onlooker may know."""
    d, c = g.decision, g.group.classification
    told = tuple(
        _reason(r, g.group)
        for r in d.reasons
        if r.rule in TOLD and not (_is_personal(g.group) and (r.source or c.label in r.text or g.group.label in r.text))
    )
    if len(told) < len(d.reasons):
        told = (*told, Reason(Stage.DEFAULT, "private", f"told to uid {g.group.uid} alone"))
    return replace(d, reasons=told)


def _reason(reason: Reason, group: AppGroup) -> Reason:
    c, text = group.classification, _without_sound(reason.text)
    return replace(reason, text=text if c.source is None else text.replace(c.evidence, _evidence(group)))
