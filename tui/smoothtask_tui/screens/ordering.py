"""The groups screen with what a person can order: about the group under the cursor, or those that are marked."""

from smoothtask.model.frame import GroupFrame, ProcessFrame
from smoothtask_tui import menus
from smoothtask_tui.screens.acting import Acting
from smoothtask_tui.screens.finding import FindingScreen


class GroupsScreen(FindingScreen, Acting):
    """What is looked at, and whom orders are about."""

    def draw(self, *, tick: bool = False) -> None:
        """Both halves."""
        Acting.draw(self, tick=tick)
        FindingScreen.draw(self, tick=tick)

    def chosen(self, menu: menus.Menu, outcome: menus.Outcome) -> None:
        """A choice in the status line: of how to look, or an order."""
        FindingScreen.chosen(self, menu, outcome)
        Acting.chosen(self, menu, outcome)

    def subject(self) -> GroupFrame | None:
        """The group under the cursor."""
        group = self.groups.group
        g = self.scene.living(group)
        if g is None:
            why = "no application is under the cursor: choose one with ↑ ↓ first" if group is None else "it has exited"
            self.status.say(why, good=False)
        self.groups.hold()
        return g

    def subjects(self) -> list[GroupFrame]:
        """The marked groups, as the list shows them; none marked: the one under the cursor."""
        marked = self.groups.view.marked
        if marked and self.scene.newest is not None:
            self.groups.hold()
            living = [g for g in self.scene.newest.groups if g.group.id in marked]
            if not living:
                self.status.say("those that were marked have exited", good=False)
            return living
        return Acting.subjects(self)

    def process(self) -> ProcessFrame | None:
        """The process under the cursor."""
        row = self.groups.row
        return row.process if row is not None else None
