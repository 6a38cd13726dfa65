"""A made-up busy machine that can be played with: `python -m smoothtask_tui.demo` touches nothing real.

Screenshots, benchmarks and tests use it. Time goes in ticks; every tick's frame is the same on each run.
"""

import math
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

from smoothtask.model.classes import PriorityClass
from smoothtask.model.command import (
    Command,
    Detail,
    Explain,
    Forget,
    LabelGroup,
    LabelMoment,
    ListLessons,
    ListRules,
    Pause,
    PinApp,
    Question,
    Redo,
    Rehearse,
    Reload,
    Reply,
    SetOverride,
    Undo,
    Unpin,
)
from smoothtask.model.decision import Contention, Decision, Reason, Stage
from smoothtask.model.frame import Event, Frame, GroupFrame, Mark, Mode, ProcessFrame, SelfCost
from smoothtask.model.group import AppGroup, Behaviour, Classification, GroupMetrics, ProcessType, RuleSource
from smoothtask.model.system import LatencyStats, Pressure, Psi, PsiLine, SystemMetrics
from smoothtask_tui import demodetail

MIB = 1 << 20
EPOCH = 1_767_369_600.0
"""Unix time of tick 0: a morning in January 2026."""
CORES = 8
CYCLE_TICKS = 150
"""One build: it starts, makes others wait, is calmed, and ends."""
BUILD = range(70, 130)
"""Ticks of a cycle in which the build runs."""
WAITING = range(72, 84)
"""Ticks of a cycle in which others wait for it."""

IDLE, BACKGROUND, NORMAL, INTERACTIVE, CRITICAL = PriorityClass
MECHANISMS: dict[PriorityClass, str] = {
    CRITICAL: "nice -7, ionice be/1, slice 0.4 ms",
    INTERACTIVE: "nice -4, ionice be/2, slice 0.7 ms",
    NORMAL: "-",
    BACKGROUND: "nice +10, ionice be/6",
    IDLE: "nice +19, ionice idle",
}


@dataclass(frozen=True, slots=True)
class Actor:
    """One group of the play."""

    id: str
    label: str
    type: str
    target: PriorityClass
    stage: Stage
    cpu: float
    rss_mib: int
    processes: int
    threads: int
    io_mib_s: float = 0.0
    parent: str | None = None
    only_in_build: bool = False
    rule: str = ""
    """File:line of the rule that knows it; empty: no rule does."""
    behaviour: Behaviour = Behaviour.QUIET
    uid: int = 1000
    command: str = ""


def _unit(name: str) -> str:
    return f"unit:app-{name}.scope"


CAST: tuple[Actor, ...] = (
    Actor(_unit("firefox"), "Firefox", "browser", INTERACTIVE, Stage.RULE, 0.62, 1310, 9, 214, 0.3,
          rule="apps.yaml:41", behaviour=Behaviour.STEADY, command="/usr/lib/firefox/firefox"),
    Actor(_unit("firefox") + "/renderer:tab 7", "tab 7 (renderer)", "browser", BACKGROUND, Stage.BEHAVIOUR, 0.97, 402,
          1, 31, parent=_unit("firefox"), behaviour=Behaviour.HOG, command="firefox -contentproc -tab 7"),
    Actor(_unit("code"), "VS Code", "ide", INTERACTIVE, Stage.RULE, 0.21, 1210, 14, 190, 0.1, rule="apps.yaml:88",
          behaviour=Behaviour.STEADY, command="/usr/share/code/code --unity-launch"),
    Actor(_unit("code") + "/indexer", "clangd", "indexer", BACKGROUND, Stage.RULE, 0.44, 890, 1, 17, 1.4,
          parent=_unit("code"), rule="apps.yaml:131", behaviour=Behaviour.HOG, command="clangd --background-index"),
    Actor("proc:4120-88110", "konsole", "terminal", INTERACTIVE, Stage.RULE, 0.03, 118, 5, 22, rule="apps.yaml:15",
          behaviour=Behaviour.STEADY, command="/usr/bin/konsole"),
    Actor("proc:4120-88110/job:ninja", "ninja + 43 × clang++", "build", BACKGROUND, Stage.RULE, 3.6, 3170, 44, 46, 22.0,
          parent="proc:4120-88110", only_in_build=True, rule="apps.yaml:207", behaviour=Behaviour.HOG,
          command="clang++ -O2 -std=c++20 -Iinclude -c src/render/pass.cpp -o pass.o"),
    Actor("proc:4120-88110/job:train", "python3 train.py", "unknown", BACKGROUND, Stage.BEHAVIOUR, 0.98, 2048, 3,
          20, parent="proc:4120-88110", only_in_build=True, behaviour=Behaviour.HOG, command="python3 train.py"),
    Actor(_unit("steam"), "Hollow Knight", "game", CRITICAL, Stage.RULE, 0.88, 2410, 7, 61, 2.9, rule="apps.yaml:166",
          behaviour=Behaviour.STEADY, command="hollow_knight.x86_64"),
    Actor("unit:pipewire.service", "PipeWire", "audio", CRITICAL, Stage.RULE, 0.021, 28, 3, 9, rule="apps.yaml:8",
          behaviour=Behaviour.STEADY, command="/usr/bin/pipewire"),
    Actor("unit:plasma-kwin.service", "KWin", "compositor", NORMAL, Stage.PROTECTION, 0.064, 190, 2, 24,
          rule="apps.yaml:3", behaviour=Behaviour.STEADY, command="/usr/bin/kwin_wayland"),
    Actor(_unit("slack"), "Slack", "chat", NORMAL, Stage.DEFAULT, 0.012, 611, 9, 120, rule="apps.yaml:119",
          command="/usr/lib/slack/slack"),
    Actor(_unit("spotify"), "Spotify", "audio", INTERACTIVE, Stage.RULE, 0.047, 340, 6, 58, 0.1, rule="apps.yaml:12",
          behaviour=Behaviour.STEADY, command="/opt/spotify/spotify"),
    Actor("unit:baloo.service", "Baloo", "indexer", IDLE, Stage.RULE, 0.099, 310, 1, 3, 41.0, rule="apps.yaml:133",
          behaviour=Behaviour.HOG, command="/usr/bin/baloo_file"),
    Actor("unit:updatedb.service", "updatedb", "indexer", IDLE, Stage.RULE, 0.034, 12, 1, 1, 9.5, rule="apps.yaml:140",
          uid=0, command="/usr/bin/updatedb.plocate"),
    Actor("unit:restic.service", "restic", "backup", IDLE, Stage.RULE, 0.31, 188, 1, 14, 34.0, rule="apps.yaml:238",
          behaviour=Behaviour.HOG, uid=0, command="restic backup /home --tag nightly"),
    Actor("unit:packagekit.service", "PackageKit", "updater", BACKGROUND, Stage.RULE, 0.052, 96, 1, 6, 0.8,
          rule="apps.yaml:221", uid=0, command="/usr/libexec/packagekitd"),
    Actor(_unit("transmission"), "Transmission", "torrent", IDLE, Stage.RULE, 0.028, 84, 1, 8, 6.1,
          rule="apps.yaml:248", command="transmission-gtk"),
    Actor("container:8f2c91d0a3bb", "postgres (docker)", "service", NORMAL, Stage.DEFAULT, 0.071, 420, 8, 8, 1.9,
          uid=999, command="postgres: checkpointer"),
    Actor("unit:docker.service", "dockerd", "container", NORMAL, Stage.DEFAULT, 0.009, 88, 2, 31, uid=0,
          rule="apps.yaml:190", command="/usr/bin/dockerd"),
    Actor("unit:ssh.service", "sshd", "login", NORMAL, Stage.PROTECTION, 0.0, 22, 2, 2, uid=0, rule="apps.yaml:5",
          command="sshd: /usr/sbin/sshd -D"),
    Actor("unit:systemd-journald.service", "journald", "service", NORMAL, Stage.PROTECTION, 0.003, 61, 1, 1, 0.1, uid=0,
          rule="apps.yaml:4", command="/lib/systemd/systemd-journald"),
    Actor("unit:NetworkManager.service", "NetworkManager", "service", NORMAL, Stage.PROTECTION, 0.001, 21, 1, 4, uid=0,
          rule="apps.yaml:6", command="/usr/sbin/NetworkManager"),
    Actor("unit:cups.service", "cupsd", "service", NORMAL, Stage.DEFAULT, 0.0, 14, 1, 2, uid=0,
          command="/usr/sbin/cupsd -l"),
    Actor(_unit("signal"), "Signal", "chat", NORMAL, Stage.DEFAULT, 0.006, 280, 7, 84, rule="apps.yaml:121",
          command="/opt/Signal/signal-desktop"),
    Actor(_unit("krunner"), "KRunner", "launcher", INTERACTIVE, Stage.RULE, 0.002, 77, 1, 12, rule="apps.yaml:19",
          command="/usr/bin/krunner"),
    Actor(_unit("obsidian"), "Obsidian", "office", INTERACTIVE, Stage.RULE, 0.018, 390, 6, 71, rule="apps.yaml:151",
          command="/opt/Obsidian/obsidian"),
    Actor("unit:syncthing.service", "Syncthing", "sync", BACKGROUND, Stage.RULE, 0.041, 72, 1, 22, 0.4,
          rule="apps.yaml:252", command="/usr/bin/syncthing serve"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standing:
    """What the person of the play has ordered."""

    pins: dict[str, PriorityClass] = field(default_factory=dict)
    overrides: dict[str, PriorityClass] = field(default_factory=dict)
    labels: frozenset[str] = frozenset()
    paused: bool = False


def frame_at(tick: int, standing: Standing | None = None, groups: int = 0, *, observe: str = "") -> Frame:
    """The machine at *tick*, with at least *groups* groups; *observe* is why nothing may be applied."""
    standing = standing or Standing()
    phase = tick % CYCLE_TICKS
    building, waiting = phase in BUILD, phase in WAITING
    cast = [*CAST, *(_extra(i) for i in range(len(CAST), groups))]
    # Without somebody who calms the build, others wait for as long as it runs.
    waiting = building and (waiting or standing.paused or bool(observe))
    playing = [a for a in cast if building or not a.only_in_build]
    shown = tuple(_group_frame(a, tick, waiting=waiting, standing=standing, off=bool(observe)) for a in playing)
    mode = Mode.PAUSED if standing.paused else Mode.DRY_RUN if observe else Mode.RULES_ONLY
    return Frame(
        seq=tick,
        time=EPOCH + tick,
        mono_s=1000.0 + tick,
        mode=mode,
        mode_reason="paused by uid 0" if standing.paused else observe,
        system=_system(tick, shown, building=building, waiting=waiting),
        contention=_contention(phase, waiting=waiting),
        groups=shown,
        processes=tuple(_process(a, g) for a, g in zip(playing, shown, strict=True)),
        events=_events(tick),
        cost=SelfCost(0.31 + 0.05 * wobble("self", tick), 3.1, 52 * MIB, 0.25 if waiting else 1.0),
        sources={"tasks": "bpf", "events": "proc connector", "probe": "timer process", "psi": "triggers"},
    )


def wobble(key: str, tick: int) -> float:
    """0 … 1: smooth noise of its own for each key."""
    seed = zlib.crc32(key.encode()) % 1000
    return 0.5 + 0.28 * math.sin(tick / 3.1 + seed) + 0.22 * math.sin(tick * 1.9 + seed * 7)


_SERVICES = (
    "plasmashell", "kded", "kdeconnectd", "xdg-desktop-portal", "gvfsd", "at-spi", "dbus-broker", "polkitd", "rtkit",
    "upowerd", "udisksd", "colord", "fwupd", "smartd", "chronyd", "cron", "rsyslogd", "thermald", "bluetoothd",
    "avahi-daemon", "ModemManager", "wpa_supplicant", "accounts-daemon", "systemd-udevd", "systemd-resolved",
    "libvirtd", "tailscaled", "mosquitto", "ollama", "gpg-agent", "ssh-agent", "nginx", "redis", "grafana",
)  # fmt: skip
"""What else runs on a machine, mostly asleep."""


def _extra(i: int) -> Actor:
    nth = i - len(CAST)
    name = _SERVICES[nth] if nth < len(_SERVICES) else f"worker-{nth}"
    noise = wobble(name, i)
    cpu = 0.03 * noise * noise if i % 3 else 0.0
    return Actor(f"unit:{name}.service", name, "service", NORMAL, Stage.DEFAULT, cpu, 4 + int(60 * noise), 1, 1 + i % 9)


def _group_frame(a: Actor, tick: int, *, waiting: bool, standing: Standing, off: bool) -> GroupFrame:
    app = a.label.casefold()
    target, stage = a.target, a.stage
    reasons = [_reason(a)]
    marks = set()
    if a.stage is Stage.PROTECTION:
        marks.add(Mark.PROTECTED)
    elif a.id in standing.overrides:
        target, stage = standing.overrides[a.id], Stage.OVERRIDE
        reasons = [Reason(stage, "override", f"overridden to {target.name} until it exits")]
        marks.add(Mark.OVERRIDDEN)
    elif app in standing.pins:
        target, stage = standing.pins[app], Stage.PIN
        reasons = [Reason(stage, "pin", f"{app} is pinned to {target.name} by the administrator")]
        marks.add(Mark.PINNED)
    elif a.stage is Stage.BEHAVIOUR and not (waiting or a.only_in_build):
        target, stage = NORMAL, Stage.DEFAULT
        reasons = [Reason(stage, "default", "nothing asks for another class: nobody waits for it")]
    if a.id in standing.labels:
        marks.add(Mark.LABELLED)
    since = min(float(tick % CYCLE_TICKS - BUILD.start + 1), 900.0) if a.only_in_build else 300.0 + tick
    decision = Decision(
        a.id, target, target, stage, tuple(reasons), a.stage is Stage.PROTECTION, stage is Stage.BEHAVIOUR, since
    )
    group = AppGroup(
        id=a.id,
        parent=a.parent,
        label=a.label,
        root_pid=1000 + zlib.crc32(a.id.encode()) % 90000,
        uid=a.uid,
        classification=_classification(a),
        metrics=_metrics(a, tick, waiting=waiting),
        behaviour=a.behaviour,
        behaviour_s=float(40 + tick % 200),
        started_s=since,
        unit=a.id.removeprefix("unit:") if a.id.startswith("unit:") else None,
        tty="pts/3" if a.id.startswith("proc:") else None,
    )
    idle = off or standing.paused or a.stage is Stage.PROTECTION
    return GroupFrame(group, decision, "-" if idle else MECHANISMS[target], frozenset(marks))


def _reason(a: Actor) -> Reason:
    source = f"/usr/share/smoothtask/rules/{a.rule}" if a.rule else None
    match a.stage:
        case Stage.PROTECTION:
            return Reason(a.stage, "protected", f"{a.label} is {a.type}: never touched", source)
        case Stage.BEHAVIOUR:
            text = f"has used or wanted {a.cpu + 0.4:.1f} cores for 48 s and hardly ever sleeps (3 sleeps/s)"
            return Reason(a.stage, "noisy-neighbour" if a.parent else "hog", text)
        case Stage.RULE:
            text = f"{a.label} is {a.type} (exe {a.command.split(' ')[0]})"
            return Reason(a.stage, "certain-type", text, source)
        case _:
            return Reason(a.stage, "default", "nothing asks for another class", source)


def _classification(a: Actor) -> Classification:
    return Classification(
        app=a.label.casefold(),
        label=a.label,
        type=a.type,
        tags=frozenset({a.type}),
        process_type=ProcessType.GUI if a.type in {"browser", "ide", "game", "chat"} else ProcessType.SERVICE,
        target=a.target if a.rule else None,
        certain=bool(a.rule),
        protected=a.stage is Stage.PROTECTION,
        source=RuleSource("vendor", *_file_line(a.rule)) if a.rule else None,
        evidence=f"exe {a.command.split(' ')[0]}" if a.rule else "no rule knows it",
    )


def _file_line(rule: str) -> tuple[str, int]:
    file, _, number = rule.partition(":")
    return f"/usr/share/smoothtask/rules/{file}", int(number)


def _metrics(a: Actor, tick: int, *, waiting: bool) -> GroupMetrics:
    noise = wobble(a.id, tick)
    cpu = a.cpu * (0.2 + 1.6 * noise) if a.behaviour is not Behaviour.HOG else a.cpu * (0.8 + 0.3 * noise)
    hog = a.behaviour is Behaviour.HOG
    wait = cpu * (1.3 if hog else 0.55) if waiting else cpu * (0.5 if hog and a.only_in_build else 0.012)
    io = a.io_mib_s * MIB * 2 * noise
    return GroupMetrics(
        a.processes,
        a.threads,
        cpu,
        wait,
        3.0 if hog else 210.0 * noise + 1,
        90.0 if hog else 4.0,
        io * 0.6,
        io * 0.4,
        int(a.rss_mib * MIB * (0.97 + 0.06 * noise)),
    )


def _system(tick: int, groups: tuple[GroupFrame, ...], *, building: bool, waiting: bool) -> SystemMetrics:
    used = min(CORES * 0.99, sum(g.group.metrics.cpu for g in groups))
    cores = tuple(
        min(100.0, 100 * used / CORES * (0.75 + 0.5 * wobble(f"core{i}", tick)) + (12 if building else 0))
        for i in range(CORES)
    )
    n = wobble("psi", tick)
    cpu = 34 + 30 * n if waiting else 5 * n if building else 1.8 * n * n
    io = 4 + 9 * wobble("io", tick) if building else 2.2 * wobble("io", tick)
    memory = 0.6 * n if building else 0.0
    slow = 9.0 + 24 * n if waiting else 1.1 + 2.2 * n if building else 0.35 + 0.5 * n
    latency = LatencyStats(0.06 + 0.03 * n, slow / 3, slow, slow * 2.4, 512, 10.0)
    pressure = Pressure(
        *(Psi(PsiLine(v * 0.8, v * 0.5, tick * 10_000), PsiLine(v * 0.1, v * 0.05, tick)) for v in (cpu, io, memory))
    )
    total = 31 << 30
    rss = sum(g.group.metrics.rss_bytes for g in groups)
    load = 11.4 if building else 2.3
    return SystemMetrics(
        cores, total, total - rss - (3 << 30), 8 << 30, 310 * MIB, (load, load * 0.7, 2.9), pressure, cpu, io, memory,
        (), latency, 412 + (44 if building else 0), 2180,
    )  # fmt: skip


def _contention(phase: int, *, waiting: bool) -> Contention:
    if waiting:
        return Contention(
            active=True,
            since_s=float(phase - WAITING.start),
            reasons=("cpu pressure 47 % (limit 10 %)", "wake-up p99 21 ms (limit 5 ms)"),
        )
    return Contention(active=False, since_s=float((phase - WAITING.stop) % CYCLE_TICKS), reasons=())


def _process(a: Actor, g: GroupFrame) -> ProcessFrame:
    m = g.group.metrics
    nice = {CRITICAL: -7, INTERACTIVE: -4, NORMAL: 0, BACKGROUND: 5, IDLE: 19}[g.decision.target]
    name = a.command.split(" ", maxsplit=1)[0].rpartition("/")[2][:15] or a.label
    return ProcessFrame(
        g.group.root_pid, 4242, 1, a.uid, a.id, name, a.command or a.label, m.threads,
        nice if g.mechanism != "-" else 0, m.cpu, m.wait, m.read_bps, m.write_bps, m.rss_bytes,
    )  # fmt: skip


_STORY: tuple[tuple[int, str, str, str], ...] = (
    (70, "class", "ninja + 43 × clang++: NORMAL → BACKGROUND: a build, past its grace", "proc:4120-88110/job:ninja"),
    (72, "system", "contention: cpu pressure 47 % (limit 10 %), wake-up p99 21 ms", ""),
    (73, "class", "python3 train.py: NORMAL → BACKGROUND: hogs beside others that sleep and wake",
     "proc:4120-88110/job:train"),
    (74, "class", "tab 7 (renderer): NORMAL → BACKGROUND: hardly ever sleeps", _unit("firefox") + "/renderer:tab 7"),
    (84, "system", "contention over after 12 s: cpu pressure 4 %, wake-up p99 2.0 ms", ""),
    (96, "class", "tab 7 (renderer): BACKGROUND → NORMAL: nobody waits any more", _unit("firefox") + "/renderer:tab 7"),
    (130, "system", "ninja exited after 60 s", ""),
)  # fmt: skip


def _events(tick: int) -> tuple[Event, ...]:
    cycles = range(max(0, tick // CYCLE_TICKS - 2), tick // CYCLE_TICKS + 1)
    told = [
        Event(EPOCH + cycle * CYCLE_TICKS + at, kind, text, group or None)
        for cycle in cycles
        for at, kind, text, group in _STORY
    ]
    return tuple(e for e in told if e.time <= EPOCH + tick)


class DemoClient:
    """An `EngineClient` of the made-up machine: orders work, nothing real is touched."""

    description = "demonstration: nothing real is shown or changed"
    ends_with_us = False

    def __init__(self, start: int = 0, groups: int = 0, interval_s: float = 1.0, observe: str = "") -> None:
        self.tick = start
        self.groups = groups
        self.interval_s = interval_s
        self.observe = observe
        self.standing = Standing()
        self._past: list[Standing] = []
        self._closed = threading.Event()
        self._wake = threading.Event()

    def frame(self) -> Frame:
        """The current tick."""
        frame = frame_at(self.tick, self.standing, self.groups, observe=self.observe)
        return replace(frame, undo_depth=len(self._past))

    def run(self, on_frame: Callable[[Frame], None], on_state: Callable[[str], None]) -> None:
        """A frame each interval, and at once after an order."""
        on_state("")
        due = time.monotonic()
        while not self._closed.is_set():
            on_frame(self.frame())
            if not self._wake.wait(max(0.0, due + self.interval_s - time.monotonic())):
                self.tick += 1
                due += self.interval_s
            self._wake.clear()

    def close(self) -> None:
        """End `run`."""
        self._closed.set()
        self._wake.set()

    def ask(self, command: Command) -> Reply:
        """Play along."""
        reply = self._carry_out(command)
        if not isinstance(command, Question):
            self._wake.set()
        return reply

    def _carry_out(self, command: Command) -> Reply:
        match command:
            case Undo():
                if not self._past:
                    return Reply(False, "nothing to undo")
                self.standing = self._past.pop()
                return Reply(True, "undone: the latest order")
            case Pause():
                return self._put(
                    replace(self.standing, paused=command.on),
                    "paused: every change is undone" if command.on else "resumed: decisions are applied again",
                )
            case LabelMoment():
                return self._put(self.standing, f"labelled: this was {command.verdict}; undo takes it back")
            case Reload():
                return Reply(True, "read again")
            case ListRules():
                return Reply(True, "the made-up rules", asdict(demodetail.rules(self.frame())))
            case ListLessons():
                return Reply(True, "0 lessons", {"lessons": []})
            case Forget():
                return Reply(False, f"nothing is learnt of {command.app}")
            case Redo() | Rehearse():
                return Reply(False, "the recorded machine has only one past")
            case _:
                pass
        wanted = command.target if isinstance(command, Explain | Detail) else command.group
        found = next((g for g in self.frame().groups if g.group.id == wanted), None)
        if found is None:
            return Reply(False, f"no group is called {wanted}")
        if isinstance(command, Explain):
            return self._explain(found)
        if isinstance(command, Detail):
            told = demodetail.detail(self.frame(), found, threads=command.threads)
            return Reply(True, found.group.label, asdict(told))
        return self._order(command, found)

    def _order(self, command: PinApp | Unpin | SetOverride | LabelGroup, found: GroupFrame) -> Reply:
        standing, label = self.standing, found.group.label
        app = found.group.classification.app
        if found.decision.protected and not isinstance(command, LabelGroup):
            return Reply(False, f"not changed: {found.decision.text}")
        match command:
            case PinApp():
                pins = {**standing.pins, app: command.target}
                said = f"{label} is pinned to {command.target.name} as {app}; undo takes it back"
                return self._put(replace(standing, pins=pins), said)
            case Unpin():
                pins = {k: v for k, v in standing.pins.items() if k != app}
                return self._put(replace(standing, pins=pins), f"{app} is no longer pinned; undo pins it again")
            case SetOverride(target=None):
                rest = {k: v for k, v in standing.overrides.items() if k != command.group}
                return self._put(replace(standing, overrides=rest), f"{label} is decided by the rules again")
            case SetOverride(target=PriorityClass() as target):
                until = f"for {command.seconds:g} s" if command.seconds else "until it exits"
                overrides = {**standing.overrides, command.group: target}
                return self._put(
                    replace(standing, overrides=overrides), f"{label} is {target.name} {until}; undo takes it back"
                )
            case LabelGroup():
                labels = standing.labels | {command.group}
                said = f"labelled: {label} should be {command.target.name}; undo takes it back"
                return self._put(replace(standing, labels=labels), said)
            case _:  # pragma: no cover - every command is above
                return Reply(False, "not understood")

    def _put(self, standing: Standing, said: str) -> Reply:
        self._past.append(self.standing)
        self.standing = standing
        return Reply(True, said)

    def _explain(self, found: GroupFrame) -> Reply:
        group = found.group.id
        processes = [p for p in self.frame().processes if p.group == group or p.group.startswith(group + "/")]
        return Reply(
            True,
            f"{found.group.label} is {found.decision.target.name}: {found.decision.text}",
            {"group": group, "processes": [asdict(p) for p in processes]},
        )


def main() -> int:
    """Show the dashboard over the made-up machine."""
    from smoothtask_tui.app import run_dashboard  # noqa: PLC0415 - the app needs no demo, the demo needs the app

    return run_dashboard(DemoClient(start=60))


if __name__ == "__main__":
    raise SystemExit(main())
