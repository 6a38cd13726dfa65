"""The file of the preferences: read at the start, replaced as a whole when one changes.

It is in the state directory: root's is /var/lib/smoothtask, so that nothing of root's ever lands in a person's home.
"""

import contextlib
import os
import tempfile
from pathlib import Path

from smoothtask.config.paths import STATE_MODE, make_folder
from smoothtask_tui.prefs import LIMIT, Prefs, dump, parse


def read_prefs(path: Path) -> Prefs:
    """What is remembered; nothing when there is no such file or it may not be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return parse(file.read(LIMIT))
    except OSError:
        return Prefs()


def write_prefs(path: Path, prefs: Prefs) -> None:
    """Replace the file as a whole, mode 0600. Raises OSError, UnsafeDirectoryError."""
    if not path.parent.is_dir():
        make_folder(path.parent, STATE_MODE)
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(dump(prefs))
        Path(draft).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(draft).unlink()
        raise
