"""Opens every source and mechanism that works here, and makes the loop of them."""

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from smoothtask.actuator.apply import Actuator, DryRun
from smoothtask.actuator.knobs import Machine
from smoothtask.actuator.ledger import Ledger
from smoothtask.actuator.resolve import Abilities
from smoothtask.actuator.restore import restore
from smoothtask.classifier.apart import Reading
from smoothtask.classifier.behaviour import BehaviourLimits
from smoothtask.classifier.layers import rule_files
from smoothtask.collector.identity import read_identity
from smoothtask.collector.meters import Choice, Meters
from smoothtask.collector.pressures import GroupPressures
from smoothtask.collector.probe import LatencyProbe
from smoothtask.collector.sampler import Sampler
from smoothtask.collector.tasks import open_tasks
from smoothtask.config.held import Holder, ScopeHeldError, hold, holders
from smoothtask.config.paths import Paths, cgroup_exists
from smoothtask.config.settings import Settings, effects
from smoothtask.daemon.hybrid import HybridMode
from smoothtask.daemon.opening import Opened, open_events, open_log, open_probe, recorder, subscribe
from smoothtask.daemon.process import (
    AlreadyRunning,
    HighWater,
    lock,
    raise_descriptor_limit,
    rss_bytes,
    tell_systemd,
    tidy_memory,
)
from smoothtask.daemon.reloading import Configuration
from smoothtask.daemon.restoring import summary
from smoothtask.daemon.rules import Rules, follow_files
from smoothtask.engine.commands import Commands
from smoothtask.engine.engine import Engine
from smoothtask.engine.lessons import Labels, Lessons
from smoothtask.engine.loop import Loop, Wakers
from smoothtask.engine.others import Eyes, Others
from smoothtask.engine.parameters import parameters_of
from smoothtask.engine.people import People
from smoothtask.engine.scoping import Scoping
from smoothtask.engine.ticker import TickSettings
from smoothtask.engine.world import World
from smoothtask.kernel import cgroup2, owners, sched
from smoothtask.kernel.apart import Beside
from smoothtask.kernel.disks import read_disks
from smoothtask.kernel.notify import message
from smoothtask.kernel.psi import PsiTriggers, read_cgroup_pressure
from smoothtask.kernel.system import read_system, read_temperatures
from smoothtask.kernel.systemd import Managers
from smoothtask.model.decision import Pin
from smoothtask.model.owner import Owner, OwnerKind
from smoothtask.model.scope import Scope, ScopeError
from smoothtask.store.lessons import load_lessons, save_lessons
from smoothtask.store.log import SnapshotLog
from smoothtask.store.pins import load_pins, save_pins

if TYPE_CHECKING:
    from smoothtask.person.watch import PersonWatch


def build(
    settings: Settings,
    paths: Paths,
    *,
    observe: bool,
    reading: Reading | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> Loop:
    """Open every source and mechanism that works here, and take the lock.

    *reading*: of the rules, where it has begun already. *meanwhile* is called while they are read: for what takes time
    and needs nothing of this. Raises AlreadyRunning, and ConfigError for rules that cannot be used. The loop closes
    everything and puts back what it changed when it ends.
    """
    opened = Opened([] if reading is None else [reading.close])
    try:
        return _build(settings, paths, observe, opened, reading, meanwhile)
    except BaseException:
        opened.close()
        raise


def _build(
    settings: Settings,
    paths: Paths,
    observe: bool,
    opened: Opened,
    reading: Reading | None,
    meanwhile: Callable[[], object],
) -> Loop:
    scoping = _scoping(paths.scope)
    paths.prepare()
    opened.closers.append(lock(paths.lock))
    raise_descriptor_limit()
    sources = {"scope": str(paths.scope)}
    said: list[str] = []
    reason = _why_only_watching(settings, observe)
    if not reason:
        _hold(paths, opened, said)
    # These three work beside what follows: a child, unless the rules are known, a child, and the kernel's verifier.
    if reading is None:
        reading = Reading(rule_files(settings, paths), paths.rules_kept)
        opened.closers.append(reading.close)
    subscription = subscribe(settings, sources)
    opening = Beside(partial(open_tasks, settings.tasks.source))
    hands = DryRun(effects(settings)) if reason else _hands(settings, paths, opened, said)
    meanwhile()
    tasks, sources["tasks"] = opening.result()
    opened.closers.append(tasks.close)
    rules = Rules.of(reading)
    probe = open_probe(settings, sources, opened)
    meters = Meters(Choice(**settings.meters.model_dump()), sources)
    opened.closers.append(meters.close)
    triggers = PsiTriggers()
    opened.closers.append(triggers.close)
    sources["psi"] = "; ".join(triggers.unavailable.values()) or "triggers"
    pins, pin_problems = load_pins(paths.pins)
    said += map(str, pin_problems)
    log = open_log(settings, paths, said.append)
    sources["log"] = log.status if log is not None else "off"
    if log is not None:
        sources["log file"] = str(paths.database_at(settings.store.path))
        opened.closers.append(log.close)
    engine = Engine(
        sampler=Sampler(
            tasks,
            lambda temperatures: read_system(temperatures=temperatures),
            read_temperatures,
            probe.read if probe is not None else _no_latency,
        ),
        world=World(read_identity, rules.classify, sched.start_ticks),
        hands=hands,
        people=_people(settings, paths, pins, log, said),
        rehearsal=DryRun(effects(settings)),
        record=recorder(log),
        parameters=parameters_of(settings),
        behaviour_limits=BehaviourLimits(**settings.behaviour.model_dump()),
        scoping=scoping,
        meters=meters,
        look_at_others=Others(_eyes(paths), hands.stand_back, sources).look,
        read_pressures=GroupPressures(read_cgroup_pressure).look,
        only_watches=reason,
        sources=sources,
        read_rss_bytes=rss_bytes,
    )
    events = open_events(subscription, sources, opened)
    for kind, text in [*(("system", t) for t in said), *(("rules", str(p)) for p in rules.loaded.problems[:20])]:
        engine.say(kind, text)
    wakers = Wakers(
        events=events,
        psi_fds=tuple(triggers.filenos.values()),
        start_ticks=sched.start_ticks,
        beat=lambda: _beat(loop, rules, hybrid, log, said, later, high_water),
    )
    hybrid = HybridMode(engine, paths)
    hybrid.follow(settings)
    opened.closers += [rules.close, hybrid.close]
    commands = Commands(
        engine,
        lambda: configuration.read_anew(),  # noqa: PLW0108 (it is made below)
        can_apply=not reason,
        rules=lambda: rules.loaded.rules,
        since=time.time(),
    )
    loop = Loop(engine, commands, wakers, _tick_settings(settings), rest=partial(_rest, meters, probe))
    configuration = Configuration(loop, rules, paths, settings, (hybrid.follow,), can_act=not reason)
    person = _Person(settings, paths, loop, opened)
    later, high_water = deque((person.start, tidy_memory)), HighWater()

    def own_pids() -> frozenset[int]:
        """A probe that died has another pid when it comes back."""
        probes = () if probe is None or probe.pid is None else (probe.pid,)
        return frozenset({os.getpid(), *probes}) | person.pids | hybrid.pids | rules.pids

    rules.own_pids = own_pids
    # Last in, first out: what was changed is put back before the ledger is closed.
    opened.closers.append(hands.undo_all)
    loop.on_stop = opened.close
    return loop


def _rest(meters: Meters, probe: LatencyProbe | None, on: bool) -> None:
    """While the loop stands still nothing is measured. Raises ProbeUnavailable."""
    if on:
        meters.detach()
    if probe is not None and on:
        probe.stop()
    elif probe is not None and not probe.alive:
        probe.start()


def _scoping(scope: Scope) -> Scoping:
    """Raises ScopeError for a cgroup that is not there."""
    if scope.cgroup is not None and not cgroup_exists(scope.cgroup):
        raise ScopeError(f"{scope.cgroup}: there is no such cgroup on this machine")
    return Scoping(scope, cgroup_exists)


def _hold(paths: Paths, opened: Opened, said: list[str]) -> None:
    """Be the only one who manages this scope. Raises AlreadyRunning."""
    try:
        release, died = hold(paths.scope, paths.runtime_dir, paths.held)
    except ScopeHeldError as error:
        raise AlreadyRunning(str(error)) from error
    opened.closers.append(release)
    said += [_left_behind(d) for d in died if d.runtime_dir != paths.runtime_dir and d.left_changes]


def _left_behind(holder: Holder) -> str:
    return (
        f"the SmoothTask with pid {holder.pid} died and what it changed is in force: "
        f"`smoothtask --runtime-dir {holder.runtime_dir} restore` puts it back"
    )


def _why_only_watching(settings: Settings, observe: bool) -> str:
    """Why nothing will be applied; empty when it will."""
    if observe:
        return "observing only, as asked"
    if settings.mode == "dry-run":
        return "mode: dry-run in the configuration"
    return "" if os.geteuid() == 0 else "not root: nothing could be undone"


def _hands(settings: Settings, paths: Paths, opened: Opened, said: list[str]) -> Actuator:
    """The actuator, once what a predecessor left is put back; *said*: what people should know."""
    ledger = Ledger.open(paths.ledger, sched.boot_id())
    opened.closers.append(ledger.close)
    managers = Managers()
    opened.closers.append(managers.close)
    machine = Machine(sched, cgroup2, managers)
    left = restore(ledger, machine)  # what a predecessor that died left behind
    said += [*ledger.notes, *(summary(left) if left else ())]
    abilities = Abilities(slices=sched.slices_supported(), may_raise=sched.raising_allowed())
    autogroups = sched.autogroups_enabled()
    return Actuator(machine, ledger, effects(settings), abilities, autogroups=autogroups, disks=read_disks)


def _eyes(paths: Paths) -> Eyes:
    """How other programs that set priorities are seen on this machine."""

    def daemons() -> tuple[Owner, ...]:
        """Those that manage some of what we look at: one that acts would not have started beside them."""
        if os.geteuid() != 0:
            return ()
        return tuple(
            Owner(OwnerKind.SMOOTHTASK, "another SmoothTask", 0, h.pid, str(h.scope))
            for h in holders(paths.held)
            if h.alive and h.pid != os.getpid() and h.scope.overlaps(paths.scope)
        )

    return Eyes(owners.recognise, owners.complete, owners.uses_gamemode, daemons)


@dataclass(slots=True)
class _Person:
    """Who watches the person, once the first look is done: it needs none of it."""

    settings: Settings
    paths: Paths
    loop: Loop
    opened: Opened
    watch: "PersonWatch | None" = None

    def start(self) -> None:
        """Watch everybody where we may, else ourselves."""
        from smoothtask.person.watch import PersonWatch  # noqa: PLC0415 (after the first look)

        wanted, uid = self.settings.person, os.geteuid()
        self.watch = PersonWatch.start(
            self.loop,
            self.loop.hasten,
            windows=wanted.windows,
            sound=wanted.sound,
            inputs=wanted.input,
            only_uid=uid if uid != 0 else self.paths.scope.uid,
        )
        self.loop.engine.look_at_person = self.watch.look
        self.opened.closers.insert(-1, self.watch.close)  # after `undo_all`, which is the last

    @property
    def pids(self) -> frozenset[int]:
        """Of processes that are ours."""
        return frozenset() if self.watch is None else self.watch.pids


def _no_latency(_now_s: float) -> None:
    return None


def _people(
    settings: Settings, paths: Paths, pins: tuple[Pin, ...], log: SnapshotLog | None, said: list[str]
) -> People:
    if log is None:
        labels = Labels(lambda *_: None, lambda *_: None, lambda _: None, lambda _: False)
    else:
        labels = Labels(
            group=lambda f, g, target, uid, source: log.add_label(f, uid, group=g, target=target, source=source.value),
            moment=lambda f, verdict, uid: log.add_label(f, uid, verdict=verdict),
            remove=log.remove_label,
            put_back=log.put_back_label,
        )
    lessons, problems = load_lessons(paths.lessons)
    said += problems
    people = People(
        pins,
        lambda kept: save_pins(paths.pins, tuple(kept)),
        labels,
        owner_uid=os.geteuid(),
        lessons=Lessons(lessons, lambda kept: save_lessons(paths.lessons, kept)),
        limits=parameters_of(settings).person,
    )
    people.let_raise(settings.control.allow_users_above_normal)
    return people


def _beat(
    loop: Loop,
    rules: Rules,
    hybrid: HybridMode,
    log: SnapshotLog | None,
    said: list[str],
    later: deque[Callable[[], None]],
    high_water: HighWater,
) -> None:
    """Once a tick: watchdog, the ledger's file, how the log fares and what it says, memory, models, rule files.

    *later*: what the first look did without, a piece at a time.
    """
    engine = loop.engine
    tell_systemd(message(watchdog=True))
    if isinstance(engine.hands, Actuator) and engine.hands.is_lost:
        loop.fail("somebody removed the runtime directory: everything is put back, for a crash could not be undone now")
    if log is not None:
        engine.sources["log"] = log.status
    while said:
        engine.say("system", said.pop(0))
    if later:
        later[0]()
        later.popleft()  # once it went well: what fails is tried again
    elif engine.frame is not None:
        high_water.look(engine.frame.mono_s, engine.frame.cost.rss_bytes)
    hybrid.beat()
    follow_files(engine, rules, time.monotonic())


def _tick_settings(settings: Settings) -> TickSettings:
    return TickSettings(**settings.tick.model_dump())
