"""The rules: which match, which never have, what lint says of them; and from there to the groups they match."""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen

from smoothtask.classifier.lint import Finding
from smoothtask.model.command import ListRules
from smoothtask.model.detail import RuleUses
from smoothtask_tui import fmt
from smoothtask_tui.actions import RULES, bindings
from smoothtask_tui.line import Line, line, spread
from smoothtask_tui.made import Made, Step
from smoothtask_tui.menus import Choice, Menu, Outcome
from smoothtask_tui.messages import Answered, Ordered, RuleChosen, RuleSaved
from smoothtask_tui.recorded import RecordError, read_matched_rules
from smoothtask_tui.rulelist import (
    SORTS,
    Key,
    RuleRow,
    RuleSort,
    RuleView,
    Which,
    about,
    heading,
    matched_groups,
    rule_line,
    rule_rows,
    sorted_by,
)
from smoothtask_tui.scene import Scene
from smoothtask_tui.screens.making import finding_lines
from smoothtask_tui.told import read_rules
from smoothtask_tui.widgets.drawn import Drawn
from smoothtask_tui.widgets.scroller import Scroller
from smoothtask_tui.widgets.statusline import KeyBar, Prompt, StatusLine

ASK_EVERY_S = 10.0
ABOUT_FROM = 18
"""Terminal lines from which three tell of the rule under the cursor."""


class RulesScreen(Screen[None]):
    """*log*: where the snapshot log is, to see which rules have matched before."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(lambda a: a.section == RULES, at_once=True)
    view_name = "rules"
    follows_frames: ClassVar[bool] = True

    def __init__(self, scene: Scene, made: Made, log: Callable[[], Path]) -> None:
        super().__init__()
        self.scene = scene
        self.made = made
        self.view = RuleView()
        self.uses: RuleUses | None = None
        self.rows: list[RuleRow] = []
        self.cursor: Key | None = None
        self.findings: list[Finding] | None = None
        """What lint said, while that is shown."""
        self.problem = ""
        """Why there are no rules to show."""
        self._log = log
        self._logged: frozenset[Key] | None = None
        self._place = 0
        self._asked_s = 0.0
        self.head = Drawn(id="head", ground="panel")
        self.titles = Drawn(id="titles")
        self.body = Scroller(id="report")
        self.about = Drawn(id="about", ground="panel")
        self.status = StatusLine(self._chosen)
        hint = "Enter keeps, Esc clears: layer:user class:idle type:game !word"
        self._filter = Prompt("filter", self._filter_by, hint=hint)

    def compose(self) -> ComposeResult:
        """A headline, the list, the rule under the cursor."""
        yield self.head
        yield self.titles
        yield self.body
        yield self.about
        yield self.status
        yield KeyBar(id="keys", wanted=lambda a: a.section == RULES)

    def on_mount(self) -> None:
        """Ask the engine and the log."""
        self.body.focus()
        self.post_message(Ordered(ListRules()))
        self.run_worker(self._read_log(), name="log", exit_on_error=False)
        self.call_after_refresh(self.draw)

    async def _read_log(self) -> None:
        try:
            self._logged = await asyncio.to_thread(lambda: read_matched_rules(self._log()))
        except (RecordError, OSError, sqlite3.Error):
            self._logged = None  # the column says so
        self._rebuild()

    def on_answered(self, message: Answered) -> None:
        """The engine has told."""
        if isinstance(message.command, ListRules):
            told = read_rules(message.reply)
            if isinstance(told, str):
                self.problem = told
            else:
                self.uses, self.problem = told, ""
            self._rebuild()

    def on_resize(self) -> None:
        """Columns depend on the width."""
        self.call_after_refresh(self.draw)

    def on_screen_suspend(self) -> None:
        """Nothing stays open unseen."""
        self.status.leave()

    def draw(self, *, tick: bool = False) -> None:
        """A new frame changes what matches."""
        frame = self.scene.frame
        if tick and frame is not None and abs(frame.mono_s - self._asked_s) >= ASK_EVERY_S and not self.scene.lost:
            self._asked_s = frame.mono_s
            self.post_message(Ordered(ListRules()))
        self._rebuild()

    def _rebuild(self) -> None:
        if not self.is_running or not self.body.size.width:
            return
        if self.uses is not None:
            self.rows = rule_rows(self.uses, self.scene.frame, self._logged, self.view)
        at = self._index()
        if at is None and self.cursor is None and self.rows:
            self.cursor = self.rows[0].key
        self._draw()

    def _index(self) -> int | None:
        at = next((i for i, row in enumerate(self.rows) if row.key == self.cursor), None)
        if at is not None:
            self._place = at
        return at

    @property
    def row(self) -> RuleRow | None:
        """The rule under the cursor."""
        at = self._index()
        return None if at is None else self.rows[at]

    # --- drawing -----------------------------------------------------------------------------------------

    def _draw(self) -> None:
        width = self.body.size.width
        self.about.display = self.app.size.height >= ABOUT_FROM and self.findings is None
        self.head.show([self._headline(width)])
        if self.findings is not None:
            self.titles.show([line(("  what lint says of every layer", "head"))])
            lines = [each for f in self.findings for each in finding_lines(f, width)]
            self.body.set_lines(lines or [line(("  nothing is wrong", "good"))])
        else:
            self.titles.show([heading(self.view, width)])
            self.body.set_lines(self._list(width), dimmed=bool(self.scene.lost))
            row = self.row
            self.about.show(about(row, matched_groups(self.scene.frame, row.key) if row is not None else (), width))
        said = line((f" {self.scene.lost}", "warn")) if self.scene.lost else line((self._hint(), "dim"))
        depth = len(self.made.done)
        self.status.set_news(said, line((f" z undo ({depth}) ", "accent")) if depth else line())

    def _hint(self) -> str:
        if self.findings is not None:
            return " l, Esc: back to the rules"
        return " Enter its groups   n never matched   / filter   l lint   Esc back"

    def _list(self, width: int) -> list[Line]:
        if self.problem:
            return [line(("  " + text, "bad")) for text in fmt.wrap(self.problem, width - 2)]
        if self.uses is None:
            return [line(("  asking the engine …", "dim"))]
        if not self.rows:
            return [line(("  no rule is like that (Esc clears the filter)", "dim"))]
        top, room = self.body.top, self.body.size.height
        # Only rows in sight are made into lines; there are thousands.
        blank = line()
        return [
            rule_line(row, width, cursor=row.key == self.cursor) if top - 1 <= i <= top + room else blank
            for i, row in enumerate(self.rows)
        ]

    def _headline(self, width: int) -> Line:
        total = len(self.uses.rules) if self.uses is not None else 0
        count = f"{len(self.rows)} of {total}" if len(self.rows) != total else f"{total}"
        if self.findings is not None:
            count = f"{len(self.findings)} findings"
        left = line((" Rules ", "accent!"), (f" {count} ", "dim"), ground="panel")
        parts = [self.view.which.value if self.view.which is not Which.ALL else "", self.view.filter[:30]]
        if self.uses is not None and self.uses.left_out:
            parts.append(f"{self.uses.left_out} more are left out")
        right = line(("  ".join(p for p in (*parts, self.body.where) if p) + " ", "accent"), ground="panel")
        return spread(left, right, width)

    # --- looking -----------------------------------------------------------------------------------------

    def action_cursor(self, step: int) -> None:
        """Another rule; a page of lint."""
        if self.findings is not None:
            self.body.scroll_by(step)
            self._draw()
            return
        at = self._index()
        self._put((self._place if at is None else at + step) if abs(step) < len(self.rows) else step)

    def action_page(self, direction: int) -> None:
        """A page on or back."""
        self.action_cursor(direction * max(1, self.body.size.height - 1))

    def _put(self, at: int) -> None:
        if self.rows:
            self._place = max(0, min(len(self.rows) - 1, at))
            self.cursor = self.rows[self._place].key
            self.body.reveal(self._place)
        self._draw()

    def on_mouse_scroll_down(self) -> None:
        """The list has moved: other rows are in sight."""
        self._draw()

    def on_mouse_scroll_up(self) -> None:
        """The same."""
        self._draw()

    def on_click(self, event: events.Click) -> None:
        """The cursor goes there; a double click shows its groups."""
        at = event.screen_y - self.body.region.y + self.body.top
        if self.findings is None and self.body.region.contains(event.screen_x, event.screen_y) and at < len(self.rows):
            self._put(at)
            if event.chain == 2:
                self.action_its_groups()

    def action_filter(self) -> None:
        """Type a filter."""
        self.status.edit(self._filter, self.view.filter)

    def _filter_by(self, text: str) -> None:
        self._look(replace(self.view, filter=text))

    def _look(self, view: RuleView) -> None:
        self.view, self.findings, self.body.top = view, None, 0
        self._rebuild()
        if self._index() is None:
            self._put(0)
        else:
            self.body.reveal(self._place)
            self._draw()

    def action_sort_menu(self) -> None:
        """Choose a column."""
        choices = tuple(Choice(key, word, sort, sort is self.view.sort) for key, sort, word in SORTS)
        self.status.ask(Menu("sort by", choices))

    def _chosen(self, _menu: Menu, outcome: Outcome) -> None:
        if isinstance(outcome, RuleSort):
            self._look(sorted_by(self.view, outcome))

    def action_invert(self) -> None:
        """Turn the order round."""
        self._look(replace(self.view, reverse=not self.view.reverse))

    def action_which(self) -> None:
        """All, those that match something now, those that never have."""
        order = list(Which)
        self._look(replace(self.view, which=order[(order.index(self.view.which) + 1) % len(order)]))

    def action_its_groups(self) -> None:
        """The list of groups, filtered to those of this rule."""
        row = self.row
        if row is None or self.findings is not None:
            return
        if not matched_groups(self.scene.frame, row.key):
            self.status.say(f"no group is of the rule {row.use.id} now", good=False)
            return
        self.post_message(RuleChosen(row.use.layer, row.use.id))

    def records(self) -> list[dict[str, Any]]:
        """The rules that are shown."""
        return [
            {
                "rule": r.use.id, "label": r.use.label, "type": r.use.type,
                "class": r.use.target.name if r.use.target is not None else "", "protected": r.use.protected,
                "layer": r.use.layer, "file": r.use.file, "line": r.use.line, "groups": r.groups,
                "processes": r.use.processes, "matched": r.use.matched,
                "in_log": "" if r.logged is None else r.logged,
            }
            for r in self.rows
        ]  # fmt: skip

    # --- lint, undo ----------------------------------------------------------------------------------------

    def action_lint(self) -> None:
        """Check every layer; again: the rules."""
        if self.findings is not None:
            self._look(self.view)
            return
        self.status.say("checking all rules …")
        self.run_worker(self._lint(), name="lint", exclusive=True, exit_on_error=False)

    async def _lint(self) -> None:
        found = await asyncio.to_thread(self.made.lint)
        if isinstance(found, str):
            self.status.say(f"not checked: {found}", good=False)
            return
        self.findings, self.body.top = found, 0
        errors = sum(f.severity.value == "error" for f in found)
        said = f"{len(found)} findings, {errors} of them errors" if found else "nothing is wrong"
        self.status.say(said, good=not errors)
        self._draw()

    def action_read_again(self) -> None:
        """Ask the engine and the log again."""
        self.post_message(Ordered(ListRules()))
        self.run_worker(self._read_log(), name="log", exit_on_error=False)

    def action_undo_save(self) -> None:
        """Take back the newest rule that was saved here."""
        self._have(self.made.undo, "undo")

    def action_redo_save(self) -> None:
        """Save it again."""
        self._have(self.made.redo, "redo")

    def _have(self, do: Callable[[], Step], how: Literal["undo", "redo"]) -> None:
        async def work() -> None:
            step = await asyncio.to_thread(do)
            self.post_message(RuleSaved(step.reply, how, lost=step.lost))

        self.run_worker(work(), name="undo save", exit_on_error=False)

    def action_back(self) -> None:
        """From lint to the rules, from a filter to all, then to where it was opened from."""
        if self.findings is not None or self.view.filter or self.view.which is not Which.ALL:
            self._look(RuleView(self.view.sort, self.view.reverse))
        else:
            self.dismiss()
