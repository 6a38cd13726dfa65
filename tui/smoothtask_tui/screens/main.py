"""The main screen: header, groups, details, status line, keys."""

from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.screen import Screen

from smoothtask.model.command import Detail as AskDetail
from smoothtask.model.command import Explain
from smoothtask_tui import menus, rows
from smoothtask_tui.actions import ACT, LOOK, TEACH, bindings
from smoothtask_tui.line import Line, line
from smoothtask_tui.messages import (
    CursorMoved,
    DetailWanted,
    HeadingClicked,
    Ordered,
)
from smoothtask_tui.scene import Scene
from smoothtask_tui.widgets.detail import EVENT_ROLES, Detail, Events
from smoothtask_tui.widgets.graph import GraphPanel
from smoothtask_tui.widgets.grouplist import GroupList
from smoothtask_tui.widgets.header import LOCAL_ZONE, Header
from smoothtask_tui.widgets.statusline import KeyBar, StatusLine

WIDE, TALL = 150, 34
"""Cells from which details have a place of their own: beside the list, or below it."""
EXPLAIN_EVERY_TICKS = 3
EXPLAINED_AT_ONCE = 8
EXPLAIN_DELAY_S = 0.15
"""The cursor has come to rest: ask about its group."""


class MainScreen(Screen[None]):
    """Draws a scene; knows no engine."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(lambda a: a.section in {LOOK, ACT, TEACH}, at_once=True),
        # Textual's own screen would take it.
        Binding("tab", "app.plots", show=False, priority=True),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012 - Textual's way
    VERTICAL_BREAKPOINTS = [(0, "-short"), (TALL, "-tall"), (46, "-high")]  # noqa: RUF012

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.scene = scene
        self.header = Header()
        self.groups = GroupList(id="groups")
        self.graphs = GraphPanel(id="graphs")
        self.detail = Detail(id="detail")
        self.events = Events(id="events")
        self.status = StatusLine(self.chosen)
        self._detail_wanted: bool | None = None
        """None until a person decides: then open where there is room for it."""

    def compose(self) -> ComposeResult:
        """All parts at once; breakpoints show and place them."""
        yield self.header
        with Container(id="body"):
            yield self.groups
            with Vertical(id="side"):
                yield self.graphs
                yield self.detail
                yield self.events
        yield self.status
        yield KeyBar(id="keys")

    @property
    def detail_open(self) -> bool:
        """Whether details are shown."""
        return self.has_class("-detail")

    def on_mount(self) -> None:
        """First paint, before any frame."""
        self.groups.focus()
        self.draw()

    def on_resize(self) -> None:
        """Once the breakpoints have placed everything."""
        self._place_detail()
        self.call_after_refresh(self.draw)

    def on_screen_suspend(self) -> None:
        """Nothing stays open unseen."""
        self.status.leave()

    def on_screen_resume(self) -> None:
        """Frames that came while another screen was on top."""
        self.call_after_refresh(self.draw)

    def toggle_detail(self, *, open_: bool | None = None) -> None:
        """Open or close the details."""
        self._detail_wanted = not self.detail_open if open_ is None else open_
        self._place_detail()
        self.call_after_refresh(self.draw)

    def _place_detail(self) -> None:
        width, height = self.app.size
        roomy = width >= WIDE or height >= TALL
        self.set_class(roomy if self._detail_wanted is None else self._detail_wanted, "-detail")

    def draw(self, *, tick: bool = False) -> None:
        """Everything from the scene. *tick*: a new frame has come."""
        if not self.is_running:
            return
        scene = self.scene
        self.header.update_scene(scene)
        self.groups.update_scene(scene, tick=tick)
        if self.detail_open:
            self.graphs.update_scene(scene)
            self.events.update_scene(scene)
        self.draw_cursor()
        self.status.set_news(self._news(), self._right())
        self.query_one(KeyBar).for_guest(scene.is_guest)
        if tick and scene.frame is not None:
            if scene.frame.seq % EXPLAIN_EVERY_TICKS == 0:
                self._explain()
            self._ask_for_threads()

    def draw_cursor(self) -> None:
        """What depends on the cursor."""
        if self.detail_open:
            self.detail.update_scene(self.scene, self.groups.group)

    def draw_processes(self) -> None:
        """What depends on the processes that were asked for."""
        if self.groups.view.opened:
            self.groups.update_scene(self.scene)
        self.draw_cursor()

    def _explain(self) -> None:
        """Ask for what the frame does not tell of the cursor's group."""
        group = self.groups.group
        asked = {row for row in self.groups.view.opened if "#" not in row}
        if group is not None and self.detail_open:
            asked.add(group)
        if self.is_current and not self.scene.lost:
            for each in sorted(asked)[:EXPLAINED_AT_ONCE]:
                self.post_message(Ordered(Explain(each)))

    def _ask_for_threads(self) -> None:
        """Counters make rates: they are asked for at every tick while threads are shown."""
        if self.is_current and not self.scene.lost:
            groups = {row.partition("#")[0] for row in self.groups.view.opened if "#" in row}
            for each in sorted(groups)[:EXPLAINED_AT_ONCE]:
                self.post_message(Ordered(AskDetail(each, threads=True)))

    def _news(self) -> Line:
        frame = self.scene.frame
        if frame is None or not frame.events:
            return line((" ? help   / filter   F7 boost   F8 calm   c class   p pin", "dim"))
        event = frame.events[-1]
        clock = datetime.fromtimestamp(event.time, LOCAL_ZONE).strftime(" %H:%M:%S ")
        return line((clock, "dim"), (event.text, EVENT_ROLES.get(event.kind, "text")))

    def _right(self) -> Line:
        depth = self.scene.undo_depth
        return line((f" z undo ({depth}) ", "accent")) if depth else line()

    # --- looking -----------------------------------------------------------------------------------

    def on_cursor_moved(self, message: CursorMoved) -> None:
        """Details follow the cursor; what the frame does not know is asked for when it rests."""
        self.draw_cursor()
        self.set_timer(EXPLAIN_DELAY_S, lambda: self._explain() if self.groups.group == message.group else None)

    def action_cursor(self, step: int) -> None:
        """The cursor up or down."""
        self.groups.move(step)

    def action_page(self, direction: int) -> None:
        """A page up or down."""
        self.groups.page(direction)

    def action_panel(self) -> None:
        """Open or close the panel."""
        self.toggle_detail()
        self._explain()

    def action_detail(self) -> None:
        """Everything known of the group under the cursor, on a screen of its own."""
        group = self.groups.group
        if group is not None:
            self.post_message(DetailWanted(group))
        else:
            self.status.say("no application is under the cursor: choose one with ↑ ↓ first", good=False)

    def action_fold(self, open_: bool) -> None:
        """A level more below the row under the cursor (its parts, its processes), or a level less."""
        row = self.groups.row
        if row is None:
            return
        self.groups.hold()
        if open_:
            self.groups.set_view(rows.deeper(self.groups.view, row))
            self._explain()
            self._ask_for_threads()
            return
        was_open = row.group in self.groups.view.opened
        top = row.group if was_open else row.group.partition("/")[0]
        if row.process is not None and (of := rows.process_id(row.process)) in self.groups.view.opened:
            top = of
        self.groups.set_view(rows.shallower(self.groups.view, row))
        self.groups.choose(top)

    def action_mark(self) -> None:
        """Mark the group under the cursor, or take its mark away; the cursor goes on."""
        group = self.groups.group
        if group is not None:
            self.groups.hold()
            self.groups.set_view(rows.marked(self.groups.view, group))
            self.groups.move(1)

    def action_unmark(self) -> None:
        """Take all marks away."""
        self.groups.set_view(replace(self.groups.view, marked=frozenset()))

    def action_fold_all(self) -> None:
        """Fold or unfold all."""
        if self.scene.frame is not None:
            g = self.scene.group(self.groups.group)
            self.groups.set_view(rows.all_toggled(self.groups.view, self.scene.frame))
            if g is not None and g.group.parent and self.groups.cursor is None:
                self.groups.choose(g.group.parent)

    def action_sort_menu(self) -> None:
        """Choose a column."""
        self.status.ask(menus.sort_menu(self.groups.view.sort))

    def chosen(self, menu: menus.Menu, outcome: menus.Outcome) -> None:  # noqa: ARG002 - orders need the menu
        """A choice in the status line; orders are the subclass's."""
        if isinstance(outcome, rows.SortKey):
            self.sort(outcome)

    def action_sort(self, name: str) -> None:
        """Sort by `SortKey[name]`."""
        self.sort(rows.SortKey[name])

    def on_heading_clicked(self, message: HeadingClicked) -> None:
        """The same by mouse."""
        self.sort(message.sort)

    def action_invert(self) -> None:
        """Turn the order round."""
        self.sort(self.groups.view.sort)

    def sort(self, key: rows.SortKey) -> None:
        """Sort by *key*; by the same again: turn the order round."""
        self.groups.set_view(rows.sorted_by(self.groups.view, key))
