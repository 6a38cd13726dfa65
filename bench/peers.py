"""What the other monitors and priority daemons of this machine cost, beside SmoothTask, at the same time.

    sudo .venv/bin/python bench/peers.py [--seconds 30] [--processes 1000]

htop, btop, glances and top run in terminals of 160×50 with a refresh of 1 s (btop: 2 s, its default), beside a
SmoothTask daemon and so many idle processes; then once more the daemon, with the dashboard attached to it. ananicy and
ananicy-cpp would change the priorities of this machine: they are measured where they run already, and otherwise only
named. One run, the same processes: read the ratios, but for those of the last two, which are of later seconds.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from daemon import drain, in_terminal
from harness import cpu_s, daemon, family, figure, finish, idle_processes, log

MIB = 1024 * 1024
SETTLE_S = 12.0
MONITORS = {
    "top": ["top", "-d", "1"],
    "htop": ["htop", "-d", "10"],
    "btop": ["btop"],
    "glances": ["glances", "-t", "1"],
}
DAEMONS = ("ananicy", "ananicy-cpp")
OURS, WATCHED, DASHBOARD = "SmoothTask daemon", "SmoothTask daemon, watched", "SmoothTask dashboard"


@contextmanager
def watched(words: list[str]) -> Iterator[psutil.Process]:
    """A program in a terminal whose screen is read all the time; gone at the end."""
    pid, terminal = in_terminal(words)
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            try:
                drain(terminal, 0.2)
            except OSError:  # it has left its terminal
                return

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield psutil.Process(pid)
    finally:
        over.set()
        reader.join()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def version_of(name: str) -> str:
    """As Debian's package, or the program itself, tells."""
    path = shutil.which(name)
    words = ["dpkg-query", "-W", "-f", "${Version}", "procps" if name == "top" else name]
    told = (
        subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
        if shutil.which(words[0])
        else ""
    )
    return told or str(path)


def running(name: str) -> psutil.Process | None:
    """The process of that name, if there is one."""
    return next((p for p in psutil.process_iter(["name", "cmdline"]) if is_called(p, name)), None)


def is_called(process: psutil.Process, name: str) -> bool:
    """Whether it is that program, or an interpreter that runs it."""
    words = [Path(word).name for word in (process.info["cmdline"] or [])[:2]]
    return process.info["name"] == name or name in words


def measured(programs: dict[str, list[psutil.Process]], seconds: float) -> dict[str, tuple[float, float]]:
    """Name → (percent of a core, MiB resident) of each, in the same seconds."""
    before = {name: cpu_s(ps) for name, ps in programs.items()}
    begun = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - begun
    return {
        name: (100 * (cpu_s(ps) - before[name]) / took, sum(p.memory_info().rss for p in ps if p.is_running()) / MIB)
        for name, ps in programs.items()
    }


def at_work(programs: dict[str, list[psutil.Process]], seconds: float) -> dict[str, tuple[float, float]]:
    """`measured`, with the children of each, once they have settled. Those that have ended are left out, and named."""
    time.sleep(SETTLE_S)
    alive = {n: p for n, p in programs.items() if p[0].is_running() and p[0].status() != psutil.STATUS_ZOMBIE}
    for name in programs.keys() - alive.keys():
        log(f"{name}: has ended")
    return measured({n: family(p[0]) for n, p in alive.items()}, seconds)


def main() -> None:
    """All of them at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="measured (default 30)")
    parser.add_argument("--processes", type=int, default=1000, help="idle ones beside them (default 1000)")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("these figures need root: the daemon would only observe")
    with ExitStack() as stack:
        stack.enter_context(idle_processes(options.processes))
        ours = stack.enter_context(daemon())
        programs = {OURS: [ours]}
        for name, words in MONITORS.items():
            if shutil.which(name) is None:
                log(f"{name}: not installed")
                continue
            programs[name] = [stack.enter_context(watched(words))]
        for name in DAEMONS:
            found = running(name)
            if found is not None:
                programs[name] = [found]
            else:
                there = shutil.which(name) is not None
                log(f"{name}: {'installed, and not started: it would change priorities' if there else 'not installed'}")
        together = at_work(programs, options.seconds)
        places = ["--runtime-dir", ours.cmdline()[ours.cmdline().index("--runtime-dir") + 1]]
        top = stack.enter_context(watched([sys.executable, "-m", "smoothtask", "top", *places]))
        afterwards = at_work({WATCHED: [ours], DASHBOARD: [top]}, options.seconds)
    own, _ = together[OURS]
    for name, (share, rss) in (together | afterwards).items():
        said = "" if name.startswith("SmoothTask") else f", {version_of(name)}"
        log(f"{name:36} {share:7.2f} % of a core, {share / max(own, 1e-9):6.1f} × the daemon, {rss:6.1f} MiB{said}")
        figure(
            "peer", name=name, cpu_pct=share, rss_mib=rss, version=said.removeprefix(", "), together=name in together
        )
    finish([])


if __name__ == "__main__":
    main()
