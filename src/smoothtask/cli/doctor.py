"""What works on this machine: each source and mechanism, what it costs to be without it, and what to do.

Files are read below a root path, so a made-up tree is as good as a machine; what needs the running kernel
(loading the BPF program, system calls) is asked only when that root is `/`.
"""

import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from smoothtask.config.held import holders
from smoothtask.config.located import ConfigError
from smoothtask.config.paths import Paths
from smoothtask.config.settings import load_settings
from smoothtask.kernel import owners
from smoothtask.model.text import sanitise
from smoothtask.policy import standback

LOW_SPACE_BYTES = 200 * 1024 * 1024
CONNECTOR = "exec and exit events"


_GUESSED = "what is in focus and what is on the screen is guessed from behaviour"
_UNHEARD = "what is heard is not known, nor when it breaks up"
WITHOUT = {
    "windows": _GUESSED,
    "sound": _UNHEARD,
    "windows and sound": f"{_GUESSED}; {_UNHEARD}",
    "session": f"{_GUESSED}; {_UNHEARD}",
    "input": "the other sources of input tell whether somebody is there, less exactly",
    "terminals": "it is not known in which terminal somebody works",
}
"""What it costs to be without a source, by the first word of its name."""


class State(StrEnum):
    """How a thing is."""

    WORKS = "works"
    ABSENT = "absent"
    REFUSED = "refused"
    NOTE = "note"
    """Neither good nor bad, but worth knowing."""
    WRONG = "wrong"
    """To be mended before a daemon starts."""


class Finding(NamedTuple):
    """One thing looked at."""

    name: str
    state: State
    detail: str
    without: str = ""
    """What it costs to be without."""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the checks look at."""

    root: Path
    uid: int
    release: str
    """`uname -r`."""

    @property
    def is_real(self) -> bool:
        """Whether the running kernel may be asked."""
        return self.root == Path("/")

    @property
    def kernel(self) -> tuple[int, int]:
        """(6, 12); (0, 0) for a release that cannot be read."""
        match = re.match(r"(\d+)\.(\d+)", self.release)
        return (int(match[1]), int(match[2])) if match else (0, 0)

    def path(self, name: str) -> Path:
        """*name* below the root."""
        return self.root / name.lstrip("/")

    def read(self, name: str) -> str | None:
        """The text of a file; `None` when it is missing or may not be read."""
        try:
            return self.path(name).read_text(errors="replace").strip()
        except OSError:
            return None


def examine(paths: Paths, root: Path = Path("/")) -> list[Finding]:
    """Everything, in the order people read it."""
    machine = Machine(root, os.geteuid(), os.uname().release)
    findings = [check(machine) for check in CHECKS if not (machine.is_real and check in TRIED)]
    return [
        *findings,
        *_meters(machine),
        *_person(machine),
        *_pressure(machine),
        *_disks(machine),
        *_other_owners(machine),
        *_scopes(paths),
        *_places(paths),
        *_model(paths),
    ]


def lines(findings: list[Finding]) -> list[str]:
    """For people."""
    said = []
    for f in findings:
        said.append(f"{f.state:<8} {f.name}: {sanitise(f.detail, 400)}")
        if f.state in {State.ABSENT, State.REFUSED} and f.without:
            said.append(f"{'':9}without it: {f.without}")
        if f.state is not State.WORKS and f.remedy:
            said.append(f"{'':9}to do: {f.remedy}")
    return said


def _root(m: Machine) -> Finding:
    if m.uid == 0:
        return Finding("root", State.WORKS, "running as root")
    return Finding(
        "root", State.REFUSED, f"running as uid {m.uid}", "SmoothTask can only observe", "run it through sudo"
    )


def _btf(m: Machine) -> Finding:
    if m.path("/sys/kernel/btf/vmlinux").exists():
        return Finding("kernel type information (BTF)", State.WORKS, "/sys/kernel/btf/vmlinux")
    return Finding(
        "kernel type information (BTF)",
        State.ABSENT,
        "no /sys/kernel/btf/vmlinux",
        "the BPF iterator cannot be loaded",
        "use a kernel built with CONFIG_DEBUG_INFO_BTF",
    )


def _libbpf(m: Machine) -> Finding:
    patterns = ("usr/lib/*/libbpf.so.1", "usr/lib64/libbpf.so.1", "usr/lib/libbpf.so.1", "lib/*/libbpf.so.1")
    found = next((p for pattern in patterns for p in m.root.glob(pattern)), None)
    if found is not None:
        return Finding("libbpf", State.WORKS, str(found))
    return Finding("libbpf", State.ABSENT, "no libbpf.so.1", "the BPF iterator cannot be loaded", "apt install libbpf1")


def _iterator(m: Machine) -> Finding:
    name, without = "BPF task iterator", "processes are read from /proc, which costs several times as much"
    if not m.is_real:
        return Finding(name, State.NOTE, "not tried")
    from smoothtask.kernel.libbpf import BpfUnavailable  # noqa: PLC0415 (loads libbpf)
    from smoothtask.kernel.tasks_bpf import BpfTasks  # noqa: PLC0415

    try:
        BpfTasks().close()
    except (BpfUnavailable, OSError) as error:
        state = State.REFUSED if m.uid else State.ABSENT
        return Finding(name, state, str(error), without, "run as root on Linux 5.8 or later with BTF and libbpf1")
    return Finding(name, State.WORKS, "loaded and closed again")


def _events(m: Machine) -> Finding:
    without = "a new program waits for the next tick, up to 5 s on an idle machine"
    if not m.is_real:
        return Finding(CONNECTOR, State.NOTE, "not tried")
    from smoothtask.kernel.netlink import EventsUnavailable, ProcEvents  # noqa: PLC0415 (slow to import)

    try:
        ProcEvents().close()
    except (EventsUnavailable, OSError) as error:
        state = State.REFUSED if m.uid else State.ABSENT
        return Finding(CONNECTOR, state, str(error), without, "run as root outside containers (CONFIG_PROC_EVENTS)")
    return Finding(CONNECTOR, State.WORKS, "proc connector")


def _slices(m: Machine) -> Finding:
    name, without = "scheduler slices", "wake-ups of favourites gain nothing; nice still works"
    if not m.is_real:
        return Finding(name, State.NOTE, "not tried")
    from smoothtask.kernel.sched import SchedUnavailable, slices_supported  # noqa: PLC0415 (asks the kernel)

    try:
        if slices_supported():
            return Finding(name, State.WORKS, "sched_setattr(2) keeps a slice")
    except (SchedUnavailable, OSError) as error:
        return Finding(name, State.REFUSED, str(error), without)
    return Finding(name, State.ABSENT, f"Linux {m.release} ignores them", without, "use Linux 6.12 or later")


def _raising(m: Machine) -> Finding:
    name, without = "raising again", "nice and slices of threads are left as they are: they could not be put back"
    if not m.is_real:
        return Finding(name, State.NOTE, "not tried")
    from smoothtask.kernel.sched import SchedUnavailable, raising_allowed  # noqa: PLC0415 (asks the kernel)

    try:
        if raising_allowed():
            return Finding(name, State.WORKS, "what is lowered can be put back")
    except (SchedUnavailable, OSError) as error:
        return Finding(name, State.REFUSED, str(error), without)
    remedy = "run it with CAP_SYS_NICE" if m.uid == 0 else "run it as root"
    return Finding(name, State.REFUSED, "the kernel lets us lower a nice, and not raise it again", without, remedy)


def _autogroup(m: Machine) -> Finding:
    value = m.read("/proc/sys/kernel/sched_autogroup_enabled")
    without = "sessions do not get a fair share each; nice works between them instead"
    if value == "1":
        return Finding("autogroup", State.WORKS, "on: nice counts within a session only")
    detail = "off" if value == "0" else "this kernel has none"
    return Finding("autogroup", State.ABSENT, detail, without)


def _cgroups(m: Machine) -> Finding:
    controllers = m.read("/sys/fs/cgroup/cgroup.controllers")
    without = "weights of whole units cannot be set; nice is used"
    if controllers is None:
        hybrid = m.path("/sys/fs/cgroup/unified/cgroup.controllers").exists()
        detail = "cgroup v1 with v2 beside it" if hybrid else "no cgroup v2"
        return Finding("cgroup v2", State.ABSENT, detail, without, "boot with systemd.unified_cgroup_hierarchy=1")
    missing = {"cpu", "io", "memory"} - set(controllers.split())
    if missing:
        return Finding("cgroup v2", State.ABSENT, f"without {', '.join(sorted(missing))}", without)
    return Finding("cgroup v2", State.WORKS, controllers)


def _systemd(m: Machine) -> Finding:
    if m.path("/run/systemd/system").is_dir():
        return Finding("systemd", State.WORKS, "it runs this machine")
    return Finding("systemd", State.ABSENT, "another init", "applications are told apart by their sessions only")


def _dbus(m: Machine) -> Finding:
    return _socket_finding(m, "system D-Bus", ("/run/dbus/system_bus_socket",), "sessions and units cannot be asked")


def _audio(m: Machine) -> Finding:
    patterns = ("run/user/*/pipewire-0", "run/user/*/pulse/native")
    found = [f"/{p.relative_to(m.root)}" for pattern in patterns for p in _glob(m.root, pattern)]
    if found:
        return Finding("audio server", State.WORKS, ", ".join(found[:4]))
    return Finding("audio server", State.ABSENT, "no PipeWire or PulseAudio socket", "who plays sound is unknown")


def _session(m: Machine) -> Finding:
    if next(_glob(m.root, "run/user/*/wayland-*"), None) is not None:
        return Finding("graphical session", State.WORKS, "Wayland")
    if next(_glob(m.root, "tmp/.X11-unix/X*"), None) is not None:
        return Finding("graphical session", State.WORKS, "X11")
    return Finding("graphical session", State.ABSENT, "neither Wayland nor X11", "focus is unknown; behaviour decides")


def _input(m: Machine) -> Finding:
    devices = list(_glob(m.root, "dev/input/event*"))
    without = "when a person is active is unknown"
    if not devices:
        return Finding("input devices", State.ABSENT, "no /dev/input/event*", without)
    readable = [d for d in devices if os.access(d, os.R_OK)]
    if not readable:
        return Finding("input devices", State.REFUSED, "none may be read", without, "run as root, or in group input")
    return Finding("input devices", State.WORKS, f"{len(readable)} of {len(devices)} may be read")


CHECKS: tuple[Callable[[Machine], Finding], ...] = (
    _root,
    _btf,
    _libbpf,
    _iterator,
    _events,
    _slices,
    _raising,
    _autogroup,
    _cgroups,
    _systemd,
    _dbus,
    _session,
    _input,
    _audio,
)


TRIED = (_session, _input, _audio)
"""On a real machine `_person` tries these, rather than looks at files."""


def _socket_finding(m: Machine, name: str, paths: tuple[str, ...], without: str) -> Finding:
    found = next((p for p in paths if m.path(p).is_socket()), None)
    if found is None:
        return Finding(name, State.ABSENT, f"no {paths[0]}", without)
    if m.is_real and not _answers(found):
        return Finding(name, State.REFUSED, f"nobody answers at {found}", without)
    return Finding(name, State.WORKS, found)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _person(m: Machine) -> Iterator[Finding]:
    """What tells of the person, tried for a moment as the daemon would: it takes about two seconds."""
    if not m.is_real:
        return
    from smoothtask.person.glance import glance  # noqa: PLC0415 (starts a process for each desktop)

    for source in glance(None if m.uid == 0 else m.uid):
        state = State(source.health.value.replace("working", "works"))
        yield Finding(
            source.name, state, source.text, WITHOUT.get(source.name.partition(":")[0], _GUESSED), source.remedy
        )


def _meters(m: Machine) -> Iterator[Finding]:
    from smoothtask.cli import meters  # noqa: PLC0415 (it imports this)

    yield from meters.findings(m)


def _pressure(m: Machine) -> Iterator[Finding]:
    for resource in ("cpu", "io", "memory"):
        name = f"pressure of {resource} (PSI)"
        if m.read(f"/proc/pressure/{resource}"):
            yield Finding(name, State.WORKS, f"/proc/pressure/{resource}")
        else:
            yield Finding(
                name,
                State.ABSENT,
                f"/proc/pressure/{resource} cannot be read",
                "contention is seen by run-queue waits and the probe only",
                "boot with psi=1",
            )
    if m.is_real:
        yield _triggers()


def _triggers() -> Finding:
    from smoothtask.kernel.psi import PsiTriggers  # noqa: PLC0415 (asks the kernel)

    triggers = PsiTriggers()
    try:
        works, reasons = ", ".join(triggers.filenos), "; ".join(triggers.unavailable.values())
    finally:
        triggers.close()
    if works:
        return Finding("pressure triggers", State.WORKS, works)
    return Finding("pressure triggers", State.REFUSED, reasons, "contention waits for the next tick")


def _disks(m: Machine) -> Iterator[Finding]:
    """Which disks' schedulers honour IO priorities: bfq does, mq-deadline knows classes, others ignore them."""
    for file in sorted(_glob(m.root, "sys/block/*/queue/scheduler")):
        disk = file.parts[-3]
        match = re.search(r"\[(\S+)\]", m.read(f"/sys/block/{disk}/queue/scheduler") or "")
        if match is None or disk.startswith(("loop", "ram", "zram", "dm-")):
            continue
        name = f"IO priorities on {disk}"
        if match[1] in {"bfq", "mq-deadline"}:
            yield Finding(name, State.WORKS, f"scheduler {match[1]}")
        else:
            yield Finding(
                name,
                State.ABSENT,
                f"scheduler {match[1]} ignores them",
                "a background copy is not slowed down on this disk",
                f"echo bfq > /sys/block/{disk}/queue/scheduler (where bfq is available)",
            )


def _other_owners(m: Machine) -> Iterator[Finding]:
    """Who else sets priorities; other SmoothTask daemons are found by their scopes."""
    for owner in owners.find(owners.read_processes(m.root), m.root):
        pid = f", pid {owner.pid}" if owner.pid is not None else ""
        detail = f"{standback.title(owner)}{pid}: left to it: {standback.says(owner)}"
        yield Finding("sets priorities, too", State.NOTE, detail, "", standback.remedy(owner))


def _scopes(paths: Paths) -> Iterator[Finding]:
    """Which daemon manages what."""
    try:
        found = holders(paths.held)
    except PermissionError:
        yield Finding("scopes", State.NOTE, "only root may see which daemons manage what")
        return
    for holder in found:
        if holder.alive:
            detail = f"{holder.scope} is managed by pid {holder.pid} ({holder.runtime_dir})"
            yield Finding("scope", State.NOTE, detail)
        elif holder.left_changes:
            yield Finding(
                "scope",
                State.WRONG,
                f"pid {holder.pid}, which managed {holder.scope}, died without putting back what it had changed",
                "",
                f"`smoothtask --runtime-dir {holder.runtime_dir} restore`",
            )


def _places(paths: Paths) -> Iterator[Finding]:
    try:
        load_settings(paths.config_file, required=paths.config_required)
    except ConfigError as error:
        said = "; ".join(map(str, error.problems))
        yield Finding("configuration", State.WRONG, said, "", "`smoothtask config check` lists every error")
    else:
        there = "fine" if paths.config_file.exists() else "missing, so the defaults hold"
        yield Finding("configuration", State.WORKS, f"{paths.config_file}: {there}")
    place = paths.state_dir
    while not place.exists() and place != place.parent:
        place = place.parent
    free_bytes = shutil.disk_usage(place).free
    detail = f"{free_bytes // (1024 * 1024)} MiB free for {paths.state_dir}"
    if free_bytes < LOW_SPACE_BYTES:
        yield Finding("space", State.ABSENT, detail, "recording stops", "make room, or set store.keep_mb lower")
    else:
        yield Finding("space", State.WORKS, detail)


def _model(paths: Paths) -> Iterator[Finding]:
    """The learned model; a configuration that cannot be read is a finding of its own."""
    from smoothtask.cli.model import examined  # noqa: PLC0415 - numpy, for this alone
    from smoothtask.ranker.shelf import Shelf  # noqa: PLC0415

    try:
        settings = load_settings(paths.config_file, required=paths.config_required)
    except ConfigError:
        return
    evaluator = settings.ranker.evaluator
    if settings.mode == "rules-only" or evaluator == "off":
        yield Finding("model", State.NOTE, "off, as configured: rules decide alone")
        return
    try:
        found = examined(Shelf(paths.models), (evaluator,))
    except PermissionError:
        yield Finding("model", State.NOTE, "only root may see which model is installed")
        return
    if found["refused"]:
        yield Finding(
            "model",
            State.REFUSED,
            f"{found['current'] or 'what is installed'}: {found['refused']}",
            "rules decide alone",
            "`smoothtask model install DIR` installs another, `smoothtask model rollback` the one before",
        )
    elif found["current"] is None:
        yield Finding("model", State.NOTE, "none is installed: rules decide alone", "", "`smoothtask train` makes one")
    else:
        speed = f"{found['cpu_ms'][evaluator]:.2f} ms of CPU for 200 groups"
        yield Finding("model", State.WORKS, f"{found['current']} by {evaluator}: {speed}")


def _glob(root: Path, pattern: str) -> Iterator[Path]:
    """`Path.glob` that passes over what may not be read or has gone."""
    try:
        yield from root.glob(pattern)
    except OSError:
        return
