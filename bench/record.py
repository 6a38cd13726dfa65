"""What recording costs: CPU an append, bytes a snapshot, memory added, the longest pause of retention.

    .venv/bin/python bench/record.py [--snapshots 2000] [--groups 100] [--processes 100]

Two loads: "busy" changes every group and process from tick to tick (the worst there is); "desktop" has twelve
groups and processes at work among quiet ones, under contention. Commits every 3 s at one frame a second.
"""

import argparse
import hashlib  # noqa: F401 - the daemon has it (pydantic) and numpy anyway
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import numpy as np  # noqa: F401

from scenery import known
from smoothtask.model.decision import Reason, Stage
from smoothtask.model.frame import Frame, GroupFrame
from smoothtask.store.retention import MIB, Retention
from store import frames as make


def rss_bytes() -> int:
    """Of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def build_frame(seq: int, groups: int, processes: int, busy: int) -> Frame:
    """A frame under contention, of which the first *busy* groups and processes do something."""
    parts = tuple(_group(i, seq, i < busy) for i in range(groups))
    listed = tuple(
        make.process(
            1000 + i, f"proc:{i % groups}-1", cpu=(seq * 7 + i) % 97 / 97, command=f"/usr/bin/app{i} --n {i} x y"
        )
        for i in range(min(processes, busy) if busy < groups else processes)
    )
    return make.frame(seq, *parts, contention=make.BUSY, processes=listed)


def _group(i: int, seq: int, is_busy: bool) -> GroupFrame:
    load = ((seq * 13 + i) % 89 + 10) / 100 if is_busy else 0.0
    c = _CLASSES[i % len(_CLASSES)]
    text = f"has used or wanted {load:.1f} cores for {seq} s" if is_busy else "nothing asks for another class"
    reasons = (Reason(Stage.BEHAVIOUR, "hog", text),) if is_busy else (_DEFAULT,)
    return make.shown(make.group(f"proc:{i}-1", c, cpu=load), reasons=reasons, since_s=float(seq))


_DEFAULT = Reason(Stage.DEFAULT, "default", "nothing asks for another class")
_CLASSES = [known(f"app{i}", label=f"App {i}", tags=frozenset({"gui", "office"})) for i in range(100)]


def measure(name: str, options: argparse.Namespace, busy: int, folder: Path) -> None:
    """One load into a database of its own."""
    from smoothtask.store.log import SnapshotLog

    problems: list[str] = []
    now = 0.0
    path = folder / f"{name}.db"
    log = SnapshotLog(path, salt_path=folder / "salt", on_problem=problems.append, clock=lambda: now)
    cpu_ns, longest_ns = 0, 0
    for seq in range(options.snapshots):
        frame = build_frame(seq, options.groups, options.processes, busy)
        now = float(seq)
        begun = time.thread_time_ns()
        log.offer(frame)
        spent = time.thread_time_ns() - begun
        cpu_ns, longest_ns = cpu_ns + spent, max(longest_ns, spent)
    log.close()
    assert not problems, problems
    size = path.stat().st_size
    print(
        f"{name:8}  {cpu_ns / 1e6 / options.snapshots:6.2f} ms CPU an append (longest {longest_ns / 1e6:.1f})"
        f"  {size / options.snapshots / 1024:6.1f} KiB a snapshot  {size / MIB:6.1f} MiB in all",
        flush=True,
    )


def measure_retention(options: argparse.Namespace, folder: Path) -> None:
    """The same load against a limit of 32 MiB: what a step costs, and whether the file stays small."""
    from smoothtask.store.log import SnapshotLog

    problems: list[str] = []
    now = 0.0
    path = folder / "small.db"
    keep = Retention(max_bytes=32 * MIB)
    log = SnapshotLog(path, salt_path=folder / "salt", retention=keep, on_problem=problems.append, clock=lambda: now)
    log._clock = lambda: now + time.monotonic()  # budgets are real, and a tick is a second
    longest_s, longest_cpu_ns, largest = 0.0, 0, 0
    for seq in range(options.snapshots):
        frame = build_frame(seq, options.groups, options.processes, options.groups)
        now = float(seq)
        begun, begun_cpu_ns = time.perf_counter(), time.thread_time_ns()
        log.offer(frame)
        longest_cpu_ns = max(longest_cpu_ns, time.thread_time_ns() - begun_cpu_ns)
        longest_s = max(longest_s, time.perf_counter() - begun)
        largest = max(largest, path.stat().st_size)
    log.close()
    assert not problems, problems
    print(
        f"limit 32 MiB: largest {largest / MIB:.1f} MiB; longest append with retention"
        f" {longest_cpu_ns / 1e6:.1f} ms CPU, {longest_s * 1e3:.1f} ms wall",
        flush=True,
    )


def without_limit() -> None:
    """What a snapshot costs is measured, not how many there may be."""
    from smoothtask.store import allowance

    allowance.AT_ONCE = 1_000_000_000


def main() -> None:
    """Both loads, then retention, then memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snapshots", type=int, default=2000)
    parser.add_argument("--groups", type=int, default=100)
    parser.add_argument("--processes", type=int, default=100)
    options = parser.parse_args()
    without_limit()
    before = rss_bytes()
    with tempfile.TemporaryDirectory(prefix="smoothtask-record-") as name:
        folder = Path(name)
        measure("desktop", options, 12, folder)
        print(f"memory: {(rss_bytes() - before) / MIB:.1f} MiB more than with numpy and hashlib alone")
        measure("busy", options, options.groups, folder)
        print(f"memory: {(rss_bytes() - before) / MIB:.1f} MiB more than with numpy and hashlib alone")
        measure_retention(options, folder)


if __name__ == "__main__":
    main()
