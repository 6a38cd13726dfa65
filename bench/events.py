"""CPU time to take a storm of exec and exit events: our filter and decoder against pyroute2's `get()`.

    sudo .venv/bin/python bench/events.py [--count 2000]

Both sockets hear the same storm of fork + exec + exit; then each is read to its end, one after the other, in
this process. pyroute2 sees every kind of event (fork, comm, …), as it offers no filter. Prints one JSON line.
"""

import argparse
import json
import os
import socket
import time
from collections.abc import Callable

from pyroute2.netlink.connector.cn_proc import ProcEventSocket

from smoothtask.kernel.netlink import ProcEvents

SO_RCVBUFFORCE = 33


def storm(count: int) -> int:
    """Fork and exec *count* programs, one after the other, from a child; return its pid when it is done."""
    parent = os.fork()
    if parent == 0:
        for _ in range(count):
            child = os.fork()
            if child == 0:
                os.execv("/bin/true", ["true"])
            os.waitpid(child, 0)
        os._exit(0)
    os.waitpid(parent, 0)
    return parent


def cpu_s(work: Callable[[], int]) -> tuple[float, int]:
    """CPU seconds of *work*, and what it returned."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def read_ours(events: ProcEvents, last: int) -> int:
    """Drain until the exit of *last*; return the number of exits."""
    exits: set[int] = set()
    while last not in exits:
        exits |= events.drain().exits
    return len(exits)


def read_pyroute2(events: ProcEventSocket, last: int) -> int:
    """Get until the exit of *last*; return the number of exits."""
    exits = 0
    while True:
        for event in events.get(msg_seq=-1):
            if event["event"] == "PROC_EVENT_EXIT":
                exits += 1
                if event["process_tgid"] == last:
                    return exits


def main() -> None:
    """Measure both on one storm."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--count", type=int, default=2000)
    count = arguments.parse_args().count

    theirs = ProcEventSocket()
    theirs.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    theirs.bind()
    theirs.control(listen=True)
    ours = ProcEvents()
    last = storm(count)
    ours_s, ours_exits = cpu_s(lambda: read_ours(ours, last))
    theirs_s, theirs_exits = cpu_s(lambda: read_pyroute2(theirs, last))
    ours.close()
    theirs.close()
    print(
        json.dumps(
            {
                "fork_execs": count,
                "ours_us_per_fork_exec": round(ours_s / count * 1e6, 1),
                "pyroute2_us_per_fork_exec": round(theirs_s / count * 1e6, 1),
                "ratio": round(theirs_s / ours_s, 1),
                "ours_exits": ours_exits,
                "pyroute2_exits": theirs_exits,
            }
        )
    )


if __name__ == "__main__":
    main()
