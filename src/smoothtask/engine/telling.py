"""What the frame does not tell: everything known of one group, and the use of each rule. Bounded; changes nothing."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from smoothtask.classifier.clues import clues_of
from smoothtask.classifier.match import Rule, RuleSet
from smoothtask.engine.discretion import detail_for_others
from smoothtask.engine.engine import Engine
from smoothtask.engine.frames import process_frame
from smoothtask.model.arrays import is_in
from smoothtask.model.detail import Clues, GroupDetail, ThreadFrame
from smoothtask.model.frame import GroupFrame, ProcessFrame
from smoothtask.model.text import sanitise

PROCESSES = 200
THREADS = 400
IN_FORCE = 60
RULES = 8000


def detail_of(engine: Engine, found: GroupFrame, *, is_whole: bool, threads: bool) -> GroupDetail:
    """Everything known of *found*; *is_whole*: the caller may see what is its owner's."""
    group = found.group
    rows, processes = processes_of(engine, group.id)
    changes = engine.in_force(group.id)
    root = engine.world.get(group.root_pid)
    read_s, listed, more = _threads(engine, rows) if threads and is_whole else (0.0, (), 0)
    told = GroupDetail(
        group=group.id,
        is_whole=is_whole,
        mono_s=read_s,
        in_force=changes[:IN_FORCE],
        more_in_force=max(0, len(changes) - IN_FORCE),
        past=engine.trail.of(group.id),
        what_if=engine.what_if(group),
        processes=tuple(processes[:PROCESSES]),
        more_processes=max(0, len(processes) - PROCESSES),
        threads=listed,
        more_threads=more,
        clues=clues_of(root.identity) if is_whole and root is not None else Clues(),
    )
    return told if is_whole else detail_for_others(told)


def processes_of(engine: Engine, group: str) -> tuple[list[int], list[ProcessFrame]]:
    """Pids and processes of *group* and its parts, the busiest first."""
    sample, world = engine.sample, engine.world
    if sample is None:
        return [], []
    table, rates, measured = sample.tasks.processes, sample.rates, engine.metered.rows
    found = []
    for i, row_group in enumerate(world.row_groups(table)):
        if row_group == group or row_group.startswith(group + "/"):
            placed = world.get(int(table["pid"][i]))
            if placed is not None:
                found.append(process_frame(table[i], rates[i], row_group, placed.identity.cmdline, measured, i))
    found.sort(key=lambda p: -(p.cpu + p.wait))
    return [p.pid for p in found], found


def _threads(engine: Engine, pids: Sequence[int]) -> tuple[float, tuple[ThreadFrame, ...], int]:
    """When they were read, the threads of *pids* (those that have run longest), and how many are left out."""
    sample = engine.sample
    if sample is None:
        return 0.0, (), 0
    table = sample.tasks.threads
    rows = table[is_in(table["tgid"], np.array(pids, table["tgid"].dtype))]
    longest = rows[np.argsort(-rows["run_ns"].astype(np.int64), kind="stable")[:THREADS]]
    listed = tuple(
        ThreadFrame(
            int(r["tgid"]), int(r["tid"]), sanitise(bytes(r["comm"]), 16), int(r["nice"]), int(r["policy"]),
            sanitise(bytes(r["state"]), 1), int(r["run_ns"]), int(r["wait_ns"]),
        )
        for r in longest
    )  # fmt: skip
    return sample.tasks.mono_ns / 1e9, listed, len(rows) - len(listed)


def rules_for(engine: Engine, rules: RuleSet, uid: int, *, everybodys: bool, since: float) -> dict[str, Any]:
    """`model.detail.RuleUses` as JSON values: the shared rules with *uid*'s own, or with *everybodys*."""
    now = Counter((c.source.layer, c.app) for p in engine.world.living() if (c := p.classification).source is not None)
    own = [r for owner, listed in rules.personal.items() if everybodys or owner == uid for r in listed]
    listed = [*rules.rules, *own]
    # Dictionaries at once: `asdict` of thousands of rules would hold the loop up.
    uses = [_use(r, now, engine.world.matched) for r in listed[:RULES]]
    return {"rules": uses, "since": since, "left_out": max(0, len(listed) - RULES)}


def _use(r: Rule, now: Counter[tuple[str, str]], ever: Counter[tuple[str, str]]) -> dict[str, Any]:
    key = (r.source.layer, r.id)
    return {
        "id": r.id, "label": r.label, "type": r.type, "target": r.target, "certain": r.certain,
        "protected": r.protected, "layer": r.source.layer, "file": sanitise(r.source.file, 512),
        "line": r.source.line, "processes": now[key], "matched": ever[key],
    }  # fmt: skip
