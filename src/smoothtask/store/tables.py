"""What is recorded: the one definition of every table. Only readers import it; the daemon uses `schema.sql`.

What changes with every snapshot (`snapshot`, `app_group`, `decision`, `process`) is kept apart from what does not
(`session`, `group_profile`, `reason_chain`, `program`), which is written once a session. Columns say their unit;
unread is NULL; lists and chains are JSON; classes are names of `PriorityClass`, other words those of `model/`.
"""

from sqlalchemy import Index, MetaData
from sqlmodel import Field, SQLModel


class Base(SQLModel):
    """Tables of the snapshot log, apart from any other SQLModel tables of the process."""

    metadata = MetaData()


class RecordingSession(Base, table=True):
    """A stretch of at most 250 snapshots by one process: what cannot change within it."""

    __tablename__ = "session"

    id: int = Field(primary_key=True)
    run_id: int
    """First session of the process that recorded: training data are split between runs, not within."""
    started_s: float
    """Unix time."""
    version: str
    """Of SmoothTask."""
    anonymised: bool
    """Whether names, paths and command lines are salted hashes."""
    cores: int
    sources: str
    """JSON object: source → how it works here (`Frame.sources`)."""


class SnapshotRow(Base, table=True):
    """The machine at one tick."""

    __tablename__ = "snapshot"

    id: int = Field(primary_key=True)
    session_id: int = Field(foreign_key="session.id", index=True)
    seq: int
    """Number of the tick in its engine: gaps are ticks that were not recorded."""
    time_s: float = Field(index=True)
    """Unix time."""
    mono_s: float
    """CLOCK_MONOTONIC: differences within a session are true durations."""
    cause: str
    """Why it was recorded: first, contention, change, sample (one in ten) or label."""
    complete: bool
    """Whether every group has a row; else the last row of a group that is missing still holds."""
    groups_gone: str
    """JSON list: `group_profile.id` of groups that exited or changed since the snapshot before, in this session."""
    groups_total: int
    processes_total: int
    threads_total: int
    mode: str
    mode_reason: str
    model: str | None
    """The id of the model in use; NULL: the rules decided alone."""

    cpu_mean_pct: float | None
    """Mean busy share of all cores, 0 … 100."""
    cpu_max_pct: float | None
    """Of the busiest core."""
    cpu_pct_by_core: str
    """JSON list."""
    load_1m: float
    load_5m: float
    load_15m: float
    mem_total_bytes: int
    mem_available_bytes: int
    swap_total_bytes: int
    swap_used_bytes: int

    cpu_some_pct: float | None
    """Share of the last interval in which somebody waited for a CPU, from the PSI total; io, memory alike."""
    io_some_pct: float | None
    memory_some_pct: float | None
    psi_cpu_some_avg10_pct: float | None
    psi_cpu_some_avg60_pct: float | None
    psi_cpu_full_avg10_pct: float | None
    psi_cpu_full_avg60_pct: float | None
    psi_io_some_avg10_pct: float | None
    psi_io_some_avg60_pct: float | None
    psi_io_full_avg10_pct: float | None
    psi_io_full_avg60_pct: float | None
    psi_memory_some_avg10_pct: float | None
    psi_memory_some_avg60_pct: float | None
    psi_memory_full_avg10_pct: float | None
    psi_memory_full_avg60_pct: float | None

    latency_p50_ms: float | None
    """How late a sleeping process was woken, over `latency_window_s`."""
    latency_p95_ms: float | None
    latency_p99_ms: float | None
    latency_max_ms: float | None
    latency_samples: int | None
    latency_window_s: float | None

    temperature_max_celsius: float | None
    temperatures_celsius: str
    """JSON list of [sensor, °C]."""

    contention_active: bool
    contention_since_s: float
    """Seconds in this state."""
    contention_reasons: str
    """JSON list of sentences."""

    person_active: bool | None
    """Somebody used a keyboard or mouse a moment ago; NULL: nothing could tell."""
    since_input_s: float | None
    xruns: int | None
    """Since the last tick; NULL: no sound server was known."""
    missing_cycles: int | None
    dsp_load: float | None
    responsiveness_score: float | None
    """0 … 1: how the machine did for the person."""
    audio_stability_score: float | None
    bad_responsiveness: bool
    """Somebody would have noticed."""
    bad_reasons: str
    """JSON list of sentences."""

    run_queue_p50_ms: float | None
    """How long threads waited each time for a CPU, in the last 10 s; NULL: not counted, or nobody waited."""
    run_queue_p99_ms: float | None
    run_queue_waits: int | None
    disk_p50_ms: float | None
    """How long each request to a disk took, in the last 10 s."""
    disk_p99_ms: float | None
    disk_requests: int | None
    sent_bytes_per_s: float | None
    """Over IPv4 and IPv6, the loopback interface included."""
    received_bytes_per_s: float | None
    connections: int | None
    """Sockets with a peer; counted while somebody watches."""
    watts: float | None
    """Of the processor."""

    self_cpu_pct: float
    """SmoothTask's own cost: of one core, over the last minute."""
    self_tick_cpu_ms: float
    self_rss_bytes: int
    interval_s: float
    """Planned until the next tick."""


class GroupProfile(Base, table=True):
    """What a group is: written when it is first recorded in a session, and when that changes."""

    __tablename__ = "group_profile"

    id: int = Field(primary_key=True)
    session_id: int = Field(foreign_key="session.id", index=True)
    group_id: str
    """`AppGroup.id`; of a part, the application's id and a slash come first."""
    parent_group_id: str | None
    app: str
    """Key of the application, the same in every session: what pins and preferences are about."""
    label: str
    type: str
    tags: str
    """JSON list, sorted."""
    process_type: str
    rule_class: str | None
    """The class its rule asks for."""
    rule_certain: bool
    rule_after_s: float
    rule_layer: str | None
    rule_source: str | None
    """file:line."""
    evidence: str
    """What the rule matched."""
    protected: bool
    """By its rule; `decision.protected` is what held."""
    part: str | None
    starts_others: bool
    root_pid: int
    uid: int
    unit: str | None
    has_tty: bool


class AppGroupRecord(Base, table=True):
    """What a group did in one snapshot: what can be known before deciding. Rates are per second."""

    __tablename__ = "app_group"
    __table_args__ = {"sqlite_with_rowid": False}

    snapshot_id: int = Field(primary_key=True, foreign_key="snapshot.id")
    group_profile_id: int = Field(primary_key=True, foreign_key="group_profile.id")
    behaviour: str
    behaviour_s: float
    """How long it has behaved so."""
    started_s: float
    """Age of its oldest process, seconds."""
    processes: int
    threads: int
    cpu_cores: float
    wait_threads: float
    """Threads runnable but waiting, on average."""
    voluntary_switches_per_s: float
    involuntary_switches_per_s: float
    read_bytes_per_s: float
    write_bytes_per_s: float
    rss_bytes: int
    focused: bool
    unfocused_s: float | None
    """Seconds since it lost the focus."""
    visible: bool
    minimised: bool
    fullscreen: bool
    playing: bool
    capturing: bool
    xrun_s: float | None
    """Seconds since its sound broke up."""
    typed_s: float | None
    """Seconds since somebody typed into its terminal."""
    score: float | None
    """Of what it wanted of the CPU, the share that it got: an outcome, never a feature."""
    run_queue_p50_ms: float | None
    """How long it waited each time for a CPU, in the last 10 s; NULL: not counted, or nobody waited."""
    run_queue_p99_ms: float | None
    run_queue_waits: int | None
    disk_p50_ms: float | None
    """How long each request to a disk took, in the last 10 s."""
    disk_p99_ms: float | None
    disk_requests: int | None
    sent_bytes_per_s: float | None
    """Over IPv4 and IPv6, the loopback interface included."""
    received_bytes_per_s: float | None
    connections: int | None
    """Sockets with a peer; counted while somebody watches."""
    watts: float | None
    """Of the processor's power, the share that its CPU time makes."""
    psi_cpu_some_pct: float | None
    """Of the last interval, the share in which one of its tasks waited for a CPU (PSI of the cgroup that it has for
    itself); NULL: it has none, or is not among those that want most."""
    psi_io_some_pct: float | None
    psi_memory_some_pct: float | None


class ReasonChain(Base, table=True):
    """Why: the chain of a decision, shared by all that have the same one."""

    __tablename__ = "reason_chain"

    id: int = Field(primary_key=True)
    session_id: int = Field(foreign_key="session.id", index=True)
    reasons: str
    """JSON list of {stage, rule, text, source}, in order."""


class DecisionRecord(Base, table=True):
    """What was decided for a group in one snapshot, and what was in effect: the teacher, never a feature."""

    __tablename__ = "decision"
    __table_args__ = {"sqlite_with_rowid": False}

    snapshot_id: int = Field(primary_key=True, foreign_key="snapshot.id")
    group_profile_id: int = Field(primary_key=True, foreign_key="group_profile.id")
    target_class: str
    """The class in force."""
    wanted_class: str
    """Before hysteresis."""
    decided_by: str
    """A `Stage`."""
    protected: bool
    restraint: bool
    """Whether the class is a measure for the time of contention only."""
    since_s: float
    """Seconds in `target_class`."""
    rules_class: str | None
    """What the rules alone would have had while somebody waits; NULL for what is protected."""
    model_score: float | None
    reason_chain_id: int = Field(foreign_key="reason_chain.id")
    mechanism: str
    """What is in effect, in words; `-` when nothing is."""
    marks: str
    """JSON list of `Mark`, sorted."""


class Program(Base, table=True):
    """What a process runs."""

    __tablename__ = "program"

    id: int = Field(primary_key=True)
    session_id: int = Field(foreign_key="session.id", index=True)
    name: str
    """comm."""
    command: str


class ProcessRecord(Base, table=True):
    """One candidate process in one snapshot: busy, or in a group whose class is not NORMAL."""

    __tablename__ = "process"
    __table_args__ = {"sqlite_with_rowid": False}

    snapshot_id: int = Field(primary_key=True, foreign_key="snapshot.id")
    pid: int = Field(primary_key=True)
    start_ticks: int = Field(primary_key=True)
    """Clock ticks since boot: with the pid, who it is."""
    group_profile_id: int | None = Field(foreign_key="group_profile.id")
    program_id: int = Field(foreign_key="program.id")
    ppid: int
    uid: int
    threads: int
    nice: int
    cpu_cores: float
    wait_threads: float
    read_bytes_per_s: float
    write_bytes_per_s: float
    rss_bytes: int
    sent_bytes_per_s: float | None
    """These four as in `app_group`."""
    received_bytes_per_s: float | None
    connections: int | None
    watts: float | None


class Label(Base, table=True):
    """What a person said of a snapshot: the right class of a group, or how the machine felt."""

    __tablename__ = "label"
    __table_args__ = (Index("ix_label_time_s", "time_s"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True)
    """Never used twice, so that undoing one label cannot remove another."""
    time_s: float
    """Unix time."""
    snapshot_id: int = Field(foreign_key="snapshot.id", index=True)
    group_profile_id: int | None = Field(foreign_key="group_profile.id")
    """NULL for a label of the moment."""
    target_class: str | None
    """What the group should have been."""
    verdict: str | None
    """Of the moment: laggy or fine."""
    uid: int
    """Whose word it is."""
    source: str
    """label, pin or override."""
