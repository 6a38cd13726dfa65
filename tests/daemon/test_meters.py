"""The meters of a real daemon: attached while a client watches, and no longer."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.test_real import until
from smoothtask.collector.meters import LINGER_S
from smoothtask.control.client import DaemonError, RemoteEngine, newest_frame
from smoothtask.kernel.libbpf import BpfUnavailable
from smoothtask.kernel.meters_bpf import NETWORK, RUN_QUEUE, BpfMeter
from smoothtask.model.frame import Frame

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="loading BPF needs root")]

NEVER_CONTENDED = """
contention: {cpu_some_pct: 100, io_some_pct: 100, memory_some_pct: 100, latency_p99_ms: 10000, group_wait: 100}
rules: {ananicy: off, personal: false}
tick: {idle_interval_s: 1}
"""


def links(pid: int) -> list[str]:
    """The BPF links that a process holds, by type (proc_pid_fdinfo(5))."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(FileNotFoundError):
            lines = Path(f"/proc/{pid}/fdinfo/{fd}").read_text().splitlines()
            found += [line.split()[1] for line in lines if line.startswith("link_type:")]
    return sorted(found)


def test_they_run_while_somebody_watches_and_leave_no_link_when_nobody_does(tmp_path: Path) -> None:
    """Of the iterator that reads tasks there is one link, always."""
    for kind in (RUN_QUEUE, NETWORK):
        try:
            BpfMeter(kind).close()
        except BpfUnavailable as error:
            pytest.skip(f"not here: {error}")
    (tmp_path / "config.yaml").write_text(NEVER_CONTENDED)
    folders = ["--runtime-dir", str(tmp_path / "run"), "--state-dir", str(tmp_path / "state")]
    options = ["--daemon", "--observe", *folders, "--config", str(tmp_path / "config.yaml")]
    process = subprocess.Popen([sys.executable, "-m", "smoothtask", *options], stderr=subprocess.PIPE)
    try:
        socket = tmp_path / "run" / "control.sock"
        assert until(lambda: socket.exists() and _answers(lambda: newest_frame(socket)))
        time.sleep(1.5)  # a tick or two that nobody watches
        _only_the_iterator(process.pid, socket)
        frames: list[Frame] = []
        client = RemoteEngine(socket)
        with _in_thread(lambda: client.run(frames.append, lambda _: None)):
            assert until(lambda: links(process.pid).count("raw_tracepoint") == 5)
            assert until(lambda: bool(frames) and frames[-1].meters.connections is not None)
            assert until(lambda: bool(frames) and frames[-1].meters.run_queue is not None)
            assert until(lambda: frames[-1].meters.sent_bps is not None)
            assert until(lambda: any(g.meters.run_queue for g in frames[-1].groups))
            client.close()
        _only_the_iterator(process.pid, socket)
    finally:
        process.terminate()
        process.communicate(timeout=20)


def _only_the_iterator(pid: int, socket: Path) -> None:
    """Soon there is one link alone; a machine on which every CPU is wanted all the time is contended at any limit."""
    if not until(lambda: links(pid) == ["iter"]):
        contention = newest_frame(socket).contention
        if contention.active or contention.since_s < 2 * LINGER_S:
            pytest.skip(f"contended a moment ago: {'; '.join(contention.reasons)}")
        assert links(pid) == ["iter"]


def _answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except DaemonError:
        return False
    return True


@contextlib.contextmanager
def _in_thread(run: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield
    thread.join(10)
    assert not thread.is_alive()
