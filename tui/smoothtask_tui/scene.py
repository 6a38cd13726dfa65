"""What every widget draws from: the newest frame, its history, and the state of the connection."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from smoothtask.model.classes import PriorityClass
from smoothtask.model.frame import Frame, GroupFrame, ProcessFrame
from smoothtask_tui.deeds import Deeds
from smoothtask_tui.history import History
from smoothtask_tui.threads import ThreadUse, Told, told

if TYPE_CHECKING:
    from smoothtask.model.detail import GroupDetail, ThreadFrame


@dataclass(slots=True)
class Scene:
    """Changed by the app alone, between two frames; widgets read it."""

    description: str = ""
    """Where the engine is."""
    observe_reason: str = ""
    """Why nothing can be applied here, as the command line knows it before the first tick."""
    frame: Frame | None = None
    """What is shown: the newest, or the one at which a person froze the picture."""
    newest: Frame | None = None
    frozen: bool = False
    lost: str = ""
    """A sentence while there is no connection; the last frame stays on the screen, dimmed."""
    history: History = field(default_factory=History)
    explained: dict[str, tuple[ProcessFrame, ...]] = field(default_factory=dict)
    """Group → its processes as `explain` told last: it knows those too quiet for the frame."""
    details: "dict[str, GroupDetail]" = field(default_factory=dict)
    """Group → what `detail` told last."""
    recalled: set[str] = field(default_factory=set)
    """Groups whose recorded past has been looked up."""
    untold: dict[str, str] = field(default_factory=dict)
    """Group → why `detail` told nothing."""
    threads: dict[str, Told] = field(default_factory=dict)
    """Group → its threads as `detail` told last."""

    deeds: Deeds = field(default_factory=Deeds)
    """What was done in this dashboard."""
    uid: int | None = None
    """Who looks, to an engine elsewhere; None: whoever runs the engine."""

    def refusal(self, group_id: str, target: PriorityClass | None) -> str | None:
        """Why the person who looks may not give *group_id* that class; `None` when they may."""
        g = self.living(group_id)
        if self.newest is None or g is None or self.uid is None:
            return None
        return self.newest.rights.refusal(self.uid, g.group, target)

    @property
    def is_guest(self) -> bool:
        """Whether the person who looks may order about what is theirs alone."""
        return self.uid is not None and self.frame is not None and not self.frame.rights.is_owner(self.uid)

    @property
    def undo_depth(self) -> int:
        """How often undo has something to take back: the engine tells of its owner's orders alone."""
        done = self.deeds.done
        if self.is_guest or self.newest is None:
            return len(done)
        return self.newest.undo_depth + sum(deed != "engine" for deed in done)

    def group(self, group_id: str | None) -> GroupFrame | None:
        """The group with that id as it is shown: of a frozen picture, as it was then."""
        return _group(self.frame, group_id)

    def living(self, group_id: str | None) -> GroupFrame | None:
        """The same as it is now: what orders are about."""
        return _group(self.newest, group_id)

    def reached(self, groups: Iterable[str]) -> list[GroupFrame]:
        """What something by hand to all of *groups* reaches: they and their parts, without what is protected."""
        tops = tuple(groups)
        return [
            g
            for g in (self.newest.groups if self.newest is not None else ())
            if not g.decision.protected and any(g.group.id == top or g.group.id.startswith(f"{top}/") for top in tops)
        ]

    def take(self, frame: Frame) -> None:
        """The newest frame; what was told of groups that are gone is forgotten."""
        self.newest, self.lost = frame, ""
        self.history.add(frame)
        if not self.frozen:
            self._show(frame)

    def freeze(self, on: bool) -> None:
        """Keep the picture as it is, or show the newest again."""
        self.frozen = on
        if not on and self.newest is not None:
            self._show(self.newest)

    def remember(self, group: str, processes: tuple[ProcessFrame, ...]) -> None:
        """What `explain` told of *group*."""
        self.explained[group] = processes

    def tell(self, group: str, detail: "GroupDetail", *, with_threads: bool) -> None:
        """What `detail` told of *group*."""
        self.details[group] = detail
        self.untold.pop(group, None)
        if with_threads:
            self.remember_threads(group, detail.mono_s, detail.threads)

    def remember_threads(self, group: str, mono_s: float, threads: "Iterable[ThreadFrame]") -> None:
        """What `detail` told of *group* at *mono_s* (CLOCK_MONOTONIC)."""
        self.threads[group] = told(self.threads.get(group), mono_s, threads)

    def threads_of(self, process: ProcessFrame) -> list[ThreadUse]:
        """The threads of *process*, as far as they are known."""
        known = self.threads.get(process.group)
        return [use for use in known.uses if use.thread.pid == process.pid] if known is not None else []

    def _show(self, frame: Frame) -> None:
        self.frame = frame
        living = {g.group.id for g in frame.groups}
        for gone in self.explained.keys() - living:
            del self.explained[gone]
        for known in (self.threads, self.details, self.untold):
            for gone in known.keys() - living:
                del known[gone]

    def processes_of(self, group: str, *, with_parts: bool = False) -> list[ProcessFrame]:
        """Processes of *group*: those in the frame, then the quiet ones that were asked for."""
        if self.frame is None:
            return []
        prefix = f"{group}/"
        fresh = [p for p in self.frame.processes if p.group == group or (with_parts and p.group.startswith(prefix))]
        known = {(p.pid, p.start_ticks) for p in fresh}
        asked = self.explained.get(group, ())
        quiet = (p for p in asked if (with_parts or p.group == group) and (p.pid, p.start_ticks) not in known)
        return [*fresh, *quiet]


def _group(frame: Frame | None, group_id: str | None) -> GroupFrame | None:
    if frame is None or group_id is None:
        return None
    return next((g for g in frame.groups if g.group.id == group_id), None)
