"""`smoothtask train --classifier`: what kind of process a program is, told by what it does alone.

It learns from programs that a rule knows, and sees neither their type, nor tags, nor what the rule asks for. Its use
is to say what programs behave like that no rule knows, so that somebody can write one. The daemon does not load it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from smoothtask.model.group import ProcessType
from smoothtask.model.text import sanitise
from smoothtask.policy import features
from smoothtask_trainer.export import PARITY, ExportError, Scores, checked_onnx, new_folder, run_onnx, saved_onnx
from smoothtask_trainer.learn import Shape, Tell
from smoothtask_trainer.ranker import NotEnoughError
from smoothtask_trainer.splits import Part
from smoothtask_trainer.table import Data

if TYPE_CHECKING:
    from catboost import CatBoostClassifier

Names = npt.NDArray[np.object_]
Mask = npt.NDArray[np.bool_]
FORMAT = "smoothtask-classifier-1"
ONNX, MANIFEST, TRAINING = "classifier.onnx", "classifier.json", "training.json"
PROBABILITIES = "probabilities"
TOLD = ("rule_", "process_", "kind_", "tag_")
"""Features that a rule gives away begin so."""
SEEN = tuple(
    n for n, name in enumerate(features.NAMES) if not name.startswith(TOLD) and name not in {"known", "in_grace"}
)
LEAST_ROWS = 100
STRANGERS = 20


def train(data: Data, out: Path, shape: Shape, trained_at: float, *, tell: Tell = lambda _text: None) -> dict[str, Any]:
    """Train, measure on the test part, write the folder *out*; what came out. Raises NotEnoughError, ExportError."""
    kinds, known = kinds_of(data), data.matrix[:, features.NAMES.index("known")] == 1
    fitting, validating, testing = (known & (data.part == part.value) for part in Part)
    _check_enough(kinds[fitting])
    # A kind that training has never seen cannot be validated.
    validating &= np.isin(kinds, kinds[fitting])
    model = _fit(data, kinds, fitting, validating, shape, tell)
    classes = [str(c) for c in model.classes_]
    guesses = np.asarray(model.predict(_rows(data)), object).ravel()
    new_apps = testing & ~np.isin(data.app, data.app[fitting])
    made: dict[str, Any] = {
        "headline": f"process types by behaviour, {model.tree_count_} trees",
        "metrics": {
            "trees": int(model.tree_count_),
            "rows": {"train": int(fitting.sum()), "test": int(testing.sum())},
            "exact": _share(guesses, kinds, testing),
            "exact_of_new_applications": _share(guesses, kinds, new_apps),
            "of_each_type": {c: _share(guesses, kinds, testing & (kinds == c)) for c in classes},
        },
        "features": [features.NAMES[n] for n in SEEN],
        "classes": classes,
        "strangers": strangers(model, data, ~known),
    }
    tell("exporting")
    with new_folder(out) as folder:
        onnx_data = _exported(model, folder, _rows(data))
        (folder / ONNX).write_bytes(onnx_data)
        head = {"format": FORMAT, "trained_at": trained_at, "features": made["features"], "classes": classes}
        (folder / MANIFEST).write_text(json.dumps(head, indent=1), encoding="utf-8")
        (folder / TRAINING).write_text(json.dumps(made, indent=1), encoding="utf-8")
    return made


def kinds_of(data: Data) -> Names:
    """The process type of each row, as its one-hot columns have it."""
    columns = [features.NAMES.index(f"process_{p.value}") for p in ProcessType]
    names = np.array([p.value for p in ProcessType], object)
    found: Names = names[data.matrix[:, columns].argmax(axis=1)]
    return found


def _rows(data: Data) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(data.matrix[:, list(SEEN)])


def _check_enough(kinds: Names) -> None:
    types = len(set(kinds.tolist()))
    if len(kinds) < LEAST_ROWS or types < 2:
        raise NotEnoughError(
            f"There is not enough to learn from: {len(kinds)} rows of known programs of {types} process types to "
            f"train, {LEAST_ROWS} rows of two types are the least. Record more: let the daemon run."
        )


def _fit(
    data: Data,
    kinds: Names,
    fitting: Mask,
    validating: Mask,
    shape: Shape,
    tell: Tell,
) -> "CatBoostClassifier":
    from catboost import CatBoostClassifier, Pool  # noqa: PLC0415 - a second, and an extra

    tell("training the classifier")
    rows, model = _rows(data), CatBoostClassifier(
        loss_function="MultiClass", iterations=shape.trees, depth=shape.depth, learning_rate=shape.rate,
        l2_leaf_reg=shape.l2, random_seed=shape.seed, thread_count=shape.threads, auto_class_weights="Balanced",
        nan_mode="Min", allow_writing_files=False, verbose=False,
    )  # fmt: skip
    held = Pool(rows[validating], kinds[validating]) if validating.any() else None
    model.fit(
        Pool(rows[fitting], kinds[fitting]), eval_set=held, early_stopping_rounds=40 if held is not None else None,
        use_best_model=held is not None,
    )  # fmt: skip
    return model


def _share(guesses: Names, kinds: Names, rows: Mask) -> float | None:
    return float((guesses[rows] == kinds[rows]).mean()) if rows.any() else None


def strangers(model: "CatBoostClassifier", data: Data, unknown: Mask) -> list[dict[str, Any]]:
    """Programs that no rule knows, the most frequent first, and what they behave like."""
    if not unknown.any():
        return []
    chances = np.asarray(model.predict_proba(_rows(data)[unknown]))
    labels = data.label[unknown]
    names, counts = np.unique(labels.astype(str), return_counts=True)
    found = []
    for n in np.argsort(-counts)[:STRANGERS]:
        mean = chances[labels.astype(str) == names[n]].mean(axis=0)
        best = int(mean.argmax())
        like, sure = str(model.classes_[best]), round(float(mean[best]), 3)
        found.append({"label": sanitise(str(names[n])), "rows": int(counts[n]), "like": like, "probability": sure})
    return found


def _exported(model: "CatBoostClassifier", folder: Path, rows: npt.NDArray[np.float32]) -> bytes:
    """ONNX with probabilities as a plain table [N, classes] in place of a list of maps. Raises ExportError."""
    import onnx  # noqa: PLC0415

    made = saved_onnx(model, folder)
    graph = made.graph
    (zipmap,) = [n for n in graph.node if n.op_type == "ZipMap"]
    source, target = zipmap.input[0], zipmap.output[0]
    graph.node.remove(zipmap)
    for node in graph.node:
        node.output[:] = [PROBABILITIES if name == source else name for name in node.output]
    kept = [o for o in graph.output if o.name != target]
    del graph.output[:]
    graph.output.extend(kept)
    shape = [None, len(model.classes_)]
    graph.output.append(onnx.helper.make_tensor_value_info(PROBABILITIES, onnx.TensorProto.FLOAT, shape))
    data = checked_onnx(made)
    expected: Scores = np.asarray(model.predict_proba(rows))
    got = run_onnx(data, rows, PROBABILITIES)
    if got.shape != expected.shape or not np.abs(got - expected).max() <= PARITY:
        raise ExportError("the classifier's ONNX file does not give CatBoost's own probabilities")
    return data


def lines(made: Mapping[str, Any]) -> list[str]:
    """What came out, for a person."""

    def shown(value: float | None) -> str:
        return "–" if value is None else f"{value:.1%}"

    metrics = made["metrics"]
    known, new = shown(metrics["exact"]), shown(metrics["exact_of_new_applications"])
    said = [
        f"{made['headline']}, trained on {metrics['rows']['train']} rows",
        f"  right on {metrics['rows']['test']} rows that it has not seen: {known}; where the application is new: {new}",
        *(f"  {name:14} {shown(share)}" for name, share in metrics["of_each_type"].items()),
    ]
    if made["strangers"]:
        said += ["Programs that no rule knows behave like:"]
        said += [f"  {s['label']:30} {s['like']} ({s['probability']:.0%}, {s['rows']} rows)" for s in made["strangers"]]
    return said
