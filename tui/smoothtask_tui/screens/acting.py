"""What a person can order from any screen: each key acts on the id that it was pressed for.

Orders go by the newest frame, whatever a frozen picture shows.
"""

from collections.abc import Callable
from typing import ClassVar

from textual.screen import Screen

from smoothtask.model.classes import PriorityClass
from smoothtask.model.command import Command, Pause, Rehearse, SetOverride, Unpin
from smoothtask.model.frame import GroupFrame, Mark, Mode, ProcessFrame
from smoothtask.model.process import ProcKey
from smoothtask_tui import menus, rows
from smoothtask_tui.detaillines import reasons_text
from smoothtask_tui.messages import DoneByHand, Ordered, RuleWanted, TrainingWanted, UndoWanted
from smoothtask_tui.scene import Scene
from smoothtask_tui.widgets.statusline import StatusLine


class Acting(Screen[None]):
    """Sends orders to the app as `Ordered`; never waits for an answer. A screen says whom they are about."""

    scene: Scene
    status: StatusLine
    follows_frames: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self._stepped: dict[str, PriorityClass] = {}
        """Classes asked for since the last frame: the second F7 goes on from the first."""
        self._by_hand: ProcessFrame | None = None
        """The process that an open menu is about: the one that was under the cursor when it was opened."""

    def draw(self, *, tick: bool = False) -> None:
        """A new frame tells the classes as they are."""
        if tick:
            self._stepped.clear()

    def subject(self) -> GroupFrame | None:
        """The one group that an order is about; says so when there is none."""
        raise NotImplementedError

    def subjects(self) -> list[GroupFrame]:
        """All groups that an order is about."""
        g = self.subject()
        return [g] if g is not None else []

    def process(self) -> ProcessFrame | None:
        """The process that a signal is about; `None`: all of the group's."""
        return None

    def _ask_about(self, menu: Callable[[GroupFrame], menus.Menu]) -> None:
        subjects = self.subjects()
        if subjects:
            self._offer(menus.for_all(menu(subjects[0]), subjects))

    def _offer(self, menu: menus.Menu) -> None:
        """Open *menu* with what this person may choose; say why when that is nothing."""
        judged = menus.permitted(menu, self.scene.refusal)
        if all(c.refused for c in judged.choices):
            self.status.say(judged.choices[0].refused, good=False)
        else:
            self.status.ask(judged)

    def action_step(self, step: int) -> None:
        """Boost or calm by one class, until it exits."""
        subjects = self.subjects()
        beyond = []
        for g in subjects:
            now = self._stepped.get(g.group.id, g.decision.target)
            target = rows.stepped(now, step)
            if target is None:
                beyond.append(f"{g.group.label} is {now.name} already: there is no class beyond")
            else:
                self._stepped[g.group.id] = target
                self.post_message(Ordered(SetOverride(g.group.id, target)))
        if beyond and len(beyond) == len(subjects):
            self.status.say(beyond[0], good=False)

    def action_class_menu(self) -> None:
        """Give it a class until it exits."""
        self._ask_about(menus.class_menu)

    def action_override(self) -> None:
        """Give it a class for a time."""
        self._ask_about(menus.override_menu)

    def action_always(self) -> None:
        """Make a rule of it."""
        g = self.subject()
        if g is not None and self._may_be_touched(g):
            self.post_message(RuleWanted(g.group.id))

    def action_label(self) -> None:
        """Say what would have been right."""
        self._ask_about(menus.label_menu)

    def action_pin(self) -> None:
        """Pin, or unpin when all of them are pinned."""
        subjects = self.subjects()
        if subjects and all(Mark.PINNED in g.marks for g in subjects):
            for g in subjects:
                self.post_message(Ordered(Unpin(g.group.id)))
        elif subjects:
            self._offer(menus.for_all(menus.pin_menu(subjects[0]), subjects))

    def action_signal(self) -> None:
        """Choose a signal for the process under the cursor, the application, or all that are marked."""
        subjects, process = self._touchable()
        if subjects:
            reached = self.scene.reached(g.group.id for g in subjects)
            processes = sum(g.group.metrics.processes for g in reached)
            self.status.ask(menus.signal_menu(subjects, processes, process.pid if process else None))

    def action_renice(self) -> None:
        """Choose a nice value for the same."""
        subjects, process = self._touchable()
        if subjects:
            pid, now = (process.pid, process.nice) if process else (None, None)
            self.status.ask(menus.nice_menu(subjects, pid, now))

    def _touchable(self) -> tuple[list[GroupFrame], ProcessFrame | None]:
        """Whom something by hand is about: groups without those that are protected, or one process."""
        subjects = self.subjects()
        self._by_hand = self.process() if len(subjects) == 1 and self.process_is_of(subjects[0]) else None
        return [g for g in subjects if self._may_be_touched(g)], self._by_hand

    def process_is_of(self, g: GroupFrame) -> bool:
        """Whether the process under the cursor is of *g*: another group may be marked."""
        p = self.process()
        return p is not None and p.group == g.group.id

    def _may_be_touched(self, g: GroupFrame) -> bool:
        if g.decision.protected:
            self._warn(f"{g.group.label} is protected: not from here")
        return not g.decision.protected

    def action_train(self) -> None:
        """Train a model, or say how far that is."""
        self.post_message(TrainingWanted())

    def action_label_moment(self) -> None:
        """Laggy or fine?"""
        self.status.ask(menus.moment_menu())

    def chosen(self, menu: menus.Menu, outcome: menus.Outcome) -> None:
        """Carry out a choice, unless its application has exited meanwhile."""
        if isinstance(outcome, menus.Send | menus.Nice):
            self._do_by_hand(menu, outcome)
            return
        if isinstance(outcome, menus.Train):
            self.post_message(TrainingWanted(sure=True))
        if not isinstance(outcome, Command):
            return
        if menu.group is None or not isinstance(outcome, menus.GroupOrder):
            self.post_message(Ordered(outcome))
            return
        asked = (menu.group, *menu.others)
        living = [group for group in asked if self.scene.living(group) is not None]
        for group in living:
            self.post_message(Ordered(menus.about(outcome, group)))
        if len(asked) == 1 and not living:
            self._warn(f"{menu.label} has exited meanwhile: nothing was changed")
        elif len(living) < len(asked):
            self._warn(f"{len(asked) - len(living)} of {menu.label} have exited meanwhile")

    def _do_by_hand(self, menu: menus.Menu, deed: menus.Send | menus.Nice) -> None:
        from smoothtask_tui.byhand import ByHand  # noqa: PLC0415

        p = self._by_hand
        key = ProcKey(p.pid, p.start_ticks) if p is not None else None
        asked = (*((menu.group,) if menu.group is not None else ()), *menu.others)
        frame = self.scene.newest
        known = {g.group.id: g for g in frame.groups} if frame is not None else {}
        living = tuple(group for group in asked if group in known)
        if not living:
            self._warn(f"{menu.label} has exited meanwhile: nothing was done")
            return
        self.post_message(DoneByHand(ByHand(deed, living, menu.label, known, key)))

    def _warn(self, sentence: str) -> None:
        self.status.say(sentence, good=False)
        self.notify(sentence, severity="warning", markup=False)

    def action_redo(self) -> None:
        """Do again what undo took back."""
        self.post_message(UndoWanted(again=True))

    def action_dry_run(self) -> None:
        """Only say what would be done, or act again."""
        if self.scene.newest is not None:
            self.post_message(Ordered(Rehearse(self.scene.newest.mode is not Mode.DRY_RUN)))

    def action_undo(self) -> None:
        """Take back the latest order."""
        self.post_message(UndoWanted(again=False))

    def action_pause(self) -> None:
        """Pause or resume everything."""
        if self.scene.newest is not None:
            self.post_message(Ordered(Pause(self.scene.newest.mode is not Mode.PAUSED)))

    def action_copy(self) -> None:
        """The reasons, to the terminal's clipboard."""
        g = self.subject()
        if g is not None:
            self.app.copy_to_clipboard(reasons_text(g))
            self.status.say(f"copied: why {g.group.label} is {g.decision.target.name}")
