"""Which way to read tasks works here."""

from collections.abc import Collection
from typing import Literal, Protocol

from smoothtask.kernel.libbpf import BpfUnavailable
from smoothtask.kernel.procfs import ProcfsTasks
from smoothtask.kernel.tasks_bpf import BpfTasks
from smoothtask.model.tasks import TaskTable

__all__ = ["BpfUnavailable", "TaskSource", "open_tasks"]


class TaskSource(Protocol):
    """One of two ways to fill the same table."""

    name: str

    def read(self, mono_ns: int) -> TaskTable:
        """One pass over every task, stamped *mono_ns* (CLOCK_MONOTONIC)."""
        ...

    def some(self, pids: Collection[int], mono_ns: int) -> TaskTable:
        """At least the rows of *pids*, between two passes: as few others as come cheaper than all."""
        ...

    def close(self) -> None:
        """Let go of descriptors; idempotent."""
        ...


def open_tasks(prefer: Literal["auto", "bpf", "procfs"] = "auto", root: str = "/proc") -> tuple[TaskSource, str]:
    """The best source that works, and a sentence on which and why.

    Raise BpfUnavailable only when *prefer* is `bpf` and it cannot be had.
    """
    if prefer == "procfs":
        return ProcfsTasks(root), "procfs (as configured)"
    try:
        return BpfTasks(), "bpf"
    except BpfUnavailable as error:
        if prefer == "bpf":
            raise
        return ProcfsTasks(root), f"procfs ({error})"
