"""A table for tests of learning: what groups are like decides what they ought to be, in runs of some minutes."""

from functools import cache

import numpy as np

from scenery import CONTENDED, system
from smoothtask.model.person import NOBODY_KNOWN
from smoothtask.policy.features import NAMES, features
from smoothtask_trainer.dataset import LABEL, NOTHING_SAID, TEACHER
from smoothtask_trainer.splits import Part
from smoothtask_trainer.table import Data
from trainer.bundles import snapshot

PARTS = [Part.TRAIN] * 6 + [Part.VALIDATE] * 2 + [Part.TEST] * 2


@cache
def table(queries: int = 200, wish: int | None = None) -> Data:
    """The teacher's classes; with *wish*, a person has labelled every third hog so, against the teacher."""
    made = [snapshot(seed) for seed in range(queries)]
    matrix = np.concatenate([features(groups, system(30.0, 5.0), NOBODY_KNOWN, CONTENDED) for groups, _ in made])
    query = np.repeat(np.arange(queries), [len(groups) for groups, _ in made])
    teacher = np.array([c for _, ought in made for c in ought], np.int8)
    stretch = (query * len(PARTS) // queries).astype(np.int32)
    said = np.full(len(query), NOTHING_SAID, np.int8)
    if wish is not None:
        said[(matrix[:, NAMES.index("hog")] == 1) & (query % 3 == 0)] = wish
        said[(teacher == 2) & (query % 3 == 0)] = 2
    spoken = said != NOTHING_SAID
    return Data(
        matrix=matrix, query=query, run=np.array([f"run{s // 3}" for s in stretch], object),
        time_s=1e9 + query * 5.0, bad=np.zeros(len(query), bool),
        part=np.array([PARTS[s].value for s in stretch], object), stretch=stretch,
        app=np.array([f"app{t}" for t in teacher], object), label=np.array([f"App {t}" for t in teacher], object),
        teacher=teacher, target=np.where(spoken, said, teacher).astype(np.int8), said=said,
        source=np.where(spoken, LABEL, TEACHER).astype(object),
        weight=np.where(spoken, 20.0, 1.0).astype(np.float32),
    )  # fmt: skip
