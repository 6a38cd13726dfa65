"""Tells systemd how the service is doing: sd_notify(3), without libsystemd."""

import os
import socket
from collections.abc import Mapping

from smoothtask.model.text import sanitise

TIMEOUT_S = 1.0


def message(
    *,
    ready: bool = False,
    stopping: bool = False,
    reloading_mono_us: int | None = None,
    status: str | None = None,
    watchdog: bool = False,
) -> bytes:
    """Compose one datagram. *reloading_mono_us* is CLOCK_MONOTONIC; *status* is one line for a person."""
    lines = []
    if reloading_mono_us is not None:
        lines += ["RELOADING=1", f"MONOTONIC_USEC={reloading_mono_us}"]
    if ready:
        lines.append("READY=1")
    if stopping:
        lines.append("STOPPING=1")
    if watchdog:
        lines.append("WATCHDOG=1")
    if status is not None:
        lines.append(f"STATUS={sanitise(status)}")  # a newline in it would start another assignment
    return "\n".join(lines).encode()


def notify(datagram: bytes, environ: Mapping[str, str] = os.environ) -> bool:
    """Send *datagram* to $NOTIFY_SOCKET; return False when nobody asked for it.

    Raise OSError when the manager cannot be reached within a second.
    """
    address = environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):  # abstract: unix(7)
        address = "\0" + address[1:]
    elif not address.startswith("/"):
        raise OSError(f"NOTIFY_SOCKET={sanitise(address)!r} is neither a path nor an abstract socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(TIMEOUT_S)
        sock.sendto(datagram, address)
    return True
