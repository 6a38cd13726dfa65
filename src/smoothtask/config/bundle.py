"""The folder that a learned ranker comes in: what its manifest says, and what the light model's file looks like.

- `manifest.json`: everything that must be known before the others are opened; it names their size and hash
- `model.onnx`: one TreeEnsembleRegressor, input `features` float32 [N, F], output `predictions` float32 [N, 1]
- `model.json`: the same trees for a plain evaluator, see `Trees`

A hash in the same folder proves that a file is whole, not where it comes from: that is what owner and mode are for.
"""

import math
import struct
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MANIFEST, ONNX, TREES = "manifest.json", "model.onnx", "model.json"
MANIFEST_LIMIT, MODEL_LIMIT = 512 << 10, 16 << 20
"""Bytes."""
MAX_FEATURES, MAX_TREES, MAX_DEPTH, MAX_LEAF = 512, 2000, 10, 1e4
SELF_TESTS = 16
"""Rows at least 8, as a rule this many."""
TOLERANCE_LIMIT = 1e-4
"""What a manifest may ask for at most: a file does not choose how wrong it may be."""
CURRENT = "current"
"""In a folder of bundles (`Paths.models`): the link to the one in use; swapped as one."""
INPUT, OUTPUT = "features", "predictions"
METADATA_HASH = "smoothtask.schema_hash"
"""Key of the ONNX file's metadata."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z0-9_]+$")]
Text = Annotated[str, StringConstraints(max_length=1000)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]*$", max_length=8 * MAX_FEATURES)]


class Part(BaseModel):
    """Part of a manifest: frozen, unknown keys are errors, no text for a number, nothing infinite."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Column(Part):
    """One feature, as the model was trained with it."""

    name: Name
    unit: Text
    encoding: Text
    missing: Text
    lo: float
    hi: float
    seen_lo: float | None
    """The least and greatest in training, as encoded; null: it was never known."""
    seen_hi: float | None


class Scale(Part):
    """What a score means."""

    cuts: tuple[float, float, float, float]
    """A score from the n-th on is at least class n + 1 (1 BACKGROUND … 4 LATENCY_CRITICAL); calibrated."""
    percentiles: Annotated[tuple[float, ...], Field(min_length=101, max_length=101)]
    """Of the scores of a reference that was not trained on, 0 … 100."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for name, values in (("cuts", self.cuts), ("percentiles", self.percentiles)):
            if any(a > b for a, b in pairwise(values)):
                raise ValueError(f"expected {name} that do not fall")
        return self


class SelfTest(Part):
    """Rows, and what the model makes of them."""

    rows: Annotated[tuple[Hex, ...], Field(min_length=8, max_length=64)]
    """Little-endian float32 of one row, in hex (NaN is a value here)."""
    scores: tuple[float, ...]
    tolerance: float = Field(gt=0, le=TOLERANCE_LIMIT)

    def values(self) -> tuple[tuple[float, ...], ...]:
        """The rows as numbers."""
        return tuple(struct.unpack(f"<{len(row) // 8}f", bytes.fromhex(row)) for row in self.rows)


class FileEntry(Part):
    """One of the other files."""

    size: int = Field(gt=0, le=MODEL_LIMIT)
    sha256: Sha256


class Files(Part):
    """The other files."""

    onnx: FileEntry
    trees: FileEntry


class Manifest(Part):
    """`manifest.json`."""

    format: Literal["smoothtask-model-1"] = "smoothtask-model-1"
    schema_hash: Sha256
    """`policy.features.schema_hash()` where it was trained."""
    features: Annotated[tuple[Column, ...], Field(min_length=1, max_length=MAX_FEATURES)]
    scale: Scale
    self_test: SelfTest
    files: Files
    trained_at: float
    """Unix time."""
    versions: dict[Name, Text]
    """Of what it was made with."""
    metrics: dict[str, Any]
    """Of training, for people: numbers and objects of numbers."""
    data: dict[str, Any]
    """What it was trained on, for people."""

    @model_validator(mode="after")
    def _one_width(self) -> Self:
        width, names = len(self.features), {f.name for f in self.features}
        if len(names) != width:
            raise ValueError("expected features with different names")
        if any(len(row) != 8 * width for row in self.self_test.rows):
            raise ValueError(f"expected self-test rows of {width} features")
        if len(self.self_test.scores) != len(self.self_test.rows):
            raise ValueError("expected one score for each self-test row")
        return self


class Tree(Part):
    """One symmetric tree: bit d of a leaf's number says whether feature `features[d]` is above `borders[d]`."""

    features: Annotated[tuple[int, ...], Field(max_length=MAX_DEPTH)]
    borders: tuple[float, ...]
    """float32 values; a value equal to its border is not above it."""
    leaves: tuple[float, ...]
    weights: tuple[Annotated[float, Field(ge=0)], ...]
    """How much of the training was in each leaf: what an explanation needs."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        depth, size = len(self.features), 1 << len(self.features)
        if len(self.borders) != depth or len(self.leaves) != size or len(self.weights) != size:
            raise ValueError(f"expected {depth} borders, and {size} leaves and weights")
        if any(abs(leaf) > MAX_LEAF for leaf in self.leaves):
            raise ValueError(f"expected leaves within ±{MAX_LEAF:g}")
        return self


class Trees(Part):
    """`model.json`: score = scale × Σ leaf + bias, in float64, over the trees in their order."""

    format: Literal["smoothtask-trees-1"] = "smoothtask-trees-1"
    width: int = Field(ge=1, le=MAX_FEATURES)
    """Features of a row."""
    scale: float
    bias: float
    nan_above: tuple[int, ...] = ()
    """Features whose NaN is above every border; that of the others is above none."""
    trees: Annotated[tuple[Tree, ...], Field(min_length=1, max_length=MAX_TREES)]

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        used = {f for tree in self.trees for f in tree.features} | set(self.nan_above)
        if any(not 0 <= f < self.width for f in used):
            raise ValueError(f"expected features from 0 to {self.width - 1}")
        if not math.isfinite(self.scale * self.bias):
            raise ValueError("expected a finite scale and bias")
        return self
