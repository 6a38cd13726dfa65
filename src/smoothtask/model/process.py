"""Who a process is."""

from typing import NamedTuple


class ProcKey(NamedTuple):
    """A process for as long as it lives: a pid alone is nobody."""

    pid: int
    start_ticks: int
    """Field 22 of /proc/PID/stat: clock ticks between boot and start (proc(5))."""
