"""The list of applications: a heading, rows drawn as lines, and a cursor that is a group's id."""

import pwd
from dataclasses import replace
from functools import cache

from textual import events

from smoothtask_tui.columns import Layout, arrow_of, column_at, heading, layout, row_line
from smoothtask_tui.line import Line, Span, line, spread
from smoothtask_tui.messages import CursorMoved, DetailWanted, HeadingClicked
from smoothtask_tui.rows import HOLD_TICKS, Listing, Row, View, build
from smoothtask_tui.scene import Scene
from smoothtask_tui.widgets.drawn import Drawn

HEAD_LINES = 2


@cache
def user_name(uid: int) -> str:
    """The name of *uid*; its number when nobody is called so."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)


class GroupList(Drawn):
    """Rows of a `Listing`. Only the rows in sight are drawn."""

    can_focus = True

    def __init__(self, *, id: str, alone: bool = False) -> None:  # noqa: A002 - Textual's name
        """*alone*: on a screen from which no other is named."""
        super().__init__(id=id)
        self.alone = alone
        self.view = View()
        self.listing = Listing()
        self.cursor: str | None = None
        self.hold_left = 0
        """Ticks for which the order stays as it is."""
        self.following = False
        """Whether the cursor's row is kept in the middle, and the order free."""
        self._scene: Scene | None = None
        self._place = 0
        """Where the cursor was seen last: where the next key starts when its group has exited."""
        self._top = 0
        self._placed = False

    @property
    def row(self) -> Row | None:
        """The row under the cursor."""
        at = self.listing.index(self.cursor)
        return None if at is None else self.listing.rows[at]

    @property
    def group(self) -> str | None:
        """The group under the cursor, or the one whose process is."""
        row = self.row
        return row.group if row is not None else None

    @property
    def automatic_columns(self) -> Layout:
        """Those that are shown as long as nobody has chosen."""
        return layout(self.size.width - 1)

    @property
    def _columns(self) -> Layout:
        return layout(self.size.width - 1, self.view.columns)

    def update_scene(self, scene: Scene, *, tick: bool = False) -> None:
        """Draw *scene*; *tick*: a new frame, which lets the held order run out."""
        self._scene = scene
        if tick and self.hold_left:
            self.hold_left -= 1
        self._rebuild()

    def set_view(self, view: View) -> None:
        """Another sort, filter or fold: takes effect at once, held or not."""
        narrowed = view.filter != self.view.filter
        if (view.sort, view.reverse) != (self.view.sort, self.view.reverse):
            self.hold_left = 0
        self.view = view
        self._rebuild()
        if narrowed and self.listing.index(self.cursor) is None:
            self._put_cursor(0)

    def hold(self) -> None:
        """Keep the order for a few ticks: a person is looking at it. Not while following: there the row may move."""
        if not self.following:
            self.hold_left = HOLD_TICKS
        self._draw()

    def follow(self, on: bool) -> None:
        """Keep the cursor's row in the middle, wherever the order moves it."""
        self.following = on
        self.hold_left = 0
        self._rebuild()

    def move(self, step: int) -> None:
        """The cursor *step* rows on, or to the end in that direction."""
        if self.listing.rows:
            at = self.listing.index(self.cursor)
            if at is None:
                # Its group has exited: the first key chooses a neighbour, and is not counted twice.
                step = 0 if abs(step) == 1 else step
                at = self._place
            self.hold()
            self._put_cursor(at + step)

    def choose(self, group: str) -> None:
        """Put the cursor on *group*, when it is shown."""
        at = self.listing.index(group)
        if at is not None:
            self._put_cursor(at)

    def page(self, direction: int) -> None:
        """A page on."""
        self.move(direction * max(1, self.size.height - HEAD_LINES - 1))

    def _put_cursor(self, index: int) -> None:
        rows = self.listing.rows
        group = rows[max(0, min(len(rows) - 1, index))].id if rows else None
        if group != self.cursor:
            self.cursor = group
            self.post_message(CursorMoved(self.group))
        self._draw()

    def _rebuild(self) -> None:
        if self._scene is None or self._scene.frame is None:
            self._draw()
            return
        held = [row.id for row in self.listing.rows] if self.hold_left else ()
        scene = self._scene
        self.listing = build(
            self._scene.frame,
            self.view,
            held,
            scene.history.trends,
            scene.processes_of,
            user_name,
            scene.threads_of,
            scene.uid if scene.is_guest else None,
        )
        ids = self.listing.ids
        marked = self.view.marked & ids
        opened = frozenset(o for o in self.view.opened if o.partition("#")[0] in ids)
        if (marked, opened) != (self.view.marked, self.view.opened):  # some have exited
            self.view = replace(self.view, marked=marked, opened=opened)
        if not self._placed and self.listing.rows:
            self._placed = True
            self._put_cursor(0)
        elif self.cursor is not None and self.listing.index(self.cursor) is None:
            # Nobody inherits the cursor: a key on its way must not reach another application.
            self.cursor = None
            self.post_message(CursorMoved(None))
        self._draw()

    def _draw(self) -> None:
        width, height = self.size
        scene = self._scene
        if not width or scene is None:
            return
        if scene.frame is None:
            self.show([self._title(width), line(), line(("  waiting for the first tick …", "dim"))])
            return
        room = max(1, height - HEAD_LINES)
        rows = self.listing.rows
        at = self.listing.index(self.cursor)
        if at is not None:
            self._place = at
            self._top = min(self._top, at) if at < self._top else max(self._top, at - room + 1)
            if self.following:
                self._top = at - room // 2
        self._top = max(0, min(self._top, len(rows) - room))
        columns = self._columns
        lines = [self._title(width), heading(columns, self.view)]
        for i, row in enumerate(rows[self._top : self._top + room]):
            drawn = row_line(row, columns, cursor=row.id == self.cursor)
            lines.append(self._with_thumb(drawn, i, room, len(rows), width))
        if not rows:
            lines.append(line(("  no application matches the filter (Esc clears it)", "dim")))
        self.show(lines, dimmed=bool(scene.lost))

    def _with_thumb(self, drawn: Line, i: int, room: int, count: int, width: int) -> Line:
        """*drawn* with its piece of the scroll bar at the right end."""
        if count <= room:
            return drawn
        first = self._top * room // count
        last = (self._top + room) * room // count
        thumb = Span("┃", "dim") if first <= i < max(last, first + 1) else Span("│", "faint")
        gap = " " * (width - 1 - drawn.cells)
        return Line((*drawn.spans, Span(gap), thumb), drawn.ground)

    def _title(self, width: int) -> Line:
        shown, total_ = sum(row.process is None for row in self.listing.rows), self.listing.total
        view = self.view
        is_part = view.filter or self.listing.total > len(self.listing.ids)
        counted = f"{shown} of {total_}" if is_part else f"{total_}"
        others = () if self.alone else (("  Plots ", "dim"), ("g", "key"), ("  History ", "dim"), ("H", "key"))
        left = line((" Groups ", "accent!"), (f" {counted} ", "dim"), *others, ground="panel")
        spans = [Span(f"sort {view.sort}{arrow_of(view)}", "dim")]
        if self.hold_left:
            spans.insert(0, Span(f"order held {self.hold_left}  ", "warn"))
        if self.following:
            spans.insert(0, Span("following (F ends it)  ", "accent"))
        if view.marked:
            spans.insert(0, Span(f"{len(view.marked)} marked (U clears)  ", "accent"))
        if view.filter:
            spans.insert(0, Span(f"filter {view.filter[:30]}  ", "accent"))
        right = Line((*spans, Span(" ")))
        if left.cells + right.cells >= width:
            left = Line(left.spans[:2], left.ground)
        return spread(left, right, width)

    def on_resize(self) -> None:
        """Lay the columns out again."""
        self._draw()

    def on_mouse_scroll_down(self) -> None:
        """Three rows on."""
        self.move(3)

    def on_mouse_scroll_up(self) -> None:
        """Three rows back."""
        self.move(-3)

    def on_click(self, event: events.Click) -> None:
        """A title sorts, a row gets the cursor, a double click opens it."""
        if event.y == HEAD_LINES - 1:
            column = column_at(self._columns, event.x)
            if column is not None and column.sort is not None:
                self.post_message(HeadingClicked(column.sort))
        elif event.y >= HEAD_LINES and self._top + event.y - HEAD_LINES < len(self.listing.rows):
            self.hold()
            self._put_cursor(self._top + event.y - HEAD_LINES)
            if event.chain == 2 and self.group is not None:
                self.post_message(DetailWanted(self.group))
