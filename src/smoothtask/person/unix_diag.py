"""The UNIX sockets of this network namespace, by the kernel's own word: what is in a name forges nothing.

Source: sock_diag(7), linux/unix_diag.h. /proc/net/unix says the same, but prints names as they are, newlines too.
"""

import socket
import struct
from collections.abc import Iterator
from typing import Final

NAME, PEER, UID = 0, 2, 7
"""Attributes: `UNIX_DIAG_*`."""
SHOW_NAME, SHOW_PEER, SHOW_UID = 0x1, 0x4, 0x40
ALL: Final = 0xFFFFFFFF
LISTENING: Final = 1 << 10
"""States: all, TCP_LISTEN."""
_DIAG_BY_FAMILY, _DUMP = 20, 0x301
_ERROR, _DONE = 2, 3
_TIMEOUT_S: Final = 0.2
_LIMIT_BYTES: Final = 1 << 22

Entry = tuple[int, dict[int, bytes]]
"""Inode, and attributes by their numbers."""


def parse_dump(data: bytes) -> tuple[list[Entry], bool]:
    """What one message says, and whether the dump ends here. Raises OSError when the kernel answers with an error."""
    entries: list[Entry] = []
    at = 0
    while at + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        if length < 16 or at + length > len(data):
            break
        if kind == _DONE:
            return entries, True
        if kind == _ERROR:
            raise OSError(-struct.unpack_from("=i", data, at + 16)[0], "sock_diag")
        (inode,) = struct.unpack_from("=I", data, at + 20)
        entries.append((inode, dict(_attributes(data[at + 32 : at + length]))))
        at += (length + 3) & ~3
    return entries, False


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            return
        yield kind, data[at + 4 : at + length]
        at += (length + 3) & ~3


def dump(states: int, show: int) -> Iterator[Entry]:
    """Those in one of *states*, with what is to be shown of them. Raises OSError."""
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_NETLINK, kind, 4) as netlink:  # NETLINK_SOCK_DIAG
        netlink.settimeout(_TIMEOUT_S)
        request = struct.pack("=BBHIIIII", socket.AF_UNIX, 0, 0, states, 0, show, ALL, ALL)
        netlink.send(struct.pack("=IHHII", 16 + len(request), _DIAG_BY_FAMILY, _DUMP, 1, 0) + request)
        taken, done = 0, False
        while taken < _LIMIT_BYTES and not done:
            data = netlink.recv(1 << 16)
            entries, done = parse_dump(data)
            yield from entries
            taken += len(data)


def read_listeners() -> frozenset[tuple[str, int]]:
    """(path, uid of who made the socket) of all that somebody listens at. Raises OSError where the kernel does not say.

    The path is as its maker sees it: in a mount namespace it may be another's, so that two have the same.
    """
    found: set[tuple[str, int]] = set()
    for _, fields in dump(LISTENING, SHOW_NAME | SHOW_UID):
        if UID not in fields:
            raise OSError("the kernel does not say whose sockets are (it does since Linux 5.3)")
        name = fields.get(NAME, b"").rstrip(b"\0")
        if name.startswith(b"/"):  # an abstract name begins with a NUL
            found.add((name.decode("utf-8", "surrogateescape"), struct.unpack("=I", fields[UID])[0]))
    return frozenset(found)
