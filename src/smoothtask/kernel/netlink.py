"""Exec and exit events of every process, from the kernel's process connector.

A short-lived child subscribes with pyroute2 and hands the socket over: pyroute2 and the asyncio below it
would cost this process 18 MiB for good. From then on the socket is read here: a filter in the kernel passes
exec and exit of whole processes only, and a fixed layout is decoded by `struct`.

Source: include/uapi/linux/cn_proc.h, include/uapi/linux/connector.h, netlink(7), socket(7).
"""

import ctypes
import errno
import signal
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

EXEC: Final = 0x2
EXIT: Final = 0x80000000

# struct nlmsghdr (16 bytes), struct cn_msg (20), then struct proc_event: what, cpu, timestamp_ns, and for
# both events process_pid and process_tgid. All in host byte order, 8-byte fields unaligned in the datagram.
_EVENT: Final = struct.Struct("=4xH10xII12xI12xII")
_WHAT_OFFSET: Final = 36
_PID_OFFSET: Final = 52
_TGID_OFFSET: Final = 56
_NLMSG_DONE: Final = 3
_CN_PROC: Final = (1, 1)  # CN_IDX_PROC, CN_VAL_PROC
_MESSAGE_BYTES: Final = 128
"""More than any event has: the largest is 76 bytes."""

_SO_ATTACH_FILTER: Final = 26  # include/uapi/asm-generic/socket.h; the socket module has neither
_SO_RCVBUFFORCE: Final = 33
RECEIVE_BUFFER_BYTES: Final = 8 << 20
"""Some 10,000 events: the kernel counts a whole buffer of 768 bytes for each."""
DRAIN_LIMIT: Final = 20_000
HAND_OVER_TIMEOUT_S: Final = 10.0

_CAP_NET_ADMIN: Final = 12
# The connector ignores, without an answer, who is not in the first namespaces; their inodes are constants
# (include/linux/proc_ns.h).
_INIT_NAMESPACES: Final = {"pid": "pid:[4026531836]", "user": "user:[4026531837]"}


class EventsUnavailable(Exception):  # noqa: N818 (a state of the machine, not a mistake)
    """The process connector cannot be used here; the message says why."""


@dataclass(frozen=True, slots=True)
class Drained:
    """What happened since the last time, each process once. Pids are those of the first pid namespace."""

    execs: set[int]
    """Processes that executed a program and have not exited since, as far as is known."""
    exits: set[int]
    """Processes whose leader exited; one whose other threads go on is rare, and in the next pass again."""
    lost: bool
    """The kernel had to drop events: only a full pass tells what happened."""


def decode(data: bytes) -> tuple[int, int] | None:
    """(EXEC or EXIT, tgid) of one datagram; `None` for all else, such as a thread's exit or a broken one."""
    if len(data) < _EVENT.size:
        return None
    kind, index, value, what, pid, tgid = _EVENT.unpack_from(data)
    if kind != _NLMSG_DONE or (index, value) != _CN_PROC or what not in {EXEC, EXIT} or pid != tgid:
        return None
    return what, tgid


class Subscription:
    """The child that subscribes, at work: start it early, and hand it to `ProcEvents` when it is needed.

    Raise EventsUnavailable at once where it cannot succeed.
    """

    def __init__(self, proc_root: str = "/proc") -> None:
        reason = _why_not(proc_root)
        if reason:
            raise EventsUnavailable(reason)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._channel = ours
        ours.settimeout(HAND_OVER_TIMEOUT_S)
        with theirs:
            # -P: nothing is imported from the current directory, which may be anybody's.
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "smoothtask.kernel.netlink", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def wait(self) -> socket.socket:
        """Return the subscribed socket. Raise EventsUnavailable with the child's reason, or after 10 s."""
        try:
            message, fds, _, _ = socket.recv_fds(self._channel, 1024, 1)
        except TimeoutError as error:
            raise EventsUnavailable("the kernel does not answer (CONFIG_PROC_EVENTS=n?)") from error
        finally:
            self.close()
        if not fds:
            raise EventsUnavailable(message.decode(errors="replace") or "the subscribing child died")
        return socket.socket(fileno=fds[0])

    def close(self) -> None:
        """End the child if it is still there; idempotent."""
        self._channel.close()
        self._child.kill()
        self._child.wait()


class ProcEvents:
    """A subscription to exec and exit of all processes of the machine.

    What happens before the constructor returns may be missed: look at everything once after it.
    Raise EventsUnavailable without CAP_NET_ADMIN, in a container, or without CONFIG_PROC_EVENTS.
    """

    def __init__(self, subscription: Subscription | None = None) -> None:
        self._socket = (subscription or Subscription()).wait()
        try:
            _attach_filter(self._socket)
            _enlarge(self._socket, RECEIVE_BUFFER_BYTES)
            self._socket.setblocking(False)
        except OSError as error:
            self._socket.close()
            raise EventsUnavailable(f"process connector: {error.strerror}") from error

    def fileno(self) -> int:
        """Readable (EPOLLIN) when there are events, EPOLLERR when some were lost: then `drain`."""
        return self._socket.fileno()

    def drain(self, limit: int = DRAIN_LIMIT) -> Drained:
        """Take all that is queued, *limit* datagrams at most; the rest stays readable.

        A pid in both sets exited and was used again by another process, which executed something.
        """
        execs: set[int] = set()
        exits: set[int] = set()
        lost = False
        for _ in range(limit):
            try:
                event = decode(self._socket.recv(_MESSAGE_BYTES))
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True
                continue
            if event is None:
                continue
            what, tgid = event
            if what == EXEC:
                execs.add(tgid)
            else:
                exits.add(tgid)
                execs.discard(tgid)
        return Drained(execs, exits, lost)

    def close(self) -> None:
        """End the subscription; idempotent."""
        self._socket.close()


def _why_not(proc_root: str) -> str | None:
    """Why a subscription cannot succeed; `None` when nothing speaks against it."""
    for name, first in _INIT_NAMESPACES.items():
        if str(Path(proc_root, "self/ns", name).readlink()) != first:
            return f"the process connector works in the first {name} namespace only, not in a container"
    with open(f"{proc_root}/self/status", encoding="utf-8") as status:
        effective = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff:"))
    if not effective >> _CAP_NET_ADMIN & 1:
        return "the process connector needs root (CAP_NET_ADMIN)"
    return None


def _filter_program() -> bytes:
    """Classic BPF that accepts exec and exit of processes, pid = tgid, and drops all else unqueued."""
    load_word, equals, equals_x, copy_to_x, accept = 0x20, 0x15, 0x1D, 0x07, 0x06  # linux/bpf_common.h
    program = (
        (load_word, 0, 0, _WHAT_OFFSET),
        (equals, 1, 0, _loaded(EXEC)),
        (equals, 0, 5, _loaded(EXIT)),
        (load_word, 0, 0, _PID_OFFSET),
        (copy_to_x, 0, 0, 0),
        (load_word, 0, 0, _TGID_OFFSET),
        (equals_x, 0, 1, 0),
        (accept, 0, 0, 0xFFFFFFFF),
        (accept, 0, 0, 0),
    )
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _loaded(value: int) -> int:
    """*value* as BPF sees it: it loads words in network order, and the connector writes in host order."""
    return socket.htonl(value)


def _attach_filter(sock: socket.socket) -> None:
    program = _filter_program()
    memory = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the number of 8-byte instructions, and where they are.
    sock.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program) // 8, ctypes.addressof(memory))
    )


def _enlarge(sock: socket.socket, size_bytes: int) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size_bytes)
    except PermissionError:  # the capability is not enough inside a user namespace: up to rmem_max then
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size_bytes)


def _subscribe(channel_fd: int) -> None:
    """The child: subscribe, and send the socket (or the reason why not) through *channel_fd*."""
    signal.alarm(int(HAND_OVER_TIMEOUT_S))  # if the kernel never answers, and the parent is gone too
    with socket.socket(fileno=channel_fd) as channel:
        try:
            from pyroute2.netlink.connector.cn_proc import ProcEventSocket  # noqa: PLC0415 (18 MiB)

            events = ProcEventSocket()
            events.bind()
            events.control(listen=True)
        except Exception as error:  # the parent raises it again as EventsUnavailable
            channel.send(f"process connector: {error or type(error).__name__}".encode())
            raise
        socket.send_fds(channel, [b"subscribed"], [events.fileno()])


if __name__ == "__main__":
    _subscribe(int(sys.argv[1]))
