"""What a model sees of each group: the one definition, for the daemon that scores and the trainer that learns (pure).

Rule 1: only what is known before deciding. No class, no time in a class, no decision, no pin, override or label, and
        nothing that we set (nice, weights, mechanism), nor how well a group is served: that is an outcome.
Rule 2: no identity. Types and tags say what an application is; who it is comes in by personalisation, over the score.
Rule 3: NaN is "not known". Where nothing tells of windows or of sound, no group has "not focused" or "silent".
Rule 4: shares are of this machine (cores, memory), so that a model outlives a change of hardware.
Rule 5: the same snapshot gives the same bits, recorded or not: what the log rounds is rounded here, and sums do not
        depend on the order of groups.
A change of a name, unit, encoding, range or of the order is another schema, and models of the old one are not used.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import fsum, nan
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from smoothtask.model.decision import Contention
from smoothtask.model.frame import Frame
from smoothtask.model.group import AppGroup, Behaviour, Classification, ProcessType
from smoothtask.model.person import PersonMetrics
from smoothtask.model.system import Psi, SystemMetrics

VERSION = 1
Matrix = npt.NDArray[np.float32]
"""[groups, features]"""

KINDS: dict[str, tuple[str, ...]] = {
    "browser": ("browser", "browser-content", "browser-audio"),
    "development": ("ide", "editor", "terminal-editor", "language-server", "extension-host", "debugger"),
    "terminal": ("terminal", "multiplexer", "shell", "tui", "monitor", "wrapper"),
    "game": ("game", "emulator", "game-launcher", "game-support", "wine"),
    "sound": ("audio-workstation", "audio-processor", "audio-editor", "audio-player", "audio-control"),
    "video": ("video-player", "recorder", "video-editor"),
    "talk": ("call", "chat", "mail"),
    "desk": ("office", "viewer", "graphics", "engineering", "utility", "file-manager", "launcher", "remote-desktop",
             "vm-viewer", "software-center", "input-method", "accessibility"),
    "build": ("compiler", "build", "ci-runner", "version-control"),
    "batch": ("batch", "archiver", "volunteer", "thumbnailer"),
    "transfer": ("torrent", "torrent-daemon", "downloader", "sync"),
    "upkeep": ("indexer", "updater", "package-manager", "backup", "maintenance"),
    "service": ("service", "desktop-service", "database", "web-server", "media-server", "model-server"),
    "guest": ("container", "vm"),
}  # fmt: skip
"""Types of applications by kind: one column a kind. Types that are in none have zeros in all of them."""
TAGS = (
    "ai", "audio", "backup", "batch", "browser", "build", "call", "capture", "compiler", "content", "development",
    "download", "editor", "game", "gui", "indexer", "launcher", "maintenance", "network", "player", "science",
    "service", "sync", "terminal", "torrent", "tui", "updater", "video",
)  # fmt: skip


class Encoding:
    """How a value becomes a number."""

    PLAIN = "plain"
    LOG1P = "log1p"
    FLAG = "flag"
    """0 or 1."""
    CLASS = "class"
    """0 (IDLE) … 4 (LATENCY_CRITICAL)."""
    ONE_HOT = "one-hot"


@dataclass(frozen=True, slots=True)
class Feature:
    """One column."""

    name: str
    unit: str
    """Before its encoding: `s`, `1/s`, `share`, …"""
    encoding: str
    missing: str
    """What NaN means; `never` where there is none."""
    lo: float
    hi: float
    """As encoded, what is plausible; a value outside is used all the same."""
    text: str
    """For people."""


NEVER = "never"
_LOG_S, _LOG_BPS, _LOG_PS, _LOG_N = 20.0, 28.0, 17.0, 14.0


def _log(name: str, unit: str, hi: float, text: str, missing: str = NEVER) -> Feature:
    return Feature(name, unit, Encoding.LOG1P, missing, 0.0, hi, text)


def _share(name: str, text: str, missing: str = NEVER, hi: float = 1.0) -> Feature:
    return Feature(name, "share", Encoding.PLAIN, missing, 0.0, hi, text)


def _flag(name: str, text: str, missing: str = NEVER) -> Feature:
    return Feature(name, "", Encoding.FLAG, missing, 0.0, 1.0, text)


def _one_hot(name: str, text: str) -> Feature:
    return Feature(name, "", Encoding.ONE_HOT, NEVER, 0.0, 1.0, text)


_NO_PSI, _NO_PROBE, _NO_SOUND = "no PSI", "no probe", "no sound server is known"
_NO_WINDOWS, _NO_INPUT = "no windows are seen at all", "nothing tells of input"

_MACHINE = (
    _share("m_cpu_some", "time in which somebody waited for a CPU", _NO_PSI),
    _share("m_io_some", "time in which somebody waited for a disk", _NO_PSI),
    _share("m_memory_some", "time in which somebody waited for memory", _NO_PSI),
    _share("m_cpu_some_10s", "the same for a CPU, over 10 s", _NO_PSI),
    _share("m_io_some_10s", "the same for a disk, over 10 s", _NO_PSI),
    _share("m_memory_some_10s", "the same for memory, over 10 s", _NO_PSI),
    _share("m_cpu_busy", "how busy the CPUs are", "first tick"),
    _log("m_load_per_core", "1", 7.0, "load average of a minute, of each core"),
    _share("m_memory_available", "memory that is available"),
    _share("m_swap_used", "swap that is used", "no swap"),
    _log("m_late_p95", "µs", 17.0, "how late sleepers wake, 95 %", _NO_PROBE),
    _log("m_late_p99", "µs", 17.0, "how late sleepers wake, 99 %", _NO_PROBE),
    _flag("m_contended", "somebody waits"),
    _flag("m_person_active", "somebody is there", _NO_INPUT),
    _log("m_since_input", "s", _LOG_S, "time since the last input", _NO_INPUT),
    _log("m_sound_breaks", "1", 10.0, "breaks of sound since the last tick", _NO_SOUND),
    _share("m_dsp_load", "how much of a sound cycle is used", _NO_SOUND, hi=2.0),
)
_USE = (
    _share("cpu", "CPU that it uses, of the machine's"),
    _share("wait", "threads of it that wait for a CPU, of the machine's cores", hi=64.0),
    _share("demand", "its part of all CPU that is used or wanted", "nobody uses any"),
    _log("vcsw", "1/s", _LOG_PS, "how often it goes to sleep"),
    _log("ivcsw", "1/s", _LOG_PS, "how often it is pushed off a CPU"),
    _log("read", "B/s", _LOG_BPS, "what it reads"),
    _log("write", "B/s", _LOG_BPS, "what it writes"),
    _share("rss", "its memory, of the machine's", hi=4.0),
    _log("processes", "1", _LOG_N, "its processes"),
    _log("threads", "1", _LOG_N, "its threads"),
    _flag("hog", "it runs all the time"),
    _flag("steady", "it sleeps and wakes often"),
    _log("behaviour_age", "s", _LOG_S, "how long it has behaved so"),
    _log("age", "s", _LOG_S, "its age"),
)
_PERSON = (
    _flag("focused", "it has the focus", _NO_WINDOWS),
    _flag("visible", "it is on the screen", _NO_WINDOWS),
    _flag("minimised", "all of its windows are hidden", _NO_WINDOWS),
    _flag("fullscreen", "it fills the screen", _NO_WINDOWS),
    _log("unfocused", "s", _LOG_S, "time since it lost the focus", "it has the focus, or never had"),
    _flag("playing", "it plays sound", _NO_SOUND),
    _flag("capturing", "it records sound", _NO_SOUND),
    _log("xrun_age", "s", _LOG_S, "time since its sound broke up", "it never did"),
    _log("typed_age", "s", _LOG_S, "time since somebody typed into its terminal", "no terminal, or never"),
    _flag("has_terminal", "it has a terminal"),
)
_PLACE = (
    _flag("part", "it is a part of an application"),
    _flag("starts_others", "it starts other programs"),
    _flag("around_focused", "the application around it has the focus", "no windows are seen, or no part"),
    _log("around_typed_age", "s", _LOG_S, "time since somebody typed into the terminal around it", "no part, or never"),
    _flag("neighbours_wait", "others of its application sleep and wake"),
    _flag("system_user", "it belongs to the system"),
)
_RULE = (
    Feature("rule_class", "class", Encoding.CLASS, "no rule names one", 0.0, 4.0, "the class that its rule asks for"),
    _flag("rule_certain", "its rule is certain", "no rule names a class"),
    _flag("in_grace", "its rule leaves it alone as long as it is so young"),
    _flag("known", "a rule knows it"),
)
_WHAT = (
    *(_one_hot(f"process_{p.value}", f"its processes are {p.value}") for p in ProcessType),
    *(_one_hot(f"kind_{kind}", f"it is of the kind {kind}") for kind in KINDS),
    *(_one_hot(f"tag_{tag}", f"it is tagged {tag}") for tag in TAGS),
)
FEATURES: tuple[Feature, ...] = (*_MACHINE, *_USE, *_PERSON, *_PLACE, *_RULE, *_WHAT)
NAMES = tuple(f.name for f in FEATURES)
COUNT = len(FEATURES)
SYSTEM_UIDS = 1000
"""Below this a user is no person (login.defs)."""

_KIND_OF = {type_: n for n, types in enumerate(KINDS.values()) for type_ in types}
_LOGGED = np.flatnonzero([f.encoding == Encoding.LOG1P for f in FEATURES])


def schema() -> dict[str, object]:
    """The schema as plain values: what the hash is of."""
    columns = [[f.name, f.unit, f.encoding, f.missing, f.lo, f.hi] for f in FEATURES]
    return {"version": VERSION, "features": columns}


@lru_cache(maxsize=1)
def schema_hash() -> str:
    """SHA-256 of the schema, in hex: a model of another one must not be used."""
    text = json.dumps(schema(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def of_frame(frame: Frame) -> Matrix:
    """The features of each group of *frame*, in its order."""
    return features([g.group for g in frame.groups], frame.system, frame.person, frame.contention)


def features(
    groups: Sequence[AppGroup], system: SystemMetrics, person: PersonMetrics, contention: Contention
) -> Matrix:
    """One row a group of *groups*, which are all that there are; float32 [groups, features]."""
    if not groups:
        return np.empty((0, COUNT), np.float32)
    around = _around(groups, system, person)
    values = np.empty((len(groups), COUNT))
    own, what = len(_MACHINE), COUNT - len(_WHAT)
    values[:, :own] = _machine(system, person, contention)
    values[:, own:what] = [_own(g, around) for g in groups]
    values[:, what:] = [_what(g.classification) for g in groups]
    values[:, _LOGGED] = np.log1p(values[:, _LOGGED])
    return values.astype(np.float32)


class _Around(NamedTuple):
    """What a row needs of the rest."""

    cores: int
    memory: int
    demand: float
    """Cores used and wanted by all."""
    windows: bool
    """Some window is known."""
    sound: bool
    applications: dict[str, AppGroup]
    waiting: dict[str, set[str]]
    """Application → ids of its groups in which somebody sleeps and wakes, or waits for the next line."""


def _around(groups: Sequence[AppGroup], system: SystemMetrics, person: PersonMetrics) -> _Around:
    waiting: dict[str, set[str]] = {}
    for g in groups:
        if g.behaviour is Behaviour.STEADY or (g.starts_others and g.parent is None):
            waiting.setdefault(g.parent or g.id, set()).add(g.id)
    return _Around(
        cores=max(1, len(system.cpu_pct)),
        memory=max(1, system.mem_total_bytes),
        demand=fsum(g.metrics.cpu + g.metrics.wait for g in groups),
        windows=any(g.attention.visible or g.attention.minimised or g.attention.focused for g in groups),
        sound=person.xruns is not None,
        applications={g.id: g for g in groups if g.parent is None},
        waiting=waiting,
    )


def _machine(system: SystemMetrics, person: PersonMetrics, contention: Contention) -> tuple[float, ...]:
    busy = [round(c, 1) for c in system.cpu_pct]
    late = system.latency
    breaks = nan if person.xruns is None else float(person.sound_breaks)
    return (
        _part(system.cpu_some_pct), _part(system.io_some_pct), _part(system.memory_some_pct),
        _average(system.pressure.cpu), _average(system.pressure.io), _average(system.pressure.memory),
        fsum(busy) / len(busy) / 100 if busy else nan,
        system.load[0] / max(1, len(busy)),
        system.mem_available_bytes / max(1, system.mem_total_bytes),
        system.swap_used_bytes / system.swap_total_bytes if system.swap_total_bytes else nan,
        nan if late is None else 1000 * late.p95_ms, nan if late is None else 1000 * late.p99_ms,
        float(contention.active), _flagged(person.active), _age(person.since_input_s), breaks, _number(person.dsp_load),
    )  # fmt: skip


def _own(g: AppGroup, around: _Around) -> tuple[float, ...]:
    """What *g* does and means, and where it is."""
    m, a, c = g.metrics, g.attention, g.classification
    demand = m.cpu + m.wait
    outer = around.applications.get(g.parent) if g.parent is not None else None
    focused, visible, minimised, fullscreen = (
        (a.focused, a.visible, a.minimised, a.fullscreen) if around.windows else (nan, nan, nan, nan)
    )
    playing, capturing = (a.playing, a.capturing) if around.sound else (nan, nan)
    neighbours = around.waiting.get(g.parent or g.id, set()) - {g.id}
    return (
        m.cpu / around.cores, m.wait / around.cores, demand / around.demand if around.demand > 0 else nan,
        m.vcsw, m.ivcsw, m.read_bps, m.write_bps, m.rss_bytes / around.memory, m.processes, m.threads,
        g.behaviour is Behaviour.HOG, g.behaviour is Behaviour.STEADY, _age(round(g.behaviour_s, 3)), _age(g.started_s),
        focused, visible, minimised, fullscreen, _age(a.unfocused_s), playing, capturing, _age(a.xrun_s),
        _age(a.typed_s), g.tty is not None,
        g.parent is not None, g.starts_others,
        outer.attention.focused if outer is not None and around.windows else nan,
        _age(outer.attention.typed_s) if outer is not None else nan,
        bool(neighbours), g.uid < SYSTEM_UIDS,
        nan if c.target is None else float(c.target), nan if c.target is None else c.certain,
        g.started_s < c.after_s, c.source is not None,
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _what(c: Classification) -> npt.NDArray[np.float64]:
    """What kind of application it is."""
    kind = _KIND_OF.get(c.type)
    return np.array((
        *(float(c.process_type is p) for p in ProcessType),
        *(float(kind == n) for n in range(len(KINDS))),
        *(float(tag in c.tags) for tag in TAGS),
    ))  # fmt: skip


def _part(pct: float | None) -> float:
    return nan if pct is None else pct / 100


def _average(psi: Psi | None) -> float:
    return nan if psi is None else psi.some.avg10_pct / 100


def _number(value: float | None) -> float:
    return nan if value is None else value


def _flagged(value: bool | None) -> float:
    return nan if value is None else float(value)


def _age(seconds: float | None) -> float:
    return nan if seconds is None else max(0.0, seconds)
