"""Classifying: microseconds a process, load time and memory, with the vendor layer, 16,000 ananicy and YAML rules.

python bench/classify.py
"""

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import finish, log, verdict
from smoothtask.classifier.apart import Reading, see
from smoothtask.classifier.layers import RuleFiles
from smoothtask.classifier.match import RuleSet
from smoothtask.model.identity import Identity
from smoothtask.model.tasks import ProcKey

RULES = 16_000
ROUNDS = 200
CASES = ("none", "vendor", "ananicy", "yaml")


def process(pid: int, exe: str, *arguments: str, **more: object) -> Identity:
    """One as the collector gives it."""
    values = {"name": exe.rpartition("/")[2][:15], "uid": 1000, "cmdline": (exe, *arguments), **more}
    return Identity(key=ProcKey(pid, pid), ppid=1, exe=exe, **values)  # type: ignore[arg-type]


def processes() -> list[Identity]:
    """What a desktop runs, and what nobody knows."""
    session = {"unit": "session-1.scope", "slice": "user-1000.slice", "cgroup": "/user.slice/session-1.scope"}
    wine = {"wine_exe": "Some Long Game Name 77.exe"}
    return [
        process(10, "/usr/lib/firefox/firefox", "-contentproc", "-childID", "3", "-isForBrowser", "tab", **session),
        process(11, "/usr/bin/bash", tty="pts/1", **session),
        process(12, "/usr/bin/python3.11", "/home/alice/work/long path/" + "x" * 200 + ".py", tty="pts/1", **session),
        process(13, "/usr/lib/jvm/java-17/bin/java", "-cp", ":".join(f"/opt/lib/{n}.jar" for n in range(100)), "Main"),
        process(14, "/usr/libexec/gnome-terminal-server", **session),
        process(15, "/opt/nobody/knows-this", "--flag", **session),
        process(16, "/usr/bin/wine64-preloader", r"Z:\games\Some Long Game Name 77.exe", **wine, **session),
        process(17, "/usr/lib/gcc/x86_64-linux-gnu/14/cc1plus", "-quiet", "a.cc", tty="pts/1", **session),
    ]


def write_rules(case: str, folder: Path) -> RuleFiles:
    """Generated rules: nothing is taken from anybody's list."""
    names = [f"Some Long Game Name {n}.exe" for n in range(RULES)]
    if case == "ananicy":
        (folder / "a.types").write_text('{"type": "Game", "nice": -5}\n')
        lines = (json.dumps({"name": name, "type": "Game"}) for name in names)
        (folder / "a.rules").write_text("\n".join(lines))
    if case == "yaml":
        rules = (f"- {{id: game-{n}, type: game, match: [{{wine: {name}}}]}}" for n, name in enumerate(names))
        (folder / "a.yaml").write_text("applications:\n" + "\n".join(rules))
    nowhere = Path("/nonexistent")
    return RuleFiles(
        runtime=nowhere,
        vendor=RuleFiles(nowhere).vendor if case != "none" else nowhere,
        distro=nowhere,
        user=folder if case == "yaml" else nowhere,
        ananicy=folder if case == "ananicy" else None,
        homes=False,
    )


def rss_bytes() -> int:
    """Of this process, from /proc/self/statm (proc(5))."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cost_us(rules: RuleSet, identities: list[Identity]) -> float:
    """CPU of one classification, microseconds; the parent is the process before."""
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        for _ in range(ROUNDS):
            for i, identity in enumerate(identities):
                rules.classify(identity, identities[i - 1 : i])
        best = min(best, (time.process_time() - start) / ROUNDS / len(identities))
    return best * 1e6


def measure(case: str) -> None:
    """One case in this process, which is fresh: its figures as a line of JSON."""
    with tempfile.TemporaryDirectory(prefix="smoothtask-bench-") as folder:
        files = write_rules(case, Path(folder))
        gc.collect()
        before, start = rss_bytes(), time.monotonic()
        loaded = Reading(files, Path(folder) / "kept").result()
        load_s = time.monotonic() - start
        gc.collect()
        grown = rss_bytes() - before
        start = time.process_time()
        see(files)
        figures = {"load_s": load_s, "rss_mib": grown / 2**20, "signature_ms": (time.process_time() - start) * 1e3}
    print(json.dumps(figures | {"us": cost_us(loaded.rules, processes())}))


def main() -> None:
    """Each case in a process of its own, so that one's memory is not another's."""
    if len(sys.argv) > 1:
        measure(sys.argv[1])
        return
    figures = {}
    for case in CASES:
        done = subprocess.run([sys.executable, __file__, case], check=True, capture_output=True, text=True)
        figures[case] = json.loads(done.stdout)
        f = figures[case]
        log(f"{case:8} {f['us']:6.1f} µs a process, read in {f['load_s']:.2f} s, {f['rss_mib']:.1f} MiB, "
            f"signature {f['signature_ms']:.2f} ms")  # fmt: skip
    prior_mib = figures["ananicy"]["rss_mib"] - figures["vendor"]["rss_mib"]
    base_us = figures["vendor"]["us"]
    finish([
        verdict("memory of 16,000 ananicy rules", prior_mib, 6, " MiB"),
        verdict("time with 16,000 ananicy rules, against the vendor's alone", figures["ananicy"]["us"] / base_us, 1.5),
        verdict("time with 16,000 YAML rules, against the vendor's alone", figures["yaml"]["us"] / base_us, 1.5),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
