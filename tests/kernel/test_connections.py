"""Connections from /proc: of this process, and of processes that try."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from smoothtask.kernel.connections import parse_connected, read_connections

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ROW = "   0: 0100007F:1F90 {peer} 01 00000000:00000000 00:00000000 00000000  1000        0 {inode} 1 0000 100 0\n"


def test_sockets_with_a_peer_are_connected() -> None:
    """Neither one that listens, nor one that waits for its end and is nobody's any more."""
    rows = [("0100007F:A2C4", 11), ("00000000:0000", 12), ("0100007F:A2C6", 0), ("0" * 31 + "1:0016", 13)]
    table = HEADER + "".join(ROW.format(peer=peer, inode=inode) for peer, inode in rows)
    assert parse_connected(table) == {11, 13}
    assert parse_connected("") == parse_connected(HEADER) == frozenset()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_those_of_this_process(family: socket.AddressFamily) -> None:
    """Both ends, and not the one that listens."""
    try:
        server = socket.create_server(("127.0.0.1" if family == socket.AF_INET else "::1", 0), family=family)
    except OSError as error:
        pytest.skip(f"no such family here: {error}")
    with server, socket.create_connection(server.getsockname()[:2]) as client:
        far, _ = server.accept()
        with far:
            found = read_connections()
            mine = set(found.inodes[found.pids == os.getpid()].tolist())
            assert {os.fstat(s.fileno()).st_ino for s in (client, far)} <= mine
            assert os.fstat(server.fileno()).st_ino not in mine


def test_no_link_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process has a removed file open; where it was is nobody's business."""
    hold = "import os, sys\nopen_file = open(sys.argv[1], 'w')\nos.unlink(sys.argv[1])\nprint(1, flush=True)\ninput()"
    command = [sys.executable, "-S", "-c", hold, str(tmp_path / "data")]
    program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == b"1\n"
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname()),
            monkeypatch.context() as m,
        ):
            m.setattr(os, "stat", lambda path, **_: pytest.fail(f"looked at {path}"))
            assert os.getpid() in read_connections().pids.tolist()
    finally:
        program.kill()
        program.communicate()
