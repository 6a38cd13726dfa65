"""Help, made from the list of actions: what it says is what the keys do."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import Screen

from smoothtask.model.classes import PriorityClass
from smoothtask.model.person import Source, SourceHealth
from smoothtask_tui import fmt
from smoothtask_tui.actions import sections
from smoothtask_tui.columns import MARK_LETTERS, OTHERS
from smoothtask_tui.detaillines import MARK_WORDS, title
from smoothtask_tui.line import BLANK, Line, line
from smoothtask_tui.widgets.drawn import Drawn

KEY_CELLS = 16

CLASS_HELP: dict[PriorityClass, str] = {
    PriorityClass.LATENCY_CRITICAL: "every late wake-up is noticed: games, calls, audio",
    PriorityClass.INTERACTIVE: "a person looks at it or types into it",
    PriorityClass.NORMAL: "left as it is",
    PriorityClass.BACKGROUND: "may take longer: builds, encoders, updates",
    PriorityClass.IDLE: "when nobody else wants to run: indexers, backups",
}
LEGEND: tuple[tuple[str, str], ...] = (
    ("CPU%", "processor use: 100 % is one core; an application counts its parts"),
    ("WAIT%", "threads that want to run and may not: 100 % is one thread waiting all the time"),
    ("PSI%", "of its own cgroup, where it has one: time in which it waited for c a CPU, i a disk, m memory"),
    ("QUEUE", "of 100 waits for a CPU, 99 were shorter (ms, in 10 s); ~ is their mean, where nothing counts them"),
    ("DISK", "the same of requests to a disk; NET/s: bytes sent and received; CONN: connections; WATTS: power"),
    ("BY", "who decided: a rule, its behaviour, a pin, you (an override), a guardrail; - is nobody"),
    ("FOR", "time in this class; ↑ or ↓ beside a class: another one is wanted, but held back"),
    ("IN EFFECT", "what was changed for it in the kernel; all of it is undone at exit"),
    ("PSI", "pressure: share of the time in which somebody waited: in the last tick, and over 10 s"),
    ("LAT", "how late a sleeping process is woken, milliseconds: half, 99 of 100, the worst"),
)


NO_PARTS: Mapping[str, str] = MappingProxyType({})
HEALTH_WORDS: dict[SourceHealth, tuple[str, str]] = {
    SourceHealth.WORKING: ("✓ ", "good"),
    SourceHealth.ABSENT: ("- ", "dim"),
    SourceHealth.REFUSED: ("! ", "warn"),
}


def source_lines(sources: Sequence[Source], width: int) -> list[Line]:
    """What tells of the person here, and what could be done about what does not."""
    if not sources:
        return []
    lines = [BLANK, title("What it sees of you here (never keys, and no titles are kept)", width)]
    for source in sources:
        text = f"{source.text}. To do: {source.remedy}" if source.remedy else source.text
        mark, role = HEALTH_WORDS[source.health]
        for i, piece in enumerate(fmt.wrap(text, max(10, width - 2 * KEY_CELLS))):
            name = fmt.fit(f"{mark}{source.name}" if i == 0 else "", 2 * KEY_CELLS - 4)
            lines.append(line("  ", (name, role), " ", piece))
    return lines


def parts_lines(parts: Mapping[str, str], width: int) -> list[Line]:
    """How each part of the engine works on this machine: the model, the log, what processes are read from."""
    if not parts:
        return []
    lines = [BLANK, title("How it works here", width)]
    for name, text in parts.items():
        for i, piece in enumerate(fmt.wrap(text, max(10, width - KEY_CELLS - 4))):
            lines.append(line("  ", (fmt.fit(name if i == 0 else "", KEY_CELLS), "strong"), " ", piece))
    return lines


def help_lines(width: int, sources: Sequence[Source] = (), parts: Mapping[str, str] = NO_PARTS) -> list[Line]:
    """The whole text for *width* cells."""
    lines = [line(("  SmoothTask", "title"), " keeps the machine responsive: it calms what makes others wait.")]
    lines.append(line(("  Every order can be undone with z. Esc leaves this help.", "dim")))
    for name, actions in sections():
        lines += [BLANK, title(name, width)]
        for action in actions:
            keys = " ".join(action.shown)
            texts = list(fmt.wrap(action.help, max(10, width - KEY_CELLS - 4)))
            for i, text in enumerate(texts):
                lines.append(line("  ", (fmt.fit(keys if i == 0 else "", KEY_CELLS), "key"), " ", text))
    lines += [BLANK, title("Reading the list", width)]
    for target in sorted(fmt.CLASS_MARKS, reverse=True):
        for i, piece in enumerate(fmt.wrap(CLASS_HELP[target], max(10, width - KEY_CELLS - 4))):
            shown = fmt.fit(fmt.class_words(target) if i == 0 else "", KEY_CELLS)
            lines.append(line("  ", (shown, f"class{int(target)}"), " ", piece))
    letters = f"{OTHERS} somebody else's: not yours to order about, " + ", ".join(
        f"{letter} {MARK_WORDS[mark].split(':')[0]}" for mark, letter in MARK_LETTERS.items()
    )
    for word, text in (*LEGEND, ("MRK", letters)):
        for i, piece in enumerate(fmt.wrap(text, max(10, width - KEY_CELLS - 4))):
            lines.append(line("  ", (fmt.fit(word if i == 0 else "", KEY_CELLS), "strong"), " ", piece))
    return lines + source_lines(sources, width) + parts_lines(parts, width)


class HelpText(Drawn):
    """The text, as high as it needs."""

    def __init__(self, sources: Sequence[Source], parts: Mapping[str, str]) -> None:
        super().__init__()
        self._sources, self._parts = sources, parts

    def on_resize(self) -> None:
        """Wrap again."""
        lines = help_lines(self.size.width, self._sources, self._parts)
        self.styles.height = len(lines)
        self.show(lines)


class HelpScreen(Screen[None]):
    """Any of the keys that open it also leave it."""

    BINDINGS = [  # noqa: RUF012 - Textual's way
        Binding("escape,q,f1,h,question_mark,f10,enter,tab", "dismiss", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
    ]

    def __init__(self, sources: Sequence[Source] = (), parts: Mapping[str, str] = NO_PARTS) -> None:
        super().__init__()
        self._sources, self._parts = sources, parts

    def compose(self) -> ComposeResult:
        """Text that scrolls."""
        with VerticalScroll(id="help-text"):
            yield HelpText(self._sources, self._parts)

    def on_mount(self) -> None:
        """Keys scroll at once."""
        self.query_one(VerticalScroll).focus()

    def action_scroll(self, step: int) -> None:
        """One line on."""
        self.query_one(VerticalScroll).scroll_relative(y=step, animate=False)
