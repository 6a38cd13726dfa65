"""How costs grow: CPU of a tick with threads and groups, fitted; bytes of the snapshot log a day; a day's history.

    sudo .venv/bin/python bench/scale.py [ticks|log] [--minutes 1]

ticks  the whole tick of a real engine, the median of 45 in three rounds, each in an order drawn by lot (whatever else
       the machine does is not with one figure alone), beside 100 to 15,000 threads, of which one in 20 wakes twice a
       second and the others sleep, and beside 10 to 1,000 applications. Promised is what a thread more costs from
       1,000 to 15,000 of them, and that it does not grow: the last stretch is hardly steeper than the one before it,
       and of a parabola through the figures little is the square at the far end. (Of threads^1.2 the last stretch is
       1.27 times as steep, and a quarter is the square.)
log    `smoothtask train record` plays real programs while a log with the default settings records; a day is
       4 h of that, and 20 h of what an engine records beside nothing, but never more than a log takes in a day
       (`store/allowance.py`). Then a log is filled with these very rows until it holds the largest day that there
       can be, and the history screen's questions are asked of it.
"""

import argparse
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles

import numpy as np

from harness import finish, log, verdict, wait_until_gone

THREADS = (100, 1_000, 5_000, 15_000)
GROUPS = (10, 100, 1_000)
ROUNDS, TICKS = 3, 15
"""Ticks of each round."""
US_A_THREAD = 1.0
FROM = 1
"""The figure of `THREADS` that the marginal cost is counted from: below it, what is the same for all weighs."""
STEEPER = 1.25
SQUARE_PCT = 20.0
"""Of what threads cost at the far end, the square's part in a parabola by least squares."""
MB_A_DAY = 100.0
QUERY_S = 1.0
SLEEPER = """
import sys, threading, time
threading.stack_size(65536)
def wake():
    while True:
        time.sleep(0.5)
for n in range(int(sys.argv[1]) - 1):
    at_work = (wake, ()) if n % 20 == 0 else (time.sleep, (100000,))
    threading.Thread(target=at_work[0], args=at_work[1], daemon=True).start()
print("ready", flush=True)
time.sleep(100000)
"""
CONTENDED_H, CALM_H = 4, 20
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


@contextmanager
def sleepers(threads: int, groups: int) -> Iterator[None]:
    """*threads* in *groups* processes, each in a session of its own: an application."""
    each = [threads // groups + (n < threads % groups) for n in range(groups)]
    started: list[subprocess.Popen[str]] = []
    try:
        for count in each:
            words = ["sleep", "100000"] if count == 1 else [sys.executable, "-I", "-S", "-c", SLEEPER, str(count)]
            output = None if count == 1 else subprocess.PIPE
            started.append(subprocess.Popen(words, stdout=output, text=True, start_new_session=True))
        for process in started:
            if process.stdout is not None:
                process.stdout.readline()
        yield
    finally:
        for process in started:
            process.send_signal(signal.SIGKILL)
        for process in started:
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        wait_until_gone([p.pid for p in started])


def tick_costs() -> tuple[int, int, list[float]]:
    """(threads, groups, milliseconds of CPU of each tick) of a real engine, now."""
    from smoothtask.config.paths import Paths
    from smoothtask.config.settings import load_settings
    from smoothtask.daemon.build import build

    with tempfile.TemporaryDirectory(prefix="smoothtask-scale-") as folder:
        root = Path(folder)
        host = build(load_settings(None), Paths(root / "run", root / "state", root / "config.yaml"), observe=True)
        try:
            if "bpf" not in host.engine.sources["tasks"].lower():
                sys.exit(f"the BPF path is what is measured, and it is not there: {host.engine.sources['tasks']}")
            for _ in range(4):
                frame = host.engine.tick()
            costs = []
            for _ in range(TICKS):
                before = time.process_time()
                frame = host.engine.tick()
                costs.append(1000 * (time.process_time() - before))
            sample = host.engine.sample
            assert sample is not None
            return len(sample.tasks.threads), len(frame.groups), costs
        finally:
            host.on_stop()


def ticks() -> list[bool]:
    """Both rows of figures, how steep each is from one to the next, and what is promised of the first."""
    found = measured([*((n, 10) for n in THREADS), *((max(1_000, n), n) for n in GROUPS)])
    by_threads, by_groups = found[: len(THREADS)], found[len(THREADS) :]
    thread_us = slopes([(threads, ms) for threads, _, ms in by_threads], "thread")
    slopes([(groups, ms) for _, groups, ms in by_groups], "group")
    (first, _, first_ms), (last, _, last_ms) = by_threads[FROM], by_threads[-1]
    named = f"from {first:,} to {last:,}"
    return [
        verdict(f"a thread more, {named}", 1000 * (last_ms - first_ms) / (last - first), US_A_THREAD, " µs"),
        verdict("a thread more at the far end / in the stretch before it", thread_us[-1] / thread_us[-2], STEEPER),
        verdict("part of the square at the far end", square_pct(by_threads), SQUARE_PCT, " %"),
    ]


def measured(beside: list[tuple[int, int]]) -> list[tuple[int, int, float]]:
    """The median of `tick_costs`, and of what was found, beside each of so many (threads, groups)."""
    found: list[list[tuple[int, int, list[float]]]] = [[] for _ in beside]
    for _ in range(ROUNDS):
        for n in random.sample(range(len(beside)), len(beside)):
            with sleepers(*beside[n]):
                found[n].append(tick_costs())
    figures = []
    for rounds in found:
        threads, groups = (int(median(counts)) for counts in ([r[0] for r in rounds], [r[1] for r in rounds]))
        costs = [cost for r in rounds for cost in r[2]]
        low, middle, high = quantiles(costs, n=4)
        log(
            f"{threads:6} threads, {groups:5} groups: {middle:7.3f} ms of CPU a tick (quartiles {low:.3f} … {high:.3f})"
        )
        figures.append((threads, groups, middle))
    return figures


def slopes(figures: list[tuple[int, float]], name: str) -> list[float]:
    """Microseconds that one more costs, from each figure to the next."""
    found = []
    for (a, a_ms), (b, b_ms) in pairwise(figures):
        found.append(1000 * (b_ms - a_ms) / (b - a))
        log(f"  from {a} to {b}: {found[-1]:.2f} µs a {name}")
    return found


def square_pct(figures: list[tuple[int, int, float]]) -> float:
    """Of what threads cost at the far end, the square's part in a parabola by least squares; 0 where it bends down."""
    threads, costs_ms = np.array([t for t, _, _ in figures], float), [ms for _, _, ms in figures]
    square, each, base = np.polyfit(threads, costs_ms, 2)
    last = threads[-1]
    log(f"parabola: {base:.2f} ms + {1000 * each:.3f} µs a thread {1e9 * square:+.2f} µs a thousand threads squared")
    return max(0.0, float(100 * square * last**2 / (square * last**2 + each * last)))


def recorded(path: Path, minutes: float) -> None:
    """Real programs in scenes, into a log with the default settings."""
    words = [sys.executable, "-m", "smoothtask", "train", "record", "--minutes", f"{minutes}", "--out", str(path)]
    subprocess.run(words, check=True)


def idle_rate(folder: Path, seconds: float) -> float:
    """Rows a second of a machine as it is now, with nothing started: for the calm hours."""
    from smoothtask.config.paths import Paths
    from smoothtask.config.settings import load_settings
    from smoothtask.daemon.build import build

    paths = Paths(folder / "run", folder / "state", folder / "config.yaml")
    loop = build(load_settings(None), paths, observe=True)
    signal.signal(signal.SIGALRM, lambda *_: loop.stop())
    signal.setitimer(signal.ITIMER_REAL, seconds)
    loop.run()
    rows, span = rows_and_span(paths.database, after_the_first=True)
    return rows / span if span else 0.0


def rows_and_span(path: Path, *, after_the_first: bool = False) -> tuple[int, float]:
    """Rows of every table, and seconds from the first snapshot to the last; the first one has every group."""
    with sqlite3.connect(path) as db:
        names = [
            n for (n,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        ]
        rows = sum(db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names)
        (span,) = db.execute("SELECT max(time_s) - min(time_s) FROM snapshot").fetchone()
        if after_the_first:
            rows -= sum(
                db.execute(f"SELECT count(*) FROM {n} WHERE snapshot_id = (SELECT min(id) FROM snapshot)").fetchone()[0]
                for n in ("app_group", "decision", "process")
            )
    db.close()
    return rows, span or 0.0


def size(path: Path) -> int:
    """Bytes of the log once what is in its -wal has gone there."""
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    db.close()
    return path.stat().st_size


def repeat(path: Path, wanted_bytes: float) -> int:
    """Fill the log with its own rows again and again, later each time, until it is that large; how often."""
    db = sqlite3.connect(path)
    columns = {
        name: [c[1] for c in db.execute(f"PRAGMA table_info({name})")]
        for name in (
            "session",
            "snapshot",
            "group_profile",
            "reason_chain",
            "program",
            "app_group",
            "decision",
            "process",
        )
    }
    newest = {n: db.execute(f"SELECT max(id) FROM {n}").fetchone()[0] for n in columns if "id" in columns[n]}
    (span,) = db.execute("SELECT max(time_s) - min(time_s) + 1 FROM snapshot").fetchone()
    (earliest,) = db.execute("SELECT min(time_s) FROM snapshot").fetchone()
    times = max(1, round(wanted_bytes / size(path)))
    shift = {f"{n}_id": n for n in newest} | {"run_id": "session"}
    db.execute("PRAGMA foreign_keys = OFF")
    for n in range(1, times):
        for name, named in columns.items():
            values = [
                f"id + {n * newest[name]}" if c == "id"
                else f"{c} + {n * newest[shift[c]]}" if c in shift
                else f"time_s + {n * span}" if c == "time_s"
                else f"started_s + {n * span}" if c == "started_s" and name == "session"
                else c
                for c in named
            ]  # fmt: skip
            own = f"WHERE id <= {newest[name]}" if name in newest else f"WHERE snapshot_id <= {newest['snapshot']}"
            db.execute(f"INSERT INTO {name} ({', '.join(named)}) SELECT {', '.join(values)} FROM {name} {own}")
    # The whole of it within one day, however long what was recorded took.
    (latest,) = db.execute("SELECT max(time_s) FROM snapshot").fetchone()
    db.execute("UPDATE snapshot SET time_s = ? + (time_s - ?) * ?", (earliest, earliest, DAY_S / (latest - earliest)))
    db.commit()
    db.close()
    size(path)
    return times


def history_s(path: Path) -> float:
    """The slowest of the history screen's questions: every moment of the day, and one of them whole."""
    from smoothtask_tui import recorded as history
    from smoothtask_tui.recorded import read_moments, read_past

    history.LATEST = sys.maxsize  # the screen offers the newest 20,000; the whole day is asked for here
    begun = time.perf_counter()
    moments = read_moments(path)
    listed_s = time.perf_counter() - begun
    slowest_s = 0.0
    for moment in moments[:: max(1, len(moments) // 20)]:
        begun = time.perf_counter()
        read_past(path, moment.id)
        slowest_s = max(slowest_s, time.perf_counter() - begun)
    log(f"  {len(moments)} moments listed in {1000 * listed_s:.0f} ms; one whole in {1000 * slowest_s:.0f} ms at most")
    return max(listed_s, slowest_s)


def log_of_a_day(minutes: float) -> list[bool]:
    """Bytes a day, and questions to a day's log."""
    from smoothtask.store.allowance import AT_ONCE, ROWS_A_DAY

    with tempfile.TemporaryDirectory(prefix="smoothtask-scale-", dir="/var/tmp") as folder:
        path = Path(folder, "busy.db")
        recorded(path, minutes)
        bytes_, (rows, span) = size(path), rows_and_span(path)
        a_row, rate = bytes_ / rows, rows / span
        quiet = idle_rate(Path(folder), 30.0)
        most = ROWS_A_DAY + 2 * AT_ONCE
        day_mb = a_row * min(most, (rate * CONTENDED_H + quiet * CALM_H) * HOUR_S) / 1e6
        worst_mb = a_row * most / 1e6
        log(f"{rows} rows of {a_row:.0f} bytes in {span:.0f} s at work: {rate:.1f} rows a second, {quiet:.2f} at rest")
        log(f"a day of {CONTENDED_H} h at work and {CALM_H} h at rest: {day_mb:.1f} MB")
        times = repeat(path, worst_mb * 1e6)
        log(f"the largest day there can be, {worst_mb:.0f} MB: the rows {times} times over, {size(path) / 1e6:.0f} MB")
        seconds = history_s(path)
    return [
        verdict("a day of the snapshot log", day_mb, MB_A_DAY, " MB"),
        verdict("the largest day there can be", worst_mb, MB_A_DAY, " MB"),
        verdict("a day's history", seconds, QUERY_S, " s"),
    ]


def main() -> None:
    """Both, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["ticks", "log", []], help="default: both")
    parser.add_argument("--minutes", type=float, default=1.0, help="that are recorded (default 1)")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("BPF needs root")
    if shutil.which("gcc") is None:
        sys.exit("recording scenes needs gcc (apt-get install gcc)")
    with suppress(ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
        resource.setrlimit(resource.RLIMIT_NPROC, (hard if hard > 0 else soft, hard))
    results = []
    if not options.parts or "ticks" in options.parts:
        results += ticks()
    if not options.parts or "log" in options.parts:
        results += log_of_a_day(options.minutes)
    finish(results)


if __name__ == "__main__":
    main()
