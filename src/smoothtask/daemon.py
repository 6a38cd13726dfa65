"""The headless loop, and the one place that puts the parts together: real or dry-run, lock, signals, restore."""

import ctypes
import fcntl
import gc
import os
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from smoothtask import __version__
from smoothtask.actuator.apply import Actuator, DryRun
from smoothtask.actuator.knobs import Machine
from smoothtask.actuator.ledger import Ledger, LedgerError
from smoothtask.actuator.resolve import Abilities
from smoothtask.actuator.restore import restore
from smoothtask.classifier.apart import Reading, RulesUnreadable, load_apart
from smoothtask.classifier.behaviour import BehaviourLimits
from smoothtask.classifier.layers import Loaded, RuleFiles, signature
from smoothtask.classifier.match import Ancestors
from smoothtask.collector.identity import read_identity
from smoothtask.collector.meters import Choice, Meters
from smoothtask.collector.pressures import GroupPressures
from smoothtask.collector.probe import LatencyProbe, ProbeUnavailable
from smoothtask.collector.sampler import Sampler
from smoothtask.collector.tasks import open_tasks
from smoothtask.config.held import Holder, ScopeHeldError, hold, holders
from smoothtask.config.located import ConfigError, Problem
from smoothtask.config.paths import Paths, cgroup_exists
from smoothtask.config.settings import Settings, effects, load_settings
from smoothtask.control.server import ControlServer
from smoothtask.engine.commands import Commands
from smoothtask.engine.engine import Engine
from smoothtask.engine.loop import Loop, Wakers
from smoothtask.engine.others import Eyes, Others
from smoothtask.engine.people import Labels, People
from smoothtask.engine.scoping import Scoping
from smoothtask.engine.ticker import TickSettings
from smoothtask.engine.world import World
from smoothtask.kernel import cgroup2, owners, sched
from smoothtask.kernel.disks import read_disks
from smoothtask.kernel.netlink import EventsUnavailable, ProcEvents, Subscription
from smoothtask.kernel.notify import message, notify
from smoothtask.kernel.psi import PsiTriggers, read_cgroup_pressure
from smoothtask.kernel.system import read_system, read_temperatures
from smoothtask.kernel.systemd import Managers
from smoothtask.model.change import Outcome, Status
from smoothtask.model.command import Reply
from smoothtask.model.decision import Pin
from smoothtask.model.frame import Frame, Mode
from smoothtask.model.group import Classification, ProcessType, RuleSource
from smoothtask.model.identity import Identity
from smoothtask.model.owner import Owner, OwnerKind
from smoothtask.model.scope import Scope, ScopeError
from smoothtask.person.watch import PersonWatch
from smoothtask.policy.parameters import BadLimits, ContentionLimits, Hysteresis, PersonLimits, PolicyParameters
from smoothtask.store.log import SnapshotLog
from smoothtask.store.pins import load_pins, save_pins
from smoothtask.store.retention import Retention

RULES_EVERY_S = 10.0
"""How often the rule files are looked at for changes."""
DESCRIPTORS = 16384
MEGABYTE = 1_000_000
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class AlreadyRunning(Exception):  # noqa: N818 (news, not a mistake)
    """Another one holds the lock of this runtime directory; the message says which."""


@dataclass(slots=True)
class _Rules:
    """The rules in force, read again when their files change."""

    files: RuleFiles
    loaded: Loaded
    seen: object
    looked_at_s: float = 0.0
    probe: LatencyProbe | None = None
    person: PersonWatch | None = None

    def changed(self, now_s: float) -> bool:
        """Whether the files are not what was read; looked at every 10 s."""
        if now_s - self.looked_at_s < RULES_EVERY_S:
            return False
        self.looked_at_s = now_s
        return signature(self.files) != self.seen

    def read_again(self) -> None:
        """Raises ConfigError, and keeps the old rules then."""
        self.seen = signature(self.files)
        self.loaded = load_apart(self.files)

    def classify(self, identity: Identity, ancestors: Ancestors) -> Classification:
        """What *identity* is; we ourselves are never touched."""
        pid = identity.key.pid
        if pid in {os.getpid(), self.probe.pid if self.probe is not None else None}:
            return _OURSELVES
        if self.person is not None and pid in self.person.pids:
            return _OURSELVES
        return self.loaded.rules.classify(identity, ancestors)


_OURSELVES = Classification(
    app="smoothtask",
    label="SmoothTask",
    type="monitor",
    tags=frozenset({"self"}),
    process_type=ProcessType.GUI,
    target=None,
    certain=False,
    protected=True,
    source=RuleSource("vendor", "built in", 1),
    evidence="it is SmoothTask itself",
)


@dataclass(slots=True)
class _Open:
    """Everything that must be closed, in order."""

    closers: list[Callable[[], object]] = field(default_factory=list)

    def close(self) -> None:
        """Close all, the newest first; idempotent."""
        while self.closers:
            self.closers.pop()()


def build(settings: Settings, paths: Paths, *, observe: bool) -> Loop:
    """Open every source and mechanism that works here, and take the lock.

    Raises AlreadyRunning, and ConfigError for rules that cannot be used. The loop closes everything and puts back
    what it changed when it ends.
    """
    opened = _Open()
    try:
        return _build(settings, paths, observe, opened)
    except BaseException:
        opened.close()
        raise


def _build(settings: Settings, paths: Paths, observe: bool, opened: _Open) -> Loop:
    scoping = _scoping(paths.scope)
    paths.prepare()
    opened.closers.append(_lock(paths.lock))
    _raise_descriptor_limit()
    sources = {"scope": str(paths.scope)}
    said: list[str] = []
    reason = _why_only_watching(settings, observe)
    if not reason:
        _hold(paths, opened, said)
    reading = _Reading.start(settings, paths)  # these two children work beside what follows
    subscription = _subscribe(settings, sources)
    hands = DryRun(effects(settings)) if reason else _hands(settings, paths, opened, said)
    rules = reading.result()
    tasks, sources["tasks"] = open_tasks(settings.tasks.source)
    opened.closers.append(tasks.close)
    probe = rules.probe = _probe(settings, sources, opened)
    meters = Meters(Choice(**settings.meters.model_dump()), sources)
    opened.closers.append(meters.close)
    triggers = PsiTriggers()
    opened.closers.append(triggers.close)
    sources["psi"] = "; ".join(triggers.unavailable.values()) or "triggers"
    pins, pin_problems = load_pins(paths.pins)
    said += [str(p) for p in (*pin_problems, *rules.loaded.problems[:20])]
    log = _snapshot_log(settings, paths, said.append)
    sources["log"] = log.status if log is not None else "off"
    if log is not None:
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
        people=_people(settings, paths, pins, log),
        rehearsal=DryRun(effects(settings)),
        record=_recorder(log),
        parameters=parameters_of(settings),
        behaviour_limits=BehaviourLimits(**settings.behaviour.model_dump()),
        scoping=scoping,
        meters=meters,
        look_at_others=Others(_eyes(paths), hands.stand_back, sources).look,
        read_pressures=GroupPressures(read_cgroup_pressure).look,
        mode=Mode.DRY_RUN if reason else Mode.RULES_ONLY,
        mode_reason=reason,
        sources=sources,
        read_rss_bytes=_rss_bytes,
    )
    events = _events(subscription, sources, opened)
    for text in said:
        engine.say("system", text)
    wakers = Wakers(
        events=events,
        psi_fds=tuple(triggers.filenos.values()),
        start_ticks=sched.start_ticks,
        beat=lambda: _beat(engine, rules, said),
    )
    reload = _reloader(engine, rules, paths)
    commands = Commands(engine, reload, can_apply=not reason, rules=lambda: rules.loaded.rules, since=time.time())
    loop = Loop(engine, commands, wakers, _tick_settings(settings))
    rules.person = _person(settings, paths, loop)
    engine.look_at_person = rules.person.look
    opened.closers.append(rules.person.close)
    # Last in, first out: what was changed is put back before the ledger is closed.
    opened.closers.append(hands.undo_all)
    loop.on_stop = opened.close
    _tidy_memory()
    return loop


def run_daemon(settings: Settings, paths: Paths, *, observe: bool) -> int:
    """Manage the machine until SIGTERM or SIGINT; SIGHUP reads configuration and rules again."""
    loop = build(settings, paths, observe=observe)
    server = ControlServer(loop, paths.socket, settings.control.group)

    def stop(_signal: int, _frame: object) -> None:
        loop.stop()

    def reload(_signal: int, _frame: object) -> None:
        loop.call_soon(lambda: _announce_reload(loop))

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, reload)
    _notify(message(ready=True, status=f"managing: {loop.engine.mode.value}"))
    try:
        loop.run()
    finally:
        _notify(message(stopping=True))
        server.close()
    return 0


def restore_all(paths: Paths) -> list[str]:
    """Put back what a daemon that died has changed; what was done, in lines. Raises AlreadyRunning.

    Without a scope or a runtime directory named, what daemons of any scope left behind is put back too.
    """
    said = _restore(paths) if paths.ledger.exists() else []
    if paths.scope.is_everything and not paths.runtime_named and os.geteuid() == 0:
        for holder in holders(paths.held):
            theirs = replace(paths, runtime_dir=holder.runtime_dir)
            if not holder.alive and theirs.runtime_dir != paths.runtime_dir and theirs.ledger.exists():
                said += [f"{holder.scope}: {line}" for line in _restore(theirs)]
    return said or ["nothing to restore: no ledger"]


def _restore(paths: Paths) -> list[str]:
    release = _lock(paths.lock)
    try:
        ledger = Ledger.open(paths.ledger, sched.boot_id())
        managers = Managers()
        machine = Machine(sched, cgroup2, managers)
    except LedgerError as error:
        release()
        return [f"cannot restore: {error}"]
    try:
        outcomes = restore(ledger, machine)
        return [*ledger.notes, *_summary(outcomes)]
    finally:
        managers.close()
        ledger.close()
        release()


def _summary(outcomes: tuple[Outcome, ...]) -> list[str]:
    counts: dict[Status, int] = {}
    for outcome in outcomes:
        counts[outcome.status] = counts.get(outcome.status, 0) + 1
    words = {
        Status.APPLIED: "put back",
        Status.GONE: "of processes that are gone",
        Status.CHANGED: "changed by somebody since, and left",
        Status.DENIED: "refused by the kernel",
        Status.FAILED: "failed",
    }
    total = ", ".join(f"{n} {words.get(s, s.value)}" for s, n in counts.items()) or "nothing was in force"
    told = {Status.CHANGED, Status.DENIED, Status.FAILED}
    return [f"restored: {total}", *(o.detail for o in outcomes if o.status in told)]


def _lock(path: Path) -> Callable[[], None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        os.close(fd)
        raise AlreadyRunning(f"another SmoothTask runs here (pid {holder or 'unknown'}, {path})") from error
    os.ftruncate(fd, 0)
    os.pwrite(fd, b"%d\n" % os.getpid(), 0)

    def release() -> None:
        os.close(fd)

    return release


def _scoping(scope: Scope) -> Scoping:
    """Raises ScopeError for a cgroup that is not there."""
    if scope.cgroup is not None and not cgroup_exists(scope.cgroup):
        raise ScopeError(f"{scope.cgroup}: there is no such cgroup on this machine")
    return Scoping(scope, cgroup_exists)


def _hold(paths: Paths, opened: _Open, said: list[str]) -> None:
    """Be the only one who manages this scope. Raises AlreadyRunning."""
    try:
        release, died = hold(paths.scope, paths.runtime_dir, paths.held)
    except ScopeHeldError as error:
        raise AlreadyRunning(str(error)) from error
    opened.closers.append(release)
    said += [
        _left_behind(d) for d in died if d.runtime_dir != paths.runtime_dir and (d.runtime_dir / "ledger").exists()
    ]


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


def _hands(settings: Settings, paths: Paths, opened: _Open, said: list[str]) -> Actuator:
    """The actuator, once what a predecessor left is put back; *said*: what people should know."""
    ledger = Ledger.open(paths.ledger, sched.boot_id())
    opened.closers.append(ledger.close)
    managers = Managers()
    opened.closers.append(managers.close)
    machine = Machine(sched, cgroup2, managers)
    left = restore(ledger, machine)  # what a predecessor that died left behind
    said += [*ledger.notes, *(_summary(left) if left else ())]
    abilities = Abilities(slices=sched.slices_supported())
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


def rule_files(settings: Settings, paths: Paths) -> RuleFiles:
    """Where rules are read from with these settings."""
    prior = Path(settings.rules.ananicy) if settings.rules.ananicy else None
    return RuleFiles(runtime=paths.runtime_dir / "rules.d", ananicy=prior, homes=settings.rules.personal)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The rules while they are read."""

    files: RuleFiles
    seen: object
    reading: Reading

    @classmethod
    def start(cls, settings: Settings, paths: Paths) -> "_Reading":
        """Begin."""
        files = rule_files(settings, paths)
        return cls(files, signature(files), Reading(files))

    def result(self) -> _Rules:
        """Raises ConfigError."""
        try:
            loaded = self.reading.result()
        except RulesUnreadable as error:
            raise ConfigError([Problem(str(self.files.user), 1, "", str(error))]) from error
        return _Rules(self.files, loaded, self.seen, time.monotonic())


def _person(settings: Settings, paths: Paths, loop: Loop) -> PersonWatch:
    """Who watches the person: of everybody where we may, else of ourselves."""
    uid = os.geteuid()
    return PersonWatch.start(
        loop,
        loop.hasten,
        windows=settings.person.windows,
        sound=settings.person.sound,
        inputs=settings.person.input,
        only_uid=uid if uid != 0 else paths.scope.uid,
    )


def _probe(settings: Settings, sources: dict[str, str], opened: _Open) -> LatencyProbe | None:
    sources["probe"] = "off (as configured)"
    if not settings.probe.enabled:
        return None
    probe = LatencyProbe(settings.probe.window_s)
    try:
        probe.start()
    except ProbeUnavailable as error:
        sources["probe"] = f"off ({error})"
        return None
    opened.closers.append(probe.stop)
    sources["probe"] = "a process of its own"
    return probe


def _subscribe(settings: Settings, sources: dict[str, str]) -> Subscription | None:
    sources["events"] = "off (as configured)"
    if not settings.events.enabled:
        return None
    try:
        return Subscription()
    except EventsUnavailable as error:
        sources["events"] = f"off ({error})"
        return None


def _events(subscription: Subscription | None, sources: dict[str, str], opened: _Open) -> ProcEvents | None:
    if subscription is None:
        return None
    try:
        events = ProcEvents(subscription)
    except EventsUnavailable as error:
        sources["events"] = f"off ({error})"
        return None
    opened.closers.append(events.close)
    sources["events"] = "proc connector"
    return events


def _snapshot_log(settings: Settings, paths: Paths, on_problem: Callable[[str], None]) -> SnapshotLog | None:
    if not settings.store.record:
        return None
    return SnapshotLog(
        paths.database_at(settings.store.path),
        salt_path=paths.salt,
        anonymise=settings.store.anonymise,
        retention=Retention(max_age_days=settings.store.keep_days, max_bytes=int(settings.store.keep_mb * MEGABYTE)),
        on_problem=on_problem,
        version=__version__,
    )


def _recorder(log: SnapshotLog | None) -> Callable[[Frame], object]:
    return (lambda _frame: None) if log is None else log.offer


def _no_latency(_now_s: float) -> None:
    return None


def _people(settings: Settings, paths: Paths, pins: tuple[Pin, ...], log: SnapshotLog | None) -> People:
    if log is None:
        labels = Labels(lambda *_: None, lambda *_: None, lambda _: None, lambda _: False)
    else:
        labels = Labels(
            group=lambda f, g, target, uid: log.add_label(f, uid, group=g, target=target),
            moment=lambda f, verdict, uid: log.add_label(f, uid, verdict=verdict),
            remove=log.remove_label,
            put_back=log.put_back_label,
        )
    return People(
        pins,
        lambda kept: save_pins(paths.pins, tuple(kept)),
        labels,
        may_raise=settings.control.allow_users_above_normal,
        owner_uid=os.geteuid(),
    )


def parameters_of(settings: Settings) -> PolicyParameters:
    """What *settings* say to the policy."""
    return PolicyParameters(
        ContentionLimits(**settings.contention.model_dump()),
        Hysteresis(**settings.hysteresis.model_dump()),
        frozenset(settings.protected_apps),
        PersonLimits(**settings.person.model_dump(exclude={"input", "windows", "sound"})),
        BadLimits(**settings.bad.model_dump()),
    )


def _tick_settings(settings: Settings) -> TickSettings:
    return TickSettings(**settings.tick.model_dump())


def _reloader(engine: Engine, rules: _Rules, paths: Paths) -> Callable[[], Reply]:
    def reload() -> Reply:
        try:
            settings = load_settings(paths.config_file, required=paths.config_required)
            rules.read_again()
        except RulesUnreadable as error:
            return Reply(False, f"nothing is changed: {error}")
        except ConfigError as error:
            for problem in error.problems[:10]:
                engine.say("error", str(problem))
            return Reply(False, f"nothing is changed: {len(error.problems)} problems, first: {error.problems[0]}")
        engine.parameters = parameters_of(settings)
        engine.behaviour_limits = BehaviourLimits(**settings.behaviour.model_dump())
        engine.world.reclassify()
        return Reply(True, f"configuration and {len(rules.loaded.rules.rules)} rules are read again")

    return reload


def _beat(engine: Engine, rules: _Rules, said: list[str]) -> None:
    """Once a tick: watchdog, rule files, messages of the log."""
    _notify(message(watchdog=True))
    while len(said) > 0:
        engine.say("system", said.pop(0))
    if rules.changed(time.monotonic()):
        try:
            rules.read_again()
        except ConfigError as error:
            engine.say("error", f"the old rules stay: {error.problems[0]} ({len(error.problems)} problems)")
            return
        except RulesUnreadable as error:
            engine.say("error", f"the old rules stay: {error}")
            return
        engine.world.reclassify()
        engine.say("system", f"rules read again: {len(rules.loaded.rules.rules)} applications")


def _announce_reload(loop: Loop) -> None:
    _notify(message(reloading_mono_us=time.monotonic_ns() // 1000))
    reply = loop.commands.reload()
    loop.engine.say("system" if reply.ok else "error", reply.message)
    _notify(message(ready=True, status=reply.message))


def _notify(datagram: bytes) -> None:
    """Tell systemd; a manager that does not listen must not stop the loop, and nobody else wants to know."""
    try:
        notify(datagram)
    except OSError as error:
        os.environ.pop("NOTIFY_SOCKET", None)  # said once
        os.write(2, f"smoothtask: systemd cannot be told: {error}\n".encode())


def _raise_descriptor_limit() -> None:
    """The /proc fallback keeps files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(DESCRIPTORS, hard) if hard != resource.RLIM_INFINITY else DESCRIPTORS
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _rss_bytes() -> int:
    with open("/proc/self/statm", "rb", buffering=0) as file:
        return int(file.read().split()[1]) * PAGE_BYTES


def _tidy_memory() -> None:
    """What loading left behind goes back to the kernel, and what stays is not looked at by the collector again."""
    gc.collect()
    gc.freeze()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc alone
        libc.malloc_trim(0)
