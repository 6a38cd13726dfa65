"""A real daemon through churn and faults: each fault has an outcome that is checked, and nothing may leak.

    sudo .venv/bin/python bench/soak.py [--minutes 60] [--observe]

The daemon has folders of its own in a mount namespace of its own, its state on a disk of 24 MiB, a bus of its own, and
manages one unused uid alone, whose programs come and go: hogs, threads, writers, bursts of short programs. Its wall
clock can be set (a library between it and the C library's, where there is a C compiler). Faults are injected one after
the other, again and again until the time is up; those that end a daemon in the first third only, so that one life lasts
the other two. Memory, descriptors, threads, BPF iterators, children, the ledger's size and cgroups are read every
second. A leak is what a figure gains by its slope over the second half of the longest life: more than an hour may add,
or surely (95 %) more than that in an hour. At the end everything must be as before. With --observe nothing is changed,
and the faults about changes are left out.
"""

import argparse
import contextlib
import ctypes
import json
import math
import os
import random
import shutil
import signal
import socket
import sqlite3
import statistics as numbers
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from harness import finish, log
from smoothtask.control.client import DaemonError, newest_frame
from smoothtask.kernel import cgroup2, sched
from smoothtask.model.frame import Frame

NOBODY = 60_000 + os.getpid() % 5000
"""A user of no other program, and of no other soak."""
PYTHON = "/usr/bin/python3"
"""For programs of that user, who may not look into a checkout."""
MIB = 1 << 20
TOLERANCES = {
    "rss_mib": 12.0, "fds": 6.0, "threads": 1.0, "links": 1.0, "children": 1.0, "ledger_kib": 256.0, "cgroups": 2.0,
}  # fmt: skip
"""Of each watched figure, what an hour may add."""
CHURN = r"""
import os, random, subprocess, sys, tempfile, threading, time
hog = [sys.executable, "-c", "while True: pass"]
thread = "threading.Thread(target=time.sleep, args=(2,)).start()"
wide = [sys.executable, "-c", f"import threading, time\nfor _ in range(20): {thread}"]
burst = ["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do /bin/true; done"]
write = ["sh", "-c", "head -c 4000000 /dev/zero > $0; sync $0; rm $0", tempfile.mktemp()]
running = []
while True:
    for kind in random.choices([hog, wide, burst, write], [2, 1, 6, 1], k=2):
        child = subprocess.Popen(kind, start_new_session=random.random() < 0.3)
        running.append((time.monotonic() + random.uniform(2, 8), child))
    for end, child in list(running):
        if time.monotonic() > end or child.poll() is not None or len(running) > 12:
            child.kill(); child.wait(); running.remove((end, child))
    time.sleep(0.4)
"""
FLOOD = r"""
import contextlib, socket, sys
kept, out = [], 0
for _ in range(400):
    kept.append(socket.socket(socket.AF_UNIX))
    kept[-1].settimeout(1)
    with contextlib.suppress(OSError):
        kept[-1].connect(sys.argv[1])
        kept[-1].sendall(b'{"op":"frame"}\n' * 500)
for one in kept:
    try:
        while one.recv(1 << 20):
            pass
        out += 1
    except TimeoutError:
        pass
    except OSError:
        out += 1
print(out)
"""
CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
static const volatile long *ahead;
__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SOAK_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *at = fd < 0 ? MAP_FAILED : mmap(0, sizeof *ahead, PROT_READ, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED) ahead = at;
    if (fd >= 0) close(fd);
}
int clock_gettime(clockid_t which, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int answer = real(which, now);
    if (!answer && ahead && which == CLOCK_REALTIME) now->tv_sec += *ahead;
    return answer;
}
"""
"""A wall clock that can be set, for one program."""


class FaultError(Exception):
    """A fault did not have the outcome that is expected."""


def expect(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Until *condition*; FaultError when it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise FaultError(f"not within {seconds:g} s: {what}")
        time.sleep(0.2)


@dataclass
class Rig:
    """The daemon, its folders, and who is watched."""

    root: Path
    bus: "subprocess.Popen[bytes] | None" = None
    process: "subprocess.Popen[bytes] | None" = None
    samples: list[dict[str, float]] = field(default_factory=list)
    lives: list[list[dict[str, float]]] = field(default_factory=list)
    more: list[str] = field(default_factory=list)
    clock: Path | None = None
    """Where the daemon's wall clock is set: a number of seconds, eight bytes."""

    @property
    def runtime(self) -> Path:
        return self.root / "run"

    @property
    def state(self) -> Path:
        return self.root / "disk" / "state"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def options(self) -> list[str]:
        return ["--runtime-dir", str(self.runtime), "--state-dir", str(self.state), "--scope", str(NOBODY)]

    def start(self, *prefix: str) -> None:
        """A daemon that answers."""
        environment = {**os.environ, "SMOOTHTASK_HELD_DIR": str(self.root / "held")}
        if self.clock is not None:
            environment |= {"LD_PRELOAD": str(self.root / "clock.so"), "SOAK_CLOCK": str(self.clock)}
        self.process, self.samples = None, []
        command = [*prefix, sys.executable, "-m", "smoothtask", "--daemon", *self.more, *self.options()]
        with Path(self.root, "log").open("ab") as output:
            self.process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        self.lives.append(self.samples)
        expect(self.answers, "the daemon answers", 60)

    def answers(self) -> bool:
        with contextlib.suppress(DaemonError, OSError):
            newest_frame(self.runtime / "control.sock", 2)
            return True
        return False

    def frame(self) -> Frame:
        return newest_frame(self.runtime / "control.sock")

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)

    def how_often(self, text: str) -> int:
        """In how many of the newest events *text* is."""
        return sum(text in e.text for e in self.frame().events)

    def sample(self) -> None:
        """One look at what might leak."""
        process, samples = self.process, self.samples
        if process is None:
            return
        with contextlib.suppress(psutil.Error, OSError):  # it ends meanwhile
            p, texts = psutil.Process(process.pid), []
            for fd in os.listdir(f"/proc/{process.pid}/fdinfo"):
                with contextlib.suppress(OSError):
                    texts.append(Path(f"/proc/{process.pid}/fdinfo/{fd}").read_text())
            ledger = self.runtime / "ledger"
            samples.append({
                "at_s": time.monotonic(),
                "rss_mib": p.memory_info().rss / MIB,
                "fds": len(texts),
                "threads": p.num_threads(),
                "links": sum("link_type:\titer" in t for t in texts),
                "children": len(p.children()),
                "ledger_kib": ledger.stat().st_size / 1024 if ledger.exists() else 0,
                "cgroups": sum(1 for _ in Path("/sys/fs/cgroup").rglob("smoothtask*")),
            })  # fmt: skip

    def watch(self, ended: threading.Event) -> None:
        """A look at what might leak, every second, whatever else goes on."""
        while not ended.wait(1):
            self.sample()


# -- faults: each injects, checks its outcome, and puts the world right again


def stopped(rig: Rig) -> str:
    """SIGSTOP for some seconds."""
    seq = rig.frame().seq
    os.kill(rig.pid, signal.SIGSTOP)
    time.sleep(6)
    os.kill(rig.pid, signal.SIGCONT)
    expect(lambda: rig.frame().seq > seq + 1, "ticks go on")
    return "ticks go on"


def overflow(rig: Rig) -> str:
    """More exec events than the queue holds, while the daemon cannot read them."""
    os.kill(rig.pid, signal.SIGSTOP)
    subprocess.run(["sh", "-c", "i=0; while [ $i -lt 9000 ]; do /bin/true; i=$((i+1)); done"], check=True)
    newcomer = subprocess.Popen([PYTHON, "-c", "while True: pass"], user=NOBODY, start_new_session=True)
    os.kill(rig.pid, signal.SIGCONT)
    try:
        expect(lambda: any(p.pid == newcomer.pid for p in rig.frame().processes), "who came meanwhile is seen")
    finally:
        newcomer.kill()
        newcomer.wait()
    return "one full pass finds who came meanwhile"


def bus_gone(rig: Rig) -> str:
    """The system bus ends, and comes back."""
    if rig.bus is None:
        return "skipped: no dbus-daemon"
    rig.bus.kill()
    rig.bus.wait()
    seq = rig.frame().seq
    expect(lambda: rig.frame().seq > seq + 2, "ticks go on without the bus")
    rig.bus = start_bus()
    expect(lambda: rig.frame().seq > seq + 4, "ticks go on with another bus")
    return "ticks go on without it, and with another"


def disk_full(rig: Rig) -> str:
    """No room for the log; then room again."""
    filler = rig.state.parent / "filler"
    said = rig.how_often("the disk is full")
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65536))
    try:  # after half an hour of contention the day's allowance is spent (store/allowance.py): it writes less often
        expect(lambda: "the disk is full" in rig.frame().sources["log"], "the log says that the disk is full", 240)
        seq = rig.frame().seq
        expect(lambda: rig.frame().seq > seq + 1, "ticks go on")
    finally:
        filler.unlink()
    expect(lambda: rig.frame().sources["log"].startswith("on,"), "recording goes on", 150)
    if rig.how_often("the disk is full") > said + 1:
        raise FaultError("it was said more than once")
    return "recording rests, said once; goes on within a minute of room"


def clock_jump(rig: Rig) -> str:
    """The wall clock is set a year ahead, and back again."""
    if rig.clock is None:
        return "skipped: no C compiler"
    before, seq = recorded(rig), rig.frame().seq
    set_clock(rig.clock, 365 * 86400)
    try:
        expect(lambda: rig.frame().time - time.time() > 300 * 86400, "the frames tell the new time")
        expect(lambda: rig.frame().seq > seq + 5, "ticks go on")
        time.sleep(10)  # for some commits, after which old snapshots may be forgotten
    finally:
        set_clock(rig.clock, 0)
    expect(lambda: abs(rig.frame().time - time.time()) < 60, "the frames tell the old time again")
    if recorded(rig) < before:
        raise FaultError(f"of {before} snapshots {recorded(rig)} are left")
    return "ticks go on, and nothing is forgotten"


def set_clock(clock: Path, ahead_s: int) -> None:
    """In place: a file that is mapped must never be shorter than it was."""
    with clock.open("r+b", buffering=0) as file:
        file.write(ahead_s.to_bytes(8, sys.byteorder, signed=True))


def recorded(rig: Rig) -> int:
    """Snapshots from before any clock was set that the log still holds."""
    with contextlib.closing(sqlite3.connect(f"file:{rig.state}/snapshots.db?mode=ro", uri=True)) as log:
        (count,) = log.execute("SELECT count(*) FROM snapshot WHERE time_s < ?", (time.time() + 3600,)).fetchone()
    return int(count)


def log_damaged(rig: Rig) -> str:
    """Somebody writes over the log, while it is open and while it is not; the next start begins a new one."""
    database = rig.state / "snapshots.db"
    with database.open("r+b") as file:
        file.write(random.randbytes(min(database.stat().st_size, 400_000)))
    seq = rig.frame().seq
    expect(lambda: rig.frame().seq > seq + 3, "ticks go on")
    rig.stop()  # which may mend it: what is in the write-ahead log is written over the damage
    Path(f"{database}-wal").unlink(missing_ok=True)
    database.write_bytes(random.randbytes(100_000))
    rig.start()
    expect(lambda: rig.frame().sources["log"].startswith("on,"), "a new log is begun")
    kept = list(rig.state.glob("snapshots.db.damaged-*"))
    for path in kept:
        path.unlink()
    if not kept:
        raise FaultError("the damaged log is not kept aside")
    return "kept aside; a new log with the next start at the latest"


def child_killed(rig: Rig) -> str:
    """SIGKILL of the probe, as the OOM killer sends it."""
    expect(lambda: bool(probes(rig.pid)), "there is a probe", 90)
    victim = probes(rig.pid)[0]
    victim.kill()
    expect(lambda: any(p != victim for p in probes(rig.pid)), "it is started again", 90)
    expect(lambda: rig.frame().system.latency is not None, "it measures again")
    return "started again, after 1 s, then 2, 4, … 60"


def probes(pid: int) -> list[psutil.Process]:
    """The living probes of a daemon."""
    found = []
    for child in psutil.Process(pid).children():
        with contextlib.suppress(psutil.Error):
            if "probe_main" in " ".join(child.cmdline()):  # empty for a zombie
                found.append(child)
    return found


def killed(rig: Rig) -> str:
    """SIGKILL, then `smoothtask restore`, then another daemon."""
    expect(lambda: bool(lowered()), "something is lowered", 60)
    os.kill(rig.pid, signal.SIGKILL)
    assert rig.process is not None
    rig.process.wait()
    subprocess.run([sys.executable, "-m", "smoothtask", "restore", *rig.options()], check=True, capture_output=True)
    left = lowered()
    rig.start()
    if left:
        raise FaultError(f"still lowered after restore: {left}")
    return "`restore` puts everything back"


def flood(rig: Rig) -> str:
    """A user opens connections and asks without end; root is answered all the same."""
    words = [PYTHON, "-c", FLOOD, str(rig.runtime / "control.sock")]
    attacker = subprocess.Popen(words, user=NOBODY, stdout=subprocess.PIPE)
    try:
        for _ in range(5):
            rig.frame()
        told, _ = attacker.communicate(timeout=120)
    finally:
        attacker.kill()
        attacker.communicate()
    if int(told) < 300:
        raise FaultError(f"of 400 connections {int(told)} were shown out")
    return "shown out at 8 connections and 200 requests a second, unheard beyond its share; others are answered"


def hostile(rig: Rig) -> str:
    """What is no request: bytes without a line's end, deep nesting, no UTF-8, a connection that never reads."""
    odd = b'{"op":"explain","target":"' + b"\\u0000" * 99 + b'"}\n'
    for data in (b"x" * 200_000, b"[" * 60_000 + b"\n", b"\xff\xfe\n", odd):
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
            client.settimeout(2)
            client.connect(os.fspath(rig.runtime / "control.sock"))
            client.sendall(data)
            client.recv(4096)
    rig.frame()
    return "an answer in words, or the connection ends"


def runtime_removed(rig: Rig) -> str:
    """Somebody removes the runtime directory: nothing that is changed from now on could be undone after a crash."""
    expect(lambda: bool(lowered()), "something is lowered", 60)
    shutil.rmtree(rig.runtime)
    assert rig.process is not None
    status = rig.process.wait(30)
    left = lowered()
    rig.start()
    if status != 1 or left:
        raise FaultError(f"status {status}, still lowered: {left}")
    return "everything is put back, exit status 1: the service starts anew"


def bpf_refused(rig: Rig) -> str:
    """A daemon without the capabilities that BPF needs."""
    rig.stop()
    rig.start("setpriv", "--bounding-set", "-bpf,-perfmon,-sys_admin")
    try:
        expect(lambda: rig.frame().sources["tasks"].startswith("procfs"), "tasks are read from /proc")
        expect(lambda: bool(lowered()), "hogs are lowered all the same", 60)
    finally:
        rig.stop()
        rig.start()
    return "/proc is read instead, meters are absent, hogs are lowered all the same"


FAULTS = (stopped, child_killed, hostile, flood, bus_gone, clock_jump, disk_full, overflow, log_damaged)
FAILURES = (FaultError, DaemonError, OSError, subprocess.SubprocessError, psutil.Error, sqlite3.Error)
FAULTS_OF_CHANGES = (bpf_refused, killed, runtime_removed)
"""Those that need a daemon that acts."""
ENDING = (log_damaged, *FAULTS_OF_CHANGES)
"""Those after which another daemon runs."""


def lowered() -> list[str]:
    """Programs of the churn whose nice is not what it was, each with what is known of it."""
    found = []
    for p in psutil.process_iter(["uids"]):
        if p.info["uids"] and p.info["uids"].real == NOBODY:
            with contextlib.suppress(OSError, psutil.Error):
                now = sched.get_sched(p.pid)
                if now.nice != os.nice(0):  # theirs is ours unless somebody changed it
                    born_s = time.time() - p.create_time()
                    found.append(
                        f"{p.pid} {p.name()} {now} parent {p.ppid()} session {os.getsid(p.pid)} {born_s:.1f} s old"
                    )
    return found


def start_bus() -> "subprocess.Popen[bytes] | None":
    """Something that answers where the system bus would."""
    if shutil.which("dbus-daemon") is None:
        return None
    Path("/run/dbus/system_bus_socket").unlink(missing_ok=True)
    bus = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--address=unix:path=/run/dbus/system_bus_socket"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    expect(Path("/run/dbus/system_bus_socket").exists, "the bus answers")
    return bus


def make_clock(folder: Path) -> Path | None:
    """Builds what the daemon's wall clock is set with; `None` without a C compiler."""
    if shutil.which("cc") is None:
        return None
    words = ["cc", "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", str(folder / "clock.so"), "-ldl"]
    subprocess.run(words, input=CLOCK.encode(), check=True)
    clock = folder / "clock"
    clock.write_bytes(bytes(8))
    return clock


@contextlib.contextmanager
def world(root: Path) -> Iterator[Rig]:
    """A mount namespace with a small disk and a place for a bus; the churn; everything ended at the end."""
    if ctypes.CDLL(None, use_errno=True).unshare(0x00020000) != 0:  # CLONE_NEWNS
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/run/dbus").mkdir(exist_ok=True)
    (root / "disk").mkdir()
    root.chmod(0o711)
    for command in (
        ["mount", "--make-rprivate", "/"],
        ["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "soak", str(root / "disk")],
        ["mount", "-t", "tmpfs", "soak", "/run/dbus"],
    ):
        subprocess.run(command, check=True)
    rig = Rig(root, start_bus(), clock=make_clock(root))
    churn = subprocess.Popen(
        [PYTHON, "-c", CHURN], user=NOBODY, group=NOBODY, extra_groups=[], start_new_session=True, cwd="/",
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield rig
    finally:
        churn.kill()
        churn.wait()
        for p in psutil.process_iter(["uids"]):
            if p.info["uids"] and p.info["uids"].real == NOBODY:
                with contextlib.suppress(psutil.Error):
                    p.kill()
        for process in (rig.process, rig.bus):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(30)
        subprocess.run(["umount", str(root / "disk")], check=True)


PIECES = 20
"""The second half of a life is judged by the means of so many pieces: neighbouring seconds say the same."""
LONG_S = 900.0
"""Of a shorter while an hour cannot be told: the ledger grows, and is written anew, by turns."""
T_95 = 2.1
"""Student's t for 95 % and PIECES - 2 degrees of freedom."""


def leaks(lives: list[list[dict[str, float]]]) -> tuple[bool, list[str]]:
    """Whether any figure leaks, by the second half of the longest life, and a line about each."""
    longest = max(lives, key=lambda life: life[-1]["at_s"] - life[0]["at_s"] if life else 0)
    half = longest[len(longest) // 2 :]
    span_s = half[-1]["at_s"] - half[0]["at_s"]
    good, told = True, [f"{len(lives)} daemons; the longest life is looked at, its last {span_s:.0f} s"]
    for name, tolerance in TOLERANCES.items():
        if name == "cgroups" and not cgroup2.mounted():
            told.append("      cgroups: not looked at: no cgroup v2 here, and so none of ours")
            continue
        hourly, surely = slope_of(half, name)
        added = hourly * span_s / 3600
        holds = added <= tolerance and (surely <= tolerance or span_s < LONG_S)
        good = good and holds
        middle = numbers.median(s[name] for s in half)
        figures = f"{middle:.1f}, {added:+.2f} by slope; {hourly:+.1f} an hour, surely {surely:+.1f}"
        told.append(f"{'PASS' if holds else 'FAIL'}  {name}: {figures} (tolerance {tolerance:g})")
    return good, told


def slope_of(samples: list[dict[str, float]], name: str) -> tuple[float, float]:
    """What an hour adds to a figure, and the least that it surely adds (95 %)."""
    pieces = [samples[n * len(samples) // PIECES : (n + 1) * len(samples) // PIECES] for n in range(PIECES)]
    pieces = [piece for piece in pieces if piece]
    at_s = [numbers.fmean(s["at_s"] for s in piece) for piece in pieces]
    values = [numbers.fmean(s[name] for s in piece) for piece in pieces]
    if len(pieces) < 3 or len(set(values)) == 1:
        return 0.0, 0.0
    line = numbers.linear_regression(at_s, values)
    rest = sum((v - line.intercept - line.slope * t) ** 2 for t, v in zip(at_s, values, strict=True))
    error = math.sqrt(rest / (len(pieces) - 2) / (numbers.pvariance(at_s) * len(pieces)))
    return 3600 * line.slope, 3600 * (line.slope - T_95 * error)


def at_the_end(rig: Rig) -> list[bool]:
    """Stop the daemon: whether it left everything as it was, and whether no tick failed in any life."""
    status = rig.stop()
    left = lowered()
    clean = status == 0 and not left and not (rig.runtime / "ledger").exists()
    log(f"{'PASS' if clean else 'FAIL'}  the end: status {status}, still lowered {left}, no ledger left")
    sound = "Traceback" not in (rig.root / "log").read_text()
    log(f"{'PASS' if sound else 'FAIL'}  no tick failed, in any life")
    return [clean, sound]


def main() -> None:
    """Churn and faults until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--only", nargs="*", default=[], choices=[f.__name__ for f in (*FAULTS, *FAULTS_OF_CHANGES)])
    parser.add_argument("--observe", action="store_true")
    parser.add_argument("--json", type=Path, help="where outcomes and samples go")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("needs root: the daemon would only observe")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("asked to end"))
    began_s, results, rounds = time.monotonic(), [], 0
    ends_s = began_s + 60 * options.minutes
    alone_s = began_s + 60 * options.minutes / 3
    faults = FAULTS if options.observe else (*FAULTS, *FAULTS_OF_CHANGES)
    chosen = [f for f in faults if not options.only or f.__name__ in options.only]
    with tempfile.TemporaryDirectory(prefix="smoothtask-soak-") as folder, world(Path(folder)) as rig:
        rig.more = ["--observe"] if options.observe else []
        rig.start()
        ended = threading.Event()
        watcher = threading.Thread(target=rig.watch, args=(ended,), daemon=True)
        watcher.start()
        while not rounds or time.monotonic() < ends_s:
            rounds += 1
            survived = rounds > 1 and time.monotonic() > alone_s
            for fault in (f for f in chosen if not (survived and f in ENDING)):
                fault_s = time.monotonic()
                try:
                    outcome, good = fault(rig), True
                except FAILURES as error:
                    outcome, good = f"{type(error).__name__}: {error}", False
                    if rig.process is None or rig.process.poll() is not None:
                        rig.start()
                results.append(good)
                log(f"{'PASS' if good else 'FAIL'}  {fault.__name__}: {outcome} ({time.monotonic() - fault_s:.0f} s)")
                time.sleep(6)
            time.sleep(6)
        time.sleep(min(max(30.0, ends_s - time.monotonic()), 120))
        ended.set()
        watcher.join()
        results += at_the_end(rig)
        good, told = leaks([life for life in rig.lives if len(life) > 8])
        log("\n".join(told))
        if options.json:
            options.json.write_text(json.dumps({"results": results, "lives": rig.lives}))
        if not all(results):
            log((rig.root / "log").read_text()[-3000:])
    finish([*results, good])


if __name__ == "__main__":
    main()
