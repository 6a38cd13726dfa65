"""kernel.netlink: the decoder on bytes, the subscription on the real kernel."""

import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.kernel import netlink
from smoothtask.kernel.netlink import EXEC, EXIT, Drained, EventsUnavailable, ProcEvents, Subscription, decode

FORK = 0x1
pids = st.integers(1, 2**22)


def datagram(what: int, pid: int, tgid: int, *, kind: int = 3, index: int = 1, value: int = 1) -> bytes:
    """An event as the kernel writes it: nlmsghdr, cn_msg, proc_event."""
    event = struct.pack("=IIQIIII", what, 1, 123456789, pid, tgid, 0, 17)
    connector = struct.pack("=IIIIHH", index, value, 5, 0, len(event), 0) + event
    return struct.pack("=IHHII", 16 + len(connector), kind, 0, 5, 0) + connector


@given(st.sampled_from([EXEC, EXIT]), pids)
def test_events_of_processes_are_decoded(what: int, pid: int) -> None:
    """An event of a leader is an event of its process."""
    assert decode(datagram(what, pid, pid)) == (what, pid)


@given(pids, pids)
def test_threads_are_not_processes(pid: int, tgid: int) -> None:
    """A thread that exits is no news, unless it is the leader."""
    assert (decode(datagram(EXIT, pid, tgid)) is None) == (pid != tgid)


@pytest.mark.parametrize(
    "data",
    [
        datagram(FORK, 7, 7),
        datagram(0, 7, 7),  # the acknowledgement of the subscription
        datagram(EXEC, 7, 7, kind=2),  # an error message
        datagram(EXEC, 7, 7, index=4),  # another connector
        datagram(EXEC, 7, 7, value=2),
        datagram(EXEC, 7, 7)[:59],
        b"",
    ],
)
def test_all_else_is_nothing(data: bytes) -> None:
    """Other events, other senders and datagrams that are cut are passed over."""
    assert decode(data) is None


@given(st.binary(max_size=128))
def test_no_datagram_breaks_the_decoder(data: bytes) -> None:
    """Whatever arrives, the answer is an event or nothing."""
    event = decode(data)
    assert event is None or event[0] in {EXEC, EXIT}


def fake_proc(root: Path, *, pid_ns: str = "pid:[4026531836]", capabilities: int = 1 << 12) -> str:
    """As much of /proc as the check before subscribing reads."""
    (root / "self" / "ns").mkdir(parents=True)
    (root / "self" / "ns" / "pid").symlink_to(pid_ns)
    (root / "self" / "ns" / "user").symlink_to("user:[4026531837]")
    (root / "self" / "status").write_text(f"Name:\tx\nCapEff:\t{capabilities:016x}\n")
    return str(root)


def test_without_the_capability_there_is_a_reason(tmp_path: Path) -> None:
    """Nothing is started that cannot work."""
    with pytest.raises(EventsUnavailable, match="CAP_NET_ADMIN"):
        Subscription(fake_proc(tmp_path, capabilities=(1 << 41) - 1 & ~(1 << 12)))


def test_in_a_container_there_is_a_reason(tmp_path: Path) -> None:
    """The kernel would not answer at all."""
    with pytest.raises(EventsUnavailable, match="first pid namespace"):
        Subscription(fake_proc(tmp_path, pid_ns="pid:[4026532000]"))


def test_a_child_that_dies_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An interpreter that ends at once leaves no descriptor, and no wait."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(EventsUnavailable, match="child died"):
        Subscription(fake_proc(tmp_path)).wait()


def test_a_child_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A kernel that never answers costs a bounded wait, and leaves no process behind."""
    hanging = tmp_path / "hang"
    hanging.write_text("#!/bin/sh\nexec sleep 600\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hanging))
    monkeypatch.setattr(netlink, "HAND_OVER_TIMEOUT_S", 0.2)
    subscription = Subscription(fake_proc(tmp_path / "proc"))
    pid = subscription._child.pid
    with pytest.raises(EventsUnavailable, match="does not answer"):
        subscription.wait()
    assert not Path(f"/proc/{pid}").exists()


@pytest.fixture
def events() -> Iterator[ProcEvents]:
    """A subscription on this kernel."""
    try:
        subscribed = ProcEvents()
    except EventsUnavailable as error:
        pytest.skip(str(error))
    with closing(subscribed):
        yield subscribed


def drain_until(events: ProcEvents, enough: Callable[[Drained], bool], seconds: float = 10) -> Drained:
    """Everything that was drained until *enough*."""
    deadline = time.monotonic() + seconds
    total = Drained(set(), set(), lost=False)
    while time.monotonic() < deadline:
        select.select([events], [], [], 0.1)
        new = events.drain()
        total = Drained((total.execs | new.execs) - new.exits, total.exits | new.exits, total.lost or new.lost)
        if enough(total):
            return total
    raise AssertionError(f"only {total} within {seconds} s")


@pytest.mark.root
def test_exec_and_exit_of_a_program(events: ProcEvents) -> None:
    """A program that starts and ends is reported by its pid, first the one, then the other."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as program:
        drain_until(events, lambda drained: program.pid in drained.execs)
        program.kill()
    drained = drain_until(events, lambda drained: program.pid in drained.exits)
    assert program.pid not in drained.execs
    assert not drained.lost


@pytest.mark.root
def test_one_that_is_gone_already_is_not_news(events: ProcEvents) -> None:
    """Exec and exit in one batch leave the exit."""
    program = subprocess.run(["true"], check=True)
    assert program.returncode == 0
    with subprocess.Popen(["true"]) as short:
        pass
    time.sleep(0.05)  # the exit is reported a moment after the parent was woken
    drained = drain_until(events, lambda drained: short.pid in drained.exits)
    assert short.pid not in drained.execs


@pytest.mark.root
def test_threads_and_forks_do_not_wake_us(events: ProcEvents) -> None:
    """The filter in the kernel drops them: their tids are never seen, and a fork without exec is its exit only."""
    tids: set[int] = set()
    for _ in range(20):
        thread = threading.Thread(target=lambda: tids.add(threading.get_native_id()))
        thread.start()
        thread.join()
    with subprocess.Popen(["true"]) as last:
        pass
    drained = drain_until(events, lambda drained: last.pid in drained.exits)
    assert len(tids) >= 1
    assert not tids & (drained.execs | drained.exits)


@pytest.mark.root
def test_lost_events_are_said(events: ProcEvents) -> None:
    """When the queue overflows, the next drain says so, and the one after it works again."""
    events._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the kernel's minimum
    subprocess.run(["sh", "-c", "for i in $(seq 100); do (:); done"], check=True)
    assert events.drain().lost
    with subprocess.Popen(["true"]) as after:
        pass
    drain_until(events, lambda drained: after.pid in drained.exits)


@pytest.mark.root
def test_a_limit_leaves_the_rest(events: ProcEvents) -> None:
    """A bounded drain takes so many datagrams, and the socket stays readable."""
    subprocess.run(["sh", "-c", "for i in $(seq 20); do (:); done"], check=True)
    assert len(events.drain(limit=5).exits) <= 5
    assert select.select([events], [], [], 0)[0]


@pytest.mark.root
def test_a_storm_of_programs_is_counted_whole(events: ProcEvents) -> None:
    """Of 300 programs none is missed."""
    storm = "import os\nfor _ in range(300):\n p = os.fork()\n if not p: os._exit(0)\n print(p); os.waitpid(p, 0)"
    run = subprocess.run([sys.executable, "-S", "-c", storm], check=True, capture_output=True, text=True)
    children = set(map(int, run.stdout.split()))
    assert len(children) == 300
    drained = drain_until(events, lambda drained: children <= drained.exits)
    assert not drained.lost


@pytest.mark.root
def test_pyroute2_stays_outside(events: ProcEvents) -> None:
    """Subscribing loads neither pyroute2 nor asyncio into the process that listens."""
    program = (
        "import sys\nfrom smoothtask.kernel.netlink import ProcEvents\nProcEvents().close()\n"
        "print(sorted({'pyroute2', 'asyncio'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.root
def test_it_leaves_no_process_and_no_descriptor() -> None:
    """Closing gives back all that was taken."""
    before = len(os.listdir("/proc/self/fd"))
    try:
        events = ProcEvents()
    except EventsUnavailable as error:
        pytest.skip(str(error))
    events.close()
    events.close()
    assert len(os.listdir("/proc/self/fd")) == before
