"""The main screen with ways to find something in it: filter, search, pid, user, follow, freeze."""

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from smoothtask.model.command import Explain
from smoothtask.model.frame import ProcessFrame
from smoothtask_tui import menus, rows
from smoothtask_tui.messages import Ordered
from smoothtask_tui.rows import View
from smoothtask_tui.scene import Scene
from smoothtask_tui.screens.main import MainScreen
from smoothtask_tui.widgets.grouplist import user_name
from smoothtask_tui.widgets.statusline import Prompt

if TYPE_CHECKING:
    from smoothtask_tui.export import Record

PID_DIGITS = 7
"""PID_MAX_LIMIT is 4,194,304 (proc(5), pid_max)."""


class FindingScreen(MainScreen):
    """Looking only; nothing here changes the machine."""

    view_name = "groups"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._sought = ""
        """What was searched for last: F3 goes on with it."""
        self._pid = 0
        """A pid that is being typed, or that the engine is asked for."""
        self._before: tuple[View, str | None] | None = None
        """What was looked at before digits were typed; the cursor."""
        self._filter = Prompt(
            "filter",
            self.filter_by,
            hint="Enter keeps, Esc clears: class:idle type:browser by:pin cpu>50 !word",
        )
        self._find = Prompt(
            "find", self._find_first, again=lambda: self._find_from(1), hint="F3 or ↓: the next, Enter: stay"
        )
        self._digits = Prompt(
            "pid",
            self._preview,
            entered=self._go_to_pid,
            left=self._look_back,
            hint="Enter asks for one that is not shown",
            takes=str.isdecimal,
        )

    # --- filter --------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Type a filter; the list follows each letter."""
        self.status.edit(self._filter, self.groups.view.filter)

    def filter_by(self, text: str) -> None:
        """Show what matches."""
        self.groups.set_view(replace(self.groups.view, filter=text))

    def action_users(self) -> None:
        """Choose a user."""
        if self.scene.frame is not None:
            count = Counter(user_name(g.group.uid) for g in self.scene.frame.groups if g.group.parent is None)
            self.status.ask(menus.users_menu(count.most_common(), self.groups.view.filter))

    def action_leave(self) -> None:
        """Esc with no menu open: the picture goes on, following ends, the filter is cleared."""
        if self.scene.frozen:
            self.action_freeze()
        elif self.groups.following:
            self.action_follow()
        else:
            self.filter_by("")

    def chosen(self, menu: menus.Menu, outcome: menus.Outcome) -> None:
        """A user was chosen."""
        super().chosen(menu, outcome)
        if isinstance(outcome, menus.FilterBy):
            self.filter_by(outcome.text)

    # --- find ----------------------------------------------------------------------------------------

    def action_find(self) -> None:
        """Type what to look for."""
        self.status.edit(self._find, self._sought)
        if self._sought:
            self._find_from(1)

    def _find_first(self, text: str) -> None:
        self._sought = text
        if text:
            self._find_from(0)
        else:
            self.status.remark("")

    def _find_from(self, step: int) -> None:
        listing = self.groups.listing
        found = rows.find(listing, self._sought, (listing.index(self.groups.cursor) or 0) + step)
        if found is not None:
            self.groups.hold()
            self.groups.choose(found)
        self.status.remark("" if found is not None else "nothing that is shown is called so")

    # --- pid -----------------------------------------------------------------------------------------

    def action_find_pid(self, digit: str) -> None:
        """Begin with *digit*."""
        self._before = self.groups.view, self.groups.cursor
        self.status.edit(self._digits, digit)
        self._preview(digit)

    def _preview(self, text: str) -> None:
        """A process that the frame tells of gets the cursor while its digits are typed; a filter may still hide it."""
        self._pid = int(text[:PID_DIGITS] or 0)
        self._look_as_before()
        process, group = self._named()
        if process is not None and self.groups.listing.index(process.group.partition("/")[0]) is not None:
            self.show_process(process, through_filter=False)
        elif group is not None:
            self.groups.choose(group)

    def _look_as_before(self) -> None:
        """As it was before digits were typed, but for what was done by other means."""
        if self._before is not None:
            view, cursor = self._before
            self.groups.set_view(replace(self.groups.view, opened=view.opened, folded=view.folded))
            if cursor is not None:
                self.groups.choose(cursor)

    def _look_back(self) -> None:
        """The prompt was closed: only Enter goes on from here."""
        self._look_as_before()
        self._before = None

    def _named(self) -> tuple[ProcessFrame | None, str | None]:
        """The process with the pid that was typed, as far as the frame tells of it, or the group that began with it."""
        frame = self.scene.frame
        if frame is None or not self._pid:
            return None, None
        process = next((p for p in frame.processes if p.pid == self._pid), None)
        return process, next((g.group.id for g in frame.groups if g.group.root_pid == self._pid), None)

    def _go_to_pid(self) -> None:
        process, _ = self._named()
        if process is not None:
            self.show_process(process)
        elif self._pid:
            self.post_message(Ordered(Explain(str(self._pid))))

    def found(self, pid: int, processes: tuple[ProcessFrame, ...]) -> None:
        """The engine's answer about *pid*."""
        process = next((p for p in processes if p.pid == pid), None)
        if process is not None:
            self.scene.remember(process.group, processes)
            self.show_process(process)
            self.status.say(f"{pid} {process.name}")
        else:
            self.status.say(f"there is no process {pid}", good=False)

    def show_group(self, group: str) -> bool:
        """The cursor on *group*, whatever is folded or filtered; False when it is gone."""
        if self.scene.group(group) is None:
            return False
        view = self.groups.view
        shown = replace(view, folded=view.folded - {group.partition("/")[0]})
        if self.groups.listing.index(group) is None:
            shown = replace(shown, filter="")
        self.groups.set_view(shown)
        self.groups.hold()
        self.groups.choose(group)
        return True

    def show_process(self, process: ProcessFrame, *, through_filter: bool = True) -> None:
        """Open its group, and put the cursor on it; *through_filter*: a filter that hides it is cleared."""
        view = self.groups.view
        top = process.group.partition("/")[0]
        opened = replace(view, opened=view.opened | {process.group}, folded=view.folded - {top})
        self.groups.hold()
        self.groups.set_view(opened)
        if through_filter and self.groups.listing.index(process.group) is None:
            self.groups.set_view(replace(opened, filter=""))  # it is looked for
        self.groups.choose(rows.process_id(process))

    def records(self) -> "list[Record]":
        """The rows, as filtered and sorted."""
        from smoothtask_tui.export import row_record  # noqa: PLC0415

        return [row_record(row) for row in self.groups.listing.rows]

    # --- follow, freeze ------------------------------------------------------------------------------

    def action_follow(self) -> None:
        """Keep the cursor's row in the middle, or no longer."""
        self.groups.follow(not self.groups.following)

    def action_freeze(self) -> None:
        """Keep the picture as it is; orders go to what lives."""
        self.scene.freeze(not self.scene.frozen)
        self.draw()
