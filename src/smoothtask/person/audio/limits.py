"""Bounds on what sound servers say of streams: all of it is a user's word."""

from typing import Final

MAX_STREAMS: Final = 512
MAX_CLIENTS: Final = 1024
MAX_PID: Final = 1 << 22
"""PID_MAX_LIMIT of the kernel (include/linux/threads.h)."""
NAME_LIMIT: Final = 64
"""Characters of an application's or a server's name."""
CLAIMED: Final = 0.5
"""Confidence in a pid that only the client itself claims: too little to change anything."""
CONFIRMED: Final = 0.9
"""The process that a client claims to be does hold the other end of a socket of the sound server."""
TRANSLATED: Final = 0.8
"""Just one process that holds such a socket has the claimed pid in a pid namespace of its own."""
REPORT_PAUSE_S: Final = 0.1
"""A stream that comes is reported at once; what changes within this time after it, together."""


def parse_pid(text: str | None) -> int | None:
    """A pid that a process may have, or `None`.

    >>> parse_pid("4711"), parse_pid("0"), parse_pid("-3"), parse_pid("٣")
    (4711, None, None, None)
    """
    if not text or not (text.isascii() and text.isdecimal()) or len(text) > 7:
        return None
    return pid if 0 < (pid := int(text)) <= MAX_PID else None
