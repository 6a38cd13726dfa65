"""History: recorded moments as they were, what today's policy would want, and labels for them.

The log is read and written in worker threads: neither the screen nor the engine waits for the disk.
"""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen

from smoothtask.model.decision import Decision
from smoothtask.policy.parameters import PolicyParameters
from smoothtask_tui import past, rows
from smoothtask_tui.actions import show_key
from smoothtask_tui.detaillines import detail_lines, title
from smoothtask_tui.export import Record, row_record
from smoothtask_tui.fmt import CLASS_MARKS, shorten, wrap
from smoothtask_tui.line import Line, Span, line
from smoothtask_tui.menus import CLASSES
from smoothtask_tui.messages import CursorMoved, HeadingClicked
from smoothtask_tui.recorded import Past, RecordError, add_label, read_moments, read_past, remove_label
from smoothtask_tui.scene import Scene
from smoothtask_tui.widgets.drawn import Drawn
from smoothtask_tui.widgets.grouplist import GroupList
from smoothtask_tui.widgets.header import Header
from smoothtask_tui.widgets.timeline import MomentChosen, Timeline

KEYS: tuple[tuple[str, str, str], ...] = (
    ("n", "question(1)", "next to label"),
    ("p", "question(-1)", "before"),
    ("1,2,3,4,5", "", "right class"),
    ("l", "verdict('laggy')", "laggy"),
    ("f", "verdict('fine')", "fine"),
    ("u,z", "undo", "undo"),
    ("b", "bad(1)", "next bad"),
    ("B", "bad(-1)", "bad before"),
    ("left", "move(-1)", "earlier"),
    ("right", "move(1)", "later"),
    ("d", "differing", "where today differs"),
    ("home", "move(-1000000)", "oldest"),
    ("end", "move(1000000)", "newest"),
    ("pageup,shift+left", "move(-20)", "20 earlier"),
    ("pagedown,shift+right", "move(20)", "20 later"),
    ("P,M,N,L,T", "", "sort"),
    ("r", "reload", "read again"),
)
"""Keys, action, and what the line at the bottom and the manual call it."""
SORTED_BY = (("P", "CPU"), ("M", "MEMORY"), ("N", "NAME"), ("L", "WAIT"), ("T", "TIME"))
"""As on the groups screen."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """The moment on the screen."""

    id: int
    past: Past
    today: dict[str, Decision]


class PastDetail(Drawn):
    """What was known of the group under the cursor, and what would be wanted today."""

    def __init__(self) -> None:
        super().__init__(id="detail", ground="panel")

    def update_past(self, scene: Scene, group: str | None, now: dict[str, Decision]) -> None:
        """Draw *group* as *scene* has it."""
        width, height = self.size
        if not height:
            return
        g = scene.group(group)
        lines = today_lines(now.get(group or ""), g.decision if g is not None else None, width)
        metrics = None
        if g is not None and scene.frame is not None:
            parts = [p.group.metrics for p in scene.frame.groups if p.group.parent == group]
            metrics = rows.total([g.group.metrics, *parts])
        processes = scene.processes_of(group, with_parts=True) if group is not None else ()
        self.show([*lines, *detail_lines(g, metrics, processes, width, height - len(lines))])


def today_lines(now: Decision | None, then: Decision | None, width: int) -> list[Line]:
    """What today's policy would want, beside what was wanted then."""
    if now is None or then is None:
        return []
    shape, letter, _ = CLASS_MARKS[now.wanted]
    same = now.wanted is then.wanted
    verdict = "the same" if same else f"then {then.wanted.name}"
    heading = title("what today's policy wants (without orders of that time)", width)
    lines = [heading, line(("  today     ", "dim"), (f"{shape} {letter} {now.wanted.name}", f"class{int(now.wanted)}"),
                           (f"  ({verdict})", "dim" if same else "warn"))]  # fmt: skip
    return [*lines, *(line("            ", (text, "dim")) for text in list(wrap(now.text, width - 12))[:2])]


class HistoryScreen(Screen[None]):
    """Scrub, jump, look, label. *log*: the snapshot log's file."""

    view_name = "history"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,f10,H,tab", "dismiss", show=False),
        Binding("f1,h,question_mark", "app.help", show=False),
        Binding("up,k", "cursor(-1)", show=False),
        Binding("down,j", "cursor(1)", show=False),
        Binding("plus", "fold(True)", show=False),
        Binding("minus", "fold(False)", show=False),
        *(Binding(keys, action, help_, show=False) for keys, action, help_ in KEYS if action),
        *(Binding(key, f"sort('{sort}')", show=False) for key, sort in SORTED_BY),
        Binding("E", "app.save", show=False),
        *(Binding(key, f"label('{target.name}')", f"rather {word}", show=False) for key, target, word in CLASSES),
    ]  # fmt: skip
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (130, "-wide")]  # noqa: RUF012 - Textual's way
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]  # noqa: RUF012

    def __init__(self, log: Path, parameters: PolicyParameters | None = None) -> None:
        """*parameters*: of today's policy."""
        super().__init__()
        self.log_path = log
        self.parameters = parameters or PolicyParameters()
        self._asking = False
        """Whether the next moment shown is a question of the labelling session."""
        self.scene = Scene(description="recorded")
        self.moments: tuple[past.Moment, ...] = ()
        self.at = 0
        self.shown: _Shown | None = None
        self.questions: tuple[int, ...] = ()
        """Ids of the moments that this labelling session asks about."""
        self.answered: set[int] = set()
        self.said: list[tuple[int, int, str]] = []
        """Labels made here: their id, the moment's, and words."""
        self.header, self.timeline, self.groups, self.detail = (
            Header(),
            Timeline(),
            GroupList(id="groups", alone=True),
            PastDetail(),
        )
        self.status = Drawn(id="status", ground="panel")
        self._wake = asyncio.Event()
        self._orders: asyncio.Queue[Callable[[], None]] = asyncio.Queue()

    # --- life ------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Axis above the list; details where there is room."""
        yield self.header
        yield self.timeline
        with Container(id="body"):
            yield self.groups
            with Container(id="side"):
                yield self.detail
        yield self.status
        yield Drawn(id="keys", ground="bar")

    def on_mount(self) -> None:
        """Read in the background; the screen is there at once."""
        self.groups.focus()
        self._say(f"reading {self.log_path} …")
        self.run_worker(self._read(), name="past", exit_on_error=False)
        self.run_worker(self._write(), name="labels", exit_on_error=False)
        self.call_after_refresh(self.draw)

    def on_resize(self) -> None:
        """Once everything has its size."""
        self.call_after_refresh(self.draw)

    def on_screen_resume(self) -> None:
        """Back from the help."""
        self.call_after_refresh(self.draw)

    def draw(self, *, tick: bool = False) -> None:
        """What is shown, from what was read; frames of the live engine (*tick*) change nothing here."""
        if tick or not self.is_running:
            return
        self.header.update_scene(self.scene)
        self.timeline.update_moments(self.moments, self.at, self._progress())
        self.groups.update_scene(self.scene)
        self._draw_cursor()
        self.query_one("#keys", Drawn).show([key_line(self.size.width)])

    def _draw_cursor(self) -> None:
        self.detail.update_past(self.scene, self.groups.group, self.shown.today if self.shown else {})

    def on_cursor_moved(self, _: CursorMoved) -> None:
        """Details follow."""
        self._draw_cursor()

    def _say(self, text: str, *, good: bool = True) -> None:
        mark, role = (" ✓ ", "good") if good else (" ✗ ", "bad")
        self.status.show([line((mark, role), (text, "text" if good else "bad"), ground="panel")])

    def _progress(self) -> str:
        return f"labelled {len(self.answered)} of {len(self.questions)}" if self.questions else ""

    # --- reading ---------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Moments first, then whatever is wanted: of many wanted quickly only the newest is read."""
        await self._read_moments()
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not self.moments:
                continue
            wanted = self.moments[self.at].id
            try:
                found, now = await asyncio.to_thread(_read_whole, self.log_path, wanted, self.parameters)
            except RecordError as error:
                self._say(str(error), good=False)
                continue
            if self.moments[self.at].id == wanted:
                self._show(_Shown(wanted, found, now))

    async def _read_moments(self) -> None:
        try:
            moments = await asyncio.to_thread(read_moments, self.log_path)
        except RecordError as error:
            self._say(str(error), good=False)
            return
        here = self.moments[self.at].id if self.moments else None
        self.moments = moments
        self.at = next((i for i, m in enumerate(moments) if m.id == here), max(0, len(moments) - 1))
        self.questions = self.questions or past.to_label(moments)
        self._say(f"{len(moments)} moments; n asks about {len(self.questions)}: 1–5 right class, l laggy, f fine")
        self._wake.set()
        self.draw()

    def _show(self, shown: _Shown) -> None:
        again = self.shown is not None and self.shown.id == shown.id
        self.shown = shown
        self.scene.frame = shown.past.frame
        if shown.past.labels:
            self.answered |= {shown.id} & set(self.questions)
        if not self.is_running:
            return
        self.draw()
        if not again:
            self._choose(shown)
        if shown.past.labels and not again:
            self._say("said of this moment: " + "; ".join(shown.past.labels))

    def _choose(self, shown: _Shown) -> None:
        """The cursor on the group in question; while one scrubs it stays with its own, as long as that is there."""
        asking, self._asking = self._asking, False
        if self.groups.cursor is not None and not asking:
            return
        group = past.in_question(shown.past.frame, shown.today)
        if group is None:
            return
        self.groups.choose(group)
        g = self.scene.group(group)
        if asking and g is not None:
            question = f"was {g.decision.target.name} right for {{}}? 1–5 what was, l laggy, f fine, n next"
            room = self.size.width - len(question) - 1  # the mark is three cells, the braces are two
            self._say(question.format(shorten(g.group.label, max(8, room))))

    def _go(self, place: int) -> None:
        if self.moments:
            self.at = past.neighbour(self.moments, place, 0)
            self.timeline.update_moments(self.moments, self.at, self._progress())
            self._wake.set()

    def on_moment_chosen(self, message: MomentChosen) -> None:
        """By mouse."""
        self._go(message.place)

    def action_move(self, step: int) -> None:
        """Earlier or later."""
        self._go(self.at + step)

    def action_bad(self, step: int) -> None:
        """Where somebody began to wait."""
        found = past.next_bad(self.moments, self.at, step)
        if found is None:
            self._say("no bad moment " + ("after" if step > 0 else "before") + " this one", good=False)
        else:
            self._go(found)

    def action_question(self, step: int) -> None:
        """The next moment that this session asks about."""
        place = {m.id: i for i, m in enumerate(self.moments)}
        asked = [place[q] for q in self.questions if q in place]
        there = [i for i in asked if (i > self.at if step > 0 else i < self.at)]
        self._asking = True
        if there:
            self._go(there[0] if step > 0 else there[-1])
        elif step > 0 and asked and asked[0] < self.at and len(self.answered) < len(asked):
            self._go(asked[0])  # the screen opens at the newest moment: questions begin at the oldest
        else:
            self._asking = False
            self._say("that was the last question in this direction", good=False)

    def action_reload(self) -> None:
        """What was recorded since."""
        self.run_worker(self._read_moments(), exit_on_error=False)

    def action_cursor(self, step: int) -> None:
        """Another group."""
        self.groups.move(step)

    def action_fold(self, open_: bool) -> None:
        """Parts and processes."""
        row = self.groups.row
        if row is not None:
            change = rows.deeper if open_ else rows.shallower
            self.groups.set_view(change(self.groups.view, row))

    def action_sort(self, name: str) -> None:
        """By `SortKey[name]`."""
        self.groups.set_view(rows.sorted_by(self.groups.view, rows.SortKey[name]))

    def on_heading_clicked(self, message: HeadingClicked) -> None:
        """The same by mouse."""
        self.groups.set_view(rows.sorted_by(self.groups.view, message.sort))

    def records(self) -> list[Record]:
        """The rows of the moment that is shown."""
        return [row_record(row) for row in self.groups.listing.rows]

    def action_differing(self) -> None:
        """The next group for which today's policy wants something else."""
        if self.shown is None:
            return
        other = set(past.differing(self.shown.past.frame, self.shown.today))
        shown = [row.id for row in self.groups.listing.rows if row.id in other]
        if not shown:
            self._say("today's policy wants the same for every group")
            return
        at = shown.index(self.groups.cursor) + 1 if self.groups.cursor in shown else 0
        self.groups.choose(shown[at % len(shown)])
        self._say(f"today's policy wants something else for {len(shown)} groups")

    # --- labelling -------------------------------------------------------------------------------

    def action_label(self, name: str) -> None:
        """The group under the cursor should have been that class."""
        shown, g = self._ready(), self.scene.group(self.groups.group)
        if shown is None:
            return
        if g is None:
            self._say("no application is under the cursor: choose one with ↑ ↓ first", good=False)
            return
        target = next(t for _, t, _ in CLASSES if t.name == name)
        words = f"{g.group.label} should have been {name}"
        group = g.group.id
        self._order(shown.id, words, lambda: add_label(
            self.log_path, shown.id, os.getuid(), time.time(), group=group, target=target))  # fmt: skip

    def action_verdict(self, word: str) -> None:
        """This moment was laggy, or fine."""
        shown = self._ready()
        if shown is not None:
            verdict: Literal["laggy", "fine"] = "laggy" if word == "laggy" else "fine"
            self._order(shown.id, f"this was {word}", lambda: add_label(
                self.log_path, shown.id, os.getuid(), time.time(), verdict=verdict))  # fmt: skip

    def _ready(self) -> _Shown | None:
        """The moment that a key is about: never one that the axis has left already."""
        if self.shown is None or not self.moments or self.moments[self.at].id != self.shown.id:
            self._say("this moment is still being read: press it again", good=False)
            return None
        return self.shown

    def _order(self, moment: int, words: str, write: Callable[[], int]) -> None:
        def carry_out() -> None:
            label = write()
            self.app.call_from_thread(self._labelled, label, moment, words)

        self._orders.put_nowait(carry_out)

    def _labelled(self, label: int, moment: int, words: str) -> None:
        self.said.append((label, moment, words))
        self.answered |= {moment} & set(self.questions)
        self._count(moment, 1)
        self._say(f"{words}; u takes it back, n is the next")

    def action_undo(self) -> None:
        """Take the latest label made here back."""
        if not self.said:
            self._say("no label to take back: labels made elsewhere stay", good=False)
            return
        label, moment, words = self.said.pop()

        def carry_out() -> None:
            try:
                remove_label(self.log_path, label)
            except RecordError:
                self.said.append((label, moment, words))
                raise
            self.app.call_from_thread(self._taken_back, moment, words)

        self._orders.put_nowait(carry_out)

    def _taken_back(self, moment: int, words: str) -> None:
        if not any(m == moment for _, m, _ in self.said):
            self.answered.discard(moment)
        self._count(moment, -1)
        self._say(f"taken back: {words}")

    def _count(self, moment: int, step: int) -> None:
        """One label more or less on the axis, and the list with its marks anew."""
        self.moments = tuple(replace(m, labels=max(0, m.labels + step)) if m.id == moment else m for m in self.moments)
        self.timeline.update_moments(self.moments, self.at, self._progress())
        self._wake.set()

    async def _write(self) -> None:
        """Labels, one after the other."""
        while True:
            carry_out = await self._orders.get()
            try:
                await asyncio.to_thread(carry_out)
            except RecordError as error:
                self._say(str(error), good=False)


def _read_whole(log: Path, moment: int, parameters: PolicyParameters) -> tuple[Past, dict[str, Decision]]:
    found = read_past(log, moment)
    return found, past.today(found.frame, parameters)


def key_line(width: int) -> Line:
    """As many keys as fit."""
    spans: list[Span] = []
    for keys, _, word in (("escape", "", "back"), *KEYS):
        names = keys.split(",")
        key = f"{names[0]}–{names[-1]}" if len(names) > 2 else show_key(names[0])
        more = [Span(key, "key"), Span(f" {word}  ", "text")]
        if Line((*spans, *more)).cells > width:
            break
        spans += more
    return Line(tuple(spans), "bar")
