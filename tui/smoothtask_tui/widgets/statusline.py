"""The last two lines: what happened or what is asked, and the keys."""

from collections.abc import Callable
from dataclasses import dataclass

from textual import events
from textual.timer import Timer

from smoothtask_tui import fmt
from smoothtask_tui.actions import ACT, ACTIONS, APP, LOOK, TEACH, Action
from smoothtask_tui.line import Line, Span, line, spread
from smoothtask_tui.menus import Choice, Menu, Outcome
from smoothtask_tui.widgets.drawn import Drawn

MAIN = frozenset({LOOK, ACT, TEACH, APP})
TEXT_LIMIT = 200
SAID_S = 10.0
"""How long an answer stays."""


def _nothing() -> None:
    """For prompts that need no more."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A line to type into. Everything is called at once, not by message: what is typed next must find it done."""

    title: str
    typed: Callable[[str], None]
    """After each letter, with the whole text."""
    entered: Callable[[], None] = _nothing
    """Enter was pressed."""
    again: Callable[[], None] = _nothing
    """F3 or ↓: the next one."""
    left: Callable[[], None] = _nothing
    """It was closed, in whatever way."""
    hint: str = ""
    takes: Callable[[str], bool] = str.isprintable
    """Which characters."""


class StatusLine(Drawn):
    """One line that says things, and takes keys while a menu or a prompt is open (the list keeps moving)."""

    def __init__(self, chosen: Callable[[Menu, Outcome], None]) -> None:
        """*chosen* is called at once, not by message, for the same reason as a prompt's."""
        super().__init__(id="status", ground="panel")
        self._chosen = chosen
        self.menu: Menu | None = None
        self.prompt: Prompt | None = None
        self.text = ""
        """What is being typed."""
        self._remark = ""
        self._said: Line | None = None
        self._saying: Timer | None = None
        self._news: Line = line()
        self._right: Line = line()

    @property
    def is_open(self) -> bool:
        """Whether it waits for keys."""
        return self.menu is not None or self.prompt is not None

    def say(self, text: str, *, good: bool = True) -> None:
        """Show an answer for a while."""
        self._said = line((" ✓ " if good else " ✗ ", "good" if good else "bad"), (text, "text" if good else "bad"))
        if self._saying is not None:
            self._saying.stop()  # of what was said before: this is to stay its time
        self._saying = self.set_timer(SAID_S, self._forget_said)
        self.redraw()

    def set_news(self, news: Line, right: Line) -> None:
        """What to show when nothing was said lately, and at the right end."""
        self._news, self._right = news, right
        self.redraw()

    def ask(self, menu: Menu) -> None:
        """Open *menu*."""
        self.menu, self.prompt = menu, None
        self.redraw()

    def edit(self, prompt: Prompt, text: str = "") -> None:
        """Open *prompt* with *text* in it."""
        self.menu, self.prompt, self.text, self._remark = None, prompt, text, ""
        self.redraw()

    def remark(self, text: str) -> None:
        """What is wrong with what is being typed, in place of the hint; empty when nothing is."""
        self._remark = text
        self.redraw()

    def leave(self) -> None:
        """Close what is open."""
        if self.is_open:
            prompt, self.menu, self.prompt = self.prompt, None, None
            self.redraw()
            if prompt is not None:
                prompt.left()

    def take(self, event: events.Key) -> None:
        """A key while it is open: the app brings it here before anything else sees it."""
        if self.menu is not None:
            self._menu_key(self.menu, event)
        elif self.prompt is not None:
            self._prompt_key(self.prompt, event)

    def paste(self, text: str) -> None:
        """Text for the prompt."""
        if self.prompt is not None:
            self._type(self.prompt, self.text + "".join(c for c in text if c.isprintable() and self.prompt.takes(c)))

    def _menu_key(self, menu: Menu, event: events.Key) -> None:
        choice = menu.choice(event.character or "") or menu.choice(event.key)
        if choice is None:
            self.leave()  # Esc, or a key that means nothing here
        elif choice.refused:
            self.leave()
            self.say(choice.refused, good=False)
        elif isinstance(choice.outcome, Menu):
            self.ask(choice.outcome)
        else:
            self.leave()
            self._chosen(menu, choice.outcome)

    def _prompt_key(self, prompt: Prompt, event: events.Key) -> None:
        match event.key:
            case "escape":
                self._type(prompt, "")
                self.leave()
            case "enter" | "tab":
                self.leave()
                prompt.entered()
            case "f3" | "down" if prompt.again is not _nothing:
                prompt.again()
            case "up" | "down":
                self.leave()
            case "backspace":
                self._type(prompt, self.text[:-1])
            case "ctrl+u":
                self._type(prompt, "")
            case "ctrl+w":
                self._type(prompt, self.text.rstrip().rpartition(" ")[0])
            case _:
                if event.is_printable and event.character and prompt.takes(event.character):
                    self._type(prompt, self.text + event.character)

    def _type(self, prompt: Prompt, text: str) -> None:
        self.text = text[:TEXT_LIMIT]
        prompt.typed(self.text)
        self.redraw()

    def _forget_said(self) -> None:
        self._said = None
        self.redraw()

    def redraw(self) -> None:
        """Show what matters most: a menu, a prompt, an answer, the news."""
        width = self.size.width
        if self.menu is not None:
            self.show([menu_line(self.menu, width)])
        elif self.prompt is not None:
            hint = line((f"{self._remark} ", "bad")) if self._remark else line((f"{self.prompt.hint} ", "dim"))
            title = (f" {self.prompt.title} ", "accent!")
            left = line(title, " ", (self.text, "strong"), ("▏", "accent"), ground="bar")
            self.show([spread(left, hint, width)])
        else:
            self.show([spread(self._said or self._news, self._right, width)])

    def on_resize(self) -> None:
        """Lay it out again."""
        self.redraw()


_NOT = "✗"
"""Beside what this person may not choose."""


def _role(choice: Choice) -> str:
    return "faint" if choice.refused else "strong" if choice.current else "text"


def menu_line(menu: Menu, width: int) -> Line:
    """The question with its keys; the group's name gives way first when there is little room."""
    spans = []
    for choice in menu.choices:
        mark = "*" if choice.current else ""
        spans += [
            Span(" "),
            Span(f"{choice.key}", "faint" if choice.refused else "key"),
            Span(f" {choice.label}{mark}{_NOT * bool(choice.refused)} ", _role(choice)),
        ]
    spans.append(Span(" Esc", "dim"))
    asked = len(menu.title) + len(menu.rest) + 3
    used = Line(tuple(spans)).cells + asked
    if used > width:  # keys and the first letters are enough
        spans = [
            Span(f" {_NOT if c.refused else c.key}:{c.label[:5]}", "key" if c.current else _role(c))
            for c in menu.choices
        ]
        used = Line(tuple(spans)).cells + asked
    name = fmt.shorten(menu.label, max(0, width - used - 1))
    title = f" {menu.title} {name}{menu.rest} ".replace("  ", " ")
    return Line((Span(title, "accent!"), *spans), "bar")


class KeyBar(Drawn):
    """htop's bar: generated from the actions that have a place in it; a click does what its key does."""

    def __init__(self, *, id: str, wanted: Callable[[Action], bool] = lambda a: a.section in MAIN) -> None:  # noqa: A002
        """*id* is Textual's name; *wanted*: which actions the screen has."""
        super().__init__(id=id, ground="bar")
        self._wanted = wanted
        self._zones: list[tuple[int, int, str]] = []
        self._guest = False

    def for_guest(self, guest: bool) -> None:
        """Whether what only owners may do is faint."""
        if guest != self._guest:
            self._guest = guest
            self.on_resize()

    def on_resize(self) -> None:
        """As many as fit."""
        spans: list[Span] = []
        self._zones = []
        x = 0
        for action in sorted((a for a in ACTIONS if a.bar and self._wanted(a)), key=_bar_order):
            key = action.shown[0] if len(action.shown[0]) > 1 else f"{action.shown[0]} "
            cells = len(key) + len(action.bar) + 1
            if x + cells > self.size.width:
                break
            faint = self._guest and action.owners
            spans += [Span(key, "faint" if faint else "key"), Span(f"{action.bar} ", "faint" if faint else "text")]
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
