"""What a process asks of the kernel for itself: prctl(2)."""

import ctypes
import os
from typing import Final

# include/uapi/linux/prctl.h
_SET_PDEATHSIG: Final = 1
_SET_CHILD_SUBREAPER: Final = 36
_SET_NO_NEW_PRIVS: Final = 38


def die_with_parent(signal: int) -> None:
    """Get *signal* when the thread ends that started us; a change of user forgets it. Raises OSError."""
    _set(_SET_PDEATHSIG, signal)


def adopt_orphans() -> None:
    """Become the parent of what our descendants leave behind. Raises OSError."""
    _set(_SET_CHILD_SUBREAPER, 1)


def gain_no_rights() -> None:
    """Nothing that we start from now on gains rights by set-uid files or capabilities. Raises OSError."""
    _set(_SET_NO_NEW_PRIVS, 1)


def _set(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), f"prctl({option})")
