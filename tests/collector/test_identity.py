"""collector.identity on real processes, most of them hostile; and its pure parts."""

import os
import pty
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.collector.identity import (
    ENVIRON_KEYS,
    MAX_ARGUMENT,
    MAX_ARGUMENTS,
    MAX_CMDLINE,
    MAX_VALUE,
    container_of,
    flatpak_of,
    parse_cgroup,
    parse_cmdline,
    parse_environ,
    parse_stat,
    read_identity,
    snap_of,
    tty_name,
    unescape,
    unit_of,
    user_name,
    wine_exe_of,
)
from smoothtask.kernel import cgroup2
from smoothtask.kernel.owners import read_processes
from smoothtask.kernel.psi import read_cgroup_pressure
from smoothtask.model.identity import Identity
from smoothtask.model.system import Pressure
from smoothtask.model.text import sanitise

ID = "0123456789abcdef" * 4
WAIT = ["sh", "-c", "read line"]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def start_ticks(pid: int) -> int:
    return parse_stat(Path(f"/proc/{pid}/stat").read_bytes()).start_ticks


def identity_of(pid: int) -> Identity:
    identity = read_identity(pid, start_ticks(pid))
    assert identity is not None
    return identity


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


@contextmanager
def running(*args: str | bytes, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """A program that waits on its standard input, until the block ends."""
    program = subprocess.Popen(list(args), stdin=subprocess.PIPE, **options)  # type: ignore[call-overload]
    # Popen returns as soon as the pipe closes on exec, which is a moment before the new command line is there.
    while not Path(f"/proc/{program.pid}/cmdline").read_bytes():
        time.sleep(0.001)
    try:
        wait_for(lambda: identity_of(program.pid).exe != identity_of(os.getpid()).exe)
        yield program
    finally:
        program.kill()
        program.stdin.close()
        program.wait()


def all_strings(identity: Identity) -> list[str]:
    """Every text in it."""
    texts = [identity.name, *identity.cmdline, *(value for _, value in identity.environ)]
    optional = (identity.exe, identity.cgroup, identity.unit, identity.slice, identity.user, identity.tty)
    return texts + [text for text in optional if text is not None]


def assert_harmless(identity: Identity) -> None:
    """No text holds anything that `sanitise` would replace."""
    for text in all_strings(identity):
        assert sanitise(text, len(text)) == text


def test_an_ordinary_process() -> None:
    """Names, owner, family and session are those that the kernel knows."""
    with running(*WAIT, env={"SteamAppId": "4711", "SECRET": "x", "PATH": os.environ["PATH"]}) as program:
        identity = identity_of(program.pid)
    assert identity.key == (program.pid, identity.key.start_ticks)
    assert identity.ppid == os.getpid()
    assert identity.name == "sh"
    assert identity.exe == os.path.realpath(shutil.which("sh") or "")
    assert identity.cmdline == tuple(WAIT)
    assert identity.uid == os.geteuid()
    assert identity.user == user_name(os.geteuid())
    assert identity.sid == os.getsid(0)
    assert identity.environ == {("SteamAppId", "4711")}
    assert not identity.kernel_thread
    assert not identity.foreign_namespace


def test_a_hostile_name(tmp_path: Path) -> None:
    """Escapes, markup, parentheses and bytes that are not UTF-8, in comm and in the file's own name."""
    hostile = os.fsencode(tmp_path) + b"/\x1b[31m) R 1 [b]\xff"
    shutil.copy(os.fsencode(shutil.which("cat") or ""), hostile)
    with running(hostile) as program:
        wait_for(lambda: identity_of(program.pid).name != identity_of(os.getpid()).name)
        identity = identity_of(program.pid)
    assert_harmless(identity)
    assert identity.name == "\ufffd[31m) R 1 [b]\ufffd"
    assert identity.exe is not None
    assert identity.exe.endswith("/\ufffd[31m) R 1 [b]\ufffd")
    assert identity.basename == "\ufffd[31m) R 1 [b]\ufffd"
    assert identity.ppid == os.getpid()


NAMED = """
import ctypes, os, sys
if sys.argv[2] != "-1":
    os.setuid(int(sys.argv[2]))
ctypes.CDLL(None).prctl(15, os.fsencode(sys.argv[1]), 0, 0, 0)  # PR_SET_NAME
print("ready", flush=True)
input()
"""


@pytest.mark.parametrize("comm", [b"Uid:\t0\t0\t0", b"\rUid:\t0\t0\t0", b"\nUid:\t0\t0\t0", b"\x85Uid:\t0\t0\t0"])
def test_a_name_that_looks_like_an_owner(comm: bytes) -> None:
    """The kernel prints comm into the file that says whose a process is, before the line that says it."""
    uid = 65534 if os.geteuid() == 0 else -1
    command = [sys.executable, "-S", "-c", NAMED, comm, str(uid)]
    program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
        identity = identity_of(program.pid)
        assert identity.uid == (os.geteuid() if uid == -1 else uid)
        assert identity.user == user_name(identity.uid)
        assert identity.name == sanitise(comm, 64)
        assert [i.uid for i in read_processes() if i.key.pid == program.pid] == [identity.uid]
    finally:
        program.kill()
        program.communicate()


def test_a_hostile_command_line() -> None:
    """Controls, bidi overrides and broken UTF-8 are replaced, argument by argument."""
    with running(*WAIT, b"\x1b]0;title\x07", "a\u202eb\nc".encode(), b"\xc3\x28\xff", b"") as program:
        identity = identity_of(program.pid)
    assert_harmless(identity)
    assert identity.cmdline[3:] == ("\ufffd]0;title\ufffd", "a\ufffdb\ufffdc", "\ufffd(\ufffd", "")


def test_a_huge_command_line_and_environment() -> None:
    """Arguments of 128 KiB, thousands of them, and a vast value are cut."""
    huge = "x" * (128 * 1024 - 1)
    environ = {"SteamGameId": "y" * 100_000, "PATH": os.environ["PATH"]}
    with running(*WAIT, huge, *["z"] * 5000, env=environ) as program:
        identity = identity_of(program.pid)
    assert len(identity.cmdline) <= MAX_ARGUMENTS
    assert identity.cmdline[3].startswith("xxx")
    assert identity.cmdline[3].endswith("…")
    assert len(identity.cmdline[3]) == MAX_ARGUMENT
    assert [len(value) for _, value in identity.environ] == [MAX_VALUE]


def test_many_arguments() -> None:
    """The first 32 are kept."""
    with running(*WAIT, *map(str, range(5000))) as program:
        assert identity_of(program.pid).cmdline == (*WAIT, *map(str, range(MAX_ARGUMENTS - 3)))


def test_a_removed_program(tmp_path: Path) -> None:
    """An update removes the file that runs: its name stays, without the kernel's mark."""
    path = tmp_path / "game"
    shutil.copy(shutil.which("cat") or "", path)
    with running(str(path)) as program:
        path.unlink()
        assert identity_of(program.pid).exe == str(path)


def test_nothing_is_looked_up_where_a_process_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk of a removed program may not answer, and whoever asks it waits."""
    path = tmp_path / "game"
    shutil.copy(shutil.which("cat") or "", path)
    with running(str(path)) as program:
        path.unlink()
        ticks = start_ticks(program.pid)
        for name in ("stat", "lstat", "open", "readlink", "access"):
            monkeypatch.setattr(os, name, _only_below_proc(getattr(os, name)))
        identity = read_identity(program.pid, ticks)
        monkeypatch.undo()
    assert identity is not None
    assert identity.exe == str(path)


def _only_below_proc(real: Callable[..., object]) -> Callable[..., object]:
    def guarded(path: str | bytes, *args: object, **options: object) -> object:
        assert os.fsencode(path).startswith(b"/proc/"), path
        return real(path, *args, **options)

    return guarded


def test_a_program_deeper_than_the_kernel_can_tell(tmp_path: Path) -> None:
    """It has no path, and everything else."""
    copy = tmp_path / "cat"
    shutil.copy(shutil.which("cat") or "", copy)
    start = (
        "import os, sys\n"
        "for _ in range(25):\n"
        "    os.mkdir('d' * 200)\n"
        "    os.chdir('d' * 200)\n"
        "os.link(sys.argv[1], 'cat')\n"
        "os.execv('./cat', ['cat'])\n"
    )
    command = [sys.executable, "-S", "-c", start, str(copy)]
    program = subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE)
    try:
        wait_for(lambda: Path(f"/proc/{program.pid}/cmdline").read_bytes() == b"cat\0")
        identity = identity_of(program.pid)
        assert (identity.exe, identity.basename, identity.uid) == (None, "cat", os.geteuid())
    finally:
        program.kill()
        program.communicate()


def test_another_program_in_the_same_process() -> None:
    """After exec the same process has another identity."""
    with running("sh", "-c", "read line; exec sleep 60") as program:
        before = identity_of(program.pid)
        assert program.stdin is not None
        program.stdin.write(b"\n")
        program.stdin.flush()
        wait_for(lambda: identity_of(program.pid).name == "sleep")
        after = identity_of(program.pid)
    assert before.name == "sh"
    assert before.key == after.key
    assert after.cmdline == ("sleep", "60")


def test_a_zombie() -> None:
    """It has its name, owner and parent still, and nothing else."""
    with subprocess.Popen(["true"]) as program:
        wait_for(lambda: b") Z " in Path(f"/proc/{program.pid}/stat").read_bytes())
        identity = identity_of(program.pid)
        assert identity.name == "true"
        assert identity.exe is None
        assert identity.cmdline == ()
        assert identity.uid == os.geteuid()
        assert not identity.kernel_thread
        assert not identity.foreign_namespace


def test_one_that_is_gone() -> None:
    """A process that ended is `None`."""
    with subprocess.Popen(["true"]) as program:
        ticks = start_ticks(program.pid)
    assert read_identity(program.pid, ticks) is None


def test_a_pid_that_is_anothers_by_now() -> None:
    """The same pid with another start is nobody we know."""
    assert read_identity(os.getpid(), start_ticks(os.getpid()) - 1) is None
    assert read_identity(os.getpid(), start_ticks(os.getpid())) is not None


def test_a_pid_that_changes_hands_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read between two owners is thrown away."""
    ticks = start_ticks(os.getpid())
    data = Path("/proc/self/stat").read_bytes()
    later = data.replace(b" %d " % ticks, b" %d " % (ticks + 7))
    assert parse_stat(later).start_ticks == ticks + 7
    stats = iter([data, later])
    module = sys.modules["smoothtask.collector.identity"]
    real = module._read

    def read(path: str, limit: int = 4096) -> bytes:
        return next(stats) if path.endswith("/stat") else real(path, limit)

    monkeypatch.setattr(module, "_read", read)
    assert read_identity(os.getpid(), ticks) is None


def test_a_kernel_thread() -> None:
    """No program, no arguments, and it is known as one."""
    if not Path("/proc/2/stat").exists():
        pytest.skip("no kernel threads in this namespace")
    identity = identity_of(2)
    assert identity.kernel_thread
    assert identity.exe is None
    assert identity.cmdline == ()
    assert identity.name == "kthreadd"


def test_a_terminal() -> None:
    """A pty is named as ps(1) names it, also one that is younger than we are."""
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs).removeprefix("/dev/")
    take = "import fcntl, termios\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\nprint('ready', flush=True)\ninput()"
    program = subprocess.Popen([sys.executable, "-S", "-c", take], stdin=theirs, stdout=theirs, start_new_session=True)
    try:
        os.close(theirs)
        assert os.read(ours, 100).startswith(b"ready")
        identity = identity_of(program.pid)
        assert identity.tty == name
        assert identity.sid == program.pid
    finally:
        program.kill()
        program.wait()
        os.close(ours)


@pytest.mark.root
@as_root
def test_another_pid_namespace() -> None:
    """A process in a container's namespace is seen to be in another than ours."""
    with ExitStack() as stack:
        outer = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", "read x; true"], stdin=-1)
        stack.callback(outer.wait)
        stack.callback(outer.kill)
        assert outer.stdin is not None
        stack.callback(outer.stdin.close)
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
        wait_for(lambda: children.read_text().strip() or outer.poll() is not None)
        if outer.poll() is not None:
            pytest.skip("no pid namespaces here")
        assert identity_of(int(children.read_text())).foreign_namespace
        assert not identity_of(outer.pid).foreign_namespace


@pytest.mark.root
@as_root
def test_what_may_not_be_read_is_none() -> None:
    """An unprivileged reader gets names, and no program from argv[0], which the process wrote itself."""
    with running("/bin/true", "-c", "read line", executable=shutil.which("sh")) as program:
        os.seteuid(65534)
        try:
            identity = identity_of(program.pid)
        finally:
            os.seteuid(0)
    assert identity.exe is None
    assert identity.environ == frozenset()
    assert identity.uid == 0
    assert identity.cmdline[0] == "/bin/true"
    assert not identity.foreign_namespace


def test_a_program_in_memory_is_called_what_it_was_started_as() -> None:
    """Its link names a memfd, which is no file: each such program would be an application of its own."""
    start = (
        "import os\n"
        "fd = os.memfd_create('sealed-1234')\n"
        "os.write(fd, open('/bin/sleep', 'rb').read())\n"
        "os.execve(fd, ['opt/backend', '60'], {})\n"
    )
    program = subprocess.Popen([sys.executable, "-S", "-c", start])
    try:
        wait_for(lambda: Path(f"/proc/{program.pid}/cmdline").read_bytes().startswith(b"opt/backend\0"))
        assert os.readlink(f"/proc/{program.pid}/exe").startswith("/memfd:")
        identity = identity_of(program.pid)
    finally:
        program.kill()
        program.wait()
    assert (identity.exe, identity.basename) == (None, "backend")


def test_another_root(tmp_path: Path) -> None:
    """A recorded tree is read like a machine."""
    base = tmp_path / "42"
    (base / "ns").mkdir(parents=True)
    fields = ["S", "1", "42", "42", str(136 << 8 | 3), *["0"] * 14, "777", *["0"] * 30]
    (base / "stat").write_text(f"42 (a) b) {' '.join(fields)}\n")
    (base / "status").write_text("Name:\ta\nUid:\t1000\t65533\t1000\t1000\n")
    (base / "cmdline").write_bytes(b"Z:\\game.exe\0")
    (base / "environ").write_bytes(b"SNAP_NAME=foo\0A=B\0")
    (base / "cgroup").write_text(f"0::/system.slice/docker-{ID}.scope\n")
    (base / "exe").symlink_to("/opt/wine/bin/wine64-preloader")
    (base / "ns" / "pid").symlink_to("pid:[2]")
    (tmp_path / "self" / "ns").mkdir(parents=True)
    (tmp_path / "self" / "ns" / "pid").symlink_to("pid:[1]")
    (tmp_path / "stat").write_text("btime 1700000000\n")
    identity = read_identity(42, 777, str(tmp_path))
    assert (
        identity
        == Identity(
            key=(42, 777),  # type: ignore[arg-type]
            ppid=1,
            name="a) b",
            uid=65533,
            user=user_name(65533),
            exe="/opt/wine/bin/wine64-preloader",
            cmdline=("Z:\\game.exe",),
            cgroup=f"/system.slice/docker-{ID}.scope",
            unit=f"docker-{ID}.scope",
            slice="system.slice",
            container=ID[:12],
            snap="foo",
            wine_exe="game.exe",
            tty="pts/3",
            sid=42,
            environ=frozenset({("SNAP_NAME", "foo")}),
            foreign_namespace=True,
        )
    )


def test_reading_leaves_no_descriptor() -> None:
    """However often, and whether or not there was somebody."""
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        identity_of(os.getpid())
        read_identity(os.getpid(), 1)
    assert len(os.listdir("/proc/self/fd")) == before


@given(st.binary(max_size=15), st.integers(0, 2**22), st.integers(0, 2**40))
def test_parse_stat_whatever_comm_holds(comm: bytes, ppid: int, ticks: int) -> None:
    """Spaces, parentheses and newlines in comm move no field."""
    tail = b" S %d 3 4 5 6 2097152 %s %d 0 0" % (ppid, b"0 " * 11 + b"0", ticks)
    stat = parse_stat(b"7 (" + comm + b")" + tail)
    assert (stat.comm, stat.ppid, stat.sid, stat.tty_nr, stat.start_ticks) == (comm, ppid, 4, 5, ticks)


@given(st.binary(max_size=20_000))
def test_any_command_line_is_bounded(data: bytes) -> None:
    """32 arguments of 256 characters, 4 KiB in all."""
    cmdline = parse_cmdline(data)
    assert len(cmdline) <= MAX_ARGUMENTS
    assert all(len(argument) <= MAX_ARGUMENT for argument in cmdline)
    assert sum(map(len, cmdline)) <= MAX_CMDLINE


@given(st.lists(st.text(st.characters(categories=["L", "N"]), max_size=50), min_size=1, max_size=20))
def test_a_tame_command_line_is_kept(arguments: list[str]) -> None:
    """What is short and printable comes out as it was, empty arguments and all."""
    assert parse_cmdline("".join(f"{argument}\0" for argument in arguments).encode()) == tuple(arguments)


@given(st.binary(max_size=2000))
def test_any_environment_is_filtered(data: bytes) -> None:
    """Nothing but known names, whatever the process wrote."""
    assert {key for key, _ in parse_environ(data)} <= ENVIRON_KEYS


def test_environment() -> None:
    """The first of a name counts; names must match whole; values are made harmless."""
    data = b"CI=1\0CI=2\0XCI=3\0CIX=4\0container=\x1b[2J\0MAKELEVEL\0=x\0WINEPREFIX=a=b\0"
    expected = {("CI", "1"), ("container", "\ufffd[2J"), ("MAKELEVEL", ""), ("WINEPREFIX", "a=b")}
    assert parse_environ(data) == expected


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("0::/a\x850::/system.slice/sshd.service\n", "/a\ufffd0::/system.slice/sshd.service"),
        ("0::/a\x850::foo\n", "/a\ufffd0::foo"),
        ("0::/a\u20280::/b\n", "/a\ufffd0::/b"),
        ("1:name=systemd:/a\x1c0::/b\n", "/a\ufffd0::/b"),
        ("0::/a\r0::/b\n", "/a\ufffd0::/b"),
        ("0::/../x.service\n", None),
        ("0::foo\n", None),
        ("0::/user.slice/a.scope\n", "/user.slice/a.scope"),
        ("3:cpu,cpuacct:/x\n1:name=systemd:/system.slice/b.service\n0::/\n", "/system.slice/b.service"),
        ("1:name=systemd:/old\n0::/new\n", "/new"),
        ("0::/\n", "/"),
        ("0::/a:b/c.scope\n", "/a:b/c.scope"),
        ("0::/gone.scope (deleted)\n", "/gone.scope"),
        ("0::/evil\x1b[0m\n", "/evil\ufffd[0m"),
        ("3:cpu:/x\n", None),
        ("", None),
    ],
)
def test_parse_cgroup(text: str, path: str | None) -> None:
    """v2 first, systemd's own hierarchy of v1 else; only a newline ends a line."""
    assert parse_cgroup(text.encode()) == path


@given(st.binary(max_size=3000))
def test_no_cgroup_is_an_error(data: bytes) -> None:
    """And the pressure of whatever comes out can be asked for: a name of controls grows when it is made harmless."""
    for path in (parse_cgroup(data), parse_cgroup(b"0::/" + data)):
        assert path is None or path.startswith("/")
        if path is not None:
            assert read_cgroup_pressure(path, "/nowhere") == Pressure()
    assert read_cgroup_pressure(parse_cgroup(b"0::/" + b"\x01" * 255) or "", "/sys") == Pressure()


UNIFIED = next((p for p in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup") if cgroup2.mounted(p)), "")


@pytest.mark.root
@as_root
@pytest.mark.skipif(not UNIFIED, reason="no cgroup v2 here")
@pytest.mark.parametrize("parts", [["a\x850::", "system.slice", "sshd.service"], ["a\x850::foo"], ["d" * 200] * 22])
def test_a_cgroup_of_a_hostile_name(parts: list[str]) -> None:
    """It is what the kernel says, which cuts what is too deep to be told; nothing is raised."""
    home = cgroup2.of_process(os.getpid()) or "/"
    folder = os.open(UNIFIED + home, os.O_RDONLY)
    made: list[int] = []
    with running(*WAIT) as program:
        try:
            for part in parts:
                os.mkdir(part, dir_fd=made[-1] if made else folder)
                made.append(os.open(part, os.O_RDONLY, dir_fd=made[-1] if made else folder))
            procs = os.open("cgroup.procs", os.O_WRONLY, dir_fd=made[-1])
            os.write(procs, str(program.pid).encode())
            os.close(procs)
            identity = identity_of(program.pid)
            path = "/".join([home.rstrip("/"), *parts])
            assert path.startswith(cgroup2.of_process(program.pid) or "/")
            assert identity.cgroup is not None
            assert path.replace("\x85", "\ufffd").startswith(identity.cgroup.removesuffix("…"))
            assert identity.cgroup != "/"
            assert read_cgroup_pressure(identity.cgroup, UNIFIED) == Pressure()
        finally:
            program.kill()
            program.wait()
            for fd, part in zip([folder, *made][-2::-1], parts[::-1], strict=True):
                os.rmdir(part, dir_fd=fd)
            for fd in (folder, *made):
                os.close(fd)


APP = "/user.slice/user-1000.slice/user@1000.service/app.slice/"


@pytest.mark.parametrize(
    ("path", "unit", "slice_"),
    [
        ("/init.scope", "init.scope", None),
        ("/system.slice/cron.service", "cron.service", "system.slice"),
        ("/user.slice/user-1000.slice/session-2.scope", "session-2.scope", "user-1000.slice"),
        (APP + "app-firefox-7.scope", "app-firefox-7.scope", "app.slice"),
        (APP + "vte-spawn-1.scope/sub", "vte-spawn-1.scope", "app.slice"),
        ("/system.slice/k3s.service/kubepods/x", "k3s.service", "system.slice"),
        ("/system.slice/a.mount", None, "system.slice"),
        ("/.scope", None, None),
        ("/", None, None),
    ],
)
def test_unit_of(path: str, unit: str | None, slice_: str | None) -> None:
    """The innermost unit, and the slice around it."""
    assert unit_of(path) == (unit, slice_)


def test_unescape() -> None:
    """Readable where that is safe; as it is where it would deceive."""
    assert unescape(r"app-google\x2dchrome-1.scope") == "app-google-chrome-1.scope"
    assert unescape(r"a\xc3\xa9b.service") == "aéb.service"
    for kept in (r"a\x1bb", r"a\x0ab", r"a\xffb", r"a\x2fb", r"a\x2", "a\\x"):
        assert unescape(kept) == kept


@pytest.mark.parametrize(
    ("path", "container"),
    [
        (f"/system.slice/docker-{ID}.scope", ID[:12]),
        (f"/docker/{ID}", ID[:12]),
        (f"/docker/{ID}/system.slice/cron.service", ID[:12]),
        (f"/machine.slice/libpod-{ID}.scope/container", ID[:12]),
        (f"/machine.slice/libpod-conmon-{ID}.scope", None),
        (f"/kubepods.slice/kubepods-pod12.slice/cri-containerd-{ID}.scope", ID[:12]),
        (f"/kubepods/besteffort/pod0a-1/{ID}", ID[:12]),
        (f"/kubepods.slice/crio-{ID}.scope", ID[:12]),
        (f"/kubepods.slice/crio-conmon-{ID}.scope", None),
        (f"/system.slice:docker:{ID}", ID[:12]),
        ("/lxc.payload.web", "web"),
        ("/lxc.monitor.web", None),
        ("/lxc/web/init.scope", "web"),
        ("/machine.slice/systemd-nspawn@deb.service/payload", "deb"),
        (r"/machine.slice/machine-my\x2dbox.scope", "my-box"),
        (r"/machine.slice/machine-qemu\x2d1\x2dvm.scope", None),
        ("/user.slice/user-1000.slice/session-2.scope", None),
        (f"/x/{ID}0", None),
        ("/", None),
    ],
)
def test_container_of(path: str, container: str | None) -> None:
    """Every manager's way of naming; the helpers beside a container are not in it."""
    assert container_of(path) == container


def test_flatpak_and_snap() -> None:
    """The unit tells; the environment does where the unit is the terminal's."""
    assert flatpak_of("app-flatpak-org.gnome.Boxes-1234.scope", {}) == "org.gnome.Boxes"
    assert flatpak_of(r"app-flatpak-org.a\x2db-9.scope", {"FLATPAK_ID": "x"}) == "org.a-b"
    assert flatpak_of("vte-spawn-1.scope", {"FLATPAK_ID": "org.x"}) == "org.x"
    assert flatpak_of("app-firefox-7.scope", {"FLATPAK_ID": ""}) is None
    assert flatpak_of("vte-spawn-1.scope", {"FLATPAK_ID": "org.x/y"}) is None
    assert flatpak_of(r"app-flatpak-org.a\x3ab-9.scope", {"FLATPAK_ID": "org.x"}) is None
    assert snap_of("snap.firefox.firefox-0f2d.scope", {}) == "firefox"
    assert snap_of("snap.lxd.daemon.service", {}) == "lxd"
    assert snap_of(None, {"SNAP_NAME": "foo", "SNAP_INSTANCE_NAME": "foo_2"}) == "foo_2"
    assert snap_of("snapd.service", {}) is None


@pytest.mark.parametrize(
    ("cmdline", "exe", "program"),
    [
        (["Z:\\games\\Foo Bar.EXE", "-x"], "/usr/bin/wine64-preloader", "Foo Bar.EXE"),
        (["wine", "game.exe"], "/usr/lib/wine/wine", "game.exe"),
        (["/usr/bin/wine-preloader", "/usr/bin/wine", "C:/a/b.exe"], "/usr/bin/wine-preloader", "b.exe"),
        (["wine", "--help"], "/usr/bin/wine", None),
        (["grep", "Z:\\a\\game.exe"], "/usr/bin/grep", None),
        (["C:\\windows\\system32\\services.exe"], None, "services.exe"),
        (["game.exe"], None, None),
        ([], None, None),
        (["wineserver"], "/usr/bin/wineserver", None),
    ],
)
def test_wine_exe_of(cmdline: list[str], exe: str | None, program: str | None) -> None:
    """Only under a loader, or where the loader is hidden and the process calls itself so."""
    assert wine_exe_of(cmdline, exe) == program


def test_tty_name() -> None:
    """Consoles, serial lines and ptys, with the device number split as the kernel packs it."""
    names = {0: None, 4 << 8 | 1: "tty1", 4 << 8 | 64: "ttyS0", 136 << 8 | 12: "pts/12", 137 << 8: "pts/256"}
    assert {number: tty_name(number) for number in names} == names
    assert tty_name(136 << 8 | 1 << 20) == "pts/256"
    assert tty_name(204 << 8 | 64) == "tty(204,64)"
    assert tty_name(-1) is not None
