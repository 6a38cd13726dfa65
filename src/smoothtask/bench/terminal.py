"""A shell in a terminal of its own, into which commands are typed."""

import contextlib
import os
import pty
import select
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

PROMPT_LIMIT_S = 10.0


class User(NamedTuple):
    """Whom a program runs as."""

    uid: int
    gid: int


class Terminal(NamedTuple):
    """An open one."""

    pid: int
    """Of the shell."""
    keyboard: int
    """A descriptor that is typed into, and the screen is read from; it does not block."""


def open_terminal(folder: Path, environment: Mapping[str, str], user: User | None = None) -> Terminal:
    """A shell (bash, else sh) in *folder*, as *user*, that waits for a command."""
    bash = shutil.which("bash")
    words = [bash, "--norc", "--noprofile", "-i"] if bash is not None else ["/bin/sh", "-i"]
    pid, keyboard = pty.fork()
    if pid == 0:
        with contextlib.ExitStack() as stack:
            stack.callback(os._exit, 127)
            if user is not None:
                os.setgroups([])
                os.setgid(user.gid)
                os.setuid(user.uid)
            os.chdir(folder)
            os.execve(words[0], words, dict(environment))  # noqa: S606 - a shell is meant
    os.set_blocking(keyboard, False)
    # A shell throws away what was typed before its first prompt.
    select.select([keyboard], [], [], PROMPT_LIMIT_S)
    return Terminal(pid, keyboard)


def read_screen(keyboard: int) -> None:
    """A terminal that nobody reads stops whoever writes to it."""
    with contextlib.suppress(OSError):  # nothing there (EAGAIN), or the shell has gone (EIO)
        while os.read(keyboard, 1 << 16):
            pass


def press_key(keyboard: int) -> None:
    """A letter and its removal: somebody works there."""
    with contextlib.suppress(OSError):  # nobody reads any more (EAGAIN), or the shell has gone (EIO)
        os.write(keyboard, b"x\x7f")
