"""`smoothtask train data`: snapshot logs (and tables made before) → one table to learn from, and what is in it.

Two passes, neither of which holds more than some thousand rows: the first plans which stretch of time is for what,
the second reads, counts and writes.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from smoothtask.model.classes import PriorityClass
from smoothtask.policy import features
from smoothtask.policy.features import Matrix
from smoothtask.policy.parameters import PolicyParameters
from smoothtask.store.migrate import up_to_date
from smoothtask_trainer.dataset import LABEL, NOTHING_SAID, ORDER, LogSource, Query, Tally
from smoothtask_trainer.splits import Part, plan
from smoothtask_trainer.table import Placed, TableSource, Writer, is_table

SAMPLE_ROWS = 5_000
"""Of each part, for drift."""
BINS = 10
DRIFTED = 0.25
"""From this population stability index on a feature is commonly said to have drifted."""
EMPTY_SHARE = 1e-4
"""What an empty bin counts as, so that no logarithm is infinite."""
BORDER = "next to a stretch that is for something else"

Source = LogSource | TableSource


@dataclass(slots=True)
class Balance:
    """What is in one part."""

    queries: int = 0
    rows: int = 0
    bad: int = 0
    """Queries."""
    runs: set[str] = field(default_factory=set)
    targets: Counter[str] = field(default_factory=Counter)
    """Class → rows."""
    sources: Counter[str] = field(default_factory=Counter)
    """Whose word the target is → rows."""
    said: int = 0
    apps: set[str] = field(default_factory=set)

    def add(self, query: Query) -> None:
        """Count *query*."""
        self.queries += 1
        self.rows += len(query.apps)
        self.bad += query.bad
        self.runs.add(query.run)
        self.targets.update(PriorityClass(t).name for t in query.target.tolist())
        self.sources.update(query.sources)
        self.said += int((query.said != NOTHING_SAID).sum())
        self.apps.update(query.apps)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "queries": self.queries, "rows": self.rows, "bad": self.bad, "runs": len(self.runs), "apps": len(self.apps),
            "said": self.said, "targets": dict(self.targets), "sources": dict(self.sources),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was made."""

    files: tuple[str, ...]
    tally: Tally
    parts: dict[Part, Balance]
    drift: tuple[tuple[str, float], ...]
    """Feature → population stability index between training and test, the greatest first."""
    unknown: tuple[str, ...]
    """Features that are not known in any row."""

    def as_json(self) -> dict[str, Any]:
        """Plain values: the table's metadata, and what `--json` prints."""
        return {
            "files": list(self.files), "read": self.tally.read, "kept": self.tally.kept,
            "dropped": dict(self.tally.dropped), "parts": {p.value: b.as_json() for p, b in self.parts.items()},
            "drift": [list(d) for d in self.drift], "unknown": list(self.unknown),
        }  # fmt: skip


def prepare(
    paths: Sequence[Path],
    out: Path,
    parameters: PolicyParameters,
    scratch: Path,
    *,
    tested: Sequence[Path] = (),
    every_s: float = 5.0,
    seed: int = 1,
) -> Prepared:
    """Read *paths* and *tested* (for the test alone), write the table *out*. Logs of an older version are copied into
    the folder *scratch* and brought up to date there.

    Raises RecordError, TableError, OSError.
    """
    sources = [_source(p, n, parameters, scratch, every_s) for n, p in enumerate([*paths, *tested])]
    apart = tuple(s.machine + mark for s in sources[len(paths) :] for mark in (":", "/"))
    planned = plan((m for s in sources for m in s.moments()), lambda run: run.startswith(apart))
    tally, parts = Tally(), {part: Balance() for part in Part}
    samples = {part: Sample(SAMPLE_ROWS, seed) for part in Part}
    metadata: dict[str, Any] = {}
    writer = Writer(out)
    with writer.open(metadata):
        for query in _queries(sources, tally):
            place = planned.place(query.run, query.time_s)
            if place is None:
                tally.dropped[BORDER] += 1
                tally.kept -= 1
                continue
            stretch, part = place
            writer.add(Placed(query, part, stretch))
            parts[part].add(query)
            samples[part].add(query.matrix)
        rows = {part: sample.rows for part, sample in samples.items()}
        empty = np.isnan(np.concatenate([*rows.values()])).all(axis=0)
        result = Prepared(
            files=tuple(p.name for p in [*paths, *tested]),
            tally=tally,
            parts=parts,
            drift=drift(rows[Part.TRAIN], rows[Part.TEST]),
            unknown=tuple(n for n, nothing in zip(features.NAMES, empty, strict=True) if nothing),
        )
        metadata["data"] = result.as_json()
    return result


def _source(path: Path, number: int, parameters: PolicyParameters, scratch: Path, every_s: float) -> Source:
    machine = f"{number}-{path.name}"
    if path.is_file() and is_table(path):
        return TableSource(path, machine)
    return LogSource(up_to_date(path, scratch), machine, parameters, every_s)


def _queries(sources: Iterable[Source], tally: Tally) -> Iterator[Query]:
    for source in sources:
        yield from source.queries(tally)


class Sample:
    """So many rows of a stream, each with the same chance (reservoir sampling)."""

    def __init__(self, size: int, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - not for secrets
        self._kept = np.empty((size, features.COUNT), np.float32)
        self._seen = 0

    def add(self, matrix: Matrix) -> None:
        """Some more rows."""
        for row in matrix:
            place = self._seen if self._seen < len(self._kept) else self._chance.randrange(self._seen + 1)
            self._seen += 1
            if place < len(self._kept):
                self._kept[place] = row

    @property
    def rows(self) -> Matrix:
        """[rows, features]"""
        return self._kept[: self._seen]


def drift(before: Matrix, after: Matrix) -> tuple[tuple[str, float], ...]:
    """How much each feature's distribution differs, the most first; nothing where one of them is empty."""
    if not len(before) or not len(after):
        return ()
    found = [(name, stability(before[:, n], after[:, n])) for n, name in enumerate(features.NAMES)]
    return tuple(sorted(found, key=lambda item: (-item[1], item[0])))


def stability(before: npt.NDArray[np.float32], after: npt.NDArray[np.float32]) -> float:
    """The population stability index: Σ (a − b) ln(a/b) over tenths of *before*, and over what is not known."""
    known = before[~np.isnan(before)]
    borders = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if known.size else np.empty(0)

    def shares(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        missing = np.isnan(values)
        # A value that is a border has a bin of its own: a flag that was always set may be clear now, and the reverse.
        bins = sum(np.searchsorted(borders, values[~missing], side=side) for side in ("left", "right"))
        counts = np.bincount(bins, minlength=2 * len(borders) + 1)
        return np.maximum(np.append(counts, missing.sum()) / len(values), EMPTY_SHARE)

    a, b = shares(after), shares(before)
    return float(((a - b) * np.log(a / b)).sum())


def lines(made: Prepared, out: Path) -> list[str]:
    """What there is, for a person."""
    said = [f"{out}: {made.tally.kept} queries of {made.tally.read} snapshots in {', '.join(made.files)}"]
    said += [f"  left out: {n} {why}" for why, n in made.tally.dropped.most_common()]
    said += ["", f"{'':10}{'queries':>9}{'rows':>9}{'runs':>6}{'bad':>6}{'labels':>8}{'orders':>8}{'apps':>6}"]
    for part, b in made.parts.items():
        said.append(
            f"{part.value:10}{b.queries:9}{b.rows:9}{len(b.runs):6}{b.bad:6}{b.sources[LABEL]:8}{b.sources[ORDER]:8}"
            f"{len(b.apps):6}"
        )
    classes = [c.name for c in sorted(PriorityClass, reverse=True)]
    said += ["", f"{'':10}" + "".join(f"{c:>18}" for c in classes)]
    for part, b in made.parts.items():
        said.append(f"{part.value:10}" + "".join(f"{b.targets[c] / max(1, b.rows):>18.1%}" for c in classes))
    strayed = [(n, v) for n, v in made.drift if v >= DRIFTED]
    if strayed:
        named = ", ".join(f"{n} {v:.2f}" for n, v in strayed[:8])
        said += [
            "",
            f"{len(strayed)} features are distributed otherwise in the test (stability index ≥ {DRIFTED:g}): {named}",
        ]
    if made.unknown:
        said.append(f"{len(made.unknown)} features are not known anywhere: {', '.join(made.unknown)}")
    return said
