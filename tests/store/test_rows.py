"""Frames → rows → values: what a reader gets is what the engine knew."""

import json
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import col, select

from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Contention, Decision, Reason, Stage
from smoothtask.model.frame import Frame, GroupFrame, Mark, Mode
from smoothtask.model.group import Behaviour, GroupMetrics, ProcessType
from smoothtask.model.system import LatencyStats, Pressure, Psi, PsiLine
from smoothtask.store.anonymise import Plain
from smoothtask.store.log import SnapshotLog
from smoothtask.store.reading import open_for_reading
from smoothtask.store.rows import TABLES, RowBuilder
from smoothtask.store.schema import load
from smoothtask.store.tables import (
    AppGroupRecord,
    DecisionRecord,
    GroupProfile,
    ProcessRecord,
    Program,
    ReasonChain,
    SnapshotRow,
)
from store.frames import FIREFOX, UNKNOWN, frame, group, process, shown, system

WORDS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=20)
RATES = st.floats(0, 1e12, allow_nan=False)
PERCENT = st.none() | st.floats(0, 100)
COUNTS = st.integers(0, 1 << 40)
PSI_LINES = st.builds(PsiLine, st.floats(0, 100), st.floats(0, 100), COUNTS)
PSIS = st.none() | st.builds(Psi, PSI_LINES, st.none() | PSI_LINES)
LATENCIES = st.none() | st.builds(LatencyStats, RATES, RATES, RATES, RATES, COUNTS, RATES)
CLASSIFICATIONS = st.builds(
    replace,
    st.sampled_from([FIREFOX, UNKNOWN]),
    app=WORDS,
    label=WORDS,
    type=WORDS,
    tags=st.frozensets(WORDS, max_size=3),
    process_type=st.sampled_from(ProcessType),
    target=st.none() | st.sampled_from(PriorityClass),
    certain=st.booleans(),
    protected=st.booleans(),
    part=st.none() | WORDS,
    after_s=RATES,
)
REASONS = st.lists(st.builds(Reason, st.sampled_from(Stage), WORDS, WORDS, st.none() | WORDS), max_size=3).map(tuple)


@st.composite
def groups(draw: st.DrawFn, number: int) -> GroupFrame:
    of = group(
        f"proc:{number}-{draw(COUNTS)}",
        draw(CLASSIFICATIONS),
        label=draw(WORDS),
        root_pid=number,
        uid=draw(st.integers(0, (1 << 32) - 1)),
        metrics=draw(st.builds(GroupMetrics, COUNTS, COUNTS, RATES, RATES, RATES, RATES, RATES, RATES, COUNTS)),
        behaviour=draw(st.sampled_from(Behaviour)),
        started_s=draw(RATES),
        unit=draw(st.none() | WORDS),
        tty=draw(st.none() | WORDS),
        starts_others=draw(st.booleans()),
    )
    decision = draw(
        st.builds(
            Decision,
            st.just(of.id),
            st.sampled_from(PriorityClass),
            st.sampled_from(PriorityClass),
            st.sampled_from(Stage),
            REASONS,
            st.booleans(),
            st.booleans(),
            RATES,
        )
    )
    return GroupFrame(of, decision, draw(WORDS), draw(st.frozensets(st.sampled_from(Mark))))


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    parts = [draw(groups(n)) for n in range(1, draw(st.integers(2, 5)))]
    ids = st.sampled_from([*(p.group.id for p in parts), "nowhere"])
    listed = tuple(
        process(
            pid,
            draw(ids),
            start_ticks=draw(COUNTS),
            nice=draw(st.integers(-20, 19)),
            cpu=draw(RATES),
            rss_bytes=draw(COUNTS),
            name=draw(WORDS),
            command=draw(WORDS),
        )
        for pid in range(1, draw(st.integers(1, 5)))
    )
    machine = replace(
        system(draw(st.integers(1, 8))),
        pressure=Pressure(draw(PSIS), draw(PSIS), draw(PSIS)),
        cpu_some_pct=draw(PERCENT),
        latency=draw(LATENCIES),
        mem_available_bytes=draw(COUNTS),
    )
    contention = draw(st.builds(Contention, st.booleans(), RATES, st.lists(WORDS, max_size=2).map(tuple)))
    return frame(1, *parts, system=machine, contention=contention, processes=listed, mode=draw(st.sampled_from(Mode)))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(original=frames())
def test_values_come_back_as_they_were(tmp_path: Path, original: Frame) -> None:
    """Every column that matters, of every table, read through the SQLModel classes."""
    path = tmp_path / "round.db"
    path.unlink(missing_ok=True)
    problems: list[str] = []
    log = SnapshotLog(path, salt_path=tmp_path / "salt", anonymise=False, on_problem=problems.append)
    assert log.offer(original)
    log.close()
    assert problems == []
    with open_for_reading(path) as session:
        row = session.exec(select(SnapshotRow)).one()
        check_snapshot(row, original)
        query = (
            select(AppGroupRecord, GroupProfile, DecisionRecord, ReasonChain)
            .join(GroupProfile, col(AppGroupRecord.group_profile_id) == GroupProfile.id)
            .join(DecisionRecord, col(DecisionRecord.group_profile_id) == GroupProfile.id)
            .join(ReasonChain, col(DecisionRecord.reason_chain_id) == ReasonChain.id)
            .order_by(col(GroupProfile.id))
        )
        found = session.exec(query).all()
        assert len(found) == len(original.groups)
        for (measured, profile, decided, chain), expected in zip(found, original.groups, strict=True):
            check_group(measured, profile, expected)
            check_decision(decided, chain, expected)
        processes = session.exec(
            select(ProcessRecord, Program, GroupProfile)
            .join(Program, col(ProcessRecord.program_id) == Program.id)
            .join(GroupProfile, col(ProcessRecord.group_profile_id) == GroupProfile.id, isouter=True)
            .order_by(col(ProcessRecord.pid))
        ).all()
        assert [(p.pid, p.start_ticks, p.nice, p.cpu_cores, p.rss_bytes) for p, _, _ in processes] == [
            (p.pid, p.start_ticks, p.nice, p.cpu, p.rss_bytes) for p in original.processes
        ]
        assert [(of and of.group_id, runs.name, runs.command) for _, runs, of in processes] == [
            (None if p.group == "nowhere" else p.group, p.name, p.command) for p in original.processes
        ]


def check_snapshot(row: SnapshotRow, original: Frame) -> None:
    machine = original.system
    assert (row.seq, row.time_s, row.mono_s, row.mode) == (1, original.time, original.mono_s, original.mode.value)
    assert (row.complete, row.groups_total) == (True, len(original.groups))
    assert row.cpu_max_pct == max(machine.cpu_pct)
    assert json.loads(row.cpu_pct_by_core) == list(machine.cpu_pct)
    assert (row.load_1m, row.load_5m, row.load_15m) == machine.load
    assert (row.cpu_some_pct, row.io_some_pct, row.memory_some_pct) == (machine.cpu_some_pct, 0.0, None)
    assert row.mem_available_bytes == machine.mem_available_bytes
    for name in ("cpu", "io", "memory"):
        psi: Psi | None = getattr(machine.pressure, name)
        some = None if psi is None else psi.some
        full = None if psi is None else psi.full
        assert getattr(row, f"psi_{name}_some_avg10_pct") == (some and some.avg10_pct)
        assert getattr(row, f"psi_{name}_some_avg60_pct") == (some and some.avg60_pct)
        assert getattr(row, f"psi_{name}_full_avg10_pct") == (full and full.avg10_pct)
        assert getattr(row, f"psi_{name}_full_avg60_pct") == (full and full.avg60_pct)
    late = machine.latency
    assert (row.latency_p50_ms, row.latency_p99_ms) == ((late.p50_ms, late.p99_ms) if late else (None, None))
    assert (row.latency_max_ms, row.latency_samples) == ((late.max_ms, late.samples) if late else (None, None))
    assert row.temperature_max_celsius == 61.5
    assert row.contention_active == original.contention.active
    assert json.loads(row.contention_reasons) == list(original.contention.reasons)
    assert (row.self_rss_bytes, row.interval_s) == (original.cost.rss_bytes, original.cost.interval_s)


def check_group(measured: AppGroupRecord, profile: GroupProfile, expected: GroupFrame) -> None:
    of, c, m = expected.group, expected.group.classification, expected.group.metrics
    assert (profile.group_id, profile.app, profile.label, profile.type) == (of.id, c.app, of.label, c.type)
    assert json.loads(profile.tags) == sorted(c.tags)
    assert profile.process_type == c.process_type.value
    assert profile.rule_class == (c.target.name if c.target is not None else None)
    assert (profile.rule_certain, profile.protected, profile.part) == (c.certain, c.protected, c.part)
    assert profile.rule_source == (str(c.source) if c.source else None)
    assert (profile.root_pid, profile.uid, profile.unit) == (of.root_pid, of.uid, of.unit)
    assert (profile.has_tty, profile.starts_others) == (of.tty is not None, of.starts_others)
    assert (measured.behaviour, measured.started_s) == (of.behaviour.value, of.started_s)
    assert (measured.processes, measured.threads, measured.rss_bytes) == (m.processes, m.threads, m.rss_bytes)
    assert (measured.cpu_cores, measured.wait_threads) == (m.cpu, m.wait)
    assert (measured.voluntary_switches_per_s, measured.involuntary_switches_per_s) == (m.vcsw, m.ivcsw)
    assert (measured.read_bytes_per_s, measured.write_bytes_per_s) == (m.read_bps, m.write_bps)


def check_decision(decided: DecisionRecord, chain: ReasonChain, expected: GroupFrame) -> None:
    d = expected.decision
    assert (decided.target_class, decided.wanted_class) == (d.target.name, d.wanted.name)
    assert (decided.decided_by, decided.protected, decided.restraint) == (d.decided_by.value, d.protected, d.restraint)
    assert (decided.since_s, decided.mechanism) == (d.since_s, expected.mechanism)
    assert json.loads(decided.marks) == sorted(m.value for m in expected.marks)
    assert json.loads(chain.reasons) == [
        {"stage": r.stage.value, "rule": r.rule, "text": r.text, "source": r.source} for r in d.reasons
    ]


def test_rows_have_a_value_for_every_column() -> None:
    """In each table that the builder fills."""
    builder = RowBuilder(Plain(), 1, {"group_profile": 1, "reason_chain": 1, "program": 1})
    rows = builder.snapshot(frame(1, processes=(process(),)), 1, "first", complete=True)
    columns = load().columns
    assert {t: {len(row) for row in rows.of[t]} for t in TABLES} == {t: {len(columns[t])} for t in TABLES}


def test_what_does_not_change_is_written_once() -> None:
    """Profile, reasons and program of a second frame are references."""
    builder = RowBuilder(Plain(), 1, {"group_profile": 5, "reason_chain": 7, "program": 9})
    builder.snapshot(frame(1, processes=(process(),)), 1, "first", complete=True)
    rows = builder.snapshot(frame(2, processes=(process(cpu=0.5),)), 2, "contention", complete=True)
    assert [len(rows.of[t]) for t in TABLES] == [0, 0, 0, 1, 1, 1, 1]
    assert rows.of["process"][0][3:5] == (5, 9)
    changed = builder.snapshot(frame(3, shown(group(uid=0))), 3, "contention", complete=False)
    assert [row[0] for row in changed.of["group_profile"]] == [6]


def test_memory_stays_bounded() -> None:
    """Thousands of groups, reasons and programs that come and go are forgotten."""
    builder = RowBuilder(Plain(), 1, {"group_profile": 1, "reason_chain": 1, "program": 1})
    for n in range(3000):
        reasons = (Reason(Stage.RULE, "r", f"for {n} s"),)
        parts = [shown(group(f"proc:{n}-{i}"), reasons=reasons) for i in range(2)]
        builder.snapshot(frame(n, *parts, processes=(process(command=f"cc {n}"),)), n, "contention", complete=False)
    assert len(builder._profiles) == len(builder._standings) == 2
    assert len(builder._chains) <= 2000
    assert len(builder._programs) <= 2000
