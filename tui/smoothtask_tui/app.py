"""The dashboard: hosts an engine's client in a worker, draws its frames, and sends what a person orders."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from textual import events
from textual.app import SystemCommand
from textual.driver import Driver
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from smoothtask.config.paths import Paths, UnsafeDirectoryError, find_paths
from smoothtask.model.client import EngineClient
from smoothtask.model.command import (
    Detail,
    Explain,
    LabelGroup,
    ListRules,
    Pause,
    PinApp,
    Redo,
    Reply,
    SetOverride,
    Undo,
)
from smoothtask.model.frame import Mode, ProcessFrame
from smoothtask_tui import screens
from smoothtask_tui.actions import ACT, ACTIONS, APP, LOOK, TEACH, bindings
from smoothtask_tui.doing import Doing
from smoothtask_tui.feed import Mailbox
from smoothtask_tui.menus import train_menu
from smoothtask_tui.messages import (
    Answered,
    DetailWanted,
    FrameWaiting,
    LinkChanged,
    Replied,
    TrainingWanted,
)
from smoothtask_tui.palette import DARK, MONO, PALETTES, fitting
from smoothtask_tui.prefs import Prefs
from smoothtask_tui.remembered import read_prefs, write_prefs
from smoothtask_tui.savefile import save
from smoothtask_tui.scene import Scene
from smoothtask_tui.screens.ordering import GroupsScreen
from smoothtask_tui.terminal import TerminalDriver, guarded_terminal

ON_ITS_WAY_S, ORDERS_S = 0.05, 2.0
"""While leaving: for keys already typed to become orders, and for orders to be answered."""

if TYPE_CHECKING:
    from smoothtask.classifier.saving import OwnRules
    from smoothtask_tui.screens.responsiveness import CulpritChosen


@runtime_checkable
class Drawing(Protocol):
    """A screen that wants to be drawn at every frame."""

    follows_frames: ClassVar[bool]

    def draw(self, *, tick: bool = False) -> None:
        """*tick*: a new frame has come."""
        ...


class Dashboard(Doing):
    """State is in `scene`; what a person looks at is in the list's view."""

    CSS_PATH = "app.tcss"
    TITLE = "SmoothTask"
    BINDINGS = bindings(lambda a: a.section == APP)
    COMMAND_PALETTE_BINDING = "ctrl+p"
    NOTIFICATION_TIMEOUT = 6.0

    def __init__(
        self,
        client: EngineClient,
        observe_reason: str = "",
        driver_class: type[Driver] | None = None,
        log_path: Path | None = None,
        prefs_path: Path | None = None,
        paths: Paths | None = None,
        own_rules: "OwnRules | None" = None,
    ) -> None:
        fitting_ = fitting(os.environ)
        # Asked for no colours, Textual would show greys: the terminal's own are left to it instead.
        super().__init__(driver_class, ansi_color=True if fitting_ is MONO else None)
        self.client = client
        self.paths = paths or find_paths()
        """Where the configuration and the log are looked for."""
        self.own_rules = own_rules
        """Where rules are saved; None: where those of whoever runs this are."""
        self.log_path = log_path
        """The snapshot log; None: where the configuration says, looked up when the history is opened."""
        self.scene = Scene(description=client.description, observe_reason=observe_reason, deeds=self.deeds)
        self.scene.uid = None if client.ends_with_us else os.geteuid()
        self.main = GroupsScreen(self.scene)
        self.failure = ""
        """Why the engine ended, when nobody asked it to."""
        self.closing = False
        self._unlearnt = 0
        """Words that no training has learnt, when they were counted last."""
        self._mailbox = Mailbox(lambda: self.post_message(FrameWaiting()))
        for palette in PALETTES.values():
            self.register_theme(palette.theme)
        self._prefs_path = prefs_path
        self._prefs = read_prefs(prefs_path) if prefs_path is not None else Prefs()
        self._imposed = fitting_.name if fitting_ is not DARK else ""
        """The theme that the terminal asks for, whatever is remembered."""
        self.theme = self._imposed or (self._prefs.theme if self._prefs.theme in PALETTES else DARK.name)
        self.main.groups.view = self._prefs.view(self.main.groups.view)

    # --- life ------------------------------------------------------------------------------------

    def get_default_screen(self) -> Screen[None]:
        """The main screen."""
        return self.main

    def on_mount(self) -> None:
        """Turn the engine, and wait for orders."""
        self.run_worker(self._turn, name="engine", thread=True, exit_on_error=False)
        self.run_worker(self._send_orders(), name="orders", exit_on_error=False)
        # After fg the terminal is empty, and only what changes would be drawn again.
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
                asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number)

    async def run_async(self, *args: Any, **kwargs: Any) -> int | None:
        """As Textual's; and however it ends, the engine's thread is told to, so that nothing stays changed."""
        try:
            return await super().run_async(*args, **kwargs)
        finally:
            self.client.close()

    def on_unmount(self) -> None:
        """The same for an app that is driven by a test."""
        self.client.close()

    def remember(self) -> None:
        """Keep theme, sort and columns for the next start, when one of them has changed."""
        view = self.main.groups.view
        theme = self._prefs.theme if self.theme == self._imposed else self.theme if self.theme in PALETTES else ""
        now = Prefs(theme, view.sort, view.reverse, view.columns)
        if self._prefs_path is None or now == self._prefs:
            return
        self._prefs = now
        try:
            write_prefs(self._prefs_path, now)
        except (OSError, UnsafeDirectoryError) as error:
            self.notify(f"not remembered: {error}", severity="warning", markup=False)

    def _turn(self) -> None:
        def say(sentence: str) -> None:
            self.post_message(LinkChanged(sentence))

        self.client.run(self._mailbox.put, say)

    def _on_signal(self, number: int) -> None:
        """The first one ends in good order; the same again has its usual effect."""
        asyncio.get_running_loop().remove_signal_handler(number)
        self.close_engine()

    def close_engine(self) -> None:
        """Begin to end: the engine restores what it changed, then its worker is done, then the app."""
        if not self.closing:
            self.closing = True
            self.remember()
            self.main.status.say("ending: what was changed is being undone …")
            self.run_worker(self._close(), name="close", exit_on_error=False)

    async def _close(self) -> None:
        """An order that was given just before (a pin, say) is still carried out."""
        await asyncio.sleep(ON_ITS_WAY_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._orders.join(), ORDERS_S)
        await asyncio.to_thread(self.client.close)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """The engine's worker has ended: leave, or say why there will be no more frames."""
        worker = event.worker
        if worker.name != "engine" or event.state not in {WorkerState.SUCCESS, WorkerState.ERROR}:
            return
        if event.state is WorkerState.ERROR:
            self.failure = f"the engine stopped: {type(worker.error).__name__}: {worker.error}"
        if self.closing:
            self.exit(return_code=1 if self.failure else 0)
        else:
            self.failure = self.failure or "the engine has ended"
            self.post_message(LinkChanged(f"{self.failure} (q leaves)"))

    async def on_event(self, event: events.Event) -> None:
        """An open menu takes keys here, in the order they were typed: none may slip through to the list."""
        status = self.status
        # A forwarded event comes back from a widget: it was typed before the menu was opened.
        if status.is_open and self.screen_stack and status.screen is self.screen and not event.is_forwarded:
            if isinstance(event, events.Key) and event.key != "ctrl+c":
                status.take(event)
                return
            if isinstance(event, events.Paste):
                status.paste(event.text)
                return
        await super().on_event(event)

    # --- frames and answers ------------------------------------------------------------------------

    def on_frame_waiting(self) -> None:
        """Draw the newest frame."""
        frame = self._mailbox.take()
        if frame is None:
            return
        self.scene.description = self.client.description  # a daemon is known once it has answered
        self.scene.take(frame)
        self._draw(tick=True)

    def on_link_changed(self, message: LinkChanged) -> None:
        """Keep the last frame, and say that it is old."""
        self.scene.lost = message.sentence
        self._draw()

    def _draw(self, *, tick: bool = False) -> None:
        screen = self.screen
        if isinstance(screen, Drawing):
            screen.draw(tick=tick)

    def on_replied(self, message: Replied) -> None:
        """Say what was done and how to undo it, or why not."""
        command, reply = message.command, message.reply
        if not self.main.is_running:  # the answer came while the app was being closed
            return
        if isinstance(command, Explain):
            processes = tuple(ProcessFrame(**p) for p in reply.data.get("processes", ()))
            if command.target.isdecimal():
                self.main.found(int(command.target), processes)
            elif reply.ok:
                self.scene.remember(command.target, processes)
                self.main.draw_processes()
            return
        if isinstance(command, Detail | ListRules):
            self.screen.post_message(Answered(command, reply))
        if isinstance(command, Detail):
            self._take_detail(command, reply)
        if isinstance(command, Detail | ListRules):
            return
        if reply.ok:
            self._note(command)
            if isinstance(command, LabelGroup | PinApp | SetOverride):
                self._offer_training()
        elif isinstance(command, Undo | Redo):
            self.deeds.lost("engine", again=isinstance(command, Redo))
        self._say(reply)

    def _take_detail(self, command: Detail, reply: Reply) -> None:
        from smoothtask_tui.told import read_detail  # noqa: PLC0415

        told = read_detail(reply)
        if isinstance(told, str):
            self.scene.untold[command.target] = told
        else:
            self.scene.tell(command.target, told, with_threads=command.threads)
            self.main.draw_processes()
        if self.screen is not self.main:
            self._draw()

    def on_detail_wanted(self, message: DetailWanted) -> None:
        """Show everything known of a group."""
        g = self.scene.group(message.group)
        if g is not None and not isinstance(self.screen, screens.GroupScreen):
            self.push_screen(screens.GroupScreen(self.scene, g, self.snapshot_log))

    # --- what keys do on any screen ------------------------------------------------------------------

    def action_plots(self) -> None:
        """Show the plots."""
        self.push_screen(screens.ResponsivenessScreen(self.scene))

    def on_culprit_chosen(self, message: "CulpritChosen") -> None:
        """Back to the groups, from wherever the plots were opened, with the cursor on it."""
        self.back_to_groups()
        if self.main.show_group(message.group):
            return
        self.main.status.say("that application has exited", good=False)

    def action_columns(self) -> None:
        """Choose columns."""
        groups = self.main.groups
        fitting = tuple(column.title for column, _ in groups.automatic_columns)
        chosen = screens.ColumnsScreen(groups.view.columns, fitting, self._choose_columns)
        self.push_screen(chosen, lambda _: self.remember())

    def _choose_columns(self, columns: tuple[str, ...]) -> None:
        self.main.groups.view = replace(self.main.groups.view, columns=columns)

    def action_save(self) -> None:
        """Write down what is shown."""
        from smoothtask_tui.export import Format, Shows, as_csv, as_json, as_text  # noqa: PLC0415
        from smoothtask_tui.screens.save import screen_lines  # noqa: PLC0415

        screen = self.screen
        lines = screen_lines(screen)
        records = screen.records() if isinstance(screen, Shows) else None

        def chosen(kind: Format | None) -> None:
            if kind is None:
                return
            if kind is not Format.TEXT and records is None:
                self.notify("this view is text only: t saves it", severity="warning")
                return
            now = datetime.now().astimezone()
            title = screen.view_name if isinstance(screen, Shows) else "screen"
            match kind:
                case Format.TEXT:
                    text = as_text(lines)
                case Format.CSV:
                    text = as_csv(records or ())
                case Format.JSON:
                    text = as_json(title, now.timestamp(), records or ())
            self._save(f"smoothtask-{title}-{now:%Y%m%d-%H%M%S}.{kind.value}", text)

        self.push_screen(screens.SaveScreen(), chosen)

    def _save(self, name: str, text: str) -> None:
        def work() -> None:
            try:
                path = save(name, text)
            except (OSError, subprocess.SubprocessError) as error:
                self.call_from_thread(self._say, Reply(False, f"not saved: {error}"))
            else:
                self.call_from_thread(self._say, Reply(True, f"saved as {path}"))
                self.call_from_thread(self.notify, f"saved as {path}", markup=False)

        self.run_worker(work, name="save", thread=True, exit_on_error=False)

    async def action_suspend(self) -> None:
        """Stop as ctrl+z does in a shell; an engine in this process undoes its changes before, and goes on after."""
        frame = self.scene.newest
        acting = self.client.ends_with_us and frame is not None and frame.mode in {Mode.RULES_ONLY, Mode.HYBRID}
        if acting:
            reply = await asyncio.to_thread(self.client.ask, Pause(True, passing=True))
            if not reply.ok:
                self._say(reply)
                return
        self.action_suspend_process()  # comes back when the shell says so
        if acting:
            self._say(await asyncio.to_thread(self.client.ask, Pause(False, passing=True)))

    def action_history(self) -> None:
        """Show what was recorded."""
        # The reader's parts cost memory that most sessions never need.
        from smoothtask_tui.recorded import read_parameters  # noqa: PLC0415

        self.push_screen(screens.HistoryScreen(self.snapshot_log(), read_parameters(self.paths)))

    def snapshot_log(self) -> Path:
        """Where the snapshot log of what is shown is."""
        from smoothtask_tui.recorded import find_log, told_log  # noqa: PLC0415

        told = self.scene.newest.sources.get("log file", "") if self.scene.newest is not None else ""
        return self.log_path or told_log(told) or find_log(self.paths)

    def _offer_training(self) -> None:
        """Say that there is enough new to learn from, when there is."""
        from smoothtask_tui.training import ENOUGH, unlearnt  # noqa: PLC0415

        log = self.snapshot_log()

        def work() -> None:
            count, last = unlearnt(self.paths, log), self._unlearnt
            self._unlearnt = count
            if count // ENOUGH > last // ENOUGH:
                text = f"{count} pins, overrides and labels since the last training: b trains a model on them"
                self.call_from_thread(self.notify, text, markup=False)

        self.run_worker(work, name="labels", thread=True, exclusive=True, group="labels", exit_on_error=False)

    def on_training_wanted(self, message: TrainingWanted) -> None:
        """Begin to train a model, once that is sure; while one is trained, say how far that is."""
        from smoothtask_tui.training import RUNNING, begin, end_of, how_far  # noqa: PLC0415

        now = how_far(self.paths)
        if now is not None and now.state == RUNNING:
            self._say(Reply(True, f"training: {now.text}"))
            return
        if not message.sure:
            self.status.ask(train_menu())
            return
        log = self.snapshot_log()
        self._say(Reply(True, f"training begins, on {log}"))

        def work() -> None:
            begun = begin(self.paths, log)
            if isinstance(begun, str):
                self.call_from_thread(self._say, Reply(False, begun))
                return
            reply = end_of(self.paths, begun, lambda: worker.is_cancelled)
            if reply is not None:
                self.call_from_thread(self._say, reply)
                if reply.ok:
                    self.call_from_thread(self.notify, reply.message, markup=False)

        worker = self.run_worker(work, name="train", thread=True, exit_on_error=False)

    def action_help(self) -> None:
        """Show the help."""
        frame = self.scene.frame
        self.push_screen(screens.HelpScreen(frame.person_sources, frame.sources) if frame else screens.HelpScreen())

    def action_next_theme(self) -> None:
        """The next of our themes."""
        names = list(PALETTES)
        self.theme = names[(names.index(self.theme) + 1) % len(names)] if self.theme in names else names[0]
        self.main.status.say(f"theme {self.theme}")
        self.remember()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette offers what the keys do, and the key to remember."""
        yield from super().get_system_commands(screen)
        for a in ACTIONS:
            if a.section in {ACT, TEACH, APP} or (a.section == LOOK and a.bar):
                run = partial(self.run_action, a.target)
                yield SystemCommand(f"{a.bar or a.help.capitalize()}  ({a.shown[0]})", a.help, run)

    async def action_quit(self) -> None:
        """End; a second time while ending changes nothing: what was changed is undone first."""
        if self.failure:
            self.exit(return_code=1)
        else:
            self.close_engine()


def run_dashboard(client: EngineClient, *, observe_reason: str = "", paths: Paths | None = None) -> int:
    """Show the dashboard until the person quits; the exit status: 1 when the engine failed."""
    prefs = (paths or find_paths()).state_dir / "dashboard.json"
    for stale in ("COLUMNS", "LINES"):  # exported once in another window, they would be believed before the terminal
        os.environ.pop(stale, None)
    app = Dashboard(client, observe_reason, driver_class=TerminalDriver, prefs_path=prefs, paths=paths)
    with guarded_terminal():
        app.run()
    if app.failure:
        print(app.failure, file=sys.stderr)
        return 1
    return app.return_code or 0
