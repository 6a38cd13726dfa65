"""A small bundle that is real: a ranker that CatBoost has trained on a few hundred rows, and exported."""

from pathlib import Path

import numpy as np

from scenery import CONTENDED, classification, group, known, metrics, system
from smoothtask.config.bundle import Manifest
from smoothtask.model.classes import PriorityClass
from smoothtask.model.group import AppGroup, Behaviour
from smoothtask.model.person import NOBODY_KNOWN, Attention
from smoothtask.policy.features import Matrix, features
from smoothtask_trainer.export import Told, export


def snapshot(seed: int) -> tuple[list[AppGroup], list[int]]:
    """Six groups that do a little of this and that, and the class that each ought to have."""
    chance = np.random.default_rng(seed)
    groups, ought = [], []
    for n in range(6):
        cpu, kind = float(chance.uniform(0, 2)), int(chance.integers(4))
        behaviour = (Behaviour.HOG, Behaviour.STEADY, Behaviour.QUIET, Behaviour.HOG)[kind]
        rule = known("ffmpeg", type="batch", target=PriorityClass.BACKGROUND) if kind == 3 else classification()
        focused = kind == 1 and bool(chance.integers(2))
        attention = Attention(focused=focused, visible=focused)
        groups.append(group(f"proc:{n}", rule, behaviour, metrics=metrics(cpu, cpu / 2, 30.0), attention=attention))
        ought.append(3 if focused else (1, 2, 2, 0)[kind])
    return groups, ought


def rows(snapshots: int, first: int = 0) -> tuple[Matrix, list[int], list[int]]:
    """(features, classes, query of each row)."""
    made = [snapshot(seed) for seed in range(first, first + snapshots)]
    matrices = [features(groups, system(30.0, 5.0), NOBODY_KNOWN, CONTENDED) for groups, _ in made]
    queries = [n for n, (groups, _) in enumerate(made) for _ in groups]
    return np.concatenate(matrices), [c for _, ought in made for c in ought], queries


def tiny_bundle(folder: Path, trees: int = 12) -> Manifest:
    """Train on 40 snapshots and write the bundle to the new *folder*; scores run from about −1.5 to 1.5."""
    from catboost import CatBoostRanker, Pool

    matrix, ought, queries = rows(40)
    model = CatBoostRanker(
        loss_function="QueryRMSE", iterations=trees, depth=4, learning_rate=0.3, random_seed=1, thread_count=1,
        verbose=False, allow_writing_files=False,
    )  # fmt: skip
    model.fit(Pool(matrix, [float(c) for c in ought], group_id=queries))
    told = Told(cuts=(-1.0, -0.2, 0.5, 1.2), metrics={"ndcg_at_5": 1.0}, data={"rows": len(matrix)}, trained_at=1e9)
    return export(model, folder, matrix, rows(10, first=1000)[0], told)
