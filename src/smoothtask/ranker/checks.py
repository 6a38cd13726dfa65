"""A bundle's bytes → a model that may be used, or the reason why not (pure but for the evaluators' own code).

Nothing in the files decides how they are judged: limits, tolerances and the features are ours.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from pydantic import ValidationError

from smoothtask.config.bundle import MANIFEST, ONNX, TREES, Column, FileEntry, Manifest, Trees
from smoothtask.model.text import sanitise
from smoothtask.ranker.oblivious import ObliviousTrees, Rows, Scores, compiled
from smoothtask.ranker.onnxgraph import GraphError, check_onnx
from smoothtask.ranker.onnxtrees import OnnxTrees

Kind = Literal["json", "onnx"]
TOLERANCE = 1e-5
"""Between a score here and CatBoost's own."""
ROWS, BUDGET_MS = 200, 10.0
"""So many rows must be scored in so much CPU time."""
LARGEST_SCORE = 1e6


class ModelRefusedError(Exception):
    """The model must not be used; a sentence for a person."""


class Evaluator(Protocol):
    """What scores rows."""

    def scores(self, rows: Rows) -> Scores:
        """float32 [rows, features] → float64 [rows]."""
        ...


@dataclass(frozen=True, slots=True)
class Contents:
    """The three files of a bundle, as read."""

    manifest: bytes
    onnx: bytes
    trees: bytes

    @property
    def model(self) -> str:
        """The model's id: the manifest names the hashes of the others, so its own hash stands for all."""
        return hashlib.sha256(self.manifest).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Expected:
    """The features as they are here (`policy.features`)."""

    schema_hash: str
    columns: tuple[tuple[str, str, str, str, float, float], ...]
    """(name, unit, encoding, missing, lo, hi)"""


@dataclass(frozen=True, slots=True)
class Model:
    """A model in use."""

    id: str
    kind: Kind
    manifest: Manifest
    trees: ObliviousTrees
    """For explanations, whoever scores."""
    evaluator: Evaluator


def load(contents: Contents, expected: Expected, kind: Kind) -> Model:
    """The model of *contents*, once everything that can be seen of it is right. Raises ModelRefusedError.

    With onnxruntime this runs native code on the file: see `ranker.apart` for where that is tried first.
    """
    try:
        manifest = Manifest.model_validate_json(contents.manifest)
        _check_features(manifest, expected)
        _check_file(ONNX, contents.onnx, manifest.files.onnx)
        _check_file(TREES, contents.trees, manifest.files.trees)
        check_onnx(contents.onnx, len(expected.columns), expected.schema_hash)
        trees = Trees.model_validate_json(contents.trees)
    except ValidationError as error:
        raise ModelRefusedError(_said(error)) from error
    except GraphError as error:
        raise ModelRefusedError(f"{ONNX}: {error}") from error
    if trees.width != len(expected.columns):
        raise ModelRefusedError(f"{TREES}: made for {trees.width} features, here are {len(expected.columns)}")
    arrays = compiled(trees)
    return Model(contents.model, kind, manifest, arrays, _onnx(contents.onnx) if kind == "onnx" else arrays)


def try_out(model: Model) -> float:
    """Score the self-tests and what no group will ever look like; milliseconds of CPU for 200 rows.

    Raises ModelRefusedError.
    """
    tests = np.array(model.manifest.self_test.values(), np.float32)
    wanted = np.array(model.manifest.self_test.scores)
    odd = _odd_rows(len(model.manifest.features))
    for name, evaluator in (("the trees", model.trees), (f"the {model.kind} evaluator", model.evaluator)):
        worst = float(np.abs(_scored(evaluator, tests) - wanted).max())
        if not worst <= TOLERANCE:
            raise ModelRefusedError(
                f"self-test: {name} scores {worst:.2g} away from what was trained, {TOLERANCE:g} at most"
            )
        found = _scored(evaluator, odd)
        if not np.isfinite(found).all() or np.abs(found).max() > LARGEST_SCORE:
            raise ModelRefusedError(f"{name} gives no sensible score for values that are not known or extreme")
    usual = _usual_rows(model.manifest.features)
    apart = float(np.abs(_scored(model.trees, usual) - _scored(model.evaluator, usual)).max())
    if not apart <= TOLERANCE:
        raise ModelRefusedError(f"{TREES} and {ONNX} are two different models: their scores are {apart:.2g} apart")
    needed_ms = min(_cpu_ms(lambda: _scored(model.evaluator, usual)) for _ in range(5))
    if needed_ms > BUDGET_MS:
        raise ModelRefusedError(f"scoring {ROWS} groups takes {needed_ms:.0f} ms of CPU, {BUDGET_MS:g} ms at most")
    return needed_ms


def _onnx(data: bytes) -> OnnxTrees:
    try:
        return OnnxTrees(data)
    except Exception as error:
        # onnxruntime's exceptions have no name that could be known without importing it.
        raise ModelRefusedError(f"onnxruntime: {sanitise(str(error), 200)}") from error


def _scored(evaluator: Evaluator, rows: Rows) -> Scores:
    try:
        found = evaluator.scores(rows)
    except Exception as error:
        raise ModelRefusedError(f"scoring failed: {sanitise(str(error), 200)}") from error
    if found.shape != (len(rows),):
        raise ModelRefusedError(f"{len(rows)} rows give {found.shape} scores")
    return found


def _check_features(manifest: Manifest, expected: Expected) -> None:
    """Name by name, so that the reason tells which one differs."""
    theirs = [(c.name, c.unit, c.encoding, c.missing, c.lo, c.hi) for c in manifest.features]
    for n, (there, here) in enumerate(zip(theirs, expected.columns, strict=False), 1):
        if there != here:
            raise ModelRefusedError(f"{MANIFEST}: feature {n} is {_column(there)} there and {_column(here)} here")
    if len(theirs) != len(expected.columns):
        raise ModelRefusedError(f"{MANIFEST}: it has {len(theirs)} features, here are {len(expected.columns)}")
    if manifest.schema_hash != expected.schema_hash:
        raise ModelRefusedError(f"{MANIFEST}: made for another version of the features (schema hash differs)")


def _column(c: tuple[str, str, str, str, float, float]) -> str:
    name, unit, encoding, missing, lo, hi = c
    return sanitise(f"{name} [{unit or '–'}, {encoding}, {lo:g} to {hi:g}, NaN: {missing}]", 160)


def _check_file(name: str, data: bytes, entry: FileEntry) -> None:
    if len(data) != entry.size:
        raise ModelRefusedError(f"{name}: has {len(data)} bytes, {MANIFEST} says {entry.size}")
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise ModelRefusedError(f"{name}: is not the file that {MANIFEST} names (SHA-256 differs)")


def _said(error: ValidationError) -> str:
    """The first of the problems, with the file that it is in."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    file = TREES if error.title == Trees.__name__ else MANIFEST
    message = first["msg"].removeprefix("Value error, ")
    return sanitise(f"{file}: {f'{where}: ' if where else ''}{message}", 300)


def _odd_rows(width: int) -> Rows:
    """Nothing known, all zeros, extremes, and each of these in every other column."""
    values = [np.nan, 0.0, np.inf, -np.inf, 1e30, -1e30]
    rows = np.array([[v] * width for v in values] * 2, np.float32)
    rows[len(values) :, ::2] = 0.5
    return rows


def _usual_rows(columns: tuple[Column, ...]) -> Rows:
    """200 rows of plausible values, some of them not known; the same each time."""
    chance = np.random.default_rng(1)
    lo, hi = (np.array([getattr(c, side) for c in columns]) for side in ("lo", "hi"))
    rows: Rows = (lo + (hi - lo) * chance.random((ROWS, len(columns)))).astype(np.float32)
    rows[chance.random(rows.shape) < 0.1] = np.nan
    return rows


def _cpu_ms(work: Callable[[], object]) -> float:
    before = time.thread_time()
    work()
    return (time.thread_time() - before) * 1000
