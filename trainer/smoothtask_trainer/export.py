"""A trained ranker → a bundle that the daemon can load: ONNX and plain trees, checked, whole or not at all.

What is checked before anything gets its name: the ONNX file holds one tree ensemble and nothing else, and both files
give CatBoost's own scores. CatBoost leaves an empty file behind when it cannot export; nobody ever sees that one.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from smoothtask.config import bundle
from smoothtask.config.bundle import Column, FileEntry, Files, Manifest, Scale, SelfTest, Tree, Trees
from smoothtask.policy import features
from smoothtask.policy.features import Matrix

if TYPE_CHECKING:
    from catboost import CatBoost

Scores = npt.NDArray[np.float64]
PARITY = 1e-5
"""Largest difference between CatBoost's prediction and that of the ONNX file."""
PERCENTILES = np.linspace(0, 100, 101)


class ExportError(Exception):
    """The model cannot be exported; the text is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the manifest says beside the trees."""

    cuts: tuple[float, float, float, float]
    metrics: Mapping[str, Any]
    data: Mapping[str, Any]
    trained_at: float
    """Unix time."""


def export(
    model: "CatBoost",
    out: Path,
    trained: Matrix,
    reference: Matrix,
    told: Told,
    extra: Mapping[str, bytes] | None = None,
) -> Manifest:
    """Write the bundle *out*, a new folder, and return its manifest.

    *trained*: the rows that it was trained on; *reference*: rows that it was not; *extra*: files for people beside it.
    Raises ExportError, OSError.
    """
    with new_folder(out) as making:
        manifest = _fill(model, making, trained, reference, told)
        for name, data in (extra or {}).items():
            (making / name).write_bytes(data)
    return manifest


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to fill, which becomes *out* when that went well, whole and on the disk; else nothing of it stays.

    Raises ExportError when *out* is there already, OSError.
    """
    if out.exists():
        raise ExportError(f"{out} is there already: a model gets a new folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        yield making
        _settle(making)
        making.rename(out)
        _sync(out.parent)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _fill(model: "CatBoost", folder: Path, trained: Matrix, reference: Matrix, told: Told) -> Manifest:
    tests = self_test_rows(reference, np.asarray(model.predict(reference)))
    rows = np.concatenate([reference, tests])
    expected = np.asarray(model.predict(rows), np.float64)
    onnx_data = onnx_of(model, folder)
    trees = trees_of(model, folder)
    trees_data = trees.model_dump_json().encode()
    _compare("the ONNX file", run_onnx(onnx_data, rows), expected)
    _compare("the trees", run_trees(trees, rows), expected)
    scores = expected[: len(reference)]
    manifest = Manifest(
        schema_hash=features.schema_hash(),
        features=tuple(_columns(trained)),
        scale=Scale(cuts=told.cuts, percentiles=tuple(np.percentile(scores, PERCENTILES).tolist())),
        self_test=SelfTest(
            rows=tuple(row.astype("<f4").tobytes().hex() for row in tests),
            scores=tuple(expected[len(reference) :].tolist()),
            tolerance=PARITY,
        ),
        files=Files(onnx=_entry(onnx_data), trees=_entry(trees_data)),
        trained_at=told.trained_at,
        versions={name: version(name) for name in ("smoothtask", "catboost", "onnx", "onnxruntime", "numpy")},
        metrics=dict(told.metrics),
        data=dict(told.data),
    )
    (folder / bundle.ONNX).write_bytes(onnx_data)
    (folder / bundle.TREES).write_bytes(trees_data)
    text = manifest.model_dump_json(indent=1).encode()
    if max(len(onnx_data), len(trees_data)) > bundle.MODEL_LIMIT or len(text) > bundle.MANIFEST_LIMIT:
        raise ExportError("the model is larger than a daemon loads: train fewer or shallower trees")
    (folder / bundle.MANIFEST).write_bytes(text)
    return manifest


def self_test_rows(reference: Matrix, scores: Scores) -> Matrix:
    """Rows from the lowest to the highest score, one of which nothing is known, and one of zeros."""
    places = np.linspace(0, len(reference) - 1, bundle.SELF_TESTS - 2).round().astype(np.intp)
    spread = reference[np.argsort(scores, kind="stable")[places]]
    width = reference.shape[1]
    return np.concatenate([spread, np.full((1, width), np.nan), np.zeros((1, width))]).astype(np.float32)


def _columns(trained: Matrix) -> list[Column]:
    columns = []
    for n, f in enumerate(features.FEATURES):
        seen = trained[:, n][np.isfinite(trained[:, n])]
        lo, hi = (float(seen.min()), float(seen.max())) if seen.size else (None, None)
        columns.append(
            Column(
                name=f.name, unit=f.unit, encoding=f.encoding, missing=f.missing, lo=f.lo, hi=f.hi,
                seen_lo=lo, seen_hi=hi,
            )
        )  # fmt: skip
    return columns


def _entry(data: bytes) -> FileEntry:
    return FileEntry(size=len(data), sha256=hashlib.sha256(data).hexdigest())


def _compare(what: str, got: Scores, expected: Scores) -> None:
    worst = float(np.abs(got - expected).max())
    if not worst <= PARITY:  # NaN too
        raise ExportError(f"{what} scores differ by {worst:.2g} from CatBoost's own, {PARITY:g} is allowed")


# --- ONNX ----------------------------------------------------------------------------------------------


def onnx_of(model: "CatBoost", folder: Path) -> bytes:
    """The model as an ONNX file with the output's true shape and our metadata alone. Raises ExportError."""
    made = saved_onnx(model, folder)
    shape = made.graph.output[0].type.tensor_type.shape.dim
    if len(shape) == 1:  # declared [N], and is [N, 1]: a warning of onnxruntime each time it runs
        shape.add().dim_value = 1
    _check_graph(made)
    return checked_onnx(made)


def saved_onnx(model: "CatBoost", folder: Path) -> Any:
    """What CatBoost writes as ONNX, read back. Raises ExportError."""
    import onnx  # noqa: PLC0415 - only where it is needed
    from catboost import CatBoostError  # noqa: PLC0415

    raw = folder / "raw.onnx"
    try:
        model.save_model(str(raw), format="onnx", export_parameters={"onnx_domain": "smoothtask"})
    except CatBoostError as error:
        raise ExportError(f"CatBoost cannot export this model: {error}") from error
    if not raw.stat().st_size:
        raise ExportError("CatBoost wrote an empty ONNX file")
    made = onnx.load(str(raw), load_external_data=False)
    raw.unlink()
    return made


def checked_onnx(made: Any) -> bytes:
    """The file *made*, with our metadata alone, as the ONNX checker lets it through."""
    import onnx  # noqa: PLC0415

    del made.metadata_props[:]  # CatBoost's own: parameters of the training
    entry = made.metadata_props.add()
    entry.key, entry.value = bundle.METADATA_HASH, features.schema_hash()
    onnx.checker.check_model(made, full_check=True)
    return bytes(made.SerializeToString(deterministic=True))


def _check_graph(made: Any) -> None:
    """That it is one ensemble of trees over our features. Raises ExportError."""
    graph, node = made.graph, made.graph.node[0]
    if [(n.domain, n.op_type) for n in graph.node] != [("ai.onnx.ml", "TreeEnsembleRegressor")]:
        raise ExportError("the ONNX file holds more than trees")
    if graph.initializer or graph.sparse_initializer or made.functions:
        raise ExportError("the ONNX file holds tensors or functions")
    names = ([i.name for i in graph.input], [o.name for o in graph.output])
    if names != ([bundle.INPUT], [bundle.OUTPUT]):
        raise ExportError(f"the ONNX file has the inputs and outputs {names}")
    used = next(a.ints for a in node.attribute if a.name == "nodes_featureids")
    if max(used, default=0) >= features.COUNT:
        raise ExportError("the ONNX file uses a feature that there is not")


def run_onnx(data: bytes, rows: Matrix, output: str = bundle.OUTPUT) -> Scores:
    """What onnxruntime makes of *rows*: one number a row, or several."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before the import: it starts with it
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    found = np.asarray(session.run([output], {bundle.INPUT: rows})[0], np.float64)
    return found.ravel() if output == bundle.OUTPUT else found


# --- plain trees ---------------------------------------------------------------------------------------


def trees_of(model: "CatBoost", folder: Path) -> Trees:
    """The model as plain trees, from CatBoost's JSON. Raises ExportError."""
    raw = folder / "raw.json"
    model.save_model(str(raw), format="json")
    found = json.loads(raw.read_bytes())
    raw.unlink()
    floats = found["features_info"].get("float_features", [])
    if "oblivious_trees" not in found or len(floats) != features.COUNT:
        raise ExportError("expected symmetric trees over our features alone")
    column = {f["feature_index"]: f["flat_feature_index"] for f in floats}
    scale, bias = found["scale_and_bias"]
    trees = tuple(_tree(t, column) for t in found["oblivious_trees"])
    above = tuple(f["flat_feature_index"] for f in floats if f["nan_value_treatment"] == "AsTrue")
    return Trees(
        width=len(floats), scale=float(scale), bias=float(np.ravel(bias)[0]), nan_above=above, trees=trees
    )  # fmt: skip


def _tree(tree: Mapping[str, Any], column: Mapping[int, int]) -> Tree:
    splits: Sequence[Mapping[str, Any]] = tree["splits"] or ()
    return Tree(
        features=tuple(column[s["float_feature_index"]] for s in splits),
        borders=tuple(float(np.float32(s["border"])) for s in splits),
        leaves=tuple(map(float, tree["leaf_values"])),
        weights=tuple(map(float, tree["leaf_weights"])),
    )


def run_trees(trees: Trees, rows: Matrix) -> Scores:
    """What `Trees` means, as plainly as it can be said: to check an export by, not to score with."""
    total = np.zeros(len(rows))
    values = rows.copy()
    for n in trees.nan_above:
        values[np.isnan(values[:, n]), n] = np.inf
    for tree in trees.trees:
        leaf = np.zeros(len(rows), np.intp)
        for bit, (feature, border) in enumerate(zip(tree.features, tree.borders, strict=True)):
            leaf |= (values[:, feature] > np.float32(border)).astype(np.intp) << bit
        total += np.array(tree.leaves)[leaf]
    return trees.scale * total + trees.bias


def _settle(folder: Path) -> None:
    """Readable by all, written by the owner alone, and on the disk."""
    for path in folder.iterdir():
        path.chmod(0o644)
        _sync(path)
    folder.chmod(0o755)
    _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
