"""Commands → replies: finds what a command speaks of, checks who asks, and says what was done."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from smoothtask.classifier.match import RuleSet
from smoothtask.engine.discretion import group_for_others, process_for_others
from smoothtask.engine.engine import Engine
from smoothtask.engine.naming import find_group
from smoothtask.engine.telling import detail_of, processes_of, rules_for
from smoothtask.model.command import (
    Caller,
    Command,
    Detail,
    Explain,
    Forget,
    LabelGroup,
    LabelMoment,
    ListLessons,
    ListRules,
    Pause,
    PinApp,
    Question,
    Redo,
    Rehearse,
    Reload,
    Reply,
    SetOverride,
    Undo,
    Unpin,
)
from smoothtask.model.frame import Frame, GroupFrame, Mode

NOT_YET = Reply(False, "the first tick has not ended yet: try again in a second")
EXPLAINED_PROCESSES = 200
_MEANING = {
    Mode.PAUSED: "every change is undone, and nothing is done until `resume`",
    Mode.DRY_RUN: "every change is undone, what would be done is shown",
    Mode.RULES_ONLY: "decisions are applied",
}
"""What becomes of decisions in each mode of the engine."""


@dataclass(slots=True)
class Commands:
    """What clients may ask; runs in the loop's thread."""

    engine: Engine
    reload: Callable[[], Reply]
    can_apply: bool = True
    """Whether pause and resume mean anything here (not in observe-only mode)."""
    rules: Callable[[], RuleSet] = lambda: RuleSet(())
    """Those in force."""
    since: float = 0.0
    """Unix time at which the engine began."""

    def changes_decisions(self, command: Command) -> bool:
        """Whether the next tick should come at once."""
        return not isinstance(command, LabelMoment | Question)

    def handle(self, command: Command, caller: Caller) -> Reply:
        """Carry out *command* for *caller*."""
        match command:
            case Undo():
                return self.engine.people.undo(caller)
            case Redo():
                return self.engine.people.redo(caller)
            case Pause():
                return self._pause(command, caller)
            case Rehearse():
                return self._rehearse(command, caller)
            case Reload():
                return self.reload() if self.is_owner(caller) else refused("only root may reload")
            case Unpin():
                return self._unpin(command, caller)
            case ListRules():
                return self._list_rules(caller)
            case ListLessons():
                return self._lessons(caller)
            case Forget():
                return self.engine.people.forget(command, caller)
            case _:
                pass
        frame = self.engine.frame
        if frame is None:
            return NOT_YET
        if isinstance(command, LabelMoment):
            return self.engine.people.label_moment(command, frame, caller)
        if isinstance(command, Explain | Detail):
            found = self._find(frame.groups, command.target, caller, to_order=False)
        else:
            found = self._find(frame.groups, command.group, caller, to_order=True)
        if isinstance(found, str):
            return Reply(False, found)
        if isinstance(command, Explain):
            return self._explain(found, caller)
        if isinstance(command, Detail):
            return self._detail(command, found, caller)
        return self._order(command, found, frame, caller)

    def _order(
        self, command: PinApp | SetOverride | LabelGroup, found: GroupFrame, frame: Frame, caller: Caller
    ) -> Reply:
        people = self.engine.people
        group = found.group
        # A label changes nothing on the machine: only its own class is not an order.
        ordered = None if isinstance(command, LabelGroup) else command.target
        refusal = people.refusal(caller, group, ordered)
        if refusal is not None:
            return refused(refusal)
        if found.decision.protected and not isinstance(command, LabelGroup):
            return refused(f"not changed: {found.decision.text}")
        match command:
            case PinApp():
                return people.pin(command, frame, found, caller)
            case SetOverride():
                return people.override(command, frame, found, caller, self.engine.clock.mono_ns() / 1e9)
            case LabelGroup():
                return people.label_group(command, frame, found, caller)

    def _unpin(self, command: Unpin, caller: Caller) -> Reply:
        app = command.group
        pinned = {p.app for p in self.engine.people.pins_of(caller)}
        if app not in pinned and self.engine.frame is not None:
            groups = [g for g in self.engine.frame.groups if g.group.classification.app in pinned]
            found = self._find(groups, app, caller, to_order=False)
            if isinstance(found, GroupFrame):
                app = found.group.classification.app
        return self.engine.people.unpin(command, app, caller)

    def _lessons(self, caller: Caller) -> Reply:
        lessons = self.engine.people.lessons_for(caller)
        rows = [
            {
                "app": x.app,
                "uid": x.uid,
                "attended": x.situation.attended.value,
                "contended": x.situation.contended,
                "class": x.target.name,
                "source": x.source.value,
                "made_at": x.made_at,
            }
            for x in lessons
        ]
        return Reply(True, f"{len(rows)} lessons", {"lessons": rows})

    def _pause(self, command: Pause, caller: Caller) -> Reply:
        if not self.is_owner(caller):
            return refused("only root may pause or resume")
        engine = self.engine
        done = "paused" if command.on else "resumed"
        return self._switch(
            None if command.passing else caller, "pause", done, engine.pause, on=command.on, was=engine.paused
        )

    def _rehearse(self, command: Rehearse, caller: Caller) -> Reply:
        if not self.is_owner(caller):
            return refused("only root may switch dry-run")
        engine = self.engine
        done = f"dry-run is {'on' if command.on else 'off'}"
        return self._switch(caller, "dry-run", done, engine.rehearse, on=command.on, was=engine.rehearsing)

    def _switch(
        self,
        caller: Caller | None,
        what: str,
        done: str,
        turn: Callable[[bool], tuple[str, ...]],
        *,
        on: bool,
        was: bool,
    ) -> Reply:
        """Turn something on or off: a deed of *caller*, to be taken back like any order, when anything is new by it."""
        if not self.can_apply:
            return Reply(False, f"nothing is applied here: {self.engine.mode_reason}")
        unsaid, undo = turn(on), ""
        if caller is not None and on is not was:
            word = what if on else f"end of {what}"
            self.engine.people.remember(caller, word, lambda: turn(on), lambda: turn(was))
            undo = "; undo takes it back"
        return Reply(True, f"{done}: {_MEANING[self.engine.mode]}{_rest(unsaid)}{undo}")

    def _find(self, groups: Sequence[GroupFrame], text: str, caller: Caller, *, to_order: bool) -> GroupFrame | str:
        """`find_group`, and pids of processes too quiet to be in the frame."""
        group = self.engine.world.group_of_pid(int(text)) if text.isdecimal() and len(text) < 9 else ""
        found = find_group(groups, group or text, caller.uid, to_order=to_order)
        if isinstance(found, str) and "/" in group:  # a part that began since the frame was made
            found = find_group(groups, group.partition("/")[0], caller.uid, to_order=to_order)
        return found

    def is_owner(self, caller: Caller) -> bool:
        """Whether *caller* may do everything."""
        return self.engine.people.rights.is_owner(caller.uid)

    def _list_rules(self, caller: Caller) -> Reply:
        data = rules_for(self.engine, self.rules(), caller.uid, everybodys=self.is_owner(caller), since=self.since)
        return Reply(True, f"{len(data['rules'])} rules", data)

    def _detail(self, command: Detail, found: GroupFrame, caller: Caller) -> Reply:
        is_whole = self._may_see(caller, found)
        told = detail_of(self.engine, found, is_whole=is_whole, threads=command.threads)
        found = found if is_whole else self._from_outside(found)
        return Reply(True, f"{found.group.label} is {found.decision.target.name}", asdict(told))

    def _may_see(self, caller: Caller, found: GroupFrame) -> bool:
        """Whether *caller* may know all of it."""
        return self.is_owner(caller) or caller.uid == found.group.uid

    def _from_outside(self, found: GroupFrame) -> GroupFrame:
        root = self.engine.world.get(found.group.root_pid)
        return group_for_others(found, "" if root is None else root.identity.name)

    def _explain(self, found: GroupFrame, caller: Caller) -> Reply:
        is_whole = self._may_see(caller, found)
        found = found if is_whole else self._from_outside(found)
        group, decision = found.group, found.decision
        processes = processes_of(self.engine, group.id)[1]
        listed = processes[:EXPLAINED_PROCESSES]
        reasons = [
            {"stage": r.stage.value, "rule": r.rule, "text": r.text, "source": r.source} for r in decision.reasons
        ]
        data: dict[str, Any] = {
            "group": group.id,
            "parent": group.parent,
            "label": group.label,
            "app": group.classification.app,
            "type": group.classification.type,
            "tags": sorted(group.classification.tags),
            "evidence": group.classification.evidence,
            "rule": str(group.classification.source) if group.classification.source else None,
            "uid": group.uid,
            "unit": group.unit,
            "tty": group.tty,
            "class": decision.target.name,
            "wanted": decision.wanted.name,
            "decided_by": decision.decided_by.value,
            "restraint": decision.restraint,
            "protected": decision.protected,
            "rules": None if decision.rules is None else decision.rules.name,
            "ranking": self.engine.hybrid.explanation(group.id) if self.engine.hybrid and is_whole else None,
            "since_s": round(decision.since_s, 1),
            "reasons": reasons,
            "limits": asdict(decision.limits) if decision.limits else None,
            "mechanism": found.mechanism,
            "effect": found.effect,
            "marks": sorted(m.value for m in found.marks),
            "behaviour": group.behaviour.value,
            "behaviour_s": round(group.behaviour_s, 1),
            "metrics": asdict(group.metrics),
            "attention": asdict(group.attention),
            "score": found.score,
            "meters": asdict(found.meters),
            "processes": [asdict(p if is_whole else process_for_others(p)) for p in listed],
            "more_processes": len(processes) - len(listed),
        }
        return Reply(True, f"{group.label} is {decision.target.name}: {decision.text}", data)


def _rest(unsaid: tuple[str, ...]) -> str:
    return f"; {len(unsaid)} could not be: {'; '.join(unsaid[:3])}" if unsaid else ""


def refused(why: str) -> Reply:
    """Not for this caller: the command line leaves with another status than for what failed."""
    return Reply(False, why, {"refused": True})
