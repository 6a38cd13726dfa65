"""“Always treat this as …”: what to match, the class, the file's difference, lint, and only then the save."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen

from smoothtask.classifier.lint import Finding, Severity
from smoothtask.classifier.making import Condition, Draft, conditions, draft, id_for, snippet
from smoothtask.classifier.saving import Proposal, refuses
from smoothtask.model.command import Detail, ListRules, Reply
from smoothtask.model.frame import GroupFrame
from smoothtask_tui import fmt
from smoothtask_tui.actions import MAKE, bindings
from smoothtask_tui.detaillines import title
from smoothtask_tui.line import BLANK, Line, Span, line
from smoothtask_tui.made import Made
from smoothtask_tui.menus import CLASSES
from smoothtask_tui.messages import Answered, Ordered, RuleSaved
from smoothtask_tui.rulelist import types_of
from smoothtask_tui.told import read_detail, read_rules
from smoothtask_tui.widgets.drawn import Drawn
from smoothtask_tui.widgets.scroller import Scroller
from smoothtask_tui.widgets.statusline import KeyBar, Prompt, StatusLine

HINT = " ↑ ↓ what to match   1-5 class   t type   s saves   Esc leaves"
KIND_CELLS = 18
"""For the names of types in their list."""
SEVERITY_ROLES = {"error": "bad", "warning": "warn", "note": "dim"}


class MakeRuleScreen(Screen[None]):
    """About one group, with the rights of whoever looks."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(lambda a: a.section == MAKE, at_once=True)

    def __init__(self, group: GroupFrame, made: Made) -> None:
        super().__init__()
        self.group = group
        self.made = made
        self.target = group.decision.target
        self.kind = ""
        """The type that was chosen; empty: the one it has, or a fitting one."""
        self.offers: tuple[Condition, ...] | None = None
        """What can be matched; `None` until the engine has told."""
        self.why_none = ""
        self.at = 0
        self.kinds: dict[str, str] = {}
        """Every type, and what it is."""
        self._stepped: int | None = None
        """Where ↓ has come to in the list of types."""
        self.proposal: Proposal | None = None
        self.problem = ""
        self.findings: list[Finding] = []
        self.checking = False
        self.verdict = ""
        """What came of the last attempt to save it."""
        self._ours: frozenset[str] = frozenset()
        self._warned: Proposal | None = None
        self.body = Scroller(id="report")
        self.status = StatusLine(lambda _menu, _outcome: None)
        self._type = Prompt(
            "type",
            self._type_typed,
            entered=self._type_entered,
            again=self._type_next,
            left=self._draw,
            hint="↓ the next, Enter takes it; empty: the one it has",
        )

    def compose(self) -> ComposeResult:
        """A headline, the draft, and what is said of it."""
        yield Drawn(id="head", ground="panel")
        yield self.body
        yield self.status
        yield KeyBar(id="keys", wanted=lambda a: a.section == MAKE)

    def on_mount(self) -> None:
        """Ask by what it can be known, and which types there are."""
        self.body.focus()
        self.post_message(Ordered(Detail(self.group.group.id)))
        self.post_message(Ordered(ListRules()))
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        """Wrap again."""
        self.call_after_refresh(self._draw)

    async def on_answered(self, message: Answered) -> None:
        """The engine has told."""
        if isinstance(message.command, ListRules):
            told = read_rules(message.reply)
            used = [] if isinstance(told, str) else types_of(told.rules)
            self.kinds = dict.fromkeys(used, "") | await asyncio.to_thread(self.made.kinds)
        elif isinstance(message.command, Detail) and self._is_about_it(message.command):
            detail = read_detail(message.reply)
            self.offers = () if isinstance(detail, str) else conditions(detail.clues)
            if isinstance(detail, str):
                self.why_none = detail
            elif not detail.is_whole:
                self.why_none = "it is somebody else's: by what a rule could know it is told to its owner and root"
            self._ours = await asyncio.to_thread(self.made.ids)
            self._changed()
        self._draw()

    def _is_about_it(self, asked: Detail) -> bool:
        """The first answer about this group: what another screen asked about others comes by here, too."""
        return self.offers is None and asked.target == self.group.group.id

    # --- the draft -------------------------------------------------------------------------------------

    @property
    def rule(self) -> Draft | None:
        """The rule as it would be now."""
        if not self.offers:
            return None
        c = self.group.group.classification
        return draft(c, self.offers[self.at], self.target, self.kind, id_for(c, self._ours))

    def _changed(self) -> None:
        """Work out the file's difference anew."""
        self.findings, self.proposal, self.problem, self._warned, self.verdict = [], None, "", None, ""
        self.run_worker(self._propose(), name="propose", exclusive=True, exit_on_error=False)
        self._draw()

    async def _propose(self) -> None:
        rule = self.rule
        if rule is None:
            return
        found = await asyncio.to_thread(self.made.propose, rule)
        if rule == self.rule:
            self.problem = found if isinstance(found, str) else ""
            self.proposal = None if isinstance(found, str) else found
            self._draw()

    def action_choose(self, step: int) -> None:
        """Another way to know it again."""
        if self.offers and not self.checking:
            self.at = (self.at + step) % len(self.offers)
            self._changed()

    def action_target(self, key: str) -> None:
        """Another class."""
        if not self.checking:
            self.target = next(target for k, target, _ in CLASSES if k == key)
            self._changed()

    def action_type(self) -> None:
        """Type a type."""
        if not self.checking:
            self._stepped = None
            self.status.edit(self._type, "")
            self._draw()

    def _type_typed(self, _text: str) -> None:
        self._stepped = None
        self._draw()

    def _type_next(self) -> None:
        near = kinds_near(self.kinds, self.status.text)
        if near:
            at = self._taken(near)
            self._stepped = 0 if at is None else (at + 1) % len(near)
            self._draw()
            self.body.reveal(self._stepped + 1)  # below the title

    def _type_entered(self) -> None:
        near = kinds_near(self.kinds, self.status.text)
        at = self._taken(near)
        self.kind = near[at] if at is not None else self.status.text.strip().casefold()
        self._changed()

    def _taken(self, near: Sequence[str]) -> int | None:
        """Which of *near* Enter takes: where ↓ has come to, or the first that begins with what is typed."""
        text = self.status.text.strip().casefold()
        return 0 if self._stepped is None and text and near and near[0].startswith(text) else self._stepped

    def action_save_rule(self) -> None:
        """Check it, then save it."""
        if self.proposal is None or self.checking:
            self.status.say(self.problem or "there is nothing to save yet", good=False)
            return
        self.run_worker(self._check_and_save(self.proposal), name="save rule", exit_on_error=False)

    async def _check_and_save(self, proposal: Proposal) -> None:
        self.checking, self.verdict = True, ""
        self._draw()
        found = await asyncio.to_thread(self.made.check, proposal)
        self.checking = False
        if isinstance(found, str):
            self._refuse(found)
            return
        self.findings = found
        if refuses(found):
            self.verdict = "not saved"
            self._refuse(str(next(f for f in found if f.severity is Severity.ERROR)))
        elif found and self._warned != proposal:
            self._warned, self.verdict = proposal, "s again saves"
            self._refuse(f"{len(found)} warnings: s again saves all the same")
        else:
            self._told(await asyncio.to_thread(self.made.save, proposal))

    def _refuse(self, why: str) -> None:
        self.status.say(why, good=False)
        self._draw()
        self.body.scroll_by(-len(self.body.all_lines))  # what lint says is in sight

    def _told(self, reply: Reply) -> None:
        if reply.ok:
            self.post_message(RuleSaved(reply))
            self.dismiss()
        else:
            self.status.say(reply.message, good=False)

    def action_scroll(self, direction: int) -> None:
        """A page on or back."""
        self.body.page(direction)

    def action_back(self) -> None:
        """Without saving."""
        self.dismiss()

    # --- drawing -----------------------------------------------------------------------------------------

    def _draw(self) -> None:
        """Everything."""
        width = self.body.size.width
        if not self.is_running or not width:
            return
        name = fmt.shorten(self.group.group.label, max(8, width - 30))
        state = ("  checking all rules …", "warn") if self.checking else (f"  {self.verdict}", "bad")
        headline = line((" always treat ", "accent!"), (f" {name} ", "strong"), state, ground="panel")
        self.query_one("#head", Drawn).show([headline])
        self.body.set_lines(self._lines(width))
        self.status.set_news(line((HINT, "dim")), line())

    def _lines(self, width: int) -> list[Line]:
        if self.status.prompt is self._type:
            return self._kind_lines(width)
        lines = []
        if self.findings:
            lines += [title("lint", width), *(each for f in self.findings for each in finding_lines(f, width)), BLANK]
        lines += [title("match", width), *self._offer_lines(width), BLANK, self._class_line(), self._type_line(width)]
        rule = self.rule
        if self.problem:
            lines += [BLANK, *(line(("  " + text, "bad")) for text in fmt.wrap(self.problem, width - 2))]
        elif rule is not None:
            lines += [BLANK, title("the rule", width)]
            lines += [_cut(f"  {text}", width) for text in snippet(rule).splitlines()]
        if self.proposal is not None:
            new = "a new file" if self.proposal.before is None else "what changes"
            lines += [BLANK, title(f"{new}: {self.proposal.path}", width), *diff_lines(self.proposal.diff, width)]
        return lines

    def _offer_lines(self, width: int) -> list[Line]:
        if self.offers is None:
            return [line(("  asking the engine …", "dim"))]
        if not self.offers:
            text = self.why_none or "nothing is known by which it could be recognised"
            return [line(("  " + piece, "warn")) for piece in fmt.wrap(text, width - 2)]
        lines = []
        for i, offer in enumerate(self.offers):
            chosen = i == self.at
            said = " and ".join(f"{key} {value}" for key, value in offer.match)
            text = fmt.fit(f" {'(•)' if chosen else '( )'} {said}   {offer.words}", width - 1)
            role, ground = ("strong", "cursor") if chosen else ("text", "ground")
            lines.append(line(("▌" if chosen else " ", "accent"), (text, role), ground=ground))
        return lines

    def _class_line(self) -> Line:
        spans = [Span("  class  ", "dim")]
        for key, target, word in CLASSES:
            shape = fmt.CLASS_MARKS[target][0]
            chosen = target is self.target
            spans += [Span(f" {key}", "key"), Span(f" {shape} {word}{'*' if chosen else ''} ",
                      f"class{int(target)}" if chosen else "dim")]  # fmt: skip
        return Line(tuple(spans))

    def _type_line(self, width: int) -> Line:
        rule = self.rule
        kind = rule.type if rule is not None else self.kind or self.group.group.classification.type
        room = max(8, width - 14)
        name = fmt.shorten(kind, room)
        what = fmt.shorten(self.kinds.get(kind, ""), max(0, room - len(name) - 3))
        return line(("  type   ", "dim"), (" t", "key"), (f" {name}", "text"), (f"   {what}", "dim"))

    def _kind_lines(self, width: int) -> list[Line]:
        """The types that fit what is typed, the one that Enter takes marked."""
        near = kinds_near(self.kinds, self.status.text)
        taken = self._taken(near)
        lines = [title("types", width)]
        for i, name in enumerate(near):
            role, ground = ("strong", "cursor") if i == taken else ("text", "ground")
            what = fmt.fit(self.kinds[name], max(0, width - KIND_CELLS - 3))
            spans = (("▌" if i == taken else " ", "accent"), (f" {fmt.fit(name, KIND_CELLS)} ", role), (what, "dim"))
            lines.append(line(*spans, ground=ground))
        return lines if near else [*lines, line(("  none is called so", "dim"))]


def kinds_near(kinds: Mapping[str, str], text: str) -> list[str]:
    """Those whose name begins with *text*, then those that have it in their name or description."""
    text = text.strip().casefold()
    begin = sorted(name for name in kinds if name.startswith(text))
    return begin + sorted(n for n, what in kinds.items() if n not in begin and text in f"{n} {what}".casefold())


def _cut(text: str, width: int, role: str = "text") -> Line:
    return line((fmt.shorten(text, width), role))


def diff_lines(diff: list[str], width: int) -> list[Line]:
    """A unified diff: what comes and what goes is told by its sign, and by colour."""
    roles = {"+": "good", "-": "bad", "@": "accent"}
    return [_cut(f"  {text}", width, roles.get(text[:1], "dim")) for text in diff[2:]] or [line(("  nothing", "dim"))]


def finding_lines(f: Finding, width: int) -> list[Line]:
    """One finding of lint, wrapped."""
    role = SEVERITY_ROLES[f.severity.value]
    pieces = list(fmt.wrap(str(f), max(20, width - 2), "    "))
    return [line((f"  {piece}", role if i == 0 else "text")) for i, piece in enumerate(pieces)]
