"""What the benchmarks share: a daemon in folders of its own, CPU time and memory of processes, clean ends."""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import psutil

START_LIMIT_S = 30.0
SKIPPED = 77
"""The exit status of what cannot be measured here, as automake's tests have it."""
FIGURES = "SMOOTHTASK_FIGURES"
"""The environment variable that names a file: `all.py` wants each figure there, a line of JSON."""


def log(text: str) -> None:
    """Print at once: a benchmark is watched."""
    print(text, flush=True)


def figure(kind: str, **values: object) -> None:
    """For whoever collects figures; nothing when nobody does."""
    path = os.environ.get(FIGURES)
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **values}) + "\n")


def verdict(name: str, value: float, limit: float, unit: str = "") -> bool:
    """One line that compares a measured value with its target; True when it holds."""
    value, limit = float(value), float(limit)  # numpy's are no JSON
    good = value <= limit
    known = value if math.isfinite(value) else None
    figure("verdict", name=name, value=known, limit=limit, unit=unit, holds=good)
    log(f"{'PASS' if good else 'FAIL'}  {name}: {value:.3g}{unit} (target ≤ {limit:g}{unit})")
    return good


def skip(why: str) -> NoReturn:
    """Leave with `SKIPPED`: this cannot be measured here."""
    log(f"skipped: {why}")
    sys.exit(SKIPPED)


def finish(results: list[bool]) -> None:
    """Leave with 0 when every verdict passed, else 1."""
    sys.exit(0 if all(results) else 1)


@contextlib.contextmanager
def daemon(*options: str, folder: str | None = None) -> Iterator[psutil.Process]:
    """A `smoothtask --daemon` with runtime and state directories of its own, ready and stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="smoothtask-bench-", dir=folder) as root:
        runtime, state = Path(root, "run"), Path(root, "state")
        arguments = ["--daemon", "--runtime-dir", str(runtime), "--state-dir", str(state), *options]
        with Path(root, "log").open("w+b") as output:
            process = subprocess.Popen([sys.executable, "-m", "smoothtask", *arguments], stdout=output, stderr=output)
            try:
                wait_for(runtime / "control.sock", process, output)
                yield psutil.Process(process.pid)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(20)


def wait_for(socket: Path, process: "subprocess.Popen[bytes]", output: "object") -> None:
    """Until *socket* exists; RuntimeError when the daemon ends first."""
    deadline = time.monotonic() + START_LIMIT_S
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            output.seek(0)  # type: ignore[attr-defined]
            raise RuntimeError(f"the daemon did not start:\n{output.read().decode()}")  # type: ignore[attr-defined]
        time.sleep(0.02)
    time.sleep(0.5)


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and its children (the daemon and its probe)."""
    return [process, *process.children(recursive=True)]


def cpu_s(processes: list[psutil.Process]) -> float:
    """User and system seconds so far, to the nanosecond where the kernel tells (/proc/PID/schedstat)."""
    total = 0.0
    for p in processes:
        with contextlib.suppress(psutil.NoSuchProcess, OSError):
            for task in os.listdir(f"/proc/{p.pid}/task"):
                total += int(Path(f"/proc/{p.pid}/task/{task}/schedstat").read_text().split()[0]) / 1e9
    return total


def wait_until_gone(pids: list[int], limit_s: float = START_LIMIT_S) -> None:
    """Until each is reaped, by init where their parent was killed, too. Raises TimeoutError after *limit_s*."""
    deadline = time.monotonic() + limit_s
    for pid in pids:
        while Path(f"/proc/{pid}").exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{pid} is not reaped")
            time.sleep(0.005)


@contextlib.contextmanager
def idle_processes(count: int) -> Iterator[list[int]]:
    """*count* processes that sleep, in a session of their own; gone at the end, so that nobody measures zombies."""
    script = f"for i in $(seq {count}); do sleep 100000 & done; echo ready; wait"
    shell = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True, text=True)
    assert shell.stdout is not None
    shell.stdout.readline()
    pids = [p.pid for p in psutil.Process(shell.pid).children()]
    try:
        yield pids
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
        shell.stdout.close()
        wait_until_gone(pids)
