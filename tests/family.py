"""What a process of a test has started, though any of it may end while it is looked at."""

import contextlib

import psutil


def below(pid: int) -> dict[psutil.Process, str]:
    """The programs that *pid* and its children started and that run, with their names."""
    found = {}
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            found[child] = child.name()
    return found


def lives(process: psutil.Process) -> bool:
    """Whether it runs: a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
