"""What the trainer left in its folder, as the report shows it: metrics, feature importance (SHAP), changed decisions.

- `training.json`: {"headline": text, "metrics": {name: number, or an object of them}, "features": [names],
  "examples": [{"label", "rules", "model", "because"}], "confusion": {"classes": [names], "counts": [[rules × model]]},
  "doubts": [sentences]}; only `metrics` is required
- `model.cbm`, `rows.npz` (array `x`, one row a group): SHAP values are computed from both, when both are there
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TRAINING, MODEL, ROWS = "training.json", "model.cbm", "rows.npz"
SIZE_LIMIT = 64 << 20
SHAP_ROWS = 2000
SHOWN_FEATURES, SHOWN_EXAMPLES = 20, 30


class LearntError(Exception):
    """The folder holds nothing that can be shown; the text is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """One training, for people."""

    headline: str
    metrics: tuple[tuple[str, str], ...]
    importance: tuple[tuple[str, float], ...]
    """Feature → mean |SHAP|, the greatest first."""
    examples: tuple[tuple[str, str, str, str], ...]
    """(application, class by the rules, class by the model, why)."""
    classes: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    """Groups by class of the rules (rows) and of the model (columns), in the order of `classes`."""
    doubts: tuple[str, ...] = ()
    """Why it is not used."""


def read_learnt(folder: Path) -> Learnt:
    """What is in the trainer's *folder*. Raises LearntError."""
    path = folder / TRAINING
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise LearntError(f"{path} is larger than {SIZE_LIMIT >> 20} MiB")
        data = json.loads(path.read_text(encoding="utf-8"))
        metrics = tuple((name, value) for name, value in _flat("", data["metrics"]))
        examples = tuple(
            (str(e["label"]), str(e["rules"]), str(e["model"]), str(e["because"]))
            for e in data.get("examples", ())[:SHOWN_EXAMPLES]
        )
        features = [str(f) for f in data.get("features", ())]
        matrix = data.get("confusion", {})
        classes = tuple(str(c) for c in matrix.get("classes", ()))
        confusion = tuple(tuple(int(n) for n in row) for row in matrix.get("counts", ()))
        if any(len(row) != len(classes) for row in (confusion, *confusion)):
            raise LearntError(f"{path}: expected a confusion of {len(classes)} × {len(classes)} counts")
        doubts = tuple(str(d) for d in data.get("doubts", ()))
    except OSError as error:
        raise LearntError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LearntError(f"{path} is not what the trainer writes: {error!r}") from error
    headline = str(data.get("headline", folder.name))
    return Learnt(headline, metrics, importance(folder, features), examples, classes, confusion, doubts)


def importance(folder: Path, features: list[str]) -> tuple[tuple[str, float], ...]:
    """Mean |SHAP| of each feature over the rows that the trainer kept; empty where it kept none. Raises LearntError."""
    model_path, rows_path = folder / MODEL, folder / ROWS
    if not (model_path.exists() and rows_path.exists()):
        return ()
    import numpy as np  # noqa: PLC0415
    from catboost import CatBoost, CatBoostError, Pool  # noqa: PLC0415 - a second, and an extra

    try:
        with np.load(rows_path, allow_pickle=False) as kept:
            rows = kept["x"][:SHAP_ROWS].astype(np.float32)
        model = CatBoost()
        model.load_model(str(model_path))
        values = model.get_feature_importance(Pool(rows), type="ShapValues")
    except (OSError, ValueError, KeyError, CatBoostError) as error:
        raise LearntError(f"{folder}: SHAP values cannot be computed: {error}") from error
    weights = np.abs(np.asarray(values)[:, :-1]).mean(axis=0)  # the last column is the expected value
    names = features if len(features) == len(weights) else [f"feature {n}" for n in range(len(weights))]
    order = np.argsort(-weights)[:SHOWN_FEATURES]
    return tuple((names[n], float(weights[n])) for n in order.tolist())


def _flat(head: str, value: Any) -> Iterator[tuple[str, str]]:
    """Numbers and words of nested objects, each with its path."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(f"{head}.{name}" if head else str(name), inner)
    elif isinstance(value, float):
        yield head, f"{value:.4g}"
    elif isinstance(value, str | int):
        yield head, str(value)
    elif isinstance(value, list):
        yield head, json.dumps(value)[:200]
    else:
        yield head, "–"
