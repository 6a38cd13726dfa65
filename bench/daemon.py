"""What the daemon costs beside idle processes, in a storm of fork+exec, and over many ticks.

    sudo .venv/bin/python bench/daemon.py [idle|storm|tick|soak|new-app …]

idle     1,000 idle processes: CPU against `htop -d 10` in the same run, and memory. htop looks every second, the
         daemon every 5 s when nothing happens and nobody watches: what is compared is what each costs as it runs.
storm    2,000 fork+exec: daemon CPU an exec.
tick     the whole tick, collect to record, beside 2,000 processes: CPU.
soak     10,000 ticks of a churning process table: memory.
new-app  from the exec of an application that a rule knows until its nice changes.
"""

import argparse
import fcntl
import os
import pty
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import psutil

from harness import cpu_s, daemon, family, finish, idle_processes, log, verdict

MIB = 1024 * 1024
KNOWN_NAME = "tracker-miner-fs-3"
"""An application that the vendor rules make IDLE at once."""


def idle(seconds: float = 30.0) -> list[bool]:
    """CPU beside idle processes, ours and htop's at the same time."""
    with idle_processes(1000), daemon() as process:
        htop, terminal = in_terminal(["htop", "-d", "10"])
        try:
            time.sleep(10)  # the first look at 1,000 processes is not the steady state
            ours, theirs = family(process), [psutil.Process(htop)]
            ours_s, theirs_s = cpu_s(ours), cpu_s(theirs)
            drain(terminal, seconds)
            share = 100 * (cpu_s(ours) - ours_s) / seconds
            htop_share = 100 * (cpu_s(theirs) - theirs_s) / seconds
            rss, whole = process.memory_info().rss / MIB, sum(p.memory_info().rss for p in ours) / MIB
        finally:
            os.kill(htop, signal.SIGKILL)
            os.waitpid(htop, 0)
            os.close(terminal)
        log(
            f"smoothtask {share:.3f} % of a core, htop {htop_share:.3f} %; "
            f"RSS {rss:.1f} MiB, {whole:.1f} MiB with its {len(ours) - 1} children (what they share counts for each)"
        )
    return [
        verdict("daemon beside 1,000 idle processes", share, 0.5, " % of a core"),
        verdict(
            "CPU of the idle daemon, which looks every 5 s, to that of htop, every 1 s", share / htop_share, 1 / 15
        ),
        verdict("memory of the daemon's main process", rss, 70, " MiB"),
    ]


def storm(count: int = 2000) -> list[bool]:
    """CPU of the daemon while *count* short-lived programs run."""
    with daemon() as process:
        time.sleep(8)
        ours = family(process)
        quiet_s = cpu_s(ours)
        time.sleep(5)
        quiet_rate = (cpu_s(ours) - quiet_s) / 5
        before_s, began = cpu_s(ours), time.monotonic()
        for _ in range(count):
            os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
        took = time.monotonic() - began
        time.sleep(2)
        used_s = cpu_s(ours) - before_s - quiet_rate * (took + 2)
    log(f"{count} fork+exec in {took:.1f} s; the daemon used {1000 * used_s:.0f} ms for them")
    return [verdict("daemon CPU a fork+exec", 1e6 * used_s / count, 40, " µs")]


def soak(ticks: int = 10_000) -> list[bool]:
    """Memory over many ticks of a real engine while processes come and go."""
    from smoothtask.config.paths import Paths
    from smoothtask.config.settings import load_settings
    from smoothtask.daemon.build import build

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = Paths(root / "run", root / "state", root / "config.yaml")
        host = build(load_settings(None), paths, observe=True)
        engine = host.engine
        sleepers: list[subprocess.Popen[bytes]] = []
        sizes: dict[int, float] = {}
        for tick in range(1, ticks + 1):
            if tick % 4 == 0:
                sleepers.append(subprocess.Popen(["sleep", "1000"], start_new_session=True))
            if len(sleepers) > 20:
                old = sleepers.pop(0)
                old.kill()
                old.wait()
            engine.tick()
            if tick in {ticks // 10, ticks // 2, ticks}:
                sizes[tick] = rss_mib()
                log(f"tick {tick}: {sizes[tick]:.1f} MiB")
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()
        host.on_stop()
    return [verdict("growth from the 1,000th to the last tick", sizes[ticks] - sizes[ticks // 10], 1.5, " MiB")]


def tick(count: int = 2000, ticks: int = 50) -> list[bool]:
    """CPU of one tick of a real engine beside *count* idle processes and a few busy ones."""
    from smoothtask.config.paths import Paths
    from smoothtask.config.settings import load_settings
    from smoothtask.daemon.build import build

    with idle_processes(count), tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        host = build(load_settings(None), Paths(root / "run", root / "state", root / "config.yaml"), observe=True)
        for _ in range(3):
            host.engine.tick()
        before_s = time.process_time()
        for _ in range(ticks):
            host.engine.tick()
        cost_ms = 1000 * (time.process_time() - before_s) / ticks
        processes = len(host.engine.world)
        host.on_stop()
    log(f"{cost_ms:.2f} ms of CPU a tick with {processes} processes")
    return [verdict("the whole tick", cost_ms, 10, " ms")]


def new_app(rounds: int = 200) -> list[bool]:
    """Milliseconds from exec to the changed nice."""
    delays = []
    with tempfile.TemporaryDirectory() as folder, daemon() as process:
        program = Path(folder, KNOWN_NAME)
        shutil.copy("/bin/sleep", program)
        time.sleep(3)
        for _ in range(rounds):
            child = subprocess.Popen([program, "5"], start_new_session=True)
            began = time.monotonic()
            while os.getpriority(os.PRIO_PROCESS, child.pid) == 0 and time.monotonic() - began < 4:
                time.sleep(0.001)
            delays.append(1000 * (time.monotonic() - began))
            child.kill()
            child.wait()
            time.sleep(0.05)
        assert process.is_running()
    delays.sort()
    p50, p99 = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
    log(f"{rounds} starts of {KNOWN_NAME}: p50 {p50:.0f} ms, p99 {p99:.0f} ms, max {delays[-1]:.0f} ms")
    return [verdict("exec to action, p99", p99, 100, " ms")]


def in_terminal(command: list[str]) -> tuple[int, int]:
    """Start *command* in a terminal of 160×50; its pid and the terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
        os.environ.update(TERM="xterm-256color", LINES="50", COLUMNS="160", LANG="C.UTF-8")
        os.execvp(command[0], command)
    return pid, terminal


def drain(terminal: int, seconds: float) -> None:
    """Read what is drawn, so that the program never blocks."""
    os.set_blocking(terminal, False)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.read(terminal, 65536)
        except BlockingIOError:
            time.sleep(0.05)


def rss_mib() -> float:
    """Resident memory of this process."""
    return psutil.Process().memory_info().rss / MIB


SCENARIOS = {"idle": idle, "storm": storm, "tick": tick, "soak": soak, "new-app": new_app}


def main() -> None:
    """Run the named scenarios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", choices=[*SCENARIOS, []], help="default: all")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("these figures need root: the daemon would only observe")
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (hard if hard > 0 else soft, hard))
    finish([result for name in options.scenarios or SCENARIOS for result in SCENARIOS[name]()])


if __name__ == "__main__":
    main()
