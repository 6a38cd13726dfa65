"""Whom an engine that is scoped to one process sees."""

import numpy as np

from smoothtask.bench.scoped import descendants
from smoothtask.model.tasks import PROCESS_DTYPE


def test_descendants_are_found_through_the_table() -> None:
    rows = np.zeros(6, PROCESS_DTYPE)
    rows["pid"] = [1, 5, 7, 8, 9, 20]
    rows["ppid"] = [0, 1, 5, 7, 1, 99]
    assert descendants(rows, 5).tolist() == [False, False, True, True, False, False]
