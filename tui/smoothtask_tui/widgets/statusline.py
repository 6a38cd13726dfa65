"""The last two lines: what happened or what is asked, and the keys."""

from collections.abc import Callable

from textual import events

from smoothtask_tui import fmt
from smoothtask_tui.actions import ACTIONS, Action
from smoothtask_tui.line import Line, Span, line, spread
from smoothtask_tui.menus import Menu, Outcome
from smoothtask_tui.widgets.drawn import Drawn

FILTER_LIMIT = 200
SAID_S = 10.0
"""How long an answer stays."""


class StatusLine(Drawn):
    """One line that says things, and takes keys while a menu or the filter is open (the list keeps moving)."""

    def __init__(self, chosen: Callable[[Menu, Outcome], None], typed: Callable[[str], None]) -> None:
        """*chosen* and *typed* are called at once, not by message: what is typed next must find them done."""
        super().__init__(id="status", ground="panel")
        self._chosen = chosen
        self._typed = typed
        self.menu: Menu | None = None
        self.filter: str | None = None
        """What is being typed; None when the filter line is closed."""
        self._before = ""
        self._said: Line | None = None
        self._news: Line = line()
        self._right: Line = line()

    @property
    def is_open(self) -> bool:
        """Whether it waits for keys."""
        return self.menu is not None or self.filter is not None

    def say(self, text: str, *, good: bool = True) -> None:
        """Show an answer for a while."""
        self._said = line((" ✓ " if good else " ✗ ", "good" if good else "bad"), (text, "text" if good else "bad"))
        self.set_timer(SAID_S, self._forget_said)
        self.redraw()

    def set_news(self, news: Line, right: Line) -> None:
        """What to show when nothing was said lately, and at the right end."""
        self._news, self._right = news, right
        self.redraw()

    def ask(self, menu: Menu) -> None:
        """Open *menu*."""
        self.menu, self.filter = menu, None
        self.redraw()

    def edit_filter(self, text: str) -> None:
        """Open the filter line with *text* in it."""
        self.menu, self.filter, self._before = None, text, text
        self.redraw()

    def leave(self) -> None:
        """Close what is open."""
        if self.is_open:
            self.menu = self.filter = None
            self.redraw()

    def take(self, event: events.Key) -> None:
        """A key while it is open: the app brings it here before anything else sees it."""
        if self.menu is not None:
            self._menu_key(self.menu, event)
        else:
            self._filter_key(event)

    def paste(self, text: str) -> None:
        """Text for the filter."""
        if self.filter is not None:
            self._type(self.filter + "".join(c for c in text if c.isprintable()))

    def _menu_key(self, menu: Menu, event: events.Key) -> None:
        choice = menu.choice(event.character or "") or menu.choice(event.key)
        if choice is None:
            self.leave()  # Esc, or a key that means nothing here
        elif isinstance(choice.outcome, Menu):
            self.ask(choice.outcome)
        else:
            self.leave()
            self._chosen(menu, choice.outcome)

    def _filter_key(self, event: events.Key) -> None:
        text = self.filter or ""
        match event.key:
            case "escape":
                self._type("")
                self.leave()
            case "enter" | "tab" | "down" | "up":
                self.leave()
            case "backspace":
                self._type(text[:-1])
            case "ctrl+u":
                self._type("")
            case "ctrl+w":
                self._type(text.rstrip().rpartition(" ")[0])
            case _:
                if event.is_printable and event.character:
                    self._type(text + event.character)

    def _type(self, text: str) -> None:
        self.filter = text[:FILTER_LIMIT]
        self._typed(self.filter)
        self.redraw()

    def _forget_said(self) -> None:
        self._said = None
        self.redraw()

    def redraw(self) -> None:
        """Show what matters most: a menu, the filter, an answer, the news."""
        width = self.size.width
        if self.menu is not None:
            self.show([menu_line(self.menu, width)])
        elif self.filter is not None:
            hint = line(("Enter keeps, Esc clears: class:idle type:browser by:pin cpu>50 !word ", "dim"))
            left = line((" filter ", "accent!"), " ", (self.filter, "strong"), ("▏", "accent"), ground="bar")
            self.show([spread(left, hint, width)])
        else:
            self.show([spread(self._said or self._news, self._right, width)])

    def on_resize(self) -> None:
        """Lay it out again."""
        self.redraw()


def menu_line(menu: Menu, width: int) -> Line:
    """The question with its keys; the group's name gives way first when there is little room."""
    spans = []
    for choice in menu.choices:
        mark = "*" if choice.current else ""
        spans += [
            Span(" "),
            Span(f"{choice.key}", "key"),
            Span(f" {choice.label}{mark} ", "strong" if mark else "text"),
        ]
    spans.append(Span(" Esc", "dim"))
    used = Line(tuple(spans)).cells + len(menu.title) + 3
    if used > width:  # keys and the first letters are enough
        spans = [Span(f" {c.key}:{c.label[:5]}", "key" if c.current else "text") for c in menu.choices]
        used = Line(tuple(spans)).cells + len(menu.title) + 3
    name = fmt.shorten(menu.label, max(0, width - used - 1))
    title = f" {menu.title} {name} ".replace("  ", " ")
    return Line((Span(title, "accent!"), *spans), "bar")


class KeyBar(Drawn):
    """htop's bar: generated from the actions that have a place in it; a click does what its key does."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, ground="bar")
        self._zones: list[tuple[int, int, str]] = []

    def on_resize(self) -> None:
        """As many as fit."""
        spans: list[Span] = []
        self._zones = []
        x = 0
        for action in sorted((a for a in ACTIONS if a.bar), key=_bar_order):
            key = action.shown[0] if len(action.shown[0]) > 1 else f"{action.shown[0]} "
            cells = len(key) + len(action.bar) + 1
            if x + cells > self.size.width:
                break
            spans += [Span(key, "key"), Span(f"{action.bar} ", "text")]
            self._zones.append((x, x + cells, action.target))
            x += cells
        self.show([Line(tuple(spans), "bar")])

    async def on_click(self, event: events.Click) -> None:
        """Do what the key does."""
        for left, right, action in self._zones:
            if left <= event.x < right:
                await self.app.run_action(action)


def _bar_order(action: Action) -> tuple[int, int]:
    """F keys by their number, then letters; F10 stays last of the F keys."""
    key = action.keys.split(",", maxsplit=1)[0]
    return (0, int(key[1:])) if key[:1] == "f" and key[1:].isdigit() else (1, 0)
