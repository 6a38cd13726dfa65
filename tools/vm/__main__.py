"""Runs a command as root in a throw-away VM: `tools/vm [options] -- COMMAND …`.

The guest is Debian's 6.12 kernel under qemu, with cgroup v2, systemd, D-Bus, logind, uinput and a blank disk
(/dev/vda). Its root is this machine's own, read-only below a tmpfs: the checkout, its virtual environment and
all that is installed are there under the same paths, and what the guest writes is gone with it, but for what it
puts into /run/job/out (see --out). SMOOTHTASK_VM in its environment is `1`, or `bare`.

Exit status: COMMAND's; 77 where there can be no VM; 124 after --timeout; 125 when the guest ended before COMMAND
did; 126 when it does not boot.
"""

import argparse
import os
import shutil
import signal
import sys
from pathlib import Path

import machine
from job import Job
from linux import Unavailable, fetch

CACHE = Path(os.environ.get("SMOOTHTASK_VM_CACHE", "/var/cache/smoothtask-vm"))
UNAVAILABLE, TOO_LONG, CUT_OFF, NO_BOOT = 77, 124, 125, 126
ATTEMPTS = 3
"""qemu's threads can lose a race while the guest's kernel patches its own code: a rare oops early in the boot."""
LOG_CHARS = 4000


def main() -> int:
    """Understand the command line, and run it."""
    options = _parser().parse_args()
    for number in (signal.SIGINT, signal.SIGPIPE):  # nothing is left to tidy up: the kernel ends what we started
        signal.signal(number, signal.SIG_DFL)
    try:
        machine.check()
        machine.make_workspace(CACHE / "work")
        return _run(options, fetch(CACHE), CACHE / "work")
    except Unavailable as reason:
        print(f"skipped: {reason}")
        return UNAVAILABLE


def _parser() -> argparse.ArgumentParser:
    given = machine.Hardware()
    parser = argparse.ArgumentParser(
        prog="tools/vm", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bare", action="store_true", help="no systemd, no udev, no D-Bus; cgroup2 is mounted")
    parser.add_argument("--out", type=Path, metavar="DIR", help="gets what the guest leaves in /run/job/out")
    parser.add_argument("--timeout", type=float, default=900, metavar="SECONDS", help="default: %(default)g")
    parser.add_argument("--cpus", type=int, default=given.cpus, help="default: %(default)s")
    parser.add_argument("--memory", type=int, default=given.memory_mib, metavar="MIB", help="default: %(default)s")
    parser.add_argument("--accel", default=given.accel, help="qemu's accelerator; default: %(default)s")
    parser.add_argument("--cpu", default=given.cpu, help="qemu's processor; default: %(default)s")
    parser.add_argument("--verbose", action="store_true", help="show the logs of the machine at the end")
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="run in the current folder")
    return parser


def _run(options: argparse.Namespace, kernel: Path, work: Path) -> int:
    cwd = str(Path.cwd())
    root = machine.snapshot(work, machine.wanted_paths(cwd))
    hardware = machine.Hardware(options.cpus, options.memory, options.accel, options.cpu)
    status = NO_BOOT
    for attempt in range(ATTEMPTS):
        folder = work / f"attempt-{attempt}"
        job = Job.write(folder / "job", kernel, options.command, cwd, bare=options.bare)
        status, trouble = _boot(kernel, root, job, folder, hardware, options.timeout)
        if trouble:
            _say(trouble)
        if trouble or options.verbose:
            _show_logs(folder)
        if options.out is not None:
            shutil.copytree(job.out, options.out, dirs_exist_ok=True)
        if status != NO_BOOT or job.started:  # the command itself may have said 126
            break
    return status


def _boot(
    kernel: Path, root: Path, job: Job, folder: Path, hardware: machine.Hardware, limit_s: float
) -> tuple[int, str | None]:
    """The exit status, and what went wrong with the machine."""
    try:
        machine.boot(kernel, root, job, folder, hardware, limit_s)
    except machine.TimeLimit:
        return TOO_LONG, f"no end within {limit_s:g} s"
    except machine.BootFailed:
        return NO_BOOT, "the guest did not boot"
    status = job.status
    return (CUT_OFF, "the guest ended before the command did") if status is None else (status, None)


def _show_logs(folder: Path) -> None:
    for log in sorted(folder.glob("*.log")):
        if text := log.read_text(errors="replace")[-LOG_CHARS:].strip():
            _say(f"{log.name}:\n{text}")


def _say(text: str) -> None:
    print(f"vm: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
