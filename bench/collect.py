"""One pass over every task: the BPF iterator and the /proc fallback against psutil, in one run.

sudo .venv/bin/python bench/collect.py [--processes 2000]
"""

import argparse
import os
import sys
import time
from collections.abc import Callable

import psutil

from harness import finish, idle_processes, log, verdict
from smoothtask.collector.rates import process_rates
from smoothtask.kernel.procfs import ProcfsTasks
from smoothtask.kernel.tasks_bpf import BpfTasks

ATTRIBUTES = ["pid", "ppid", "cpu_times", "nice", "io_counters", "num_ctx_switches", "memory_info"]


def cpu_ms(work: Callable[[], object], rounds: int) -> float:
    """CPU of one call, in milliseconds, on average."""
    before_s = time.process_time()
    for _ in range(rounds):
        work()
    return 1000 * (time.process_time() - before_s) / rounds


def main() -> None:
    """Measure all three beside the same processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2000, help="idle processes to start (default 2000)")
    count = parser.parse_args().processes
    if os.geteuid() != 0:
        sys.exit("BPF needs root")
    with idle_processes(count):
        bpf, proc = BpfTasks(), ProcfsTasks()
        table = bpf.read(0)
        bpf_ms = cpu_ms(lambda: bpf.read(1), 50)
        rolled_ms = cpu_ms(lambda: process_rates(table, bpf.read(10**9)), 50)
        psutil_ms = cpu_ms(lambda: list(psutil.process_iter(ATTRIBUTES)), 3)
        first_ms = cpu_ms(lambda: proc.read(0), 1)
        proc.read(1)
        proc_ms = cpu_ms(lambda: proc.read(2), 60)
        processes = len(table.processes)
        log(f"{processes} processes, {len(table.threads)} threads, CPU of one pass:")
        log(f"  psutil {psutil_ms:.1f} ms, BPF {bpf_ms:.2f} ms ({rolled_ms:.2f} with rates)")
        log(f"  /proc {first_ms:.1f} ms the first time, {proc_ms:.2f} ms from then on")
        bpf.close()
        proc.close()
    finish(
        [
            verdict("BPF against psutil", bpf_ms / psutil_ms, 1 / 100),
            verdict("/proc a process a tick", 1000 * proc_ms / processes, 25, " µs"),
            verdict("/proc at one tick a second", proc_ms / 10, 1, " % of a core"),
        ]
    )


if __name__ == "__main__":
    main()
