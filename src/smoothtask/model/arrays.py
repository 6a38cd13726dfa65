"""Sets of numbers in arrays (pure): `numpy.isin` and `numpy.unique` load `numpy.ma` first, 1.3 MiB for good."""

from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[Any]


def is_in(values: Integers, members: Integers) -> npt.NDArray[np.bool_]:
    """Which of *values* are among *members*, in any order."""
    if not len(members):
        return np.zeros(len(values), np.bool_)
    among = np.sort(members)
    at = np.minimum(np.searchsorted(among, values), len(among) - 1)
    found: npt.NDArray[np.bool_] = among[at] == values
    return found
