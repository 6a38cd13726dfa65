"""Pressure stall information: how long tasks waited for cpu, io and memory, and a wake-up when they do.

Source: Documentation/accounting/psi.rst.
"""

import errno
import os
from typing import Final

from smoothtask.kernel import cgroup2
from smoothtask.model.system import Pressure, Psi, PsiLine

RESOURCES: Final = ("cpu", "io", "memory")


def parse_psi(text: str) -> Psi:
    """Understand one file of /proc/pressure. Raise ValueError when it is not one."""
    lines = {name: _parse_line(fields) for name, *fields in map(str.split, text.splitlines())}
    if "some" not in lines:
        raise ValueError(f"no `some` line in {text!r}")
    return Psi(some=lines["some"], full=lines.get("full"))


def _parse_line(fields: list[str]) -> PsiLine:
    try:
        values = dict(field.split("=") for field in fields)
        return PsiLine(float(values["avg10"]), float(values["avg60"]), int(values["total"]))
    except KeyError as error:
        raise ValueError(f"no {error} in {fields}") from error


def read_pressure(proc_root: str = "/proc") -> Pressure:
    """Read the three resources; `None` for one that the kernel does not account (psi=0, CONFIG_PSI=n)."""
    return Pressure(**{name: _read_psi(f"{proc_root}/pressure/{name}") for name in RESOURCES})


def read_cgroup_pressure(path: str, root: str = cgroup2.ROOT) -> Pressure:
    """The same of a cgroup (*path* as in /proc/PID/cgroup); `None` for what it does not account.

    All `None` when it is gone, or when nobody is in it or below it (cgroup.events): its processes are elsewhere; and
    for a path that is none.
    """
    if not cgroup2.sound(path):
        return Pressure()
    folder = cgroup2.directory(path, root)
    try:
        with open(f"{folder}/cgroup.events", "rb", buffering=0) as file:
            if b"populated 0" in file.read():
                return Pressure()
    except OSError as error:  # the root has none
        if error.errno not in cgroup2.GONE:
            raise
    return Pressure(**{name: _read_psi(f"{folder}/{name}.pressure") for name in RESOURCES})


def _read_psi(path: str) -> Psi | None:
    try:
        with open(path, "rb", buffering=0) as file:
            return parse_psi(file.read().decode("ascii"))
    except OSError as error:
        # No CONFIG_PSI, or no such cgroup (any more); psi=0 on the command line, or 0 in cgroup.pressure.
        if error.errno in cgroup2.GONE or error.errno == errno.EOPNOTSUPP:
            return None
        raise


class PsiTriggers:
    """Descriptors that report EPOLLPRI when tasks waited *stall_ms* within *window_ms*.

    The kernel reports at most once a window, and EPOLLERR when accounting goes away. Without
    CAP_SYS_RESOURCE the window must be a multiple of 2,000 ms, and before Linux 6.5 there is no trigger at
    all; a resource that has none is in `unavailable` with the reason.
    """

    def __init__(self, stall_ms: int = 100, window_ms: int = 2000, proc_root: str = "/proc") -> None:
        self.filenos: dict[str, int] = {}
        self.unavailable: dict[str, str] = {}
        # The kernel reads a C string, so the NUL is part of the protocol.
        trigger = f"some {stall_ms * 1000} {window_ms * 1000}\0".encode()
        for name in RESOURCES:
            path = f"{proc_root}/pressure/{name}"
            try:
                self.filenos[name] = _open_trigger(path, trigger)
            except OSError as error:
                hint = " (a window of full 2,000 ms is needed)" if error.errno == errno.EINVAL else ""
                self.unavailable[name] = f"{path}: {error.strerror}{hint}"

    def close(self) -> None:
        """Remove the triggers; idempotent."""
        while self.filenos:
            _, fd = self.filenos.popitem()
            os.close(fd)


def _open_trigger(path: str, trigger: bytes) -> int:
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.write(fd, trigger)
    except OSError:
        os.close(fd)
        raise
    return fd
