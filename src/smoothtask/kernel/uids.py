"""Who has a process."""

import os


def uids(proc_root: str = "/proc") -> frozenset[int]:
    """The uids of all processes that we may see."""
    found = set()
    with os.scandir(proc_root) as entries:
        for entry in entries:
            if entry.name.isdecimal():
                try:
                    found.add(entry.stat().st_uid)
                except OSError:  # it has ended
                    continue
    return frozenset(found)
