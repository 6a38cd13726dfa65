"""Autogroup nice: sessions against each other, where one application owns a session alone in the root task group."""

from collections.abc import Mapping, Sequence

from smoothtask.actuator.knobs import Machine
from smoothtask.actuator.ledger import Entry
from smoothtask.actuator.mechanism import Tick, Wish
from smoothtask.actuator.resolve import Abilities
from smoothtask.actuator.writer import Step, Writer
from smoothtask.model.change import Change, Knob, Outcome, Status, Target
from smoothtask.model.classes import NICE_CEILING, NICE_FLOOR
from smoothtask.model.tasks import ProcKey, TaskTable


class Sessions:
    """Implements `Mechanism`. Only complete ticks are acted on: who owns a session is not seen from a few processes."""

    def __init__(self, machine: Machine, writer: Writer, abilities: Abilities) -> None:
        self._kernel = machine.threads
        self._writer = writer
        self._ledger = writer.ledger
        self._abilities = abilities
        self._foreign: set[int] = set()
        """Autogroups that somebody else cares for, or that the kernel does not let us change."""

    def effective(self, wish: Wish) -> str | None:
        """See `Mechanism`."""
        if wish.effect.autogroup_nice is None or self._kernel.cpu_task_group(wish.group.root_pid) != "/":
            return None  # inside a cgroup with the cpu controller an autogroup means nothing (sched(7))
        return "its session is weighed against other sessions; nice counts inside the session"

    def apply(self, wishes: Mapping[str, Wish], tick: Tick) -> list[Outcome]:
        """See `Mechanism`."""
        ours = self._ours()
        if not tick.complete or not (wishes or ours):
            return []
        steps: list[Step] = []
        for sid, (group, key) in _session_owners(tick.table, tick.row_groups).items():
            wish, entry = wishes.get(group), ours.get(sid)
            if wish is not None or entry is not None:
                step = self._step(key, sid, group or (entry.group if entry is not None else ""), wish, entry)
                steps += [step] if step is not None else []
        living = frozenset(tick.table.processes["sid"].tolist())
        self._ledger.drop([e.key for sid, e in ours.items() if sid not in living])
        outcomes = self._writer.write(steps, tick.now_ticks, tick.events)
        for o in outcomes:
            if o.status in {Status.DENIED, Status.FAILED}:
                tick.events.append(f"{o.change.group}: {o.change.knob} of {o.change.thread.tid}: {o.detail}")
                self._foreign.add(o.change.thread.tid)
        return outcomes

    def read_back(self, tick: Tick) -> list[Outcome]:
        """`apply` looks at each session that it is about to change; the others are not asked again."""
        del tick
        return []

    def holds(self, group: str) -> str | None:
        """See `Mechanism`."""
        nices = sorted({e.new for e in self._ours().values() if e.group == group and isinstance(e.new, int)})
        return ", ".join(f"autogroup {n:+d}" for n in nices) or None

    def undone(self, entry: Entry, outcome: Outcome) -> None:
        """See `Mechanism`."""
        if entry.knob is Knob.AUTOGROUP and outcome.status is Status.CHANGED and isinstance(entry.target, Target):
            self._foreign.add(entry.target.tid)

    def _ours(self) -> dict[int, Entry]:
        return {e.sid: e for e in self._ledger.of(Knob.AUTOGROUP)}

    def _step(self, key: ProcKey, sid: int, group: str, wish: Wish | None, entry: Entry | None) -> Step | None:
        nice = wish.effect.autogroup_nice if wish is not None else None
        if nice is None and entry is None:
            return None
        if entry is not None and nice == entry.new:
            return None
        if entry is None and self._kernel.cpu_task_group(key.pid) != "/":
            return None
        now = self._kernel.get_autogroup(key.pid)
        if now is None or now.id in self._foreign or self._kernel.get_sid(key.pid) != sid:
            return None  # it may have begun a session of its own since the pass, of which that is the autogroup
        if entry is None and now.nice != 0:
            return None  # somebody's choice
        if entry is not None and now.nice != entry.new:
            self._foreign.add(now.id)
            self._ledger.drop([entry.key])
            return None
        old = entry.old if entry is not None and isinstance(entry.old, int) else now.nice
        new = old if nice is None else min(max(nice, NICE_FLOOR), NICE_CEILING)
        if new == now.nice or (min(new, now.nice) < 0 and not self._abilities.may_raise):
            return None
        target = Target(key.pid, key.start_ticks, now.id, 0)
        why = wish.decision.text if wish is not None else ""
        return Step(Change(Knob.AUTOGROUP, target, old, new, group, why), now.nice, sid)


def _session_owners(table: TaskTable, row_groups: Sequence[str]) -> dict[int, tuple[str, ProcKey]]:
    """Each session → the application that all its processes are of (its parts included), and one of these processes.

    "" in place of it: several have processes there. Who ended before anybody could ask whose it was owns nothing: a
    storm's session always has such a one.
    """
    owners: dict[int, tuple[str, ProcKey]] = {}
    p = table.processes
    rows = zip(p["sid"].tolist(), p["pid"].tolist(), p["start_ticks"].tolist(), row_groups, strict=True)
    for sid, pid, start, row_group in rows:
        if not row_group or sid <= 0:
            continue
        group = row_group.partition("/")[0]
        known = owners.get(sid)
        if known is None:
            owners[sid] = (group, ProcKey(pid, start))
        elif known[0] != group:
            owners[sid] = ("", known[1])
    return owners
