"""What a person does from any screen of the dashboard, the answers, and undo in the order in which it was done."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import App
from textual.driver import Driver

from smoothtask.config.paths import Paths
from smoothtask.model.client import EngineClient
from smoothtask.model.command import Command, Redo, Reload, Reply, Undo
from smoothtask_tui import screens
from smoothtask_tui.deeds import Deeds, is_undoable
from smoothtask_tui.messages import DoneByHand, Ordered, Replied, RuleChosen, RuleSaved, RuleWanted, UndoWanted
from smoothtask_tui.scene import Scene
from smoothtask_tui.screens.ordering import GroupsScreen
from smoothtask_tui.widgets.statusline import StatusLine

if TYPE_CHECKING:
    from smoothtask.classifier.saving import OwnRules
    from smoothtask_tui.byhand import Done, Reniced
    from smoothtask_tui.made import Made


class Doing(App[int]):
    """Half of the dashboard: orders to the engine, deeds by hand, rules. The other half shows."""

    client: EngineClient
    scene: Scene
    main: GroupsScreen
    paths: Paths
    own_rules: "OwnRules | None"

    def __init__(self, driver_class: type[Driver] | None = None, *, ansi_color: bool | None = None) -> None:
        super().__init__(driver_class, ansi_color=ansi_color)
        self.deeds = Deeds()
        self._orders: asyncio.Queue[Command] = asyncio.Queue()
        self._made: Made | None = None

    def snapshot_log(self) -> Path:
        """Where the snapshot log is; reads the configuration."""
        raise NotImplementedError

    @property
    def status(self) -> StatusLine:
        """Where this screen says things; the main screen's when it has no such line."""
        status = getattr(self.screen, "status", None) if self.screen_stack else None
        return status if isinstance(status, StatusLine) else self.main.status

    def _say(self, reply: Reply) -> None:
        self.status.say(reply.message, good=reply.ok)
        if not reply.ok:
            self.notify(reply.message, severity="error", markup=False)

    def on_ordered(self, message: Ordered) -> None:
        """Have it carried out; the answer comes as `Replied`. Orders keep their order."""
        self._orders.put_nowait(message.command)

    def on_done_by_hand(self, message: DoneByHand) -> None:
        """Do it in a thread of its own: the engine is asked which processes there are."""

        from smoothtask_tui.byhand import Done, carry_out  # noqa: PLC0415

        def work() -> None:
            try:
                done = carry_out(message.what, self.client.ask)
            except (OSError, RuntimeError, ValueError, KeyError) as error:
                done = Done(Reply(False, f"not done: {error}"))
            self.call_from_thread(self._by_hand, done)

        self.run_worker(work, name="by hand", thread=True, exit_on_error=False)

    def _by_hand(self, done: "Done") -> None:
        if done.undo is not None:
            self.deeds.did(done.undo)
        self._say(done.reply)

    def on_undo_wanted(self, message: UndoWanted) -> None:
        """Whoever did the newest takes it back, or does it again."""
        deed = self.deeds.to_redo if message.again else self.deeds.to_undo
        if deed == "engine":
            self.on_ordered(Ordered(Redo() if message.again else Undo()))
            return
        made = self.made if deed == "rule" else None

        def work() -> None:
            if made is not None:
                step = made.redo() if message.again else made.undo()
                self.post_message(RuleSaved(step.reply, "redo" if message.again else "undo", lost=step.lost))
            elif deed is not None and deed != "rule":
                reply = deed.again() if message.again else deed.take_back()
                self.call_from_thread(self._put_back, deed, reply, message.again)

        self.run_worker(work, name="undo", thread=True, exit_on_error=False)

    def _put_back(self, deed: "Reniced", reply: Reply, again: bool) -> None:
        # What cannot be put back any more must not stand in the way of what was done before it.
        (self.deeds.redid if again else self.deeds.undid)(deed)
        self._say(reply)

    async def _send_orders(self) -> None:
        while True:
            command = await self._orders.get()
            try:
                reply = await asyncio.to_thread(self.client.ask, command)
            except (OSError, RuntimeError, ValueError) as error:
                reply = Reply(False, f"no answer from the engine: {error}")
            self._orders.task_done()
            self.post_message(Replied(command, reply))

    def _note(self, command: Command) -> None:
        """What the engine has done, for the order of undo."""
        if isinstance(command, Undo):
            self.deeds.undid("engine")
        elif isinstance(command, Redo):
            self.deeds.redid("engine")
        elif is_undoable(command):
            self.deeds.did("engine")

    # --- rules ---------------------------------------------------------------------------------------

    @property
    def made(self) -> "Made":
        """The rules that were made here; what reads rules is loaded when it is first needed."""
        if self._made is None:
            from smoothtask_tui.made import Made, own_rules  # noqa: PLC0415

            self._made = Made(self.own_rules or own_rules(self.paths))
        return self._made

    def action_rules(self) -> None:
        """Show the rules."""
        self.push_screen(screens.RulesScreen(self.scene, self.made, self.snapshot_log))

    def on_rule_wanted(self, message: RuleWanted) -> None:
        """Make a rule from a group."""
        g = self.scene.group(message.group)
        if g is not None:
            self.push_screen(screens.MakeRuleScreen(g, self.made))

    def on_rule_saved(self, message: RuleSaved) -> None:
        """Say it, and have the engine follow at once where we may; else it reads the files by itself."""
        self._say(message.reply)
        if message.reply.ok:
            note = {"save": self.deeds.did, "undo": self.deeds.undid, "redo": self.deeds.redid}[message.how]
            note("rule")
            self.notify(message.reply.message, markup=False)
            if os.geteuid() == 0 or self.client.ends_with_us:
                self.on_ordered(Ordered(Reload()))
        elif message.lost:
            self.deeds.lost("rule", again=message.how == "redo")

    def on_rule_chosen(self, message: RuleChosen) -> None:
        """The groups of a rule, from wherever the rules were opened."""
        self.back_to_groups()
        self.main.filter_by(f"layer={message.layer} app={message.id_of_rule}")

    def back_to_groups(self) -> None:
        """Leave every screen but the main one."""
        while self.screen is not self.main:
            self.pop_screen()
