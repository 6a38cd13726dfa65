"""`smoothtask train`: a table → a ranker, what it is worth where it was not trained, and the bundle with all of it."""

import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smoothtask.config.bundle import Manifest
from smoothtask.model.classes import PriorityClass
from smoothtask.policy import features
from smoothtask_trainer import evaluate, learn
from smoothtask_trainer.dataset import LABEL, NOTHING_SAID
from smoothtask_trainer.export import Told, export
from smoothtask_trainer.learn import Shape, Tell
from smoothtask_trainer.splits import Part
from smoothtask_trainer.table import Data

if TYPE_CHECKING:
    from catboost import CatBoostRanker

LEAST = {Part.TRAIN: 60, Part.VALIDATE: 10, Part.TEST: 10}
"""Queries without which nothing is trained."""
LEAST_ROWS = 200
FEW_LABELS = 50
"""Rows with a person's word, below which a model imitates the rules."""
WORSE = 0.005
"""By so much less a model may agree with labels than the rules do."""
LIKE_RULES = 0.8
"""Of rows about which nobody said anything, the share whose class is as far as one from the rules' at most."""
EXAMPLES, REASONS = 30, 3
SHAP_ROWS = 2000


class NotEnoughError(Exception):
    """There is too little to learn from; the text says what is missing, and how to get it."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What came out."""

    manifest: Manifest
    metrics: Mapping[str, Any]
    doubts: tuple[str, ...]
    """Why it should not be used; empty for a model that may."""


def check_enough(data: Data, loss: str) -> None:
    """Raises NotEnoughError with everything that is missing."""
    missing = []
    for part, least in LEAST.items():
        found = data.of(part).queries
        if found < least:
            missing.append(f"{found} snapshots to {part.value}, {least} are the least")
    train = data.of(Part.TRAIN)
    if len(train) < LEAST_ROWS:
        missing.append(f"{len(train)} rows to train, {LEAST_ROWS} are the least")
    if len(np.unique(train.target)) < 2:
        missing.append("all that is to be trained on is of one class: there is nothing to put in order")
    missing += [
        f"no snapshot to {part.value} has two classes, of which {loss} makes its pairs"
        for part in (Part.TRAIN, Part.VALIDATE)
        if not learn.teaches(data.of(part), loss)
    ]
    if missing:
        raise NotEnoughError(
            "There is not enough to learn from:\n" + "\n".join(f"- {m}" for m in missing) + "\n"
            "Let the daemon run while you work (mode: dry-run is enough), and label what is wrong in the dashboard's "
            "history (H) or with `smoothtask label`; or try with `smoothtask train record --minutes 10 --labels`."
        )


def train(
    data: Data,
    about: Mapping[str, Any],
    out: Path,
    shape: Shape,
    trained_at: float,
    *,
    trials: int = 0,
    tell: Tell = lambda _text: None,
) -> Trained:
    """Train on *data*, measure on its test part, and write the bundle *out*. *about*: what is in the table.

    Raises NotEnoughError, ExportError, OSError.
    """
    check_enough(data, shape.loss)
    fitting, validating, testing = (data.of(part) for part in Part)
    searched = None
    if trials:
        shape, searched = learn.search(fitting, shape, trials, tell)
    tell("cross-validation")
    crossed = learn.validated(fitting, shape, tell)
    model = learn.fit(fitting, validating, shape, tell)
    tell("measuring")
    cuts = _cuts(model, data.where(data.part != Part.TEST.value))
    scores = learn.score(model, testing.matrix)
    metrics: dict[str, Any] = {
        "test": evaluate.measured(scores, testing, cuts, shape.seed),
        "cross_validation": {"pairs_in_order": [round(c, 4) for c in crossed], "searched": searched, "trials": trials},
        "trees": int(model.tree_count_),
        "shape": asdict(shape),
        "labels_trained_on": int((fitting.source == LABEL).sum()),
    }
    doubts = tuple(_doubts(metrics["test"], testing, scores, cuts))
    metrics["doubts"] = list(doubts)
    files = _for_people(model, testing, scores, cuts, metrics)
    tell("exporting")
    told = Told(cuts, metrics, about, trained_at)
    return Trained(export(model, out, fitting.matrix, validating.matrix, told, files), metrics, doubts)


def _cuts(model: "CatBoostRanker", data: Data) -> evaluate.Cuts:
    """Calibrated on what was validated and trained on: of the former alone there is too little to see every class."""
    return evaluate.calibrated(learn.score(model, data.matrix), data.target, learn.balanced(data))


def _doubts(test: Mapping[str, Any], data: Data, scores: learn.Scores, cuts: evaluate.Cuts) -> list[str]:
    """Why a daemon had better go on without this model."""
    found, labels = [], test["labels"]
    if labels["margin"] is not None and labels["margin"] < -WORSE:
        ours, rules = labels["agreement"], labels["rules_agreement"]
        found.append(f"it puts {ours:.1%} of what people said in order, the rules {rules:.1%}")
    unsaid = (data.said == NOTHING_SAID) & (data.source != LABEL)
    near = np.abs(evaluate.classes_of(scores, cuts)[unsaid].astype(int) - data.target[unsaid]) <= 1
    if unsaid.any() and near.mean() < LIKE_RULES:
        found.append(
            f"in {1 - near.mean():.1%} of what nobody spoke of, its class is more than one from what it should be"
        )
    return found


# --- what the report shows -----------------------------------------------------------------------------


def headline(metrics: Mapping[str, Any]) -> str:
    """One sentence about a model."""
    labels, trees = metrics["test"]["labels"], metrics["trees"]
    said = f"{metrics['shape']['loss']}, {trees} trees"
    if labels["agreement"] is None:
        return f"{said}; nobody labelled what it was tested on: it imitates the rules"
    ours, rules = labels["agreement"], labels["rules_agreement"]
    margin, low, high = (100 * labels[name] for name in ("margin", "margin_low", "margin_high"))
    return (
        f"{said}; where it was not trained it puts {ours:.1%} of {labels['pairs']} labelled pairs in order, the rules "
        f"{rules:.1%} (margin {margin:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f})"
    )


def _for_people(
    model: "CatBoostRanker", data: Data, scores: learn.Scores, cuts: evaluate.Cuts, metrics: Mapping[str, Any]
) -> dict[str, bytes]:
    """training.json, model.cbm and rows.npz: see `learnt.py`."""
    import json  # noqa: PLC0415
    import tempfile  # noqa: PLC0415

    from smoothtask_trainer.learnt import MODEL, ROWS, TRAINING  # noqa: PLC0415

    shown = {name: value for name, value in metrics.items() if name != "doubts"}
    shown["test"] = {**shown["test"], "teacher": {**shown["test"]["teacher"]}}
    confusion = shown["test"]["teacher"].pop("confusion")
    told = {
        "headline": headline(metrics),
        "metrics": shown,
        "confusion": {"classes": evaluate.CLASSES, "counts": confusion},
        "doubts": metrics["doubts"],
        "features": list(features.NAMES),
        "examples": examples(model, data, scores, cuts),
    }
    rows = io.BytesIO()
    np.savez_compressed(rows, x=data.matrix[:SHAP_ROWS])
    with tempfile.TemporaryDirectory(prefix="smoothtask-train-") as folder:
        path = Path(folder) / MODEL
        model.save_model(str(path))
        saved = path.read_bytes()
    return {TRAINING: json.dumps(told, indent=1).encode(), MODEL: saved, ROWS: rows.getvalue()}


def examples(model: "CatBoostRanker", data: Data, scores: learn.Scores, cuts: evaluate.Cuts) -> list[dict[str, str]]:
    """Groups that get another class than by the rules, the most frequent first, and what moved their score most."""
    from catboost import Pool  # noqa: PLC0415

    classes = evaluate.classes_of(scores, cuts)
    kinds = list(zip(data.label.tolist(), data.teacher.tolist(), classes.tolist(), strict=True))
    counts = Counter(kind for kind in kinds if kind[1] != kind[2])
    chosen = [kind for kind, _ in counts.most_common(EXAMPLES)]
    if not chosen:
        return []
    rows = [kinds.index(kind) for kind in chosen]
    effects = np.asarray(model.get_feature_importance(Pool(data.matrix[rows]), type="ShapValues"))[:, :-1]
    return [
        {
            "label": label,
            "rules": PriorityClass(rules).name,
            "model": PriorityClass(ours).name,
            "because": f"{counts[label, rules, ours]} times; {_reasons(effects[n], data.matrix[rows[n]])}",
        }
        for n, (label, rules, ours) in enumerate(chosen)
    ]


def _reasons(effects: "np.ndarray[Any, Any]", row: "np.ndarray[Any, Any]") -> str:
    strongest = np.argsort(-np.abs(effects))[:REASONS]
    return ", ".join(f"{features.FEATURES[n].text} ({_value(n, float(row[n]))}): {effects[n]:+.2f}" for n in strongest)


def _value(n: int, value: float) -> str:
    """A feature's value as a person would say it."""
    feature = features.FEATURES[n]
    if np.isnan(value):
        return feature.missing
    if feature.encoding == features.Encoding.LOG1P:
        return f"{np.expm1(value):.3g} {feature.unit}".removesuffix(" 1")
    if feature.encoding == features.Encoding.CLASS:
        return PriorityClass(int(value)).name
    if feature.encoding in {features.Encoding.FLAG, features.Encoding.ONE_HOT}:
        return "yes" if value else "no"
    return f"{value:.0%}"
