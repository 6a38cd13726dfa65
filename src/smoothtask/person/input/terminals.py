"""When somebody last typed into each terminal: its access time, which the kernel moves when input is read.

In steps of eight seconds (drivers/tty/tty_io.c, tty_update_time); output alone does not move it.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

DEV: Final = Path("/dev")
AT_MOST: Final = 1024
STEP_S: Final = 8.0
CONSOLES: Final = range(1, 13)
"""Those that Alt and a function key lead to."""


def read_terminals(now_s: float, dev: Path = DEV, wall_s: float | None = None) -> tuple[tuple[str, float], ...]:
    """(`pts/3` or `tty1`, CLOCK_MONOTONIC moment) of each terminal; *now_s* is now on that clock.

    Without those whose time lies ahead: a clock that was set back, or whoever owns it, says nothing of now.
    """
    ahead_s = (time.time() if wall_s is None else wall_s) - now_s
    found = []
    for name in (*(f"tty{number}" for number in CONSOLES), *_pseudo(dev)):
        try:
            entry = (dev / name).stat()
        except OSError:  # closed meanwhile, or a machine without consoles
            continue
        moment_s = entry.st_atime - ahead_s
        if moment_s > now_s + STEP_S:
            continue
        # A console is always there: what was read before it was given to whoever logged in is nobody's.
        if name.startswith("pts/") or entry.st_atime > entry.st_ctime:
            found.append((name, min(moment_s, now_s)))
    return tuple(sorted(found))


def _pseudo(dev: Path) -> Iterator[str]:
    """Those of windows, ssh and the like."""
    try:
        names = [name for name in os.listdir(dev / "pts") if name.isascii() and name.isdigit()]
    except OSError:
        return
    yield from (f"pts/{name}" for name in names[:AT_MOST])
