"""What the shipped rules make of well-known processes, through the real loader and matcher."""

from functools import cache
from pathlib import Path

import pytest

from smoothtask.classifier.layers import RuleFiles
from smoothtask.classifier.match import RuleSet
from smoothtask.classifier.reading import load
from smoothtask.model.identity import Identity
from smoothtask.model.tasks import ProcKey

STEAM = frozenset({("SteamAppId", "570")})
FIREFOX = "/usr/lib/firefox-esr/firefox-esr"
CHROME = "/opt/google/chrome/chrome"
JAVA = "/usr/lib/jvm/java-17/bin/java"
PYTHON = "/usr/bin/python3.11"
FFMPEG = "/usr/bin/ffmpeg"
R = "/usr/lib/R/bin/exec/R"


@cache
def rules() -> RuleSet:
    nowhere = Path("/nonexistent")
    return load(RuleFiles(runtime=nowhere, distro=nowhere, user=nowhere, ananicy=None, homes=False)).rules


def process(exe: str, /, *arguments: str, **fields: object) -> Identity:
    values = {"ppid": 1, "name": exe.rpartition("/")[2][:15], "uid": 1000, "cmdline": (exe, *arguments)} | fields
    return Identity(key=ProcKey(5, 5), **({"exe": exe} | values))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("identity", "app"),
    [
        (process(FIREFOX), "firefox"),
        (process(FIREFOX, "-contentproc", "-childID", "3", "-isForBrowser", "tab"), "firefox-content"),
        (process(FIREFOX, "-contentproc", "-parentBuildID", "20", "rdd"), "firefox"),
        (process("/app/lib/firefox/firefox", "-contentproc", "tab", flatpak="org.mozilla.firefox"), "firefox-content"),
        (process(CHROME, "--type=renderer"), "chromium-content"),
        (process(CHROME, "--type=utility", "--utility-sub-type=audio.mojom.AudioService"), "chromium-audio"),
        (process(CHROME, "--type=utility", "--utility-sub-type=network.mojom.NetworkService"), "google-chrome"),
        (process("/usr/bin/x86_64-linux-gnu-gcc-12"), "gcc"),
        (process("/usr/lib/gcc/x86_64-linux-gnu/12/cc1"), "gcc"),
        (process("/usr/bin/x86_64-linux-gnu-as"), "assembler"),
        (process("/usr/bin/x86_64-linux-gnu-ld.bfd"), "linker"),
        (process("/usr/bin/gcc", flatpak="com.visualstudio.code"), "gcc"),
        (process("/usr/bin/node", "/p/node_modules/.bin/vite"), "vite"),
        (process("/usr/bin/node", "/x/tsserver.js"), "typescript-server"),
        (process(JAVA, "-Djava.library.path=/home/u/.minecraft/bin"), "minecraft"),
        (process(JAVA, "org.gradle.launcher.daemon.bootstrap.GradleDaemon"), "gradle"),
        (process(PYTHON, "-m", "pip", "install", "x"), "pip"),
        (process(PYTHON, "/usr/bin/unattended-upgrade", name="unattended-upgr"), "unattended-upgrades"),
        (process(PYTHON, "/opt/smoothtask/bin/smoothtask", "top"), "smoothtask"),
        (process(R), "r-project"),
        (process(R, "--file=x.R"), "r-batch"),
        (process("/games/dota2", environ=STEAM), "dota2"),
        (process("/games/nobody-knows", environ=STEAM), "steam-game"),
        (process("/usr/bin/gamescope", environ=STEAM), "gamescope"),
        (process("/steam/fossilize_replay", environ=STEAM), "steam-shaders"),
        (process("/usr/bin/wine64-preloader", wine_exe="Wow.exe"), "world-of-warcraft"),
        (process(FFMPEG, "-i", "a.mkv", "b.mp4"), "ffmpeg"),
        (process(FFMPEG, "-f", "x11grab", "-i", ":0"), "ffmpeg-capture"),
        (process("/usr/lib/jellyfin-ffmpeg/ffmpeg"), "jellyfin"),
        (process("/usr/bin/blender", "-b", "x.blend"), "blender-render"),
        (process("/usr/bin/git", "commit", "-m", "git gc"), "git"),
        (process("/usr/bin/git", "gc"), "git-maintenance"),
        (process("/usr/lib/systemd/systemd-journald", unit="systemd-journald.service"), "systemd-services"),
        (process("/usr/lib/systemd/systemd-coredump"), "systemd-coredump"),
        (process("/usr/lib/systemd/systemd", "--user", unit="init.scope"), "systemd"),
        (process("/usr/bin/tmux", name="tmux: server"), "tmux"),
    ],
)
def test_processes_are_recognised(identity: Identity, app: str) -> None:
    assert rules().classify(identity, ()).app == app


@pytest.mark.parametrize(
    "identity",
    [process("/usr/bin/node", "server.js"), process(PYTHON, "app.py"), process(JAVA, "-jar", "app.jar")],
)
def test_an_interpreter_is_nobody(identity: Identity) -> None:
    assert rules().classify(identity, ()).source is None


JOURNAL = "/system.slice/systemd-journald.service"
USERS_UNIT = {"cgroup": "/user.slice/user-1000.slice/user@1000.service/session.slice/x.service"}


@pytest.mark.parametrize(
    "identity",
    [
        process("/home/u/miner", cmdline=("sshd",)),
        process("/home/u/miner", name="sway"),
        process("/home/u/miner", cmdline=("/usr/sbin/sshd", "-D"), name="sshd"),
        process("/home/u/bin/sshd"),
        process("/tmp/sshd"),
        process("/dev/shm/Xorg"),
        process("/usr/bin/stress-ng", cmdline=("sway",), name="sway"),
        process("/usr/bin/stress-ng", cmdline=("sway", "/usr/bin/sway")),
        process("/memfd:x", exe=None, cmdline=("/usr/sbin/sshd",), name="sshd"),
        process("/home/u/river/target/release/river"),
        process("/home/u/x/tsp"),
        process("/usr/bin/tsp"),
        process("/home/u/.local/bin/piper", "--model", "en.onnx"),
        process(PYTHON, "/usr/local/bin/piper", "--model", "en.onnx", name="piper"),
        process("/opt/tools/bin/X"),
        *(process(f"/opt/tools/bin/{name}") for name in ("xl", "jay", "cage", "ly", "eww", "ags", "gala", "snooze")),
        process("/usr/bin/latte"),
        process(PYTHON, "/home/u/qtile", name="qtile"),
        process(PYTHON, "miner.py", "/usr/bin/qtile"),
        process(PYTHON, "-c", "mine()", "/usr/bin/qtile", name="qtile"),
        process(PYTHON, name="qtile"),
        process("/home/u/python3", "/usr/bin/qtile", name="qtile"),
        process("/home/u/miner", unit="org.gnome.Shell@x.service", **USERS_UNIT),
        process("/usr/bin/stress-ng", unit="systemd-journald.service", **USERS_UNIT),
        process("/home/x/hog", unit="systemd-journald.service", cgroup=f"/lxc.payload.box{JOURNAL}", container="box"),
        process("/usr/lib/systemd/systemd-journald", unit="systemd-journald.service", foreign_namespace=True),
    ],
    ids=lambda i: f"{i.exe} as {' '.join(i.cmdline)} ({i.name})",
)
def test_who_only_calls_itself_so_is_not_protected(identity: Identity) -> None:
    """Whatever a user writes into argv[0], comm, the name of a file of theirs or of a unit of theirs."""
    assert not rules().classify(identity, ()).protected


@pytest.mark.parametrize(
    ("identity", "app"),
    [
        (process("/usr/sbin/sshd", cmdline=("sshd: alice [priv]",)), "sshd"),
        (process("/usr/bin/sway"), "sway"),
        (process("/usr/local/bin/labwc"), "labwc"),
        (process("/usr/bin/river"), "river"),
        (process("/nix/store/abc-river-0.3/bin/river"), "river"),
        (process("/nix/store/abc-sway-1.9/bin/.sway-wrapped", cmdline=("sway",)), "sway"),
        (process("/usr/lib/xorg/Xorg", cmdline=("X", ":0")), "xorg"),
        (process("/usr/bin/gnome-shell", unit="org.gnome.Shell@wayland.service", **USERS_UNIT), "gnome-shell"),
        (process(PYTHON, "/usr/bin/qtile", "start", name="qtile"), "qtile"),
        (process("/usr/bin/ruby3.1", "-w", "/usr/bin/fusuma", name="fusuma"), "fusuma"),
        (process("/srv/dbus", uid=81, unit="dbus.service", cgroup="/system.slice/dbus.service"), "dbus"),
        (process("/root/bin/sshd", uid=0), "sshd"),
        (process("/hidden", exe=None, uid=0, cmdline=("/usr/sbin/sshd", "-D"), name="sshd"), "sshd"),
        (process("/usr/lib/systemd/systemd", "--user", unit="init.scope", **USERS_UNIT), "systemd"),
    ],
)
def test_what_holds_the_machine_together_is_protected(identity: Identity, app: str) -> None:
    """By its file, by the system's unit, by a script that only root writes, or because it is root's."""
    found = rules().classify(identity, ())
    assert (found.app, found.protected) == (app, True)
