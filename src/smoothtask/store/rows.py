"""A frame → rows of the tables: what does not change is written once a session and referred to from then on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count

from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Decision, Reason
from smoothtask.model.frame import Frame, GroupFrame, Mark, ProcessFrame
from smoothtask.model.group import AppGroup, Behaviour
from smoothtask.model.meters import Meters
from smoothtask.model.system import Psi, SystemMetrics
from smoothtask.model.text import sanitise
from smoothtask.store.anonymise import Privacy

Value = str | int | float | None
Row = tuple[Value, ...]

REMEMBERED = 2000
"""Reason chains and programs that are looked up before they are written again; bounds memory."""
QUIET_DEMAND = 0.005
"""Cores used and wanted, below which a group does nothing worth a row."""
QUIET_BPS = 1024.0
QUIET_PRESSURE_PCT = 1.0
TABLES = ("group_profile", "reason_chain", "program", "snapshot", "app_group", "decision", "process")
"""In an order in which every row comes after those it refers to."""
SHARED_TABLES = TABLES[:3]

_Standing = tuple[int, PriorityClass, PriorityClass, object, bool, bool, str, frozenset[Mark], object, bool]
_Profile = tuple[object, ...]


@dataclass(slots=True)
class Rows:
    """What one snapshot adds to each table."""

    of: dict[str, list[Row]] = field(default_factory=lambda: {table: [] for table in TABLES})
    groups: set[str] = field(default_factory=set)
    """Groups that have a row."""
    gone: list[int] = field(default_factory=list)
    """Profiles that hold no more: their group exited, or became another."""


class RowBuilder:
    """Makes rows, and remembers what the session holds already. *next_ids*: of the shared tables, first unused."""

    def __init__(self, privacy: Privacy, session_id: int, next_ids: Mapping[str, int]) -> None:
        self.session_id = session_id
        self.privacy = privacy
        self._ids = {table: count(next_ids[table]) for table in SHARED_TABLES}
        self._profiles: dict[str, tuple[_Profile, int]] = {}
        self._chains: dict[tuple[Reason, ...], int] = {}
        self._programs: dict[tuple[str, str, str], int] = {}
        self._standings: dict[str, _Standing] = {}

    def snapshot(self, frame: Frame, snapshot_id: int, cause: str, complete: bool) -> Rows:
        """All rows of *frame*. Unless *complete*, groups that do nothing and stand as recorded have none."""
        rows = Rows()
        by_id = {g.group.id: g.group for g in frame.groups}
        self._forget(rows, by_id)
        self._add_groups(rows, frame, snapshot_id, set(), complete)
        rows.of["snapshot"].append(self._snapshot(frame, snapshot_id, cause, complete, rows.gone))
        rows.of["process"] += [self._process(rows, p, snapshot_id, by_id.get(p.group)) for p in frame.processes]
        return rows

    def rest(self, frame: Frame, snapshot_id: int, written: set[str]) -> Rows:
        """Rows of the groups of *frame* that its snapshot lacks: *written* have theirs."""
        rows = Rows()
        self._add_groups(rows, frame, snapshot_id, written, complete=True)
        return rows

    def profile_id(self, group: str) -> int | None:
        """The profile that *group* was last recorded with in this session."""
        known = self._profiles.get(group)
        return known[1] if known else None

    def _add_groups(self, rows: Rows, frame: Frame, snapshot_id: int, skipped: set[str], complete: bool) -> None:
        spoken_of = _spoken_of(frame, frame.contention.reasons)
        for shown in frame.groups:
            group, decision = shown.group, shown.decision
            if group.id in skipped:
                continue
            profile = self._profile(rows, group)
            standing = _standing(profile, shown)
            known = self._standings.get(group.id)
            if not complete and known == standing and _is_quiet(shown):
                continue
            self._standings[group.id] = standing
            chain = self._chain(rows, decision, group, spoken_of)
            rows.groups.add(group.id)
            rows.of["app_group"].append(_app_group(shown, snapshot_id, profile))
            rows.of["decision"].append(_decision(self.privacy, shown, snapshot_id, profile, chain))

    def _profile(self, rows: Rows, group: AppGroup) -> int:
        """The id of the group's profile, which is added when it is new or has changed."""
        has_tty = group.tty is not None
        now: _Profile = (
            group.classification,
            group.label,
            group.root_pid,
            group.uid,
            group.unit,
            has_tty,
            group.starts_others,
        )
        known = self._profiles.get(group.id)
        if known is not None and known[0] == now:
            return known[1]
        if known is not None:
            rows.gone.append(known[1])
        profile_id = next(self._ids["group_profile"])
        self._profiles[group.id] = (now, profile_id)
        c, private = group.classification, self.privacy
        rows.of["group_profile"].append(
            (
                profile_id,
                self.session_id,
                private.group_id(group.id, group),
                None if group.parent is None else private.group_id(group.parent, None),
                private.app(c),
                private.label(group),
                sanitise(c.type),
                as_json(sorted(sanitise(tag) for tag in c.tags)),
                c.process_type.value,
                None if c.target is None else c.target.name,
                c.certain,
                c.after_s,
                None if c.source is None else c.source.layer,
                private.source(c.source),
                private.evidence(c),
                c.protected,
                None if c.part is None else sanitise(c.part),
                group.starts_others,
                group.root_pid,
                group.uid,
                None if group.unit is None else private.unit(group.unit),
                has_tty,
            )
        )
        return profile_id

    def _chain(self, rows: Rows, decision: Decision, group: AppGroup, spoken_of: Sequence[AppGroup]) -> int:
        known = self._chains.get(decision.reasons)
        if known is not None:
            return known
        if len(self._chains) >= REMEMBERED:
            self._chains.clear()
        chain_id = self._chains[decision.reasons] = next(self._ids["reason_chain"])
        groups = (group, *spoken_of)
        links = [
            {
                "stage": r.stage.value,
                "rule": r.rule,
                "text": self.privacy.sentence(r.text, groups),
                "source": None if r.source is None else self.privacy.sentence(r.source, (group,)),
            }
            for r in decision.reasons
        ]
        rows.of["reason_chain"].append((chain_id, self.session_id, as_json(links)))
        return chain_id

    def _program(self, rows: Rows, process: ProcessFrame, group: AppGroup | None) -> int:
        # The group belongs to the key: whose name is public depends on it.
        key = (process.name, process.command, group.classification.app if group else "")
        known = self._programs.get(key)
        if known is not None:
            return known
        if len(self._programs) >= REMEMBERED:
            self._programs.clear()
        program_id = self._programs[key] = next(self._ids["program"])
        name, command = self.privacy.name(process.name, group), self.privacy.command(process.command)
        rows.of["program"].append((program_id, self.session_id, name, command))
        return program_id

    def _process(self, rows: Rows, p: ProcessFrame, snapshot_id: int, group: AppGroup | None) -> Row:
        return (
            snapshot_id,
            p.pid,
            p.start_ticks,
            None if group is None else self.profile_id(group.id),
            self._program(rows, p, group),
            p.ppid,
            p.uid,
            p.threads,
            p.nice,
            p.cpu,
            p.wait,
            p.read_bps,
            p.write_bps,
            p.rss_bytes,
            p.sent_bps,
            p.received_bps,
            p.connections,
            p.watts,
        )

    def _snapshot(self, frame: Frame, snapshot_id: int, cause: str, complete: bool, gone: list[int]) -> Row:
        c, cost, person, scores = frame.contention, frame.cost, frame.person, frame.scores
        spoken_of = _spoken_of(frame, (*c.reasons, *scores.reasons))
        return (
            snapshot_id,
            self.session_id,
            frame.seq,
            frame.time,
            frame.mono_s,
            cause,
            complete,
            as_json(gone),
            len(frame.groups),
            frame.system.processes,
            frame.system.threads,
            frame.mode.value,
            self.privacy.sentence(frame.mode_reason, ()),
            frame.model,
            *_system(frame.system),
            c.active,
            c.since_s,
            as_json([self.privacy.sentence(r, spoken_of) for r in c.reasons]),
            person.active,
            person.since_input_s,
            person.xruns,
            person.missing_cycles,
            person.dsp_load,
            scores.responsiveness,
            scores.audio_stability,
            scores.bad,
            as_json([self.privacy.sentence(r, spoken_of) for r in scores.reasons]),
            *_meters(frame.meters),
            cost.cpu_pct,
            cost.tick_cpu_ms,
            cost.rss_bytes,
            cost.interval_s,
        )

    def _forget(self, rows: Rows, living: Mapping[str, AppGroup]) -> None:
        """Drop groups that exited."""
        for group in [g for g in self._profiles if g not in living]:
            rows.gone.append(self._profiles.pop(group)[1])
            self._standings.pop(group, None)


def _seen(group: AppGroup) -> object:
    """What the person sees and hears of it; how long ago something was is no change."""
    a = group.attention
    return a.focused, a.visible, a.minimised, a.fullscreen, a.playing, a.capturing


def _standing(profile: int, shown: GroupFrame) -> _Standing:
    d = shown.decision
    return (
        profile,
        d.target,
        d.wanted,
        d.decided_by,
        d.protected,
        d.restraint,
        shown.mechanism,
        shown.marks,
        _seen(shown.group),
        _is_pressed(shown),
    )


def _is_quiet(shown: GroupFrame) -> bool:
    m, deeper = shown.group.metrics, shown.meters
    network_bps = (deeper.sent_bps or 0.0) + (deeper.received_bps or 0.0)
    idle = m.cpu + m.wait < QUIET_DEMAND and m.read_bps + m.write_bps + network_bps < QUIET_BPS
    return idle and shown.group.behaviour is Behaviour.QUIET and not _is_pressed(shown)


def _is_pressed(shown: GroupFrame) -> bool:
    """Whether it waits for something, though it may do nothing."""
    worst = shown.pressure.worst if shown.pressure is not None else None
    return worst is not None and worst[1] >= QUIET_PRESSURE_PCT


def _spoken_of(frame: Frame, reasons: Sequence[str]) -> list[AppGroup]:
    """The groups that *reasons* name; a label has no line breaks."""
    text = "\n".join(reasons)
    return [g.group for g in frame.groups if g.group.label in text] if text else []


def _app_group(shown: GroupFrame, snapshot_id: int, profile: int) -> Row:
    group = shown.group
    m, a, p = group.metrics, group.attention, shown.pressure
    return (
        snapshot_id,
        profile,
        group.behaviour.value,
        round(group.behaviour_s, 3),
        group.started_s,
        m.processes,
        m.threads,
        m.cpu,
        m.wait,
        m.vcsw,
        m.ivcsw,
        m.read_bps,
        m.write_bps,
        m.rss_bytes,
        a.focused,
        a.unfocused_s,
        a.visible,
        a.minimised,
        a.fullscreen,
        a.playing,
        a.capturing,
        a.xrun_s,
        a.typed_s,
        shown.score,
        *_meters(shown.meters),
        *((None,) * 3 if p is None else (p.cpu_pct, p.io_pct, p.memory_pct)),
    )


def _meters(m: Meters) -> Row:
    delays = ((d.p50_ms, d.p99_ms, d.samples) if d else (None,) * 3 for d in (m.run_queue, m.block_io))
    return (*chain.from_iterable(delays), m.sent_bps, m.received_bps, m.connections, m.watts)


def _decision(privacy: Privacy, shown: GroupFrame, snapshot_id: int, profile: int, chain: int) -> Row:
    d = shown.decision
    return (
        snapshot_id,
        profile,
        d.target.name,
        d.wanted.name,
        d.decided_by.value,
        d.protected,
        d.restraint,
        d.since_s,
        None if d.rules is None else d.rules.name,
        d.score,
        chain,
        privacy.mechanism(shown.mechanism),
        as_json(sorted(shown.marks)) if shown.marks else "[]",
    )


def _system(s: SystemMetrics) -> Row:
    cores, latency, hot = s.cpu_pct, s.latency, s.temperatures
    return (
        sum(cores) / len(cores) if cores else None,
        max(cores, default=None),
        as_json([round(c, 1) for c in cores]),
        *s.load,
        s.mem_total_bytes,
        s.mem_available_bytes,
        s.swap_total_bytes,
        s.swap_used_bytes,
        s.cpu_some_pct,
        s.io_some_pct,
        s.memory_some_pct,
        *_psi(s.pressure.cpu),
        *_psi(s.pressure.io),
        *_psi(s.pressure.memory),
        *(
            (None,) * 6
            if latency is None
            else (
                latency.p50_ms,
                latency.p95_ms,
                latency.p99_ms,
                latency.max_ms,
                latency.samples,
                latency.window_s,
            )
        ),
        max((t.celsius for t in hot), default=None),
        as_json([[sanitise(t.label), t.celsius] for t in hot]),
    )


def _psi(psi: Psi | None) -> Row:
    lines = (None, None) if psi is None else (psi.some, psi.full)
    return tuple(v for line in lines for v in ((line.avg10_pct, line.avg60_pct) if line else (None, None)))


def as_json(value: object) -> str:
    """Compact JSON that keeps its letters."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
