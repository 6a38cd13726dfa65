"""The guest itself: qemu, and a virtiofsd for each folder that it sees.

All mounts, sockets and files of a run are in a mount namespace of this process: they end with it, however it
ends, and its children are killed by the kernel when it dies.
"""

import ctypes
import os
import platform
import select
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from job import Job
from linux import Unavailable

QEMU = "qemu-system-x86_64"
VIRTIOFSD = Path("/usr/lib/qemu/virtiofsd")
NEEDED = ("/lib/systemd/systemd", "/usr/bin/dbus-daemon", "/sbin/insmod", "/bin/udevadm")
BOOT_LIMIT_S = 180.0
DISK_BYTES = 256 << 20
_CLONE_NEWNS = 0x00020000


class BootFailed(Exception):  # noqa: N818 (which happens, and is tried again)
    """The guest ended, or was ended, before the command began."""


class TimeLimit(Exception):  # noqa: N818
    """The command took longer than it was allowed to."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the guest is given."""

    cpus: int = 2
    memory_mib: int = 2048
    accel: str = "tcg,thread=multi,tb-size=512"
    cpu: str = "max,-avx,-avx2"
    """Without the vector instructions that qemu 7.2 emulates wrongly: numpy's code for them crashes."""


def check() -> None:
    """Raise Unavailable when this machine can have no VM."""
    if platform.machine() != "x86_64":
        raise Unavailable(f"the VM is for x86_64, and this is {platform.machine()}")
    if os.geteuid() != 0:
        raise Unavailable("the VM needs root: it shares this machine's files with its guest")
    lacking = [name for name in (QEMU, str(VIRTIOFSD), *NEEDED) if not shutil.which(name)]
    if lacking:
        raise Unavailable(f"not installed: {', '.join(lacking)}")


def make_workspace(mountpoint: Path) -> None:
    """Mount an empty tmpfs at *mountpoint*, which this process and its children alone can see, until they end."""
    mountpoint.mkdir(parents=True, exist_ok=True)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        raise Unavailable(f"no mounts can be made here: {os.strerror(ctypes.get_errno())} (a container?)")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700", "tmpfs", mountpoint], check=True)


def snapshot(folder: Path, wanted: list[str]) -> Path:
    """The host's root mounted read-only below *folder*, with those other file systems that hold something *wanted*."""
    root = folder / "root"
    root.mkdir()
    for source in ("/", *sorted({_mount_point(Path(path)) for path in wanted} - {"/"})):
        subprocess.run(["mount", "--bind", source, f"{root}{source}"], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", f"{root}{source}"], check=True)
    return root


def _mount_point(path: Path) -> str:
    path = path.resolve()
    return str(next(folder for folder in (path, *path.parents) if folder.is_mount()))


def wanted_paths(cwd: str) -> list[str]:
    """What the guest needs of the host's files: the system, the checkout, and this interpreter's installation."""
    return ["/usr", "/etc", "/var", cwd, sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib")]


def boot(kernel: Path, root: Path, job: Job, folder: Path, hardware: Hardware, limit_s: float) -> None:
    """Boot, and write the command's output to stdout until the guest powers off.

    Raise BootFailed, or TimeLimit *limit_s* seconds after the start. Logs are in *folder*.
    """
    with ExitStack() as stack:
        shares = [
            *_share(stack, folder, "root", root, "always"),
            *_share(stack, folder, "job", job.folder, "none"),
        ]
        with (folder / "disk").open("wb") as disk:
            disk.truncate(DISK_BYTES)
        command = [QEMU, *_arguments(kernel, folder, hardware), *shares]
        # Its stdin stays open: at its end the port would close, and the guest's writes hang.
        vm = _start(stack, command, folder / "qemu.log", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        _pass_on(vm, job, limit_s)
    if not job.started:
        raise BootFailed


def _arguments(kernel: Path, folder: Path, hardware: Hardware) -> list[str]:
    append = (
        "console=ttyS0 quiet root=root rootfstype=virtiofs ro panic=-1 oops=panic mitigations=off maxcpus=1 "
        'init=/bin/sh -- -c "mount -n -t virtiofs job /mnt && exec /mnt/init"'
    )
    options = {
        "machine": "q35,memory-backend=memory",
        "accel": hardware.accel,  # named: with /dev/kvm there, qemu may otherwise take it and fail
        "cpu": hardware.cpu,
        "m": str(hardware.memory_mib),
        "smp": str(hardware.cpus),
        # virtiofs needs memory that is shared with its daemon
        "object": f"memory-backend-memfd,id=memory,size={hardware.memory_mib}M,share=on",
        "display": "none",
        "serial": f"file:{folder}/console.log",
        "kernel": f"{kernel}/vmlinuz",
        "append": append,
    }
    disk = f"file={folder}/disk,if=none,id=disk,format=raw"
    return [
        *(word for name, value in options.items() for word in (f"-{name}", value)),
        *("-nodefaults", "-no-user-config", "-no-reboot"),
        *("-drive", disk, "-device", "virtio-blk-pci,drive=disk"),
        *("-device", "virtio-serial-pci", "-chardev", "stdio,id=out,signal=off"),
        *("-device", "virtserialport,chardev=out,name=out"),
    ]


def _share(stack: ExitStack, folder: Path, tag: str, source: Path, cache: str) -> list[str]:
    """Start the daemon that shares *source*; return qemu's arguments for it."""
    path = folder / f"{tag}.sock"
    with socket.socket(socket.AF_UNIX) as listening:  # handed over: by a path it would lock and leave a file in /run
        listening.bind(str(path))
        listening.listen(1)
        options = f"source={source},sandbox=chroot,log_level=err,xattr,cache={cache}"
        command = [str(VIRTIOFSD), f"--fd={listening.fileno()}", "-o", options]
        _start(stack, command, folder / f"virtiofsd-{tag}.log", pass_fds=(listening.fileno(),))
    device = f"vhost-user-fs-pci,chardev={tag},tag={tag},queue-size=1024"
    return ["-chardev", f"socket,id={tag},path={path}", "-device", device]


def _start(stack: ExitStack, command: list[str], log: Path, **options: Any) -> "subprocess.Popen[bytes]":
    """A process that is killed with the stack, or by the kernel when this process dies."""
    with log.open("wb") as stderr:
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": stderr, **options}
        process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], **streams)
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def _pass_on(vm: "subprocess.Popen[bytes]", job: Job, limit_s: float) -> None:
    """The guest's output to our stdout, until it powers off."""
    assert vm.stdout is not None  # noqa: S101 (for the type checker)
    start = time.monotonic()
    while True:
        if select.select([vm.stdout], [], [], 1.0)[0]:
            chunk = os.read(vm.stdout.fileno(), 1 << 16)
            if not chunk:
                vm.wait()
                return
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        passed = time.monotonic() - start
        if passed > limit_s:
            raise TimeLimit
        if passed > BOOT_LIMIT_S and not job.started:
            raise BootFailed
