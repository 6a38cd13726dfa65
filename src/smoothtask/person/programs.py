"""Whether a user's program runs: asked before a connection that would otherwise start it."""

import os
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")


def runs(names: frozenset[str], uid: int, proc: Path = PROC) -> bool:
    """Whether a process of *uid* bears one of *names* (comm, proc(5))."""
    for entry in os.listdir(proc):
        if not (entry.isascii() and entry.isdigit()):
            continue
        try:
            fits = (proc / entry / "comm").read_bytes().strip().decode("ascii", "replace") in names
            if fits and (proc / entry).stat().st_uid == uid:
                return True
        except OSError:  # it has ended
            continue
    return False
