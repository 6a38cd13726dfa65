"""What the made-up machine of `demo` tells beyond its frame: details of a group, and its rules."""

import re
from collections import Counter
from pathlib import PurePath

from smoothtask.model.classes import PriorityClass
from smoothtask.model.detail import (
    ClassChange,
    Clues,
    GroupDetail,
    InForce,
    RuleUse,
    RuleUses,
    ThreadFrame,
)
from smoothtask.model.frame import Frame, GroupFrame
from smoothtask.policy.decide import Orders
from smoothtask.policy.parameters import PolicyParameters
from smoothtask.policy.whatif import Situation, what_if

CHANGE = re.compile(r".*: (\w+) → (\w+): (.*)")
"""As `engine.frames.class_events` says it."""


def detail(frame: Frame, g: GroupFrame, *, threads: bool) -> GroupDetail:
    """Everything known of *g* at *frame*."""
    processes = tuple(p for p in frame.processes if p.group == g.group.id or p.group.startswith(f"{g.group.id}/"))
    now = Situation(
        tuple(x.group for x in frame.groups), frame.contention, Orders(), frame.mono_s, PolicyParameters(), {},
        frame.person,
    )  # fmt: skip
    changed = g.mechanism != "-" and not g.mechanism.startswith("would be")
    since = frame.time - g.decision.since_s
    exe = processes[0].command.split(" ")[0] if processes else ""
    return GroupDetail(
        group=g.group.id,
        is_whole=True,
        mono_s=frame.mono_s,
        in_force=(InForce(f"scheduling of {g.group.metrics.threads} threads", "nice 0", g.mechanism, since,
                          g.decision.text),) if changed else (),
        past=_past(frame, g.group.id),
        what_if=what_if(g.group, now),
        processes=processes,
        threads=tuple(
            ThreadFrame(p.pid, p.pid, p.name, p.nice, 0, "S", int(p.cpu * 1e9 * frame.seq), 0) for p in processes
        ) if threads else (),
        clues=Clues(exe=exe, name=exe.rpartition("/")[2], unit=g.group.unit or ""),
    )  # fmt: skip


def _past(frame: Frame, group: str) -> tuple[ClassChange, ...]:
    told = ((e.time, CHANGE.match(e.text)) for e in frame.events if e.kind == "class" and e.group == group)
    return tuple(ClassChange(t, PriorityClass[m[1]], PriorityClass[m[2]], m[3]) for t, m in told if m is not None)


def rules(frame: Frame) -> RuleUses:
    """Those that the machine's applications match, and two that never matched."""
    known = [(g.group.classification, g.group.metrics.processes) for g in frame.groups]
    processes = Counter({c.app: 0 for c, _ in known})
    for c, count in known:
        processes[c.app] += count
    found = {
        c.app: RuleUse(
            c.app, c.label, c.type, c.target, c.certain, c.protected, c.source.layer, c.source.file, c.source.line,
            processes[c.app], processes[c.app],
        )
        for c, _ in known if c.source is not None
    }  # fmt: skip
    vendor = next((r.file for r in found.values() if r.layer == "vendor"), "")
    place = str(PurePath(vendor).parent / "batch.yaml")
    never = [
        RuleUse(
            name, name, "batch", PriorityClass.BACKGROUND, True, False, "vendor",
            place, 300 + i, 0, 0,
        )
        for i, name in enumerate(("blender-render", "handbrake-cli")) if name not in found
    ]  # fmt: skip
    return RuleUses((*found.values(), *never), frame.time - 3600)
