"""Bounds on what display servers and compositors say of windows: all of it is a user's word."""

from typing import Final

MAX_WINDOWS: Final = 512
MAX_PID: Final = 1 << 22
"""PID_MAX_LIMIT of the kernel (include/linux/threads.h)."""
TITLE_LIMIT: Final = 120
"""Characters."""
NAME_LIMIT: Final = 64
"""Characters of an app id, a workspace, a key."""
CLAIMED: Final = 0.5
"""Confidence in a pid that only the client itself claims: too little to change anything."""
