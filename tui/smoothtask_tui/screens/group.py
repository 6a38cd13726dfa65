"""Everything known of one application, on a screen that scrolls, with the keys to act on it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from smoothtask.model.command import Detail
from smoothtask.model.frame import GroupFrame
from smoothtask_tui.actions import ACT, DETAIL, TEACH, bindings
from smoothtask_tui.lanes import KEPT_S, Lane
from smoothtask_tui.line import line, spread
from smoothtask_tui.messages import Ordered
from smoothtask_tui.report import SPANS_S, Report, head, report_lines
from smoothtask_tui.rows import total
from smoothtask_tui.scene import Scene
from smoothtask_tui.screens.acting import Acting
from smoothtask_tui.widgets.drawn import Drawn
from smoothtask_tui.widgets.header import LOCAL_ZONE, Header
from smoothtask_tui.widgets.scroller import Scroller
from smoothtask_tui.widgets.statusline import KeyBar, StatusLine

ASK_EVERY_S = 2.0
"""An answer costs the engine 4 ms: not at each of the ticks that contention makes frequent."""
HINT = " F7 F8 c o p act   A always   z undo   Esc back"
HEADER_FROM = 30
"""Terminal lines from which the machine's header is shown above."""


class GroupScreen(Acting):
    """About the group with the id that it was opened for, whatever becomes of the list."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(lambda a: a.section in {ACT, TEACH, DETAIL}, at_once=True)

    def __init__(self, scene: Scene, group: GroupFrame, log: Callable[[], Path] | None = None) -> None:
        """*log*: where the snapshot log is, for what was before this dashboard was opened."""
        super().__init__()
        self._log = log
        self.scene = scene
        self.status = StatusLine(self.chosen)
        self.body = Scroller(id="report")
        self.last = group
        """The group as it was seen last."""
        self._seen: Report | None = None
        self._metrics = group.group.metrics
        self._span = 1
        self._with_threads = False
        self._asked_s = 0.0

    @property
    def id_of_group(self) -> str:
        """Whom this screen is about."""
        return self.last.group.id

    def compose(self) -> ComposeResult:
        """The machine, the group's headline, the report."""
        yield Header()
        yield Drawn(id="head", ground="panel")
        yield self.body
        yield self.status
        yield KeyBar(id="keys", wanted=lambda a: a.section in {ACT, TEACH, DETAIL})

    def on_mount(self) -> None:
        """Ask at once."""
        self.body.focus()
        self._ask()
        if self._log is not None and self.id_of_group not in self.scene.recalled:
            self.scene.recalled.add(self.id_of_group)
            self.run_worker(self._recall(self._log), name="recall", exit_on_error=False)
        self.on_resize()

    async def _recall(self, log: Callable[[], Path]) -> None:
        """Put what was recorded before what was seen here."""
        # The reader's parts cost memory that most sessions never need.
        from smoothtask_tui.recorded import RecordError, read_lane  # noqa: PLC0415

        group, frame = self.id_of_group, self.scene.newest
        since = (frame.time if frame is not None else 0.0) - KEPT_S
        try:
            recorded = await asyncio.to_thread(lambda: read_lane(log(), group, since))
        except (RecordError, OSError):
            return  # the plots begin where this dashboard did, as they do without a log
        lane = self.scene.history.lanes.get(group)
        if lane is not None:
            lane.prepend(recorded)
            self.draw()

    def on_resize(self) -> None:
        """Columns depend on the width, and what is above them on the height."""
        self.query_one(Header).display = self.app.size.height >= HEADER_FROM
        self.call_after_refresh(self.draw)

    def on_screen_suspend(self) -> None:
        """No menu stays open unseen."""
        self.status.leave()

    def on_screen_resume(self) -> None:
        """What came meanwhile."""
        self.call_after_refresh(self.draw)

    def draw(self, *, tick: bool = False) -> None:
        """Everything from the scene."""
        super().draw(tick=tick)
        if not self.is_running or not self.body.size.width:
            return
        frame = self.scene.frame
        g = self.scene.group(self.id_of_group)
        if g is not None and frame is not None:
            self.last = g
            parts = [p.group.metrics for p in frame.groups if p.group.parent == g.group.id]
            self._metrics = total([g.group.metrics, *parts])
        if tick and frame is not None and abs(frame.mono_s - self._asked_s) >= ASK_EVERY_S:
            self._asked_s = frame.mono_s
            self._ask()
        if g is None and self._seen is not None:
            report = replace(self._seen, gone=True)  # what was told of it is forgotten with it, but not here
        else:
            report = self._seen = self._report()
        header = self.query_one(Header)
        if header.display:
            header.update_scene(self.scene)
        dimmed = bool(self.scene.lost) or g is None
        self.body.set_lines(report_lines(report, self.body.size.width), dimmed=dimmed)
        self._draw_head(report)
        depth = self.scene.undo_depth
        news = line((f" {self.scene.lost}", "warn")) if self.scene.lost else line((HINT, "dim"))
        self.status.set_news(news, line((f" z undo ({depth}) ", "accent")) if depth else line())

    def _draw_head(self, report: Report) -> None:
        """The headline, and where in the report this is."""
        width = self.size.width
        where = line((f" {self.body.where} " if self.body.where else "", "accent"), ground="panel")
        self.query_one("#head", Drawn).show([spread(head(report, width - where.cells - 1), where, width)])

    def _report(self) -> Report:
        scene, group = self.scene, self.id_of_group
        told = scene.details.get(group)
        frame = scene.frame
        fresh = scene.processes_of(group, with_parts=True)
        known = {(p.pid, p.start_ticks) for p in fresh}
        quiet = [p for p in (told.processes if told is not None else ()) if (p.pid, p.start_ticks) not in known]
        threads = scene.threads.get(group)
        return Report(
            group=self.last,
            metrics=self._metrics,
            now=frame.time if frame is not None else 0.0,
            zone=LOCAL_ZONE,
            lane=scene.history.lanes.get(group, Lane()),
            detail=told,
            missing=scene.untold.get(group, ""),
            processes=(*fresh, *quiet),
            waits=tuple((p.time, p.contended) for p in scene.history.points),
            span_s=SPANS_S[self._span],
            with_threads=self._with_threads,
            threads=threads.uses if threads is not None and self._with_threads else (),
        )

    def _ask(self) -> None:
        if self.is_current and not self.scene.lost and self.scene.group(self.id_of_group) is not None:
            self.post_message(Ordered(Detail(self.id_of_group, threads=self._with_threads)))

    # --- whom orders are about ---------------------------------------------------------------------

    def subject(self) -> GroupFrame | None:
        """The group that the screen was opened for, while it lives."""
        g = self.scene.living(self.id_of_group)
        if g is None:
            self.status.say(f"{self.last.group.label} has exited: nothing is done", good=False)
        return g

    # --- looking -------------------------------------------------------------------------------------

    def action_scroll(self, step: int) -> None:
        """Lines on or back."""
        self.body.scroll_by(step)
        self._scrolled()

    def action_scroll_page(self, direction: int) -> None:
        """A page on or back."""
        self.body.page(direction)
        self._scrolled()

    def _scrolled(self) -> None:
        if self._seen is not None:
            self._draw_head(replace(self._seen, gone=self.scene.group(self.id_of_group) is None))

    def action_threads(self) -> None:
        """Show its threads, or no longer."""
        self._with_threads = not self._with_threads
        self._ask()
        self.draw()

    def action_span(self, step: int) -> None:
        """More or less of the past in the plots."""
        self._span = max(0, min(len(SPANS_S) - 1, self._span + step))
        self.draw()

    def action_back(self) -> None:
        """To where it was opened from."""
        self.dismiss()
