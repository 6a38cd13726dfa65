"""The tick on one screen: sample → group → classify → decide → act → record → publish. Open this first."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from smoothtask.classifier.behaviour import BehaviourLimits, observe, process_codes
from smoothtask.collector.sampler import Sample, Sampler
from smoothtask.engine.frames import class_changes, class_events, group_frames, process_frames
from smoothtask.engine.groups import GroupBuilder
from smoothtask.engine.metering import NOT_METERED, Metered, Metering
from smoothtask.engine.people import People
from smoothtask.engine.scoping import Scoping
from smoothtask.engine.trail import Trail
from smoothtask.engine.world import World
from smoothtask.model.change import Acted
from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Contention, Decision
from smoothtask.model.detail import InForce, Supposition
from smoothtask.model.frame import Event, Frame, GroupPressure, Mark, Mode, SelfCost
from smoothtask.model.group import AppGroup
from smoothtask.model.person import (
    NO_ATTENTION,
    NOBODY_KNOWN,
    NOBODY_SEEN,
    Attention,
    PersonMetrics,
    PersonView,
    Source,
)
from smoothtask.model.readings import NO_READINGS, Readings
from smoothtask.model.tasks import USER_HZ, Array, ProcKey, TaskTable
from smoothtask.policy.attention import AttentionState, SoundState, attend, person_metrics, typed_into
from smoothtask.policy.contention import ContentionState, assess
from smoothtask.policy.decide import PolicyState, decide
from smoothtask.policy.parameters import PolicyParameters
from smoothtask.policy.ranking import Opinions
from smoothtask.policy.scores import rate
from smoothtask.policy.whatif import Situation, what_if

if TYPE_CHECKING:
    from smoothtask.engine.hybrid import Hybrid  # loaded where a model is, and not before

SECOND_NS = 1_000_000_000
EVENTS = 50
COST_S = 60.0
"""What our own CPU is an average over."""


class Hands(Protocol):
    """The actuator as the engine sees it: real, dry-run, or replayed."""

    def act(
        self,
        decisions: Sequence[Decision],
        groups: Sequence[AppGroup],
        table: TaskTable,
        row_groups: Sequence[str],
        complete: bool,
        now_ticks: int,
    ) -> Acted:
        """Bring the system in line with *decisions*. *complete*: the table holds every task, not just a few."""
        ...

    def undo_all(self) -> tuple[str, ...]:
        """Put everything back; says what could not be."""
        ...

    def in_force(self, group: str, now_s: float, now_ticks: int) -> tuple[InForce, ...]:
        """What is changed for *group* and its parts, the newest first; *now_s* is Unix time."""
        ...


class MeterSource(Protocol):
    """The deeper meters (`collector.meters`) as the engine sees them."""

    def read(self, now_s: float, watched: bool) -> Readings:
        """What those that run counted since the tick before."""
        ...

    def follow(self, now_s: float, *, watched: bool, waits: bool) -> None:
        """Begin or stop to count."""
        ...


class NoMeters:
    """None works, or none is wanted."""

    def read(self, now_s: float, watched: bool) -> Readings:  # noqa: ARG002
        """See `MeterSource`."""
        return NO_READINGS

    def follow(self, now_s: float, *, watched: bool, waits: bool) -> None:
        """See `MeterSource`."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time comes from: replaced in tests and replays."""

    mono_ns: Callable[[], int] = time.monotonic_ns
    boot_ns: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    wall_s: Callable[[], float] = time.time
    cpu_ns: Callable[[], int] = time.process_time_ns


@dataclass(slots=True)
class Engine:
    """The whole pipeline. Called from one thread only."""

    sampler: Sampler
    world: World
    hands: Hands
    people: People
    record: Callable[[Frame], object]
    parameters: PolicyParameters = field(default_factory=PolicyParameters)
    behaviour_limits: BehaviourLimits = field(default_factory=BehaviourLimits)
    clock: Clock = field(default_factory=Clock)
    scoping: Scoping = field(default_factory=Scoping)
    look_at_person: Callable[[float], PersonView] = lambda _now_s: NOBODY_SEEN
    """What the sessions say of the person, now."""
    look_at_others: Callable[[World, float], Iterable[str]] = lambda _world, _now_s: ()
    """News of other programs that set priorities; before anything is done, so that nothing of theirs is touched."""
    read_pressures: Callable[[Sequence[AppGroup], float, bool], Mapping[str, GroupPressure]] = lambda *_: {}
    """PSI of groups that have a cgroup of their own, fewer when nobody watches; see `collector.pressures`."""
    hybrid: "Hybrid | None" = None
    meters: MeterSource = field(default_factory=NoMeters)
    only_watches: str = ""
    """Why nothing is applied here, whatever anybody orders; empty: decisions are applied."""
    paused: bool = False
    rehearsing: bool = False
    """A person asked for a dry-run; independent of `paused`."""
    sources: dict[str, str] = field(default_factory=dict)
    read_rss_bytes: Callable[[], int] = lambda: 0

    rehearsal: Hands | None = None
    """What acts in a dry-run that a person asks for."""

    frame: Frame | None = None
    sample: Sample | None = None
    metered: Metered = NOT_METERED
    _events: deque[Event] = field(default_factory=lambda: deque(maxlen=EVENTS))
    _builder: GroupBuilder = field(default_factory=GroupBuilder)
    _behaviour: Array | None = None
    _contention: ContentionState = field(default_factory=ContentionState)
    _policy: PolicyState = field(default_factory=PolicyState)
    _acted: Acted = field(default_factory=Acted)
    _closed: Mapping[str, str] = field(default_factory=dict)
    """Groups outside of this daemon's scope, and why; see `engine.scoping`."""
    _attention: Mapping[str, Attention] = field(default_factory=dict)
    _typed: Mapping[str, float] = field(default_factory=dict)
    """Terminal → seconds since the last key, as of the last tick."""
    _attending: AttentionState = field(default_factory=AttentionState)
    _sound: SoundState = field(default_factory=SoundState)
    _person: PersonMetrics = NOBODY_KNOWN
    _person_sources: tuple[Source, ...] = ()
    _opinions: Opinions | None = None
    """Of the model, at the last tick."""
    trail: Trail = field(default_factory=Trail)
    """Class changes of each group."""
    _pressures: Mapping[str, GroupPressure] = field(default_factory=dict)
    _metering: Metering = field(default_factory=Metering)
    _seq: int = 0
    _cost_cpu_ns: int = 0
    _cost_pct: float = 0.0
    _cost_s: float = 0.0
    """Over how long, up to COST_S."""
    changed_class_s: float = float("-inf")
    """CLOCK_MONOTONIC of the last change of a class: the pace follows it."""

    def tick(self, executed: frozenset[int] = frozenset(), interval_s: float = 0.0, watched: bool = False) -> Frame:
        """One turn. *executed*: pids that exec events named since the last; *interval_s*: to the next.

        *watched*: somebody looks, so that what costs more may be measured, too.
        """
        cpu_before, now_ns = self.clock.cpu_ns(), self.clock.mono_ns()
        now_s, first = now_ns / SECOND_NS, self.frame is None  # which loads no meters: a screen waits for it
        sample = self.sampler.sample(now_ns, self.clock.boot_ns())
        self.world.update(sample.tasks, executed)
        groups, row_groups = self._groups(sample)
        self._closed = self.scoping.closed(self.world, sample.tasks.processes, row_groups)
        self._say_news(now_s)
        groups, person = self._attended(groups, now_s)
        contention, self._contention = assess(
            self._contention, sample.system, groups, now_s, self.parameters.contention, person.sound_breaks
        )
        living = frozenset(g.id for g in groups)
        self.people.forget_groups(living, now_s)
        self.trail.forget(living)
        if self.hybrid is not None:
            self._opinions = self.hybrid.opinions(groups, sample.system, person, contention)
        decisions = self._decide(groups, contention, now_s)
        self._acted = self._act(decisions, groups, sample.tasks, row_groups, complete=True)
        self._pressures = self.read_pressures(groups, now_s, watched) if watched or contention.active else {}
        self.metered = self._metering.turn(
            self.meters.read(now_s, watched and not first),
            sample.tasks.processes,
            sample.rates["cpu"],
            row_groups,
            sample.elapsed_s,
            now_s,
        )
        if not first:
            self.meters.follow(now_s, watched=watched, waits=contention.active)
        self.sample = sample
        self.frame = self._frame(sample, groups, row_groups, contention, decisions, cpu_before, interval_s)
        self.record(self.frame)
        return self.frame

    def admit(self, keys: Iterable[ProcKey]) -> None:
        """Classify and act on processes that have just executed, without waiting for the next tick.

        What behaviour alone can tell waits for the tick; names, pins and overrides are followed here.
        """
        if self.frame is None or not len(self.world):  # who knows nobody (`begin_anew`) would decide on half the truth
            return
        in_order = sorted(keys, key=lambda key: (key.start_ticks, key.pid))  # parents before children
        placed = [p for key in in_order if (p := self.world.admit(key)) is not None]
        if not placed:
            return
        now_ns = self.clock.mono_ns()
        group_ids = frozenset(self.world.group_of(p) for p in placed)
        groups = self._builder.some(self.world, group_ids, self._now_ticks(), self.frame)
        groups = tuple(self._with_attention(g) for g in groups)
        state = self._policy
        self._closed = self.scoping.closed_between(self.world, group_ids, self._closed)
        decisions = self._decide(groups, self.frame.contention, now_ns / SECOND_NS)
        self._policy = state.with_newer(self._policy)
        if all(d.target is PriorityClass.NORMAL for d in decisions):
            return
        table = self.sampler.peek(now_ns, frozenset(p.identity.key for p in placed))
        row_groups = [self.world.group_of_pid(pid) for pid in table.processes["pid"].tolist()]
        self._act(decisions, groups, table, row_groups, complete=False)

    @property
    def mode(self) -> Mode:
        """What becomes of decisions; whether a model has a say is the frame's to tell."""
        if self.paused:
            return Mode.PAUSED
        return Mode.DRY_RUN if self.rehearsing or self.only_watches else Mode.RULES_ONLY

    @property
    def mode_reason(self) -> str:
        """Why decisions are not applied; empty when they are."""
        if self.paused:
            return "paused by a person"
        return "dry-run, as a person asked" if self.rehearsing else self.only_watches

    def pause(self, on: bool) -> tuple[str, ...]:
        """Undo everything and stand still, or go on; says what could not be undone."""
        self.paused = on
        return self._put_back() if on else ()

    def rehearse(self, on: bool) -> tuple[str, ...]:
        """Undo everything and only say what would be done, or act again; says what could not be undone."""
        self.rehearsing = on and self.rehearsal is not None
        return self._put_back() if self.rehearsing else ()

    def begin_anew(self, error: Exception) -> None:
        """After a look that *error* ended half-way: undo everything, and know nobody until the next."""
        unsaid = self._put_back()
        self.world.forget()
        rest = f", but for {len(unsaid)} that could not be," if unsaid else ""
        self.say("error", f"a look failed ({type(error).__name__}): every change{rest} is undone, the next begins anew")

    def _put_back(self) -> tuple[str, ...]:
        self._acted = Acted()
        return self.hands.undo_all()

    @property
    def _acting(self) -> Hands:
        return self.rehearsal if self.rehearsing and self.rehearsal is not None else self.hands

    def what_if(self, group: AppGroup) -> tuple[Supposition, ...]:
        """What would be decided for *group* otherwise; nothing is done."""
        frame = self.frame
        if frame is None:
            return ()
        groups = tuple(g.group for g in frame.groups)
        now_s = self.clock.mono_ns() / SECOND_NS
        return what_if(
            group,
            Situation(
                groups,
                frame.contention,
                self.people.orders,
                now_s,
                self.parameters,
                self._closed,
                self._person,
                self._opinions,
            ),
        )

    def in_force(self, group: str) -> tuple[InForce, ...]:
        """What is changed for *group* and its parts."""
        return self.hands.in_force(group, self.clock.wall_s(), self._now_ticks())

    def say(self, kind: str, text: str, group: str | None = None) -> None:
        """Add an event to the next frame."""
        self._events.append(Event(self.clock.wall_s(), kind, text, group))

    def _say_news(self, now_s: float) -> None:
        news = self.scoping.news()
        for text in (*(() if news is None else (news,)), *self.look_at_others(self.world, now_s)):
            self.say("system", text)

    def _now_ticks(self) -> int:
        return self.clock.boot_ns() * USER_HZ // SECOND_NS

    def _groups(self, sample: Sample) -> tuple[tuple[AppGroup, ...], list[str]]:
        processes = sample.tasks.processes
        now_ticks = self._now_ticks()
        ages = (now_ticks - processes["start_ticks"].astype(np.int64)).astype(np.float32) / np.float32(USER_HZ)
        self.world.acquit(processes, sample.rates)
        self._behaviour = observe(
            self._behaviour,
            process_codes(processes),
            sample.rates,
            ages,
            sample.elapsed_s,
            self.behaviour_limits,
            len(sample.system.cpu_pct) or 1,
        )
        self.world.split(processes, self._behaviour)
        groups = self._builder.build(self.world, processes, sample.rates, self._behaviour, now_ticks)
        return groups, self.world.row_groups(processes)

    def _attended(self, groups: tuple[AppGroup, ...], now_s: float) -> tuple[tuple[AppGroup, ...], PersonMetrics]:
        """*groups* with what each means to the person, and how the person fares."""
        view, limits = self.look_at_person(now_s), self.parameters.person
        self._attention, self._attending = attend(view, self._group_of_users, self._attending, now_s, limits)
        self._typed = typed_into(view, now_s)
        self._person, self._sound = person_metrics(view, self._sound, now_s, limits)
        self._person_sources = (*view.sources, *(source for s in view.sessions for source in s.sources))
        if self._attention or self._typed:
            groups = tuple(self._with_attention(g) for g in groups)
        return groups, self._person

    def _group_of_users(self, pid: int, uid: int) -> str | None:
        """The group of the process *pid*, if it is *uid*'s: a session speaks of its own user's alone."""
        placed = self.world.get(pid)
        return self.world.group_of(placed) if placed is not None and placed.identity.uid == uid else None

    def _with_attention(self, group: AppGroup) -> AppGroup:
        attention = self._attention.get(group.id, NO_ATTENTION)
        typed_s = self._typed.get(group.tty) if group.tty is not None else None
        if typed_s is not None:
            attention = replace(attention, typed_s=typed_s)
        return group if attention is NO_ATTENTION else replace(group, attention=attention)

    def _decide(self, groups: tuple[AppGroup, ...], contention: Contention, now_s: float) -> tuple[Decision, ...]:
        before = self._policy.standings
        decisions, self._policy = decide(
            groups, contention, self.people.orders, self._policy, now_s, self.parameters, self._closed, self._person,
            self._opinions,
        )  # fmt: skip
        changes = class_changes(decisions, {g: s.target for g, s in before.items()})
        if changes:
            labels, time_s = {g.id: g.label for g in groups}, self.clock.wall_s()
            self.trail.follow(changes, time_s)
            self.changed_class_s = now_s
            self._events.extend(class_events(changes, labels, time_s))
        return decisions

    def _act(
        self,
        decisions: tuple[Decision, ...],
        groups: tuple[AppGroup, ...],
        table: TaskTable,
        row_groups: list[str],
        complete: bool,
    ) -> Acted:
        if self.paused:
            return Acted()
        acted = self._acting.act(decisions, groups, table, row_groups, complete, self._now_ticks())
        ids = frozenset(g.id for g in groups) if acted.events else frozenset()
        for text in acted.events:
            about = text.partition(": ")[0]
            self.say("conflict", text, about if about in ids else None)
        return acted

    def _frame(
        self,
        sample: Sample,
        groups: tuple[AppGroup, ...],
        row_groups: list[str],
        contention: Contention,
        decisions: tuple[Decision, ...],
        cpu_before: int,
        interval_s: float,
    ) -> Frame:
        self._seq += 1
        classes: dict[str, PriorityClass] = {d.group: d.target for d in decisions}
        attended = [g for g in groups if g.attention is not NO_ATTENTION]
        marked = {
            Mark.OVERRIDDEN: frozenset(self.people.overrides),
            Mark.LABELLED: frozenset(self.people.labelled),
            Mark.USER_OWNED: self._acted.user_owned,
            Mark.FOCUSED: frozenset(g.id for g in attended if g.attention.focused),
            Mark.PLAYING: frozenset(g.id for g in attended if g.attention.playing),
            Mark.CAPTURING: frozenset(g.id for g in attended if g.attention.capturing),
        }
        return Frame(
            seq=self._seq,
            time=self.clock.wall_s(),
            mono_s=sample.tasks.mono_ns / SECOND_NS,
            mode=Mode.HYBRID if self.mode is Mode.RULES_ONLY and self._opinions is not None else self.mode,
            mode_reason=self.mode_reason,
            system=sample.system,
            contention=contention,
            groups=group_frames(
                groups, decisions, self._acted, self.people.pins, marked, self._pressures, self.metered.of
            ),
            processes=process_frames(
                sample.tasks.processes, sample.rates, row_groups, classes, self.world.by_pid, self.metered.rows
            ),
            events=tuple(self._events),
            cost=self._cost(cpu_before, sample.elapsed_s, interval_s),
            sources=self.sources,
            person=self._person,
            person_sources=self._person_sources,
            scores=rate(sample.system, groups, self._person, self.parameters.bad, self.parameters.person),
            rights=self.people.rights,
            meters=self.metered.machine,
            model=None if self._opinions is None else self._opinions.model,
            undo_depth=self.people.undo_depth(self.people.owner_uid),
        )

    def _cost(self, cpu_before: int, elapsed_s: float, interval_s: float) -> SelfCost:
        cpu_now = self.clock.cpu_ns()
        if elapsed_s > 0:
            share = 100 * (cpu_now - self._cost_cpu_ns) / SECOND_NS / elapsed_s
            self._cost_s = min(COST_S, self._cost_s + elapsed_s)
            self._cost_pct += min(1.0, elapsed_s / self._cost_s) * (share - self._cost_pct)
        self._cost_cpu_ns = cpu_now
        return SelfCost(
            cpu_pct=round(self._cost_pct, 3),
            tick_cpu_ms=(cpu_now - cpu_before) / 1e6,
            rss_bytes=self.read_rss_bytes(),
            interval_s=interval_s,
        )
