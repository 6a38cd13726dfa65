"""Everything keys can do: bindings, help screen, key bar and command palette are made from this one list."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

from textual.binding import Binding, BindingType

_KEY_NAMES = {
    "slash": "/",
    "backslash": "\\",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "question_mark": "?",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "plus": "+",
    "minus": "-",
    "colon": ":",
    "left": "←",
    "right": "→",
    "escape": "Esc",
    "enter": "Enter",
    "space": "Space",
    "tab": "Tab",
    "up": "↑",
    "down": "↓",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
}


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do. *id* names the app's method `action_<id>` and the binding in a keymap."""

    id: str
    keys: str
    """Textual key names, separated by commas; the first is the one to show."""
    help: str
    section: str
    bar: str = ""
    """Label in the key bar; empty keeps it out."""
    call: str = ""
    """The action with arguments, when it is not *id* itself; `{key}` stands for the key that was pressed."""
    priority: bool = False
    owners: bool = False
    """Not for guests: ordinary users at a daemon of root's."""

    @property
    def target(self) -> str:
        """The action with the one who carries it out: the app, or the screen that is shown."""
        return f"{'app' if self.section == APP else 'screen'}.{self.call or self.id}"

    @property
    def shown(self) -> tuple[str, ...]:
        """The keys as people read them; of many only the first and the last."""
        keys = [show_key(k) for k in self.keys.split(",")]
        return tuple(keys) if len(keys) < 6 else (f"{keys[0]}…{keys[-1]}",)


def show_key(key: str) -> str:
    """`slash` → `/`, `f7` → `F7`, `ctrl+p` → `Ctrl+P`."""
    if key in _KEY_NAMES:
        return _KEY_NAMES[key]
    if len(key) == 1:
        return key
    return "+".join(part.capitalize() for part in key.split("+"))


LOOK, ACT, TEACH, APP = "Looking", "Acting on the application under the cursor", "Teaching and taking back", "Dashboard"
DETAIL = "In the details of an application (Enter), besides acting on it"
RULES, MAKE = "In the rules (r)", "Making a rule (A)"

ACTIONS: tuple[Action, ...] = (
    Action("help", "f1,question_mark,h", "this help", APP, "Help"),
    Action("cursor_up", "up,k", "up", LOOK, call="cursor(-1)"),
    Action("cursor_down", "down,j", "down", LOOK, call="cursor(1)"),
    Action("page_up", "pageup", "a page up", LOOK, call="page(-1)"),
    Action("page_down", "pagedown", "a page down", LOOK, call="page(1)"),
    Action("first", "home", "the first row", LOOK, call="cursor(-1000000)"),
    Action("last", "end", "the last row", LOOK, call="cursor(1000000)"),
    Action("detail", "enter", "everything known of it: why, what if, what is changed for it, its past", LOOK),
    Action("panel", "i", "the panel beside or below the list, or not", LOOK),
    Action("filter", "f4,slash,backslash", "filter: names, class:idle by:pin user:ann cpu>50 !word", LOOK, "Filter"),
    Action(
        "find", "f3", "find: the cursor goes to the next match, nothing is hidden; again: the one after", LOOK, "Find"
    ),
    Action("find_pid", "1,2,3,4,5,6,7,8,9", "digits: find the process with that pid", LOOK, call="find_pid('{key}')"),
    Action("users", "u", "show the applications of one user", LOOK),
    Action("follow", "F", "follow: keep the row under the cursor in the middle of the list", LOOK),
    Action("freeze", "Z", "freeze the picture; again: go on", LOOK),
    Action("fold_all", "f5,t", "fold or unfold every application", LOOK, "Fold"),
    Action(
        "unfold",
        "plus,right",
        "show its parts; again: its processes; on a process: its threads",
        LOOK,
        call="fold(True)",
    ),
    Action("fold", "minus,left", "hide its threads or processes; again: its parts", LOOK, call="fold(False)"),
    Action("mark", "space", "mark it: orders are about all that are marked", LOOK),
    Action("unmark", "U", "take all marks away", LOOK),
    Action("sort_menu", "f6,s,less_than_sign,greater_than_sign", "choose what to sort by", LOOK, "Sort"),
    Action("sort_cpu", "P", "sort by CPU", LOOK, call="sort('CPU')"),
    Action("sort_memory", "M", "sort by memory", LOOK, call="sort('MEMORY')"),
    Action("sort_time", "T", "sort by time in class", LOOK, call="sort('TIME')"),
    Action("sort_name", "N", "sort by name", LOOK, call="sort('NAME')"),
    Action("sort_wait", "L", "sort by latency: how much it waits for a processor", LOOK, call="sort('WAIT')"),
    Action("invert", "I", "turn the order round", LOOK),
    Action("boost", "f7,right_square_bracket", "one class up until it exits", ACT, "Boost", call="step(1)"),
    Action("calm", "f8,left_square_bracket", "one class down until it exits", ACT, "Calm", call="step(-1)"),
    Action("class_menu", "c", "choose its class until it exits (0 gives it back to the rules)", ACT, "Class"),
    Action("override", "o", "choose its class for a time", ACT, "Override"),
    Action("pin", "p", "pin: always this class; again: unpin", ACT, "Pin"),
    Action("always", "A", "always treat it so: make a rule from it, with its difference shown before it is saved", ACT),
    Action("signal", "f9,K", "send a signal to it, or to the process under the cursor", ACT, "Signal"),
    Action("renice", "R", "set its nice by hand: SmoothTask leaves it alone then", ACT),
    Action("undo", "z", "undo your latest order", TEACH, "Undo"),
    Action("redo", "ctrl+y,Y", "do again what undo took back", TEACH),
    Action("label", "l", "label: which class would have been right", TEACH, "Label"),
    Action("label_moment", "m", "label this moment: laggy or fine", TEACH),
    Action("pause", "a", "pause: undo every change and apply nothing; again: go on", TEACH, "Pause", owners=True),
    Action("dry_run", "D", "dry-run: undo every change, show what would be done; again: act", TEACH, owners=True),
    Action("train", "b", "train a model from what was recorded, in the background; again: how far it is", TEACH),
    Action("plots", "g,tab", "plots of pressure and latency; again: back", APP, "Plots"),
    Action("history", "H", "history: recorded moments as they were; label them there", APP, "History"),
    Action("rules", "r", "rules: which match, which never have; lint; undo of a rule that was saved", APP, "Rules"),
    Action("copy", "y", "copy its reasons to the clipboard (OSC 52)", ACT),
    Action("save", "E", "save what is shown to a file: text, CSV or JSON", APP),
    Action(
        "suspend", "ctrl+z", "suspend; fg goes on. What this dashboard's own engine changed is undone meanwhile", APP
    ),
    Action("columns", "C,S", "choose columns and their order", APP),
    Action("next_theme", "f2", "next theme: dark, light, high contrast, 16 colours, none", APP),
    Action("command_palette", "colon,ctrl+p", "command palette", APP),
    Action("leave", "escape", "leave a menu, clear the filter", LOOK),
    Action("scroll_up", "up,k", "a line up", DETAIL, call="scroll(-1)"),
    Action("scroll_down", "down,j", "a line down", DETAIL, call="scroll(1)"),
    Action("scroll_page_up", "pageup", "a page up", DETAIL, call="scroll_page(-1)"),
    Action("scroll_page_down", "pagedown,space", "a page down", DETAIL, call="scroll_page(1)"),
    Action("scroll_first", "home", "the beginning", DETAIL, call="scroll(-1000000)"),
    Action("scroll_last", "end", "the end", DETAIL, call="scroll(1000000)"),
    Action("threads", "t", "its threads; again: without them", DETAIL, "Threads"),
    Action("span_more", "plus", "more of the past in the plots", DETAIL, call="span(1)"),
    Action("span_less", "minus", "less of it", DETAIL, call="span(-1)"),
    Action("back", "escape,enter,q,f10", "back to the list", DETAIL, "Back"),
    Action("cursor_up", "up,k", "up", RULES, call="cursor(-1)"),
    Action("cursor_down", "down,j", "down", RULES, call="cursor(1)"),
    Action("page_up", "pageup", "a page up", RULES, call="page(-1)"),
    Action("page_down", "pagedown,space", "a page down", RULES, call="page(1)"),
    Action("first", "home", "the first", RULES, call="cursor(-1000000)"),
    Action("last", "end", "the last", RULES, call="cursor(1000000)"),
    Action("its_groups", "enter", "the groups that it matches", RULES, "Groups"),
    Action("filter", "f4,slash,backslash", "filter: layer:user class:idle type:game file:games !word", RULES, "Filter"),
    Action("which", "n", "those that match something now; again: that never matched; again: all", RULES, "Never"),
    Action("sort_menu", "f6,s,less_than_sign,greater_than_sign", "choose what to sort by", RULES, "Sort"),
    Action("invert", "I", "turn the order round", RULES),
    Action("lint", "l", "lint: what is wrong in any layer; again: the rules", RULES, "Lint"),
    Action("read_again", "r,f5", "ask the engine and the log again", RULES),
    Action("undo_save", "z", "take back the newest rule that was saved here", RULES, "Undo"),
    Action("redo_save", "ctrl+y,Y", "save it again", RULES),
    Action("back", "escape,q,f10", "back", RULES, "Back"),
    Action("choose_up", "up,k", "another way to know it again", MAKE, call="choose(-1)"),
    Action("choose_down", "down,j", "the next way", MAKE, call="choose(1)"),
    Action("target", "1,2,3,4,5", "its class", MAKE, call="target('{key}')"),
    Action("type", "t", "its type", MAKE, "Type"),
    Action("page_up", "pageup", "a page up", MAKE, call="scroll(-1)"),
    Action("page_down", "pagedown,space", "a page down", MAKE, call="scroll(1)"),
    Action("save_rule", "s,enter", "check all rules, and save it", MAKE, "Save"),
    Action("back", "escape,q,f10", "leave it", MAKE, "Leave"),
    Action("quit", "f10,q", "quit: every change is undone if this dashboard runs the engine", APP, "Quit"),
    Action("quit_now", "ctrl+c", "quit, from anywhere", APP, call="quit", priority=True),
)


def bindings(wanted: Callable[[Action], bool], *, at_once: bool = False) -> list[BindingType]:
    """The bindings of the actions that are *wanted*: a screen's, or the app's own.

    *at_once*: carried out before the next key is looked at. Other keys go round through the queue of the
    focused widget first, so that of `/a` typed quickly the `a` could act before the filter is open.
    """
    found: list[BindingType] = []
    for a in ACTIONS:
        if not wanted(a):
            continue
        first = at_once or a.priority
        if "{key}" not in a.call:
            found.append(Binding(a.keys, a.call or a.id, a.help, show=False, priority=first, id=a.id))
            continue
        for key in a.keys.split(","):
            call = a.call.format(key=key)
            found.append(Binding(key, call, a.help, show=False, priority=first, id=f"{a.id}_{key}"))
    return found


def sections() -> Iterator[tuple[str, list[Action]]]:
    """The actions by section, in the order of the help screen."""
    order = [LOOK, ACT, TEACH, APP, DETAIL, RULES, MAKE]
    by_section = sorted(ACTIONS, key=lambda a: order.index(a.section))
    for section, listed in groupby(by_section, key=lambda a: a.section):
        yield section, list(listed)
