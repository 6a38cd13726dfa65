"""Debian's 6.12 kernel, unpacked into a cache folder and never installed.

What the guest boots from is built in (virtio-pci, virtiofs, virtio-console), so it needs no initrd; of the
modules it gets these few. The "cloud" flavours of the kernel have no uinput.
"""

import fcntl
import lzma
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = "linux-image-6.12-amd64"
"""Depends on the newest of the series; in Debian 12 it comes with the security updates."""
MODULES = ("overlay", "evdev", "uinput", "bfq", "virtio_blk")
"""In the order of insmod."""


class Unavailable(Exception):  # noqa: N818 (a state of the machine, not a mistake)
    """There can be no VM on this machine; the message says why."""


def fetch(cache: Path) -> Path:
    """The folder with `vmlinuz` and the modules, fetched through apt-get when *cache* has none.

    Raise Unavailable where there is no such package, CalledProcessError when fetching fails.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache):
        kernel = cache / PACKAGE
        if not kernel.exists():
            partial = cache / "partial"
            shutil.rmtree(partial, ignore_errors=True)  # of somebody who was killed here
            partial.mkdir()
            _unpack(_download(partial), partial)
            partial.rename(kernel)
        return kernel


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two VMs that start at once fetch one kernel."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _download(folder: Path) -> Path:
    if not shutil.which("apt-get"):
        raise Unavailable(f"no apt-get to fetch {PACKAGE} with")
    name = _newest()
    if name is None:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        name = _newest()
    if name is None:
        raise Unavailable(f"apt-get knows no {PACKAGE}")
    # As root, for apt's own user may not write here.
    subprocess.run(["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", name], cwd=folder, check=True)
    return next(folder.glob("*.deb"))


def _newest() -> str | None:
    """Such as linux-image-6.12.117+deb12-amd64."""
    shown = subprocess.run(["apt-cache", "depends", PACKAGE], capture_output=True, text=True, check=False).stdout
    return next((line.split()[1] for line in shown.splitlines() if "Depends: linux-image-" in line), None)


def _unpack(package: Path, folder: Path) -> None:
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as archive,
        tarfile.open(fileobj=archive.stdout, mode="r|") as members,
    ):
        for member in members:
            name = Path(member.name).name
            if (data := members.extractfile(member)) is None:
                continue
            if name.startswith("vmlinuz-"):
                (folder / "vmlinuz").write_bytes(data.read())
            elif name.endswith(".ko.xz") and name.removesuffix(".ko.xz") in MODULES:
                (folder / name.removesuffix(".xz")).write_bytes(lzma.decompress(data.read()))
    package.unlink()
    lacking = [name for name in ("vmlinuz", *(f"{module}.ko" for module in MODULES)) if not (folder / name).exists()]
    if archive.returncode != 0 or lacking:
        raise RuntimeError(f"{package.name} is not as expected (lacking: {lacking})")
