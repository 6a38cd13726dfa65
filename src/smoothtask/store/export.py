"""Snapshot log → Parquet, CSV or JSON lines: one flat file a table, streamed, whole or not at all."""

import csv
import io
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal, Protocol

from sqlalchemy import Boolean, Float, Integer
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.expression import Select
from sqlalchemy.sql.expression import select as select_columns
from sqlmodel import Session

from smoothtask.store.reading import StoreError, open_for_reading
from smoothtask.store.tables import (
    AppGroupRecord,
    Base,
    DecisionRecord,
    GroupProfile,
    Label,
    ProcessRecord,
    Program,
    ReasonChain,
    RecordingSession,
    SnapshotRow,
)

Format = Literal["parquet", "csv", "jsonl"]
Row = tuple[Any, ...]
Columns = Sequence[tuple[str, Any]]
"""Names and SQL types."""

TABLES = ("snapshot", "app_group", "decision", "process", "label")
"""What can be exported; shared rows (session, profile, reasons, program) are joined in."""
BATCH = 2000
JSON_COLUMNS = frozenset(
    {
        "cpu_pct_by_core",
        "groups_gone",
        "temperatures_celsius",
        "bad_reasons",
        "contention_reasons",
        "sources",
        "tags",
        "reasons",
        "marks",
    }
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
# Record, and what is joined to it: each by the column <table>_id.
_JOINED: dict[str, tuple[type[Base], tuple[type[Base], ...]]] = {
    "snapshot": (SnapshotRow, (RecordingSession,)),
    "app_group": (AppGroupRecord, (GroupProfile,)),
    "decision": (DecisionRecord, (GroupProfile, ReasonChain)),
    "process": (ProcessRecord, (GroupProfile, Program)),
    "label": (Label, (GroupProfile,)),
}


class _Writer(Protocol):
    def write(self, rows: Sequence[Row]) -> None: ...

    def close(self) -> None: ...


def export(
    db: Path,
    out: Path,
    format: Format,  # noqa: A002 - what people call it
    *,
    tables: Sequence[str] = TABLES,
    since: float | None = None,
    until: float | None = None,
    force: bool = False,
) -> dict[Path, int]:
    """Write `out/TABLE.FORMAT` for each of *tables*; returns the files with their number of rows.

    *since*, *until*: Unix times of snapshots, the second exclusive. All tables show one state of the log, and the
    files appear when all are complete, mode 0600. Raises StoreError when the log cannot be read, a table or format is
    unknown, pyarrow is missing, or a file exists and *force* is not given; OSError when one cannot be written.
    """
    unknown = [t for t in tables if t not in TABLES]
    if unknown or format not in {"parquet", "csv", "jsonl"}:
        what = f"table {unknown[0]!r}: expected {', '.join(TABLES)}" if unknown else f"format {format!r}"
        raise StoreError(f"cannot export {what}")
    targets = {table: out / f"{table}.{format}" for table in tables}
    existing = [str(t) for t in targets.values() if t.exists()]
    if existing and not force:
        raise StoreError(f"{', '.join(existing)}: exists already; --force replaces it")
    with open_for_reading(db) as session:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".smoothtask-export-", dir=out) as draft:
            counts = {}
            for table, target in targets.items():
                query = _query(table, since, until)
                counts[target] = _write_file(session, query, Path(draft, target.name), format)
            for target in targets.values():
                Path(draft, target.name).rename(target)
    return counts


def _query(table: str, since: float | None, until: float | None) -> "Select[Any]":
    """Rows of *table* in the order of time, with what they refer to; a column's name is unique in it."""
    record, joined = _JOINED[table]
    snapshot = _columns(SnapshotRow)
    time_s = snapshot["time_s"]
    columns: dict[str, ColumnElement[Any]] = {c.name: c for c in _columns(record)}
    if table not in {"snapshot", "label"}:
        columns["time_s"] = time_s
    query_from = [(other, _columns(record)[f"{other.__tablename__}_id"] == _columns(other)["id"]) for other in joined]
    for other, _ in query_from:
        for c in _columns(other):
            if c.name not in {"id", "session_id"}:
                name = c.name if c.name not in columns else f"{other.__tablename__}_{c.name}"
                columns[name] = c
    query = select_columns(*[c.label(name) for name, c in columns.items()]).select_from(record)
    if record is not SnapshotRow:
        query = query.join(SnapshotRow, _columns(record)["snapshot_id"] == snapshot["id"])
    for other, condition in query_from:
        query = query.outerjoin(other, condition)
    if since is not None:
        query = query.where(time_s >= since)
    if until is not None:
        query = query.where(time_s < until)
    return query.order_by(time_s, *_keys(record))


def _columns(record: type[Base]) -> Any:
    return Base.metadata.tables[str(record.__tablename__)].columns


def _keys(record: type[Base]) -> Sequence[ColumnElement[Any]]:
    return tuple(Base.metadata.tables[str(record.__tablename__)].primary_key.columns)


def _write_file(session: Session, query: "Select[Any]", path: Path, kind: Format) -> int:
    result = session.connection().execute(query.execution_options(yield_per=BATCH))
    columns = [(c.name, c.element.type) for c in query.selected_columns]
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    count = 0
    with open(fd, "wb") as file:
        writer = _WRITERS[kind](file, columns)
        for batch in _batches(iter(result)):
            writer.write(batch)
            count += len(batch)
        writer.close()
        file.flush()
        os.fsync(fd)
    return count


def _batches(rows: Iterator[Any]) -> Iterator[list[Row]]:
    while batch := [tuple(row) for row in islice(rows, BATCH)]:
        yield batch


class _Csv:
    """RFC 4180, UTF-8; a text that a spreadsheet would run as a formula gets an apostrophe in front."""

    def __init__(self, file: IO[bytes], columns: Columns) -> None:
        self._text = _as_text(file)
        self._csv = csv.writer(self._text, lineterminator="\r\n")
        self._csv.writerow([name for name, _ in columns])

    def write(self, rows: Sequence[Row]) -> None:
        self._csv.writerows([_harmless(value) for value in row] for row in rows)

    def close(self) -> None:
        self._text.flush()
        self._text.detach()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA) else value


class _JsonLines:
    """One object a line; lists and chains are JSON within it, what is not finite is null."""

    def __init__(self, file: IO[bytes], columns: Columns) -> None:
        self._text = _as_text(file)
        self._names = [name for name, _ in columns]

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            values = {name: _json_value(name, value) for name, value in zip(self._names, row, strict=True)}
            self._text.write(json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n")

    def close(self) -> None:
        self._text.flush()
        self._text.detach()


def _json_value(name: str, value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return json.loads(value) if name in JSON_COLUMNS and isinstance(value, str) else value


class _Parquet:
    """A typed column a column; lists and chains as JSON text."""

    def __init__(self, file: IO[bytes], columns: Columns) -> None:
        try:
            import pyarrow as pa  # noqa: PLC0415 - optional, and heavy
            from pyarrow import parquet  # noqa: PLC0415
        except ImportError as error:
            raise StoreError(
                "Parquet needs pyarrow: `pip install 'smoothtask[parquet]'`, or choose csv or jsonl"
            ) from error
        self._pa = pa
        self._schema = pa.schema([(name, self._type(kind)) for name, kind in columns])
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")

    def _type(self, kind: Any) -> Any:
        pa = self._pa
        kinds = ((Boolean, pa.bool_()), (Integer, pa.int64()), (Float, pa.float64()))
        return next((arrow for sql, arrow in kinds if isinstance(kind, sql)), pa.string())

    def write(self, rows: Sequence[Row]) -> None:
        columns = [
            self._pa.array(values, type=field.type)
            for values, field in zip(zip(*rows, strict=True), self._schema, strict=True)
        ]
        self._writer.write_table(self._pa.table(columns, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


def _as_text(file: IO[bytes]) -> io.TextIOWrapper:
    return io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="")


_WRITERS: dict[str, Callable[[IO[bytes], Columns], _Writer]] = {"csv": _Csv, "jsonl": _JsonLines, "parquet": _Parquet}
