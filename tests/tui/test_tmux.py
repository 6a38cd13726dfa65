"""The real program on a real terminal, driven as a person does, attached to a real daemon that only observes."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

LIMIT_S = 60.0
SETTINGS = "rules: {ananicy: off, personal: false}\n"
NOBODY = pwd.getpwnam("nobody").pw_uid
QUARRY = "quarry"
"""Of this name is the program that orders are about."""
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="a daemon of root's, and becoming another user, take root"),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]


class Screen:
    """One terminal in a tmux server of its own."""

    def __init__(self, place: Path, command: str, size: tuple[int, int]) -> None:
        self._server = ["tmux", "-S", str(place / f"tmux-{time.monotonic_ns()}"), "-f", "/dev/null"]
        width, height = map(str, size)
        environment = "TERM=screen-256color COLORTERM=truecolor"
        script = f"{environment} {command}; echo left with $?; sleep 600"
        subprocess.run([*self._server, "new-session", "-d", "-x", width, "-y", height, script], check=True)

    def _tmux(self, *command: str) -> str:
        done = subprocess.run([*self._server, *command], capture_output=True, text=True, check=False)
        return done.stdout

    def text(self) -> str:
        """What is on it."""
        return self._tmux("capture-pane", "-p")

    def keys(self, *keys: str) -> None:
        """As typed."""
        self._tmux("send-keys", *keys)

    def ask(self, what: str) -> str:
        """A format of tmux(1), filled in."""
        return self._tmux("display-message", "-p", what).strip()

    def resize(self, width: int, height: int) -> None:
        """Another size."""
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def wait_for(self, text: str, *, gone: bool = False) -> str:
        """Until *text* is there, or *gone*."""
        deadline = time.monotonic() + LIMIT_S
        while (text in (shown := self.text())) is gone:
            assert time.monotonic() < deadline, f"{text!r} {'stays' if gone else 'is not'} on the screen:\n{shown}"
            time.sleep(0.1)
        return shown

    def close(self) -> None:
        """End all of it."""
        self._tmux("kill-server")


class Stage:
    """A daemon, a program of an ordinary user, and terminals."""

    def __init__(self, place: Path, stack: contextlib.ExitStack) -> None:
        self.place, self._stack = place, stack
        (place / "config.yaml").write_text(SETTINGS)
        self.daemon: subprocess.Popen[bytes] | None = None

    @property
    def places(self) -> list[str]:
        return ["--runtime-dir", f"{self.place}/run", "--state-dir", f"{self.place}/state"]

    def start_daemon(self, *, ready: bool = True) -> None:
        command = [sys.executable, "-m", "smoothtask", "daemon", "--observe", *self.places]
        process = subprocess.Popen([*command, "--config", f"{self.place}/config.yaml"])
        self.daemon = process
        self._stack.callback(process.wait, 30)
        self._stack.callback(process.terminate)
        deadline = time.monotonic() + LIMIT_S
        while not (self._answers() if ready else self._holds_its_lock()):
            assert time.monotonic() < deadline
            time.sleep(0.2 if ready else 0.01)

    def _holds_its_lock(self) -> bool:
        with contextlib.suppress(FileNotFoundError), (self.place / "run/lock").open() as file:
            return bool(file.read())
        return False

    def _answers(self) -> bool:
        asked = [sys.executable, "-m", "smoothtask", "status", *self.places]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0

    def start_quarry(self) -> None:
        program = self.place / QUARRY
        shutil.copy("/usr/bin/sleep", program)
        process = subprocess.Popen([program, "600"], start_new_session=True, user=NOBODY, group=NOBODY)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)

    def top(self, *, user: str = "", size: tuple[int, int] = (110, 34)) -> Screen:
        as_user = f"env HOME={self.place}/home setpriv --reuid={user} --regid={user} --clear-groups " if user else ""
        command = f"{as_user}{sys.executable} -m smoothtask top {' '.join(self.places)}"
        screen = Screen(self.place, command, size)
        self._stack.callback(screen.close)
        return screen

    def ask(self, *command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "smoothtask", *command, *self.places], capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr


@pytest.fixture
def stage() -> Iterator[Stage]:
    """In a folder that everybody may come into."""
    with tempfile.TemporaryDirectory(prefix="smoothtask-tmux-") as folder, contextlib.ExitStack() as stack:
        place = Path(folder)
        place.chmod(0o755)
        home = place / "home"
        home.mkdir()
        os.chown(home, NOBODY, NOBODY)
        made = Stage(place, stack)
        made.start_quarry()
        made.start_daemon()
        yield made


def find(screen: Screen) -> None:
    """The cursor on the quarry, alone in the list."""
    screen.wait_for("daemon, pid")
    screen.keys("/")
    screen.keys("-l", QUARRY)
    screen.keys("Enter")
    screen.wait_for(f"filter {QUARRY}")
    screen.wait_for(f"▌  {QUARRY}")


def test_root_pins_labels_undoes_resizes_detaches_and_the_daemon_goes_on(stage):
    screen = stage.top()
    find(screen)
    screen.keys("p", "4")
    screen.wait_for("is pinned to BACKGROUND")
    screen.wait_for("backgrnd")
    assert "BACKGROUND" in stage.ask("explain", QUARRY)
    screen.keys("l", "5")
    screen.wait_for("labelled: quarry should be IDLE")
    screen.keys("z")
    screen.wait_for("undone: label")
    screen.keys("z")
    screen.wait_for("undone: pin")
    screen.wait_for("backgrnd", gone=True)
    screen.resize(60, 15)
    screen.wait_for("F1Help")
    assert all(len(line) <= 60 for line in screen.text().splitlines())
    screen.resize(200, 60)
    screen.wait_for("events, newest first")
    screen.keys("q")
    screen.wait_for("left with 0")
    assert stage.daemon is not None
    assert stage.daemon.poll() is None
    assert "daemon" in stage.ask("status")


def test_two_watch_at_once_and_both_survive_kill_9_of_the_daemon_and_its_return(stage):
    one, two = stage.top(), stage.top(size=(80, 24))
    find(one)
    two.wait_for("Groups")
    assert stage.daemon is not None
    stage.daemon.send_signal(signal.SIGKILL)
    stage.daemon.wait()
    for screen in (one, two):
        screen.wait_for("trying again")
        screen.wait_for("APPLICATION")  # the last picture stays
    one.keys("p", "4")
    one.wait_for("no daemon is running")
    stage.start_daemon()
    for screen in (one, two):
        screen.wait_for("trying again", gone=True)
        screen.wait_for("OBSERVE")
    one.keys("p", "4")
    one.wait_for("is pinned to BACKGROUND")
    for screen in (one, two):
        screen.keys("q")
        screen.wait_for("left with 0")


def test_it_attaches_to_a_daemon_that_has_only_begun_to_start(stage):
    assert stage.daemon is not None
    stage.daemon.terminate()
    stage.daemon.wait()
    (stage.place / "run/lock").write_text("")
    stage.start_daemon(ready=False)
    screen = stage.top()
    screen.wait_for("daemon, pid")
    screen.keys("q")
    screen.wait_for("left with 0")
    assert stage.daemon.poll() is None


def test_an_ordinary_user_orders_about_what_is_theirs_and_sees_the_rest(stage):
    screen = stage.top(user=str(NOBODY), size=(120, 34))
    screen.wait_for("your own applications are yours to order, up to NORMAL")
    find(screen)
    screen.keys("c")
    screen.wait_for("critical✗")
    screen.keys("4")
    screen.wait_for("is BACKGROUND until it exits")
    screen.keys("z")
    screen.wait_for("undone")
    screen.keys("a")
    screen.wait_for("only root may pause")
    screen.keys("Escape")
    screen.wait_for(f"filter {QUARRY}", gone=True)
    screen.keys("/")
    screen.keys("-l", "user:root")
    screen.keys("Enter", "p")
    screen.wait_for("only it and root may change that")
    screen.keys("q")
    screen.wait_for("left with 0")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGSEGV, signal.SIGKILL])
def test_the_terminal_is_as_it_was_however_it_ends(stage, number):
    """Echo is back and the cursor is shown; after what cannot be caught a watcher sees to it."""
    screen = stage.top(size=(80, 24))
    screen.wait_for("APPLICATION")
    shell = screen.ask("#{pane_pid}")
    found = subprocess.run(["pgrep", "-P", shell, "-f", "smoothtask top"], capture_output=True, text=True, check=True)
    os.kill(int(found.stdout), number)
    # The shell may go on before the terminal is put back: what it says then is on the screen that goes.
    killed = number in {signal.SIGKILL, signal.SIGSEGV}
    screen.wait_for("smoothtask restore" if killed else "left with")
    screen.wait_for("APPLICATION", gone=True)
    state = ""
    deadline = time.monotonic() + LIMIT_S
    while state != "1 0 0":
        assert time.monotonic() < deadline, state
        state = screen.ask("#{cursor_flag} #{mouse_any_flag} #{alternate_on}")
    modes = subprocess.run(["stty", "-a", "-F", screen.ask("#{pane_tty}")], capture_output=True, text=True, check=True)
    assert " echo " in modes.stdout
    assert " icanon " in modes.stdout


def test_ctrl_z_suspends_and_fg_goes_on(stage):
    command = " ".join([sys.executable, "-m", "smoothtask", "top", *stage.places])
    screen = Screen(stage.place, "bash --norc -i", (80, 24))
    try:
        screen.keys("-l", f"{command}\n")
        screen.wait_for("APPLICATION")
        screen.keys("C-z")
        screen.wait_for("Stopped")
        screen.wait_for("APPLICATION", gone=True)
        screen.keys("-l", "fg\n")
        screen.wait_for("APPLICATION")
        screen.keys("q")
        screen.wait_for("APPLICATION", gone=True)
    finally:
        screen.close()


def test_stopped_from_outside_it_goes_on_with_one_reader_of_keys(stage):
    command = " ".join([sys.executable, "-m", "smoothtask", "top", *stage.places])
    screen = Screen(stage.place, "bash --norc -i", (80, 24))
    try:
        screen.keys("-l", f"{command}\n")
        screen.wait_for("APPLICATION")
        asked = ["pgrep", "-f", f"smoothtask top .*{stage.place}/run"]
        pid = int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()[0])
        threads = len(os.listdir(f"/proc/{pid}/task"))
        for _ in range(2):
            os.kill(pid, signal.SIGSTOP)
            screen.wait_for("Stopped")
            screen.keys("-l", "fg\n")
            screen.wait_for("Stopped", gone=True)
            screen.wait_for("APPLICATION")
        assert len(os.listdir(f"/proc/{pid}/task")) <= threads + 1  # a pool of asyncio may have grown
        screen.keys("q")
        screen.wait_for("APPLICATION", gone=True)
    finally:
        screen.close()
