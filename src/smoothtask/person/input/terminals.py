"""When somebody last typed into each terminal: its access time, which the kernel moves when input is read.

In steps of eight seconds (drivers/tty/tty_io.c, tty_update_time); output alone does not move it.
"""

import os
import time
from pathlib import Path
from typing import Final

DEV: Final = Path("/dev")
AT_MOST: Final = 1024


def read_terminals(now_s: float, dev: Path = DEV, wall_s: float | None = None) -> tuple[tuple[str, float], ...]:
    """(`pts/3`, CLOCK_MONOTONIC moment) of each pseudo terminal; *now_s* is now on that clock."""
    ahead_s = (time.time() if wall_s is None else wall_s) - now_s
    found: list[tuple[str, float]] = []
    try:
        with os.scandir(dev / "pts") as entries:
            for entry in entries:
                if entry.name.isascii() and entry.name.isdigit() and len(found) < AT_MOST:
                    read_s = _read_s(entry)
                    if read_s is not None:
                        found.append((f"pts/{entry.name}", min(read_s - ahead_s, now_s)))
    except OSError:  # no pseudo terminals here
        return ()
    return tuple(sorted(found))


def _read_s(entry: "os.DirEntry[str]") -> float | None:
    try:
        return entry.stat().st_atime
    except OSError:  # closed meanwhile
        return None
