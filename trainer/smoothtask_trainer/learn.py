"""Fits a CatBoostRanker: weights, pairs, early stopping, folds in time, and a search over its shape.

What a loss obeys was measured: QueryRMSE weighs each row; YetiRank whole queries alone; PairLogit the pairs that it is
given, which here are all of a query that ought to stand in different classes. So that a person's words decide nothing
alone, they make up 30 % of the whole weight at most.

Ranking losses see differences within a query, not its level. Each query of the training therefore has one row more, of
which nothing is known, and which ought to be NORMAL: a score then says how far from NORMAL, and cuts hold for all.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from smoothtask.model.classes import PriorityClass
from smoothtask.policy import features
from smoothtask.policy.features import Matrix
from smoothtask_trainer.dataset import LABEL, NOTHING_SAID, ORDER, TEACHER
from smoothtask_trainer.evaluate import agreement, queries
from smoothtask_trainer.splits import EMBARGO_S
from smoothtask_trainer.table import Data

if TYPE_CHECKING:
    from catboost import CatBoostRanker, Pool

Tell = Callable[[str], None]
Scores = npt.NDArray[np.float64]

LOSSES = ("QueryRMSE", "YetiRank", "PairLogit")
PERSON_SHARE = 0.3
FOLDS = 3
PATIENCE = 40
"""Trees without a better validation before training ends."""
LARGE = 10_000
"""Rows from which on a tree is grown on a part of them."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What is trained; the defaults are for a few thousand rows and up."""

    loss: str = "QueryRMSE"
    trees: int = 300
    """At most."""
    depth: int = 5
    rate: float = 0.08
    l2: float = 5.0
    seed: int = 1
    threads: int = -1
    """−1: as many as there are CPUs."""
    anchors: bool = True
    """Without them scores have no level: to measure what they are worth."""


def balanced(data: Data) -> npt.NDArray[np.float32]:
    """The weight of each row, with what people said capped."""
    person = np.isin(data.source, (LABEL, ORDER))
    weight = data.weight.copy()
    others, theirs = float(weight[~person].sum()), float(weight[person].sum())
    most = others * PERSON_SHARE / (1 - PERSON_SHARE)
    if others and theirs > most:
        weight[person] *= most / theirs
    return weight


def anchored(data: Data, weight: npt.NDArray[np.float32]) -> tuple[Data, npt.NDArray[np.float32]]:
    """Each query with one row more, of which nothing is known, and which is NORMAL; its rows one after the other."""
    queries, first = np.unique(data.query, return_index=True)
    n = len(queries)
    normal = np.full(n, PriorityClass.NORMAL, np.int8)
    anchors = Data(
        matrix=np.full((n, features.COUNT), np.nan, np.float32), query=queries, app=np.full(n, "", object),
        label=np.full(n, "", object), teacher=normal, target=normal, said=np.full(n, NOTHING_SAID, np.int8),
        source=np.full(n, TEACHER, object), weight=np.ones(n, np.float32),
        **{name: getattr(data, name)[first] for name in ("run", "time_s", "bad", "part", "stretch")},
    )  # fmt: skip
    both = Data(*(np.concatenate([getattr(data, name), getattr(anchors, name)]) for name in Data.__slots__))
    order = np.argsort(both.query, kind="stable")
    return both.where(order), np.concatenate([weight, anchors.weight])[order]


def pool(data: Data, shape: Shape) -> "Pool":
    """*data* as CatBoost takes it for the loss of *shape*."""
    from catboost import Pool  # noqa: PLC0415 - a second, and an extra

    loss, weight = shape.loss, balanced(data)
    weighed, weight = anchored(data, weight) if shape.anchors else (data, weight)
    given: dict[str, Any] = {"label": weighed.target.astype(np.float32), "group_id": weighed.query}
    if loss == "QueryRMSE":
        given["weight"] = weight
    elif loss == "YetiRank":
        given["group_weight"] = _of_queries(weighed, weight)
    elif loss == "PairLogit":
        given["pairs"], given["pairs_weight"] = pairs(weighed, weight)
    return Pool(weighed.matrix, feature_names=list(features.NAMES), **given)


def _of_queries(data: Data, weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The mean weight of the query, for each row."""
    _, of_row, counts = np.unique(data.query, return_inverse=True, return_counts=True)
    return (np.bincount(of_row, weight) / counts)[of_row].astype(np.float32)


def teaches(data: Data, loss: str) -> bool:
    """Whether there is anything in *data* for *loss*: one of pairs needs two in a snapshot that differ."""
    return loss != "PairLogit" or any(len(np.unique(data.target[rows])) > 1 for rows in queries(data))


def pairs(data: Data, weight: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """(winner, loser) rows of all pairs that ought to differ, and how much each counts: as the stronger word."""
    found, counts = [], []
    for rows in queries(data):
        target = data.target[rows]
        winner, loser = np.nonzero(target[:, None] > target[None, :])
        found.append(np.stack([rows[winner], rows[loser]], axis=1))
        counts.append(np.maximum(weight[rows[winner]], weight[rows[loser]]))
    return np.concatenate(found), np.concatenate(counts)


def fit(train: Data, validate: Data, shape: Shape, tell: Tell) -> "CatBoostRanker":
    """A ranker that has been trained until *validate* got no better."""
    from catboost import CatBoostRanker  # noqa: PLC0415

    model = CatBoostRanker(
        loss_function=shape.loss, iterations=shape.trees, depth=shape.depth, learning_rate=shape.rate,
        l2_leaf_reg=shape.l2, random_seed=shape.seed, thread_count=shape.threads, nan_mode="Min",
        bootstrap_type="Bernoulli" if len(train) >= LARGE else "No", allow_writing_files=False, verbose=False,
        **({"subsample": 0.8} if len(train) >= LARGE else {}),
    )  # fmt: skip
    model.fit(
        pool(train, shape), eval_set=pool(validate, shape), early_stopping_rounds=PATIENCE,
        use_best_model=True, callbacks=[_Progress(shape.trees, tell)],
    )  # fmt: skip
    return model


@dataclass(slots=True)
class _Progress:
    """What CatBoost calls after each tree."""

    trees: int
    tell: Tell

    def after_iteration(self, info: Any) -> bool:
        """Say how far it is; always go on."""
        if info.iteration % 10 == 0:
            losses = [v[-1] for name, by in info.metrics.items() if name != "learn" for v in by.values()]
            self.tell(f"tree {info.iteration} of {self.trees} at most, validation {losses[0]:.4f}" if losses else "")
        return True


def score(model: "CatBoostRanker", matrix: Matrix) -> Scores:
    """CatBoost's own prediction."""
    return np.asarray(model.predict(matrix), np.float64)


def folds(data: Data, count: int = FOLDS) -> Iterator[tuple[Data, Data]]:
    """(earlier, later) pairs for cross-validation in time: whole stretches, the later never before the earlier."""
    first: dict[int, float] = {}
    for stretch, time_s in zip(data.stretch.tolist(), data.time_s.tolist(), strict=True):
        first[stretch] = min(first.get(stretch, time_s), time_s)
    order = sorted(first, key=lambda s: first[s])
    blocks = [b for b in np.array_split(np.array(order), count + 1) if len(b)]
    for n in range(1, len(blocks)):
        later = data.where(np.isin(data.stretch, blocks[n]))
        begin_s = float(later.time_s.min())
        earlier = np.isin(data.stretch, np.concatenate(blocks[:n])) & (data.time_s < begin_s - EMBARGO_S)
        if earlier.any():
            yield data.where(earlier), later


def validated(data: Data, shape: Shape, tell: Tell = lambda _text: None) -> list[float]:
    """How well each fold's pairs come out: the share of its weight that is in the right order."""
    found = []
    for earlier, later in folds(data):
        if len(np.unique(earlier.target)) < 2 or not all(teaches(part, shape.loss) for part in (earlier, later)):
            continue
        model = fit(earlier, later, shape, tell)
        found.append(agreement(score(model, later.matrix), later, later.target, balanced(later)).share)
    return [f for f in found if f is not None]


def search(data: Data, shape: Shape, trials: int, tell: Tell) -> tuple[Shape, float]:
    """The best of *trials* shapes, and its cross-validation; the same seed finds the same."""
    import optuna  # noqa: PLC0415

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=shape.seed))
    study.enqueue_trial({"depth": shape.depth, "rate": shape.rate, "l2": shape.l2})

    def objective(trial: Any) -> float:
        wanted = _turned(shape, {
            "depth": trial.suggest_int("depth", 3, 7),
            "rate": trial.suggest_float("rate", 0.02, 0.3, log=True),
            "l2": trial.suggest_float("l2", 1.0, 30.0, log=True),
        })  # fmt: skip
        tell(f"search: shape {trial.number + 1} of {trials}")
        found = validated(data, wanted)
        return sum(found) / len(found) if found else 0.0

    study.optimize(objective, n_trials=trials)
    return _turned(shape, study.best_params), float(study.best_value)


def _turned(shape: Shape, values: dict[str, Any]) -> Shape:
    return replace(shape, **values)
