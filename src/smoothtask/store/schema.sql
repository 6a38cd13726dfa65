-- Generated from tables.py by `python -m smoothtask.store.schema --write`: not to be edited.

CREATE TABLE session (
  id INTEGER NOT NULL,
  run_id INTEGER NOT NULL,
  started_s FLOAT NOT NULL,
  version VARCHAR NOT NULL,
  anonymised BOOLEAN NOT NULL,
  cores INTEGER NOT NULL,
  sources VARCHAR NOT NULL,
  PRIMARY KEY (id)
);

INSERT INTO session (id, run_id, started_s, version, anonymised, cores, sources) VALUES (?, ?, ?, ?, ?, ?, ?);

CREATE TABLE group_profile (
  id INTEGER NOT NULL,
  session_id INTEGER NOT NULL,
  group_id VARCHAR NOT NULL,
  parent_group_id VARCHAR,
  app VARCHAR NOT NULL,
  label VARCHAR NOT NULL,
  type VARCHAR NOT NULL,
  tags VARCHAR NOT NULL,
  process_type VARCHAR NOT NULL,
  rule_class VARCHAR,
  rule_certain BOOLEAN NOT NULL,
  rule_after_s FLOAT NOT NULL,
  rule_layer VARCHAR,
  rule_source VARCHAR,
  evidence VARCHAR NOT NULL,
  protected BOOLEAN NOT NULL,
  part VARCHAR,
  starts_others BOOLEAN NOT NULL,
  root_pid INTEGER NOT NULL,
  uid INTEGER NOT NULL,
  unit VARCHAR,
  has_tty BOOLEAN NOT NULL,
  PRIMARY KEY (id),
  FOREIGN KEY(session_id) REFERENCES session (id)
);

CREATE INDEX ix_group_profile_session_id ON group_profile (session_id);

INSERT INTO group_profile (id, session_id, group_id, parent_group_id, app, label, type, tags, process_type, rule_class, rule_certain, rule_after_s, rule_layer, rule_source, evidence, protected, part, starts_others, root_pid, uid, unit, has_tty) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

CREATE TABLE program (
  id INTEGER NOT NULL,
  session_id INTEGER NOT NULL,
  name VARCHAR NOT NULL,
  command VARCHAR NOT NULL,
  PRIMARY KEY (id),
  FOREIGN KEY(session_id) REFERENCES session (id)
);

CREATE INDEX ix_program_session_id ON program (session_id);

INSERT INTO program (id, session_id, name, command) VALUES (?, ?, ?, ?);

CREATE TABLE reason_chain (
  id INTEGER NOT NULL,
  session_id INTEGER NOT NULL,
  reasons VARCHAR NOT NULL,
  PRIMARY KEY (id),
  FOREIGN KEY(session_id) REFERENCES session (id)
);

CREATE INDEX ix_reason_chain_session_id ON reason_chain (session_id);

INSERT INTO reason_chain (id, session_id, reasons) VALUES (?, ?, ?);

CREATE TABLE snapshot (
  id INTEGER NOT NULL,
  session_id INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  time_s FLOAT NOT NULL,
  mono_s FLOAT NOT NULL,
  cause VARCHAR NOT NULL,
  complete BOOLEAN NOT NULL,
  groups_gone VARCHAR NOT NULL,
  groups_total INTEGER NOT NULL,
  processes_total INTEGER NOT NULL,
  threads_total INTEGER NOT NULL,
  mode VARCHAR NOT NULL,
  mode_reason VARCHAR NOT NULL,
  model VARCHAR,
  cpu_mean_pct FLOAT,
  cpu_max_pct FLOAT,
  cpu_pct_by_core VARCHAR NOT NULL,
  load_1m FLOAT NOT NULL,
  load_5m FLOAT NOT NULL,
  load_15m FLOAT NOT NULL,
  mem_total_bytes INTEGER NOT NULL,
  mem_available_bytes INTEGER NOT NULL,
  swap_total_bytes INTEGER NOT NULL,
  swap_used_bytes INTEGER NOT NULL,
  cpu_some_pct FLOAT,
  io_some_pct FLOAT,
  memory_some_pct FLOAT,
  psi_cpu_some_avg10_pct FLOAT,
  psi_cpu_some_avg60_pct FLOAT,
  psi_cpu_full_avg10_pct FLOAT,
  psi_cpu_full_avg60_pct FLOAT,
  psi_io_some_avg10_pct FLOAT,
  psi_io_some_avg60_pct FLOAT,
  psi_io_full_avg10_pct FLOAT,
  psi_io_full_avg60_pct FLOAT,
  psi_memory_some_avg10_pct FLOAT,
  psi_memory_some_avg60_pct FLOAT,
  psi_memory_full_avg10_pct FLOAT,
  psi_memory_full_avg60_pct FLOAT,
  latency_p50_ms FLOAT,
  latency_p95_ms FLOAT,
  latency_p99_ms FLOAT,
  latency_max_ms FLOAT,
  latency_samples INTEGER,
  latency_window_s FLOAT,
  temperature_max_celsius FLOAT,
  temperatures_celsius VARCHAR NOT NULL,
  contention_active BOOLEAN NOT NULL,
  contention_since_s FLOAT NOT NULL,
  contention_reasons VARCHAR NOT NULL,
  person_active BOOLEAN,
  since_input_s FLOAT,
  xruns INTEGER,
  missing_cycles INTEGER,
  dsp_load FLOAT,
  responsiveness_score FLOAT,
  audio_stability_score FLOAT,
  bad_responsiveness BOOLEAN NOT NULL,
  bad_reasons VARCHAR NOT NULL,
  run_queue_p50_ms FLOAT,
  run_queue_p99_ms FLOAT,
  run_queue_waits INTEGER,
  disk_p50_ms FLOAT,
  disk_p99_ms FLOAT,
  disk_requests INTEGER,
  sent_bytes_per_s FLOAT,
  received_bytes_per_s FLOAT,
  connections INTEGER,
  watts FLOAT,
  self_cpu_pct FLOAT NOT NULL,
  self_tick_cpu_ms FLOAT NOT NULL,
  self_rss_bytes INTEGER NOT NULL,
  interval_s FLOAT NOT NULL,
  PRIMARY KEY (id),
  FOREIGN KEY(session_id) REFERENCES session (id)
);

CREATE INDEX ix_snapshot_session_id ON snapshot (session_id);

CREATE INDEX ix_snapshot_time_s ON snapshot (time_s);

INSERT INTO snapshot (id, session_id, seq, time_s, mono_s, cause, complete, groups_gone, groups_total, processes_total, threads_total, mode, mode_reason, model, cpu_mean_pct, cpu_max_pct, cpu_pct_by_core, load_1m, load_5m, load_15m, mem_total_bytes, mem_available_bytes, swap_total_bytes, swap_used_bytes, cpu_some_pct, io_some_pct, memory_some_pct, psi_cpu_some_avg10_pct, psi_cpu_some_avg60_pct, psi_cpu_full_avg10_pct, psi_cpu_full_avg60_pct, psi_io_some_avg10_pct, psi_io_some_avg60_pct, psi_io_full_avg10_pct, psi_io_full_avg60_pct, psi_memory_some_avg10_pct, psi_memory_some_avg60_pct, psi_memory_full_avg10_pct, psi_memory_full_avg60_pct, latency_p50_ms, latency_p95_ms, latency_p99_ms, latency_max_ms, latency_samples, latency_window_s, temperature_max_celsius, temperatures_celsius, contention_active, contention_since_s, contention_reasons, person_active, since_input_s, xruns, missing_cycles, dsp_load, responsiveness_score, audio_stability_score, bad_responsiveness, bad_reasons, run_queue_p50_ms, run_queue_p99_ms, run_queue_waits, disk_p50_ms, disk_p99_ms, disk_requests, sent_bytes_per_s, received_bytes_per_s, connections, watts, self_cpu_pct, self_tick_cpu_ms, self_rss_bytes, interval_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

CREATE TABLE app_group (
  snapshot_id INTEGER NOT NULL,
  group_profile_id INTEGER NOT NULL,
  behaviour VARCHAR NOT NULL,
  behaviour_s FLOAT NOT NULL,
  started_s FLOAT NOT NULL,
  processes INTEGER NOT NULL,
  threads INTEGER NOT NULL,
  cpu_cores FLOAT NOT NULL,
  wait_threads FLOAT NOT NULL,
  voluntary_switches_per_s FLOAT NOT NULL,
  involuntary_switches_per_s FLOAT NOT NULL,
  read_bytes_per_s FLOAT NOT NULL,
  write_bytes_per_s FLOAT NOT NULL,
  rss_bytes INTEGER NOT NULL,
  focused BOOLEAN NOT NULL,
  unfocused_s FLOAT,
  visible BOOLEAN NOT NULL,
  minimised BOOLEAN NOT NULL,
  fullscreen BOOLEAN NOT NULL,
  playing BOOLEAN NOT NULL,
  capturing BOOLEAN NOT NULL,
  xrun_s FLOAT,
  typed_s FLOAT,
  score FLOAT,
  run_queue_p50_ms FLOAT,
  run_queue_p99_ms FLOAT,
  run_queue_waits INTEGER,
  disk_p50_ms FLOAT,
  disk_p99_ms FLOAT,
  disk_requests INTEGER,
  sent_bytes_per_s FLOAT,
  received_bytes_per_s FLOAT,
  connections INTEGER,
  watts FLOAT,
  psi_cpu_some_pct FLOAT,
  psi_io_some_pct FLOAT,
  psi_memory_some_pct FLOAT,
  PRIMARY KEY (snapshot_id, group_profile_id),
  FOREIGN KEY(snapshot_id) REFERENCES snapshot (id),
  FOREIGN KEY(group_profile_id) REFERENCES group_profile (id)
)
 WITHOUT ROWID;

INSERT INTO app_group (snapshot_id, group_profile_id, behaviour, behaviour_s, started_s, processes, threads, cpu_cores, wait_threads, voluntary_switches_per_s, involuntary_switches_per_s, read_bytes_per_s, write_bytes_per_s, rss_bytes, focused, unfocused_s, visible, minimised, fullscreen, playing, capturing, xrun_s, typed_s, score, run_queue_p50_ms, run_queue_p99_ms, run_queue_waits, disk_p50_ms, disk_p99_ms, disk_requests, sent_bytes_per_s, received_bytes_per_s, connections, watts, psi_cpu_some_pct, psi_io_some_pct, psi_memory_some_pct) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

CREATE TABLE decision (
  snapshot_id INTEGER NOT NULL,
  group_profile_id INTEGER NOT NULL,
  target_class VARCHAR NOT NULL,
  wanted_class VARCHAR NOT NULL,
  decided_by VARCHAR NOT NULL,
  protected BOOLEAN NOT NULL,
  restraint BOOLEAN NOT NULL,
  since_s FLOAT NOT NULL,
  rules_class VARCHAR,
  model_score FLOAT,
  reason_chain_id INTEGER NOT NULL,
  mechanism VARCHAR NOT NULL,
  marks VARCHAR NOT NULL,
  PRIMARY KEY (snapshot_id, group_profile_id),
  FOREIGN KEY(snapshot_id) REFERENCES snapshot (id),
  FOREIGN KEY(group_profile_id) REFERENCES group_profile (id),
  FOREIGN KEY(reason_chain_id) REFERENCES reason_chain (id)
)
 WITHOUT ROWID;

INSERT INTO decision (snapshot_id, group_profile_id, target_class, wanted_class, decided_by, protected, restraint, since_s, rules_class, model_score, reason_chain_id, mechanism, marks) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

CREATE TABLE label (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  time_s FLOAT NOT NULL,
  snapshot_id INTEGER NOT NULL,
  group_profile_id INTEGER,
  target_class VARCHAR,
  verdict VARCHAR,
  uid INTEGER NOT NULL,
  source VARCHAR NOT NULL,
  FOREIGN KEY(snapshot_id) REFERENCES snapshot (id),
  FOREIGN KEY(group_profile_id) REFERENCES group_profile (id)
);

CREATE INDEX ix_label_snapshot_id ON label (snapshot_id);

CREATE INDEX ix_label_time_s ON label (time_s);

INSERT INTO label (id, time_s, snapshot_id, group_profile_id, target_class, verdict, uid, source) VALUES (?, ?, ?, ?, ?, ?, ?, ?);

CREATE TABLE process (
  snapshot_id INTEGER NOT NULL,
  pid INTEGER NOT NULL,
  start_ticks INTEGER NOT NULL,
  group_profile_id INTEGER,
  program_id INTEGER NOT NULL,
  ppid INTEGER NOT NULL,
  uid INTEGER NOT NULL,
  threads INTEGER NOT NULL,
  nice INTEGER NOT NULL,
  cpu_cores FLOAT NOT NULL,
  wait_threads FLOAT NOT NULL,
  read_bytes_per_s FLOAT NOT NULL,
  write_bytes_per_s FLOAT NOT NULL,
  rss_bytes INTEGER NOT NULL,
  sent_bytes_per_s FLOAT,
  received_bytes_per_s FLOAT,
  connections INTEGER,
  watts FLOAT,
  PRIMARY KEY (snapshot_id, pid, start_ticks),
  FOREIGN KEY(snapshot_id) REFERENCES snapshot (id),
  FOREIGN KEY(group_profile_id) REFERENCES group_profile (id),
  FOREIGN KEY(program_id) REFERENCES program (id)
)
 WITHOUT ROWID;

INSERT INTO process (snapshot_id, pid, start_ticks, group_profile_id, program_id, ppid, uid, threads, nice, cpu_cores, wait_threads, read_bytes_per_s, write_bytes_per_s, rss_bytes, sent_bytes_per_s, received_bytes_per_s, connections, watts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
