"""From snapshot logs to a table: whose word counts, what is left out, and that files may be many, old or wrong."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Override, Stage
from smoothtask.model.frame import Mode
from smoothtask.model.person import Attention
from smoothtask.policy import features
from smoothtask.policy.decide import Orders
from smoothtask.store.frames import RecordError
from smoothtask.store.log import SnapshotLog
from smoothtask.store.migrate import STEPS
from smoothtask.store.schema import VERSION
from smoothtask_trainer import table
from smoothtask_trainer.dataset import BAD, LABEL, ORDER, TEACHER, LogSource, Query, Tally, _target
from smoothtask_trainer.prepare import drift, lines, prepare, stability
from smoothtask_trainer.splits import Part
from smoothtask_trainer.table import COLUMNS, TableError, TableSource, load, metadata_of
from store import frames as make
from trainer.recordings import RULES, Tick, busy, calm, recorded

IDLE, BACKGROUND, NORMAL, INTERACTIVE, CRITICAL = (int(c) for c in PriorityClass)
BUILD, EDITOR, WORKER = "unit:ffmpeg", "unit:vim", "unit:worker"


def queries_of(path: Path, ticks: list[Tick], every_s: float = 1.0, **more: object) -> tuple[list[Query], Tally]:
    recorded(path, ticks, **more)  # type: ignore[arg-type]
    tally = Tally()
    return list(LogSource(path, "here", RULES, every_s).queries(tally)), tally


def judged(query: Query) -> dict[str, tuple[int, int, str]]:
    """Application → teacher, target and whose word that is."""
    numbers = zip(query.teacher.tolist(), query.target.tolist(), query.sources, strict=True)
    return dict(zip(query.apps, numbers, strict=True))


def test_the_teacher_is_what_the_rules_want_without_anybodys_orders(tmp_path: Path) -> None:
    orders = Orders(overrides={BUILD: Override(BUILD, PriorityClass.INTERACTIVE, 1000, None)})
    found, _ = queries_of(tmp_path / "a.db", busy(20, pressure=50.0), orders=orders)
    now = judged(found[-1])
    assert now["ffmpeg"] == (BACKGROUND, INTERACTIVE, ORDER)
    assert now["exe:/usr/bin/worker"][0] == BACKGROUND


def test_a_label_is_above_all_else_and_holds_for_its_snapshot(tmp_path: Path) -> None:
    found, _ = queries_of(tmp_path / "a.db", busy(30), labels={WORKER: PriorityClass.IDLE})
    said = [q for q in found if (q.said >= 0).any()]
    assert len(said) == 1
    assert judged(said[0])["exe:/usr/bin/worker"] == (BACKGROUND, IDLE, LABEL)
    assert said[0].weight.max() == 20.0
    assert all(s != LABEL for q in found if q is not said[0] for s in q.sources)


def test_who_took_most_in_a_bad_moment_is_too_high(tmp_path: Path) -> None:
    """Calm rules (nobody waits, says the pressure) leave the encoder alone; the editor gets half of what it wants."""
    found, _ = queries_of(tmp_path / "a.db", busy(10))
    first = judged(found[0])
    assert found[0].bad
    assert first["ffmpeg"][1:] == (BACKGROUND, BAD)
    assert first["vim"][2] == TEACHER


@pytest.mark.parametrize(
    ("mode", "decided", "teacher", "target"),
    [
        (Mode.RULES_ONLY, PriorityClass.NORMAL, PriorityClass.NORMAL, BACKGROUND),
        (Mode.RULES_ONLY, PriorityClass.BACKGROUND, PriorityClass.BACKGROUND, IDLE),
        # Decided but not in effect: that it was still bad says nothing about BACKGROUND.
        (Mode.DRY_RUN, PriorityClass.BACKGROUND, PriorityClass.BACKGROUND, BACKGROUND),
        (Mode.RULES_ONLY, PriorityClass.IDLE, PriorityClass.IDLE, IDLE),
    ],
)
def test_a_culprit_is_one_class_too_high(
    mode: Mode, decided: PriorityClass, teacher: PriorityClass, target: int
) -> None:
    culprit = make.shown(make.group("proc:1-1", cpu=1.5), decided)
    judgement = _target(make.frame(1, culprit, mode=mode), culprit, teacher, "proc:1-1", {}, bad=True)
    assert judgement == (target, BAD)


def test_who_is_in_use_in_a_bad_moment_is_interactive_at_least() -> None:
    for attention in (Attention(focused=True), Attention(playing=True)):
        used = make.shown(make.group("proc:1-1", attention=attention))
        frame = make.frame(1, used)
        assert _target(frame, used, PriorityClass.NORMAL, "other", {}, bad=True) == (INTERACTIVE, BAD)
        assert _target(frame, used, PriorityClass.LATENCY_CRITICAL, None, {}, bad=True) == (CRITICAL, BAD)
        assert _target(frame, used, PriorityClass.NORMAL, None, {}, bad=False) == (NORMAL, TEACHER)


def test_a_persons_word_is_above_a_bad_moment() -> None:
    culprit = make.shown(make.group("proc:1-1", cpu=1.5), PriorityClass.INTERACTIVE, decided_by=Stage.PIN)
    frame, said = make.frame(1, culprit), {"proc:1-1": PriorityClass.LATENCY_CRITICAL}
    assert _target(frame, culprit, PriorityClass.NORMAL, "proc:1-1", {}, bad=True) == (INTERACTIVE, ORDER)
    assert _target(frame, culprit, PriorityClass.NORMAL, "proc:1-1", {**said}, bad=True) == (CRITICAL, LABEL)


def test_a_moment_that_somebody_called_laggy_is_bad(tmp_path: Path) -> None:
    log = SnapshotLog(tmp_path / "a.db", salt_path=tmp_path / "salt", anonymise=False, on_problem=pytest.fail)
    groups = [make.shown(make.group("proc:1-1", cpu=1.5)), make.shown(make.group("proc:2-2", cpu=0.1))]
    for n in (1, 2):
        frame = make.frame(n, *groups, contention=make.BUSY)
        log.offer(frame)
    log.add_label(frame, 1000, verdict="laggy")
    log.close()
    before, said = LogSource(tmp_path / "a.db", "here", RULES).queries(Tally())
    assert (before.bad, said.bad) == (False, True)
    assert BAD in said.sources


def test_what_is_protected_is_nothing_to_learn_from(tmp_path: Path) -> None:
    log = SnapshotLog(tmp_path / "a.db", salt_path=tmp_path / "salt", anonymise=False, on_problem=pytest.fail)
    groups = [make.shown(make.group(f"proc:{n}-1", cpu=0.3), protected=n == 3) for n in range(1, 4)]
    log.offer(make.frame(1, *groups, contention=make.BUSY))
    log.close()
    (query,) = LogSource(tmp_path / "a.db", "here", RULES).queries(Tally())
    assert len(query.apps) == 2
    # The machine is whole all the same: each has a third of what is used.
    assert query.matrix[0, features.NAMES.index("demand")] == pytest.approx(1 / 3)


def test_what_is_nearly_the_same_is_left_out_and_changes_are_not(tmp_path: Path) -> None:
    every, _ = queries_of(tmp_path / "a.db", [*busy(30), *calm(30)])
    few, tally = queries_of(tmp_path / "b.db", [*busy(30), *calm(30)], every_s=10.0)
    assert len(few) < len(every) / 3
    assert tally.read == tally.kept + sum(tally.dropped.values())
    classes = [judged(q) for q in every]
    changes = [q.time_s for before, now, q in zip(classes, classes[1:], every[1:], strict=False) if before != now]
    assert set(changes) <= {q.time_s for q in few}


def test_a_table_has_whole_queries_and_every_word(tmp_path: Path) -> None:
    recorded(tmp_path / "a.db", [*busy(60), *calm(30), *busy(60)], labels={WORKER: PriorityClass.IDLE})
    out = tmp_path / "t.parquet"
    made = prepare([tmp_path / "a.db"], out, RULES, tmp_path, every_s=1.0)
    data = load(out)
    assert len(data) == sum(b.rows for b in made.parts.values())
    assert data.queries == made.tally.kept
    for number in np.unique(data.query):
        rows = np.flatnonzero(data.query == number)
        assert (np.diff(rows) == 1).all()
        assert len(set(data.part[rows])) == len(set(data.time_s[rows])) == 1
    assert (data.source == LABEL).sum() == made.parts[Part.TRAIN].sources[LABEL] + made.parts[Part.TEST].sources[
        LABEL
    ] + made.parts[Part.VALIDATE].sources[LABEL]
    assert "labels" in "\n".join(lines(made, out))
    assert metadata_of(out)["data"]["files"] == ["a.db"]


def test_many_files_and_tables_of_before_come_together(tmp_path: Path) -> None:
    for name in ("a", "b"):
        recorded(tmp_path / f"{name}.db", busy(40))
    first = prepare([tmp_path / "a.db"], tmp_path / "a.parquet", RULES, tmp_path, every_s=1.0)
    both = prepare(
        [tmp_path / "a.parquet"], tmp_path / "t.parquet", RULES, tmp_path, tested=[tmp_path / "b.db"], every_s=1.0
    )
    data = load(tmp_path / "t.parquet")
    assert both.parts[Part.TEST].queries > 0
    assert {run.partition("-")[2] for run in data.of(Part.TEST).run} == {"b.db:1"}
    old = load(tmp_path / "a.parquet")
    trained = data.where(data.part != Part.TEST.value)
    kept = np.isin(old.time_s, trained.time_s)
    assert np.array_equal(trained.matrix, old.matrix[kept], equal_nan=True)
    assert first.tally.kept >= both.parts[Part.TRAIN].queries


def test_a_table_is_read_in_pieces_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(tmp_path / "a.db", busy(40))
    prepare([tmp_path / "a.db"], tmp_path / "a.parquet", RULES, tmp_path, every_s=1.0)
    whole = list(TableSource(tmp_path / "a.parquet", "x").queries(Tally()))
    monkeypatch.setattr(table, "ROWS_AT_ONCE", 7)  # queries have three rows
    pieces = list(TableSource(tmp_path / "a.parquet", "x").queries(Tally()))
    assert [q.time_s for q in pieces] == [q.time_s for q in whole]
    assert all(p.matrix.tobytes() == w.matrix.tobytes() for p, w in zip(pieces, whole, strict=True))


def test_a_table_of_other_features_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(tmp_path / "a.db", busy(20))
    prepare([tmp_path / "a.db"], tmp_path / "a.parquet", RULES, tmp_path)
    monkeypatch.setattr(features, "schema_hash", lambda: "0" * 64)
    with pytest.raises(TableError, match="made with other features"):
        load(tmp_path / "a.parquet")


def test_what_is_no_table_is_a_sentence(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing else")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "foreign.parquet")
    for name in ("broken", "foreign"):
        with pytest.raises(TableError):
            prepare([tmp_path / f"{name}.parquet"], tmp_path / "out.parquet", RULES, tmp_path)
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize(
    ("column", "value"),
    [("target", 9), ("said", -3), ("part", "trian"), ("weight", float("nan")), ("source", "me"), ("label", None),
     ("x_cpu", float("inf")), ("query", -5), ("time_s", float("nan"))],
)  # fmt: skip
def test_a_table_that_was_tampered_with_is_refused_by_column(tmp_path: Path, column: str, value: object) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    recorded(tmp_path / "a.db", busy(20))
    prepare([tmp_path / "a.db"], tmp_path / "a.parquet", RULES, tmp_path)
    whole = pq.read_table(tmp_path / "a.parquet")
    place = whole.schema.get_field_index(column)
    values = [*whole.column(column).to_pylist()[:-1], value]
    kind = whole.schema.field(place).type
    head = {table.KEY: pq.read_metadata(tmp_path / "a.parquet").metadata[table.KEY]}
    torn = whole.set_column(place, column, pa.array(values, kind)).replace_schema_metadata(head)
    pq.write_table(torn, tmp_path / "b.parquet")
    with pytest.raises(TableError, match=column.replace("x_cpu", "features")):
        load(tmp_path / "b.parquet")
    with pytest.raises(TableError):
        prepare([tmp_path / "b.parquet"], tmp_path / "c.parquet", RULES, tmp_path)


def test_a_failure_on_the_way_leaves_the_table_of_before(tmp_path: Path) -> None:
    recorded(tmp_path / "a.db", busy(20))
    out = tmp_path / "t.parquet"
    prepare([tmp_path / "a.db"], out, RULES, tmp_path)
    before = out.read_bytes()
    with sqlite3.connect(tmp_path / "a.db") as db:
        db.execute("UPDATE group_profile SET process_type = 'nonsense'")
    with pytest.raises(RecordError, match="cannot be understood"):
        prepare([tmp_path / "a.db"], out, RULES, tmp_path)
    assert out.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".t.parquet")] == []


@pytest.mark.parametrize("version", range(1, VERSION))
def test_a_log_of_a_version_before_is_read_as_a_copy(tmp_path: Path, version: int) -> None:
    """As it was before the person, the deeper measures, the model were known: made by taking those columns away."""
    new, old = tmp_path / "new.db", tmp_path / "old.db"
    for path in (new, old):
        recorded(path, busy(20))
    db = sqlite3.connect(old, isolation_level=None)
    for statement in [s for step in range(version, VERSION) for s in STEPS[step]]:
        _, _, name, _, _, column, *_ = statement.split()
        db.execute(f"ALTER TABLE {name} DROP COLUMN {column}")
    db.execute(f"PRAGMA user_version = {version}")
    db.close()
    bytes_before = old.read_bytes()
    made = [prepare([p], tmp_path / f"{p.stem}.parquet", RULES, tmp_path / "scratch", every_s=1.0) for p in (new, old)]
    assert made[0].tally.kept == made[1].tally.kept
    now, then = load(tmp_path / "new.parquet"), load(tmp_path / "old.parquet")
    assert np.array_equal(now.matrix, then.matrix, equal_nan=True)
    assert then.bad.any() == (version > 1 and now.bad.any())
    assert old.read_bytes() == bytes_before


def test_a_log_of_a_version_to_come_is_a_sentence(tmp_path: Path) -> None:
    recorded(tmp_path / "a.db", busy(5))
    with sqlite3.connect(tmp_path / "a.db") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(RecordError, match="is of version 99, this SmoothTask reads"):
        prepare([tmp_path / "a.db"], tmp_path / "t.parquet", RULES, tmp_path)
    with pytest.raises(RecordError, match="nothing has been recorded"):
        prepare([tmp_path / "none.db"], tmp_path / "t.parquet", RULES, tmp_path)


def test_stability_is_nought_for_the_same_and_large_for_another() -> None:
    chance = np.random.default_rng(1)
    same = chance.normal(size=5000).astype(np.float32)
    assert stability(same, chance.normal(size=5000).astype(np.float32)) < 0.02
    assert stability(same, same + 1) > 0.5
    assert stability(same, np.where(np.arange(5000) % 2, same, np.nan).astype(np.float32)) > 0.5
    assert stability(np.full(9, np.nan, np.float32), np.full(9, np.nan, np.float32)) == 0.0
    before, after = np.zeros((50, features.COUNT), np.float32), np.zeros((50, features.COUNT), np.float32)
    after[:, 3] = 1
    assert drift(before, after)[0][0] == features.NAMES[3]
    assert drift(before, after[:0]) == ()
    assert len(COLUMNS) == features.COUNT
