"""The folder that tells the guest what to do; it sees it as /run/job, and leaves its answers there."""

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from linux import MODULES

HERE = Path(__file__).parent
UNITS = Path("etc/systemd/system")
GENERATORS = Path("lib/systemd/system-generators")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
COSTLY = """
    timers.target systemd-random-seed.service systemd-update-utmp.service systemd-journal-flush.service
    systemd-binfmt.service proc-sys-fs-binfmt_misc.automount systemd-pstore.service systemd-remount-fs.service
    systemd-sysusers.service systemd-firstboot.service systemd-timesyncd.service systemd-networkd.service
    systemd-networkd.socket systemd-hwdb-update.service ldconfig.service networking.service keyboard-setup.service
    console-setup.service procps.service dev-hugepages.mount sys-kernel-debug.mount sys-kernel-config.mount
    sys-fs-fuse-connections.mount cryptsetup.target veritysetup.target integritysetup.target
    systemd-ask-password-console.path systemd-ask-password-wall.path modprobe@configfs.service modprobe@drm.service
    modprobe@dm_mod.service modprobe@efi_pstore.service modprobe@fuse.service modprobe@loop.service
""".split()  # noqa: SIM905 (one a line would take a page)
"""Units that the guest does without: a process costs it 50–150 ms under emulation."""


@dataclass(frozen=True, slots=True)
class Job:
    """One command for one guest, in a folder of its own."""

    folder: Path

    @classmethod
    def write(cls, folder: Path, kernel: Path, command: list[str], cwd: str, *, bare: bool) -> "Job":
        """Make the folder ready."""
        job = cls(folder)
        for name in ("modules", "out"):
            (folder / name).mkdir(parents=True)
        for number, module in enumerate(MODULES):
            shutil.copy(kernel / f"{module}.ko", folder / "modules" / f"{number}-{module}.ko")
        for name in ("init", "run"):
            shutil.copy(HERE / "guest" / name, folder)
        shutil.copytree(HERE / "over", folder / "over")
        _quieten(folder / "over")
        environment = {"HOME": "/root", "LANG": "C.UTF-8", "PATH": PATH, "SMOOTHTASK_VM": "bare" if bare else "1"}
        exports = "".join(f"export {name}={value}\n" for name, value in environment.items())
        (folder / "command").write_text(f"{exports}cd {shlex.quote(cwd)} || exit\nexec {shlex.join(command)}\n")
        if bare:
            (folder / "bare").touch()
        return job

    @property
    def started(self) -> bool:
        """Whether the guest has booted as far as the command."""
        return (self.folder / "started").exists()

    @property
    def status(self) -> int | None:
        """The command's exit status; `None` before it ended."""
        try:
            return int((self.folder / "status").read_text())
        except (FileNotFoundError, ValueError):  # ValueError: cut off while it was written
            return None

    @property
    def out(self) -> Path:
        """What the guest has put into /run/job/out."""
        return self.folder / "out"


def _quieten(over: Path) -> None:
    """Files over the host's, so that its systemd boots quickly, and nothing of the host's is started or emptied."""
    for unit in COSTLY:
        (over / UNITS / unit).symlink_to("/dev/null")
    generators = over / "etc/systemd/system-generators"
    generators.mkdir()
    for generator in Path("/", GENERATORS).iterdir():
        (generators / generator.name).symlink_to("/dev/null")
    (over / "etc/fstab").touch()
    (over / "etc/machine-id").write_text("0123456789abcdef" * 2 + "\n")
    (over / "etc/tmpfiles.d").mkdir()
    (over / "etc/tmpfiles.d/tmp.conf").touch()  # else the boot empties /tmp, which may hold the checkout
