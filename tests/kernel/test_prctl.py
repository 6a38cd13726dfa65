"""What a process asks for itself holds for it: each in a child, whose own state the kernel is asked for."""

import signal
import subprocess
import sys
import textwrap

PRELUDE = "import os, subprocess, sys, time\nfrom smoothtask.kernel import prctl\n"


def run(script: str) -> str:
    words = [sys.executable, "-c", PRELUDE + textwrap.dedent(script)]
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=30).stdout.strip()


def test_no_rights_are_gained() -> None:
    seen = run("prctl.gain_no_rights(); print(open('/proc/self/status').read())")
    assert "NoNewPrivs:\t1" in seen.splitlines()


def test_orphans_are_adopted() -> None:
    """A grandchild whose parent has ended is ours."""
    script = """
        prctl.adopt_orphans()
        middle = subprocess.Popen(["sh", "-c", "sleep 30 & echo $!"], stdout=subprocess.PIPE, text=True)
        orphan = int(middle.stdout.readline())
        middle.wait()
        print(open(f"/proc/{orphan}/stat").read().rpartition(")")[2].split()[1] == str(os.getpid()))
        os.kill(orphan, 9)
        os.waitpid(orphan, 0)
    """
    assert run(script) == "True"


def test_a_child_ends_with_its_parent() -> None:
    script = f"""
        child = "from smoothtask.kernel import prctl; prctl.die_with_parent({signal.SIGKILL:d}); print(1, flush=True)"
        child += "; import time; time.sleep(30)"
        process = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        print(process.pid)
    """
    pid = int(run(script))  # whose parent has ended
    for _ in range(200):
        done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True)
        if not done.stdout.strip() or done.stdout.startswith("Z"):
            return
    raise AssertionError(f"{pid} lives on")
