"""Bundles that were tampered with: copies of a real one, each with one thing wrong."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from smoothtask.config.bundle import MANIFEST, ONNX, TREES
from smoothtask.engine.hybrid import expected

EXPECTED = expected()


def copied(made: Path, folder: Path) -> Path:
    """A copy that may be changed."""
    shutil.copytree(made, folder)
    return folder


def manifest(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Another manifest; the other files stay."""

    def tamper(folder: Path) -> None:
        found = json.loads((folder / MANIFEST).read_text())
        change(found)
        (folder / MANIFEST).write_text(json.dumps(found))

    return tamper


def trees(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Other trees, with a manifest that names them: as whoever can write the folder would."""

    def tamper(folder: Path) -> None:
        found = json.loads((folder / TREES).read_text())
        change(found)
        replaced(folder, TREES, json.dumps(found).encode())

    return tamper


def replaced(folder: Path, name: str, data: bytes) -> None:
    """Another file, with a manifest that names it."""
    (folder / name).write_bytes(data)
    entry = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    key = "onnx" if name == ONNX else "trees"
    manifest(lambda m: m["files"].update({key: entry}))(folder)


def onnx(change: Callable[[Any], object]) -> Callable[[Path], None]:
    """Another graph, with a manifest that names it."""

    def tamper(folder: Path) -> None:
        import onnx as library

        model = library.load_from_string((folder / ONNX).read_bytes())
        change(model)
        replaced(folder, ONNX, model.SerializeToString())

    return tamper


def attribute(model: Any, name: str) -> Any:
    """Of the only node."""
    return next(a for a in model.graph.node[0].attribute if a.name == name)


def _swap(columns: list[Any]) -> None:
    columns[0], columns[1] = columns[1], columns[0]


def _other_scale(found: dict[str, Any]) -> None:
    found["bias"] += 0.001


def _more_weight(model: Any) -> None:
    floats = attribute(model, "target_weights").floats
    for n in range(len(floats)):
        floats[n] += 0.01


def _linked(name: str) -> Callable[[Path], None]:
    def tamper(folder: Path) -> None:
        (folder / name).rename(folder / f"{name}.real")
        (folder / name).symlink_to(f"{name}.real")

    return tamper


def _fifo(folder: Path) -> None:
    (folder / TREES).unlink()
    os.mkfifo(folder / TREES)


def _cut(name: str, size: int) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / name, size)


def _grown(folder: Path) -> None:
    os.truncate(folder / ONNX, 17 << 20)


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated manifest": (_cut(MANIFEST, 300), f"{MANIFEST}: Invalid JSON"),
    "truncated onnx": (_cut(ONNX, 5000), f"{ONNX}: has 5000 bytes"),
    "truncated trees": (_cut(TREES, 5000), f"{TREES}: has 5000 bytes"),
    "empty onnx": (_cut(ONNX, 0), f"{ONNX}: has 0 bytes"),
    "empty manifest": (_cut(MANIFEST, 0), f"{MANIFEST}: Invalid JSON"),
    "random manifest": (lambda f: (f / MANIFEST).write_bytes(os.urandom(999)), MANIFEST),
    "random onnx": (lambda f: replaced(f, ONNX, os.urandom(4000)), ONNX),
    "random trees": (lambda f: replaced(f, TREES, os.urandom(4000)), TREES),
    "one byte changed": (lambda f: _flip(f / ONNX), "SHA-256 differs"),
    "huge": (_grown, "at most"),
    "a link": (_linked(ONNX), "is a link"),
    "a linked manifest": (_linked(MANIFEST), "is a link"),
    "a fifo": (_fifo, "no regular file"),
    "missing": (lambda f: (f / TREES).unlink(), "No such file"),
    "world-writable": (lambda f: (f / ONNX).chmod(0o666), "others may write to it (mode 0666)"),
    "group-writable": (lambda f: (f / MANIFEST).chmod(0o664), "others may write to it"),
    "a world-writable folder": (lambda f: f.chmod(0o777), "others may write to it"),
    "swapped features": (manifest(lambda m: _swap(m["features"])), "feature 1 is m_io_some"),
    "another unit": (manifest(lambda m: m["features"][3].update(unit="percent")), "[percent"),
    "another encoding": (manifest(lambda m: m["features"][0].update(encoding="log1p")), "log1p"),
    "another range": (manifest(lambda m: m["features"][0].update(hi=100.0)), "0 to 100"),
    "another hash": (manifest(lambda m: m.update(schema_hash="0" * 64)), "schema hash differs"),
    "a format of later": (manifest(lambda m: m.update(format="smoothtask-model-2")), "format"),
    "an unknown key": (manifest(lambda m: m.update(run="rm -rf /")), "run: Extra inputs"),
    "an altered self-test": (manifest(lambda m: m["self_test"]["scores"].__setitem__(0, 9.0)), "self-test: the trees"),
    "a huge tolerance": (manifest(lambda m: m["self_test"].update(tolerance=1e9)), "self_test.tolerance"),
    "few self-tests": (manifest(lambda m: m["self_test"].update(rows=[], scores=[])), "self_test.rows"),
    "NaN cuts": (manifest(lambda m: m["scale"].update(cuts=[float("nan")] * 4)), "scale.cuts"),
    "falling cuts": (manifest(lambda m: m["scale"].update(cuts=[1.0, 0.0, 2.0, 3.0])), "do not fall"),
    "NaN leaves": (trees(lambda t: t["trees"][0]["leaves"].__setitem__(0, float("nan"))), "leaves"),
    "huge leaves": (trees(lambda t: t["trees"][0]["leaves"].__setitem__(0, 1e9)), "leaves within"),
    "a feature out of range": (trees(lambda t: t["trees"][0]["features"].__setitem__(0, 4000)), "features from 0"),
    "a feature below": (trees(lambda t: t["trees"][0]["features"].__setitem__(0, -1)), "features from 0"),
    "too few leaves": (trees(lambda t: t["trees"][0]["leaves"].pop()), "leaves"),
    "an infinite bias": (trees(lambda t: t.update(bias=float("inf"))), "bias"),
    "another bias": (trees(_other_scale), "self-test: the trees"),
    "huge graph leaves": (onnx(lambda m: attribute(m, "target_weights").floats.__setitem__(0, 1e30)), "within"),
    "a graph's feature out of range": (
        onnx(lambda m: attribute(m, "nodes_featureids").ints.__setitem__(0, 4000)),
        "a feature that there is not",
    ),
    "another model's graph": (onnx(_more_weight), "self-test: the onnx evaluator"),
    "an operator more": (onnx(lambda m: m.graph.node.add(op_type="Identity")), "2 operators"),
}
"""What was done to it, and what the refusal says."""


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _one_more(found: dict[str, Any]) -> None:
    found["features"].append({**found["features"][-1], "name": "spare"})
    test = found["self_test"]
    test["rows"] = [row + "00000000" for row in test["rows"]]


CASES["a feature more"] = (manifest(_one_more), f"it has {len(EXPECTED.columns) + 1} features")
