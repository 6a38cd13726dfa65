"""The trees through onnxruntime: one thread, no spinning, no arena, and its telemetry off."""

import os

import numpy as np

from smoothtask.config.bundle import INPUT, OUTPUT
from smoothtask.ranker.oblivious import Rows, Scores

QUIET = 3
"""Errors only: a warning at each run would fill the journal."""


class OnnxTrees:
    """An evaluator. Its memory is native: freed with it, but not given back to the kernel until somebody trims."""

    def __init__(self, data: bytes) -> None:
        """Load *data* (not a path: so it cannot name other files). Raises what onnxruntime raises."""
        # Versions from 1.29 on report to their maker from the moment they are imported, and keep a device id.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime  # noqa: PLC0415 - 40 MiB that only this evaluator needs

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        options.log_severity_level = QUIET
        self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def scores(self, rows: Rows) -> Scores:
        """The score of each row, float32 [rows, width]."""
        given = np.ascontiguousarray(rows, np.float32)
        (found,) = self._session.run([OUTPUT], {INPUT: given})
        return np.asarray(found, np.float64).reshape(-1)
