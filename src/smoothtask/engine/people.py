"""What people order: pins, overrides and labels, who may order what, and how each is taken back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from smoothtask.engine.lessons import Labels, Lessons, Word, lesson_of
from smoothtask.model.amounts import limits_text, problem_with
from smoothtask.model.classes import PriorityClass
from smoothtask.model.command import Caller, Forget, LabelGroup, LabelMoment, PinApp, Reply, SetOverride, Unpin
from smoothtask.model.decision import Override, Pin
from smoothtask.model.frame import Frame, GroupFrame
from smoothtask.model.group import AppGroup
from smoothtask.model.lesson import Lesson, Source
from smoothtask.model.rights import Rights
from smoothtask.policy.decide import Orders
from smoothtask.policy.parameters import PersonLimits

UNDO_DEPTH = 50
PINS_OF_USER = 200
OVERRIDE_LIMIT_S = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class _Deed:
    """What somebody did, to be taken back and done again."""

    what: str
    do: Callable[[], object]
    take_back: Callable[[], object]


@dataclass(slots=True)
class People:
    """Standing orders, in memory and (pins) in the state directory."""

    pins: tuple[Pin, ...]
    save_pins: Callable[[Sequence[Pin]], None]
    labels: Labels
    may_raise: bool = False
    """Whether an ordinary user may go above NORMAL (`control.allow_users_above_normal`)."""
    owner_uid: int = 0
    """Who runs the engine: root, or the person who watches without privileges."""
    lessons: Lessons = field(default_factory=Lessons)
    limits: PersonLimits = field(default_factory=PersonLimits)
    overrides: dict[str, Override] = field(default_factory=dict)
    labelled: dict[str, int] = field(default_factory=dict)
    """Group → its newest label's row."""
    _undo: dict[int, list[_Deed]] = field(default_factory=dict)
    _redo: dict[int, list[_Deed]] = field(default_factory=dict)

    @property
    def rights(self) -> Rights:
        """Who may order what."""
        return Rights(self.owner_uid, self.may_raise)

    def let_raise(self, may: bool) -> None:
        """Whether ordinary users may go above NORMAL from now on, by orders or by what they have taught."""
        self.may_raise = may
        self.lessons.lift(None if may else frozenset({0, self.owner_uid}))

    @property
    def orders(self) -> Orders:
        """For `policy.decide`."""
        return Orders(self.pins, self.overrides, self.lessons.learnt)

    def undo_depth(self, uid: int) -> int:
        """How many actions of *uid* can be taken back."""
        return len(self._undo.get(uid, ()))

    def forget_groups(self, living: frozenset[str], now_s: float) -> None:
        """Drop overrides of groups that exited, and those whose time is over."""
        gone = [
            g
            for g, o in self.overrides.items()
            if g not in living or (o.expires_mono_s is not None and o.expires_mono_s <= now_s)
        ]
        for group in gone:
            del self.overrides[group]
        for group in self.labelled.keys() - living:
            del self.labelled[group]

    def refusal(self, caller: Caller, group: AppGroup, target: PriorityClass | None) -> str | None:
        """Why *caller* may not give *group* that class; `None` when it may."""
        return self.rights.refusal(caller.uid, group, target)

    def pin(self, command: PinApp, frame: Frame, found: GroupFrame, caller: Caller) -> Reply:
        """Pin the application of *found*: for everybody when root asks, else for the caller's processes."""
        group = found.group
        problem = problem_with(command.limits)
        if problem is not None:
            return Reply(False, problem)
        app = group.classification.app
        own = [p for p in self.pins if p.uid == caller.uid]
        before = [p for p in own if p.app == app]
        if not before and len(own) >= PINS_OF_USER:
            return Reply(False, f"{len(own)} pins of yours are as many as there may be: unpin something first")
        pin = Pin(app, command.target, caller.uid, frame.time, command.limits)
        put: Callable[[], None] = lambda: self._put_pins([pin])  # noqa: E731
        take: Callable[[], None] = lambda: self._put_pins(before, without=(app, caller.uid))  # noqa: E731
        put()
        word = self._word(frame, found, command.target, caller, Source.PIN)
        self._remember(
            caller,
            _Deed(
                f"pin of {app} to {command.target.name}",
                _together(put, take, word.say_again),
                _together(take, put, word.take_back),
            ),
        )
        limited = f", {limits_text(command.limits)}" if command.limits else ""
        return Reply(True, f"{group.label} is pinned to {command.target.name} as {app}{limited}; undo takes it back")

    def pins_of(self, caller: Caller) -> tuple[Pin, ...]:
        """What *caller* may unpin: their own; root and who runs the engine, everybody's."""
        everybody = self.rights.is_owner(caller.uid)
        return tuple(p for p in self.pins if everybody or p.uid == caller.uid)

    def unpin(self, command: Unpin, app: str, caller: Caller) -> Reply:
        """Remove the pin of *app*: the caller's, or for root everybody's."""
        gone = [p for p in self.pins_of(caller) if p.app == app]
        if not gone:
            return Reply(False, f"{command.group} has no pin of yours")
        self._do(
            caller,
            f"unpin of {app}",
            lambda: self._store_pins([p for p in self.pins if p not in gone]),
            lambda: self._put_pins(gone),
        )
        return Reply(True, f"{app} is no longer pinned; undo pins it again")

    def override(self, command: SetOverride, frame: Frame, found: GroupFrame, caller: Caller, now_s: float) -> Reply:
        """Set or clear the override of one running group."""
        group = found.group
        before = self.overrides.get(group.id)
        if command.target is None:
            if before is None:
                return Reply(False, f"{group.label} has no override")
            after = None
            said = f"{group.label} is decided by the rules again"
        else:
            seconds = command.seconds
            if seconds is not None and not 0 < seconds <= OVERRIDE_LIMIT_S:
                return Reply(False, f"expected 1 to {OVERRIDE_LIMIT_S:.0f} seconds, got {seconds:g}")
            expires = None if seconds is None else now_s + seconds
            after = Override(group.id, command.target, caller.uid, expires)
            until = "until it exits" if seconds is None else f"for {seconds:g} s"
            said = f"{group.label} is {command.target.name} {until}; undo takes it back"
        self._put_override(group.id, after)
        do: Callable[[], None] = lambda: self._put_override(group.id, after)  # noqa: E731
        take_back: Callable[[], None] = lambda: self._put_override(group.id, before)  # noqa: E731
        if after is not None:
            word = self._word(frame, found, after.target, caller, Source.OVERRIDE)
            do, take_back = _together(do, take_back, word.say_again), _together(take_back, do, word.take_back)
        self._remember(caller, _Deed(f"override of {group.label}", do, take_back))
        return Reply(True, said)

    def label_group(self, command: LabelGroup, frame: Frame, found: GroupFrame, caller: Caller) -> Reply:
        """Learn, and record, what class the group should have been."""
        group = found.group
        word = self._word(frame, found, command.target, caller, Source.LABEL)
        self._mark(group.id, word)

        def say_again() -> None:
            word.say_again()
            self._mark(group.id, word)

        def take_back() -> None:
            word.take_back()
            if word.row is not None and self.labelled.get(group.id) == word.row:
                del self.labelled[group.id]

        self._remember(
            caller,
            _Deed(f"label of {group.label}", say_again, take_back),
        )
        unrecorded = "" if word.row is not None else " (not recorded: `smoothtask doctor` tells why)"
        return Reply(
            True,
            f"labelled: {group.label} should be {command.target.name}{unrecorded}{self._unsaved()}; undo takes it back",
        )

    def forget(self, command: Forget, caller: Caller) -> Reply:
        """Forget the caller's lessons of an application; for root everybody's."""
        gone = self.lessons_for(caller, command.app)
        if not gone:
            return Reply(False, f"nothing is learnt of {command.app}; `smoothtask learned list` shows what is")
        self._do(
            caller,
            f"forgetting {command.app}",
            lambda: self.lessons.without(gone),
            lambda: self.lessons.with_again(gone),
        )
        return Reply(True, f"forgotten: {len(gone)} lessons of {command.app}{self._unsaved()}; undo brings them back")

    def lessons_for(self, caller: Caller, app: str | None = None) -> tuple[Lesson, ...]:
        """What *caller* may see: their own; root and who runs the engine, everybody's."""
        everybody = self.rights.is_owner(caller.uid)
        return self.lessons.of(None if everybody else frozenset({caller.uid}), app)

    def label_moment(self, command: LabelMoment, frame: Frame, caller: Caller) -> Reply:
        """Record how the machine felt."""
        row = self.labels.moment(frame, command.verdict, caller.uid)
        if row is None:
            return Reply(False, "labels of moments need recording, which is off or stopped (see `smoothtask doctor`)")
        removed: object | None = None

        def take_back() -> None:
            nonlocal removed
            removed = self.labels.remove(row)

        def do() -> None:
            if removed is None or not self.labels.put_back(removed):
                raise OSError("the snapshot log has forgotten that moment")

        self._remember(caller, _Deed(f"label “{command.verdict}”", do, take_back))
        return Reply(True, f"labelled: this was {command.verdict}; undo takes it back")

    def remember(self, caller: Caller, what: str, do: Callable[[], object], take_back: Callable[[], object]) -> None:
        """Something that *caller* has had done elsewhere can be taken back, and done again, like the rest."""
        self._remember(caller, _Deed(what, do, take_back))

    def undo(self, caller: Caller) -> Reply:
        """Take back the caller's newest action."""
        stack = self._undo.get(caller.uid)
        if not stack:
            return Reply(False, "nothing to undo")
        deed = stack.pop()
        try:
            deed.take_back()
        except OSError as error:
            stack.append(deed)
            return Reply(False, f"{deed.what} could not be undone: {error}")
        self._redo.setdefault(caller.uid, []).append(deed)
        return Reply(True, f"undone: {deed.what}; redo brings it back")

    def redo(self, caller: Caller) -> Reply:
        """Do again what the caller's newest undo took back."""
        stack = self._redo.get(caller.uid)
        if not stack:
            return Reply(False, "nothing to redo")
        deed = stack.pop()
        try:
            deed.do()
        except OSError as error:
            stack.append(deed)
            return Reply(False, f"{deed.what} could not be done again: {error}")
        self._undo.setdefault(caller.uid, []).append(deed)
        return Reply(True, f"done again: {deed.what}; undo takes it back")

    def _do(self, caller: Caller, what: str, do: Callable[[], None], take_back: Callable[[], None]) -> None:
        do()
        self._remember(caller, _Deed(what, do, take_back))

    def _remember(self, caller: Caller, deed: _Deed) -> None:
        stack = self._undo.setdefault(caller.uid, [])
        stack.append(deed)
        del stack[:-UNDO_DEPTH]
        self._redo.pop(caller.uid, None)  # what was undone before is another story now

    def _word(self, frame: Frame, found: GroupFrame, target: PriorityClass, caller: Caller, source: Source) -> Word:
        """Say it: what was ordered or labelled is a lesson, too."""
        word = Word(self.labels, self.lessons, lesson_of(frame, found, target, caller.uid, source, self.limits))
        word.say(frame, found)
        return word

    def _mark(self, group: str, word: Word) -> None:
        if word.row is not None:
            self.labelled[group] = word.row

    def _unsaved(self) -> str:
        return f" ({self.lessons.problem})" if self.lessons.problem else ""

    def _put_pins(self, pins: Sequence[Pin], without: tuple[str, int] | None = None) -> None:
        replaced = {(p.app, p.uid) for p in pins} | ({without} if without else set())
        self._store_pins([*(p for p in self.pins if (p.app, p.uid) not in replaced), *pins])

    def _store_pins(self, pins: Sequence[Pin]) -> None:
        self.save_pins(pins)  # first: what cannot be kept is not promised
        self.pins = tuple(pins)

    def _put_override(self, group: str, override: Override | None) -> None:
        if override is None:
            self.overrides.pop(group, None)
        else:
            self.overrides[group] = override


def _together(first: Callable[[], None], back: Callable[[], None], second: Callable[[], None]) -> Callable[[], None]:
    """Both or neither: when the *second* raises OSError, *back* takes back the first."""

    def together() -> None:
        first()
        try:
            second()
        except OSError:
            back()
            raise

    return together
