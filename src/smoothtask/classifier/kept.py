"""What the rule files said, kept until one of them changes: to read thousands of rules takes most of a second."""

import hashlib
import os
import pickle
import stat
import sys
from collections.abc import Hashable
from pathlib import Path

from smoothtask import __version__
from smoothtask.classifier.layers import Source, stats
from smoothtask.config.atomic import replace_file

DIGEST_BYTES = hashlib.sha256().digest_size
LIMIT_BYTES = 64 * 1024 * 1024
PACKAGE = Path(__file__).parent.parent


def recall(path: Path, seen: Hashable) -> Source | None:
    """What was kept in *path* of the files that look as *seen* (`layers.Seen`); None when that is nothing.

    A file is believed as Python believes its `.pyc`: when nobody else could have written it.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not _is_ours(os.fstat(file.fileno())):
                return None
            digest, pickled = file.read(DIGEST_BYTES), file.read()
    except OSError:  # it is read from the rule files then, and kept anew
        return None
    if digest != _digest(seen, pickled):
        return None
    source: Source = pickle.loads(pickled)  # noqa: S301 - written by `keep` of this very user and code
    return source


def keep(path: Path, seen: Hashable, pickled: bytes) -> None:
    """Keep a pickled Source for `recall`. Raises OSError."""
    replace_file(path, _digest(seen, pickled) + pickled, mode=0o600)


def _is_ours(found: os.stat_result) -> bool:
    private = not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and found.st_uid == os.geteuid()
    return private and stat.S_ISREG(found.st_mode) and found.st_size <= LIMIT_BYTES


def _digest(seen: Hashable, pickled: bytes) -> bytes:
    """Of the rules, their files, the code that reads them, and the Python whose objects they are."""
    code = [s for folder in ("classifier", "model") for s in stats(PACKAGE / folder) if s[0].endswith(".py")]
    return hashlib.sha256(repr((__version__, sys.version, code, seen)).encode() + pickled).digest()
