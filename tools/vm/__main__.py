"""Runs a command as root in a throw-away VM: `tools/vm [options] -- COMMAND …`.

The guest is Debian's 6.12 kernel under qemu, with cgroup v2, systemd, D-Bus, logind, uinput and a blank disk
(/dev/vda). Its root is this machine's own, read-only below a tmpfs: the checkout, its virtual environment and
all that is installed are there under the same paths, and what the guest writes is gone with it, but for what it
puts into /run/job/out (see --out). SMOOTHTASK_VM in its environment is `1`, or `bare`.

Exit status: COMMAND's; 77 where there can be no VM; 124 after --timeout; 126 when it does not boot.
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
UNAVAILABLE, TOO_LONG, NO_BOOT = 77, 124, 126
ATTEMPTS = 3
"""qemu's threads can lose a race while the guest's kernel patches its own code: a rare oops early in the boot."""
LOG_CHARS = 4000


def main() -> int:
    """Understand the command line, and run it."""
    options = _parser().parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        machine.check()
        kernel = fetch(CACHE)
        machine.make_workspace(CACHE / "work")
        return _run(options, kernel, CACHE / "work")
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
    for attempt in range(ATTEMPTS):
        folder = work / f"attempt-{attempt}"
        job = Job.write(folder / "job", kernel, options.command, cwd, bare=options.bare)
        show = True
        try:
            status = machine.boot(kernel, root, job, folder, hardware, options.timeout)
            show = job.status is None
            return status
        except machine.TimeLimit:
            _say(f"no end within {options.timeout:g} s")
            return TOO_LONG
        except machine.BootFailed:
            _say("the guest did not boot")
        finally:
            if options.out is not None:
                shutil.copytree(job.out, options.out, dirs_exist_ok=True)
            if show or options.verbose:
                _show_logs(folder)
    return NO_BOOT


def _show_logs(folder: Path) -> None:
    for log in sorted(folder.glob("*.log")):
        _say(f"{log.name}:\n{log.read_text(errors='replace')[-LOG_CHARS:]}")


def _say(text: str) -> None:
    print(f"vm: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
