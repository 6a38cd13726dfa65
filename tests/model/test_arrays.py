"""As numpy's own, without what numpy loads for it."""

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from smoothtask.model.arrays import is_in

SIZES = st.integers(0, 40)


@given(
    st.sampled_from([np.uint64, np.int64, np.int32]).flatmap(
        lambda kind: st.tuples(
            st_np.arrays(kind, SIZES, elements=st_np.from_dtype(np.dtype(kind)) | st.integers(0, 9)),
            st_np.arrays(kind, SIZES, elements=st_np.from_dtype(np.dtype(kind)) | st.integers(0, 9)),
        )
    )
)
def test_members_are_found(both):
    values, members = both
    assert np.array_equal(is_in(values, members), np.isin(values, members))


def test_masked_arrays_are_not_loaded():
    script = (
        "import sys, numpy as np; from smoothtask.model.arrays import is_in;"
        " assert is_in(np.arange(9), np.array([3])).sum() == 1; print('numpy.ma' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
