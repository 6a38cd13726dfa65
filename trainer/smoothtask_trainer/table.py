"""The training table as Parquet: one row a group of a query; written and read in pieces.

Columns: which query (numbered from 0, its rows one after the other), its run, time and part, who, what it ought to be
and who says so, then one float32 column a feature. The file's metadata name the schema of the features: rows of
another schema mean something else, and are refused.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from smoothtask.model.classes import PriorityClass
from smoothtask.policy import features
from smoothtask.policy.features import Matrix
from smoothtask_trainer.dataset import NOTHING_SAID, WEIGHTS, Query, Tally
from smoothtask_trainer.splits import Part

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "smoothtask-dataset-1"
KEY = b"smoothtask"
ROWS_AT_ONCE = 5_000
HEAD = (
    ("query", "int64"), ("run", "string"), ("time_s", "float64"), ("bad", "bool"), ("part", "string"),
    ("stretch", "int32"), ("app", "string"), ("label", "string"), ("teacher", "int8"), ("target", "int8"),
    ("said", "int8"), ("source", "string"), ("weight", "float32"),
)  # fmt: skip
COLUMNS = tuple(f"x_{name}" for name in features.NAMES)
"""Of the features, so that none has the name of another column."""


class TableError(Exception):
    """A table cannot be used; the text is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A query, and what it is for."""

    query: Query
    part: Part
    stretch: int


@dataclass(frozen=True, slots=True)
class Data:
    """A table in memory; all arrays have one entry a row."""

    matrix: Matrix
    query: npt.NDArray[np.int64]
    run: npt.NDArray[np.object_]
    time_s: npt.NDArray[np.float64]
    bad: npt.NDArray[np.bool_]
    part: npt.NDArray[np.object_]
    stretch: npt.NDArray[np.int32]
    app: npt.NDArray[np.object_]
    label: npt.NDArray[np.object_]
    teacher: npt.NDArray[np.int8]
    target: npt.NDArray[np.int8]
    said: npt.NDArray[np.int8]
    source: npt.NDArray[np.object_]
    weight: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.query)

    @property
    def queries(self) -> int:
        """How many there are."""
        return len(np.unique(self.query))

    def where(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> "Data":
        """Some of the rows, or all in another order: whole queries, or fewer objects of each."""
        return Data(*(getattr(self, name)[rows] for name in self.__slots__))

    def of(self, part: Part) -> "Data":
        """The rows of *part*."""
        return self.where(self.part == part.value)


class Writer:
    """Writes queries to a new Parquet file, which appears when it is complete."""

    def __init__(self, path: Path) -> None:
        self._schema = _schema()
        self._path = path
        self._waiting: list[Placed] = []
        self._rows = 0
        self._query = 0

    @contextlib.contextmanager
    def open(self, metadata: Mapping[str, Any]) -> Iterator["Writer"]:
        """*metadata* is read when all is written, so that it may be filled meanwhile. Raises OSError."""
        import pyarrow.parquet as pq  # noqa: PLC0415 - an extra, and a second

        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{self._path.name}-", dir=self._path.parent)
        os.close(handle)
        try:
            with pq.ParquetWriter(name, self._schema, compression="zstd") as self._file:
                yield self
                self._flush()
                head = {"format": FORMAT, "schema_hash": features.schema_hash(), **metadata}
                self._file.add_key_value_metadata({KEY: json.dumps(head).encode()})
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink()
            raise

    def add(self, placed: Placed) -> None:
        """One query."""
        self._waiting.append(placed)
        self._rows += len(placed.query.apps)
        if self._rows >= ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._file.write_table(_table(self._waiting, self._query, self._schema))
        self._query += len(self._waiting)
        self._waiting, self._rows = [], 0


def _schema() -> "pa.Schema":
    import pyarrow as pa  # noqa: PLC0415

    return pa.schema([*((n, kind) for n, kind in HEAD), *((n, pa.float32()) for n in COLUMNS)])


def _table(placed: list[Placed], first: int, schema: "pa.Schema") -> "pa.Table":
    import pyarrow as pa  # noqa: PLC0415

    queries = [p.query for p in placed]
    lengths = [len(q.apps) for q in queries]

    def each(values: list[Any]) -> list[Any]:
        return [v for v, n in zip(values, lengths, strict=True) for _ in range(n)]

    columns: dict[str, Any] = {
        "query": each([first + n for n in range(len(queries))]),
        "run": each([q.run for q in queries]),
        "time_s": each([q.time_s for q in queries]),
        "bad": each([q.bad for q in queries]),
        "part": each([p.part.value for p in placed]),
        "stretch": each([p.stretch for p in placed]),
        "app": [a for q in queries for a in q.apps],
        "label": [label for q in queries for label in q.labels],
        "source": [s for q in queries for s in q.sources],
    }
    for name in ("teacher", "target", "said", "weight"):
        columns[name] = np.concatenate([getattr(q, name) for q in queries])
    matrix = np.concatenate([q.matrix for q in queries])
    columns.update({name: matrix[:, n] for n, name in enumerate(COLUMNS)})
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


def is_table(path: Path) -> bool:
    """Whether *path* is a Parquet file, and not a snapshot log."""
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def metadata_of(path: Path) -> dict[str, Any]:
    """What the writer said of the table. Raises TableError."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        found = pq.read_metadata(path).metadata or {}
        head: dict[str, Any] = json.loads(found.get(KEY, b"{}"))
        if head.get("format") != FORMAT:
            raise TableError(f"{path} is no table of `smoothtask train data`")
    except (OSError, ValueError, pa.ArrowException) as error:
        raise TableError(f"{path} cannot be read as Parquet: {error}") from error
    if head.get("schema_hash") != features.schema_hash():
        raise TableError(
            f"{path} was made with other features than this SmoothTask's (schema {str(head.get('schema_hash'))[:12]}…, "
            f"expected {features.schema_hash()[:12]}…): make it again from the snapshot logs"
        )
    return head


def load(path: Path) -> Data:
    """The whole table at *path*. Raises TableError."""
    metadata_of(path)
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        return _checked(_data(pq.read_table(path, schema=_schema())), path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise TableError(f"{path} cannot be read: {error}") from error


def _data(table: "pa.Table") -> Data:
    def column(name: str) -> Any:
        return table.column(name).to_numpy()

    matrix = np.empty((table.num_rows, features.COUNT), np.float32)
    for n, name in enumerate(COLUMNS):
        matrix[:, n] = column(name)
    return Data(
        matrix=matrix,
        **{name: np.asarray(column(name), object) for name in ("run", "part", "app", "label", "source")},
        **{name: column(name) for name in ("query", "time_s", "bad", "stretch", "teacher", "target", "said", "weight")},
    )


def _checked(data: Data, path: Path) -> Data:
    """*data*, if its values are such as the writer writes: the file may be anybody's. Raises TableError."""
    best = max(PriorityClass)
    problems = {
        "query": bool((np.diff(data.query) < 0).any()),
        "time_s": not np.isfinite(data.time_s).all(),
        "part": not np.isin(data.part, [p.value for p in Part]).all(),
        "teacher": bool(((data.teacher < 0) | (data.teacher > best)).any()),
        "target": bool(((data.target < 0) | (data.target > best)).any()),
        "said": bool(((data.said < NOTHING_SAID) | (data.said > best)).any()),
        "source": not np.isin(data.source, list(WEIGHTS)).all(),
        "weight": not (np.isfinite(data.weight) & (data.weight >= 0)).all(),
        "features": bool(np.isinf(data.matrix).any()),
        "run, app, label": any(not isinstance(v, str) for v in (*data.run, *data.app, *data.label)),
    }
    wrong = [name for name, is_wrong in problems.items() if is_wrong]
    if wrong:
        raise TableError(f"{path} has values that `smoothtask train data` never writes, in: {'; '.join(wrong)}")
    return data


@dataclass(frozen=True, slots=True)
class TableSource:
    """One table that was made before, to be put together with others."""

    path: Path
    machine: str
    """Name of this file, unlike the others'."""

    def moments(self) -> Iterator[tuple[str, float]]:
        """(run, Unix time) of each query. Raises TableError."""
        last = -1
        for data in self._pieces():
            for query, run, time_s in zip(data.query.tolist(), data.run.tolist(), data.time_s.tolist(), strict=True):
                if query != last:
                    last = query
                    yield f"{self.machine}/{run}", time_s

    def queries(self, tally: Tally) -> Iterator[Query]:
        """Each query as it was written. Raises TableError."""
        rest: Data | None = None
        for piece in self._pieces():
            data = piece if rest is None else _joined(rest, piece)
            bounds = [0, *(np.flatnonzero(np.diff(data.query)) + 1).tolist(), len(data)]
            # The last query of a piece may go on in the next.
            for begin, end in pairwise(bounds[:-1]):
                yield self._query(data, begin, end, tally)
            rest = data.where(np.arange(len(data)) >= bounds[-2])
        if rest is not None and len(rest):
            yield self._query(rest, 0, len(rest), tally)

    def _query(self, data: Data, begin: int, end: int, tally: Tally) -> Query:
        tally.read += 1
        tally.kept += 1
        rows = slice(begin, end)
        return Query(
            f"{self.machine}/{data.run[begin]}", float(data.time_s[begin]), bool(data.bad[begin]),
            tuple(data.app[rows]), tuple(data.label[rows]), data.matrix[rows], data.teacher[rows],
            data.target[rows], data.said[rows], tuple(data.source[rows]),
        )  # fmt: skip

    def _pieces(self) -> Iterator[Data]:
        metadata_of(self.path)
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415

        try:
            with pq.ParquetFile(self.path) as file:
                for batch in file.iter_batches(ROWS_AT_ONCE):
                    yield _checked(_data(pa.Table.from_batches([batch])), self.path)
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise TableError(f"{self.path} cannot be read: {error}") from error


def _joined(one: Data, other: Data) -> Data:
    return Data(*(np.concatenate([getattr(one, n), getattr(other, n)]) for n in Data.__slots__))
