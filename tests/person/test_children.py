"""Sessions' children: real ones on real desktops, and hostile ones."""

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from family import below
from person.audio.servers import PipeWire, session
from person.desktops import NOBODY, installed, sway
from person.windows.xservers import Desktop, desktop
from smoothtask.model.person import SessionView, SourceHealth, Window
from smoothtask.person import children as module
from smoothtask.person.children import Children
from smoothtask.person.endpoints import Endpoint, Kind, read_endpoints

LIMIT_S = 30.0


class Loop:
    """As the daemon's."""

    def __init__(self) -> None:
        self.callbacks: dict[int, Callable[[], None]] = {}
        self.hastened = 0

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        self.callbacks[fd] = callback

    def remove_reader(self, fd: int) -> None:
        self.callbacks.pop(fd, None)

    def hasten(self) -> None:
        self.hastened += 1

    def until(self, children: Children, holds: Callable[[], object]) -> None:
        """Turn it until *holds*."""
        end_s = time.monotonic() + LIMIT_S
        while not holds():
            assert time.monotonic() < end_s, f"it never happened: {children.views()}"
            children.look(time.monotonic())
            for fd in select.select([*self.callbacks], [], [], 0.05)[0]:
                self.callbacks[fd]()


@pytest.fixture
def loop() -> Loop:
    return Loop()


def endpoint(uid: int | None = None) -> frozenset[Endpoint]:
    """Of a desktop that need not be there."""
    return frozenset({Endpoint(Kind.WAYLAND, "/nowhere/wayland-0", os.geteuid() if uid is None else uid)})


@pytest.fixture
def made(loop: Loop) -> Iterator[Callable[..., Children]]:
    """Children that are all ended afterwards."""
    all_made: list[Children] = []

    def make(endpoints: Callable[[], frozenset[Endpoint]], sound: bool = False) -> Children:
        children = Children(loop, windows=not sound, sound=sound, hasten=loop.hasten, endpoints=endpoints)
        all_made.append(children)
        return children

    yield make
    for children in all_made:
        pids = children.pids
        children.close()
        assert children.pids == frozenset()
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Desktop]:
    if shutil.which("Xvfb") is None or shutil.which("openbox") is None:
        pytest.skip("Xvfb or openbox is not installed")
    with desktop(tmp_path) as found:
        found.openbox()
        yield found


def focused(children: Children) -> set[int | None]:
    return {w.pid for v in children.views() for w in v.windows if w.focused}


def test_the_focus_of_a_real_desktop_arrives(loop: Loop, made: Callable[..., Children], screen: Desktop) -> None:
    display = frozenset({Endpoint(Kind.X11, f"/tmp/.X11-unix/X{screen.display[1:]}", os.geteuid())})
    children = made(lambda: display)
    first, second = screen.xterm().pid, screen.xterm().pid
    loop.until(children, lambda: {w.pid for v in children.views() for w in v.windows} >= {first, second})
    loop.until(children, lambda: focused(children))
    window = next(w for v in children.views() for w in v.windows if not w.focused)
    before = loop.hastened
    screen.xdotool("windowactivate", window.key.removeprefix("x11:"))
    loop.until(children, lambda: focused(children) == {window.pid})
    assert loop.hastened > before
    (view,) = children.views()
    assert view.uid == os.geteuid()
    assert view.idle_s is not None
    assert {s.name for s in view.sources if s.health is SourceHealth.WORKING} >= {f"windows: x11 {screen.display}"}


def test_one_that_is_killed_starts_again_and_forgets(
    loop: Loop, made: Callable[..., Children], screen: Desktop
) -> None:
    display = frozenset({Endpoint(Kind.X11, f"/tmp/.X11-unix/X{screen.display[1:]}", os.geteuid())})
    children = made(lambda: display)
    screen.xterm()
    loop.until(children, lambda: children.views() and children.views()[0].windows)
    (old,) = children.pids
    os.kill(old, signal.SIGKILL)
    loop.until(children, lambda: not children.pids)
    (view,) = children.views()
    assert view.windows == ()
    assert "next try" in view.sources[0].text
    loop.until(children, lambda: children.views()[0].windows)
    assert children.pids != {old}


def test_a_session_that_goes_takes_its_child_along(loop: Loop, made: Callable[..., Children]) -> None:
    there = [endpoint()]
    children = made(lambda: there[0])
    loop.until(children, lambda: children.pids)
    (pid,) = children.pids
    there[0] = frozenset()
    children._look_at_s = 0.0
    children.look(time.monotonic())
    assert children.views() == ()
    assert loop.callbacks == {}
    loop.until(children, lambda: not Path(f"/proc/{pid}").exists())


def test_nobody_watches_services_and_login_screens(made: Callable[..., Children]) -> None:
    children = made(lambda: endpoint(uid=120))
    children.look(time.monotonic())
    assert children.views() == ()


@pytest.mark.root
@pytest.mark.skipif(not installed(), reason="sway, foot or setpriv is not installed")
def test_a_child_is_its_user_and_sees_that_users_windows(loop: Loop, made: Callable[..., Children]) -> None:
    with sway(1) as compositor:
        found = frozenset({Endpoint(Kind.SWAY, str(compositor.socket), NOBODY)})
        children = made(lambda: found)
        loop.until(children, lambda: focused(children) - {None})
        (pid,) = children.pids
        status = Path(f"/proc/{pid}/status").read_text()
        uids = next(line for line in status.splitlines() if line.startswith("Uid:"))
        assert uids.split()[1:] == [str(NOBODY)] * 4
        (terminal,) = focused(children)
        assert Path(f"/proc/{terminal}/comm").read_text().strip() == "foot"


@pytest.mark.root
@pytest.mark.skipif(not installed() or shutil.which("Xwayland") is None, reason="sway or Xwayland is not installed")
def test_an_xwayland_that_is_not_needed_is_not_started(loop: Loop, made: Callable[..., Children]) -> None:
    Path("/tmp/.X11-unix").mkdir(mode=0o1777, exist_ok=True)
    before = {e.path for e in read_endpoints() if e.kind is Kind.X11}
    with sway(1, xwayland=True) as compositor:
        found = frozenset({Endpoint(Kind.SWAY, str(compositor.socket), NOBODY)})
        children = made(lambda: found)
        loop.until(children, lambda: focused(children) - {None})
        (display,) = [e for e in read_endpoints() if e.kind is Kind.X11 and e.path not in before and e.uid == NOBODY]
        for _ in range(20):  # its socket was looked at by now
            loop.until(children, lambda: True)
            time.sleep(0.05)
        assert "Xwayland" not in below(compositor.server.pid).values()

        client = compositor.run("xterm", "-e", "sleep", "1000", DISPLAY=display.display)

        def known() -> bool:
            return any(w.key.startswith("x11:") and w.pid == client.pid and w.confidence == 1.0 for w in windows())

        def windows() -> list[Window]:
            return [w for v in children.views() for w in v.windows]

        loop.until(children, known)
        loop.until(children, lambda: client.pid in focused(children))


@pytest.mark.skipif(shutil.which("wireplumber") is None, reason="pipewire or wireplumber is not installed")
def test_who_is_heard_arrives(loop: Loop, made: Callable[..., Children]) -> None:
    with session() as started:
        server = PipeWire(started)
        found = frozenset({Endpoint(Kind.PIPEWIRE, str(server.socket), os.geteuid())})
        children = made(lambda: found, sound=True)
        player = started.run("pw-cat", "-p", started.sound())

        def plays() -> bool:
            sounds = [v.sound for v in children.views() if v.sound is not None]
            return any(s.pid == player.pid and s.running for sound in sounds for s in sound.streams)

        loop.until(children, plays)
        assert loop.hastened
        player.kill()
        loop.until(children, lambda: not plays())


def hostile(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Children are this instead."""
    program = folder / "child"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(module.sys, "executable", str(program))
    monkeypatch.setattr(module, "END_S", 0.1)  # these do not end by themselves


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo nonsense; exec sleep 100", "may not say"),
        ("exit 3", "it ended"),
        ("head -c 600000 /dev/zero | tr '\\0' x; sleep 100", "a line of more than"),
        ('while :; do echo \'{"kind":"idle","source":"x","idle_s":1.0,"mono_s":1.0}\'; done', "things a second"),
        ("i=0; while :; do printf ' '; done", "things a second"),
        (
            'for n in $(seq 40); do printf \'{"kind":"windows","source":"s%d","windows":[]}\\n\' $n; done; sleep 100',
            "more than 16 sources",
        ),
    ],
)
def test_a_hostile_child_is_ended(
    loop: Loop,
    made: Callable[..., Children],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    said: str,
) -> None:
    hostile(tmp_path, monkeypatch, script)
    children = made(endpoint)

    def trouble() -> bool:
        views: tuple[SessionView, ...] = children.views()
        return bool(views) and any(said in s.text for s in views[0].sources)

    loop.until(children, trouble)
    assert children.pids == frozenset()
    assert children.views()[0].windows == ()


def test_one_that_cannot_be_started_is_reported(
    loop: Loop, made: Callable[..., Children], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.sys, "executable", "/nowhere/python")
    children = made(endpoint)
    children.look(time.monotonic())
    assert "No such file" in children.views()[0].sources[0].text
    assert sys.executable == "/nowhere/python"


def test_what_a_user_has_none_of_is_said(
    loop: Loop, made: Callable[..., Children], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [
        '{"kind":"source","name":"windows: a","health":"working","text":"here","remedy":""}',
        '{"kind":"windows","source":"windows: a","windows":[]}',
        '{"kind":"gone","source":"windows: a"}',
    ]
    hostile(tmp_path, monkeypatch, f"printf '%s\\n' '{said[0]}' '{said[1]}'; sleep 0.5; echo '{said[2]}'; exec sleep 9")
    children = made(endpoint)

    def sources() -> list[str]:
        return [s.name for v in children.views() for s in v.sources]

    loop.until(children, lambda: sources() == ["windows: a"])
    loop.until(children, lambda: sources() == ["windows"])
    (source,) = children.views()[0].sources
    assert source.health is SourceHealth.ABSENT
    assert source.remedy


def test_a_failure_of_the_child_itself_is_said(
    loop: Loop, made: Callable[..., Children], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = '{"kind":"source","name":"session","health":"refused","text":"the watcher failed","remedy":"report it"}'
    hostile(tmp_path, monkeypatch, f"echo '{line}'; exit 1")
    children = made(endpoint)
    loop.until(children, lambda: any(v.sources and v.sources[0].name == "session" for v in children.views()))
    loop.until(children, lambda: not children.pids)
    assert children.views()[0].sources[0].text == "the watcher failed"


def test_one_that_does_not_end_holds_nobody_up(loop: Loop, made: Callable[..., Children]) -> None:
    """As one that waits for a folder that its user's own file system does not answer for."""
    there = [endpoint()]
    children = made(lambda: there[0])
    loop.until(children, lambda: children.pids)
    (session,) = children._sessions.values()
    process = session.process
    assert process is not None
    real_kill, process.kill = process.kill, lambda: None  # type: ignore[method-assign]
    children._end(session)
    session.start_at_s = 0.0
    children.look(time.monotonic())
    assert children.pids == frozenset()
    assert "has not ended yet" in children.views()[0].sources[0].text
    real_kill()
    loop.until(children, lambda: children.pids)


@pytest.mark.root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_an_x_server_of_roots_is_whose_programs_use_it(made: Callable[..., Children]) -> None:
    """As Xorg on many machines: the socket is root's, the desktop is not."""
    children = made(lambda: frozenset({Endpoint(Kind.X11, "/tmp/.X11-unix/X4242", 0)}))
    children.look(time.monotonic())
    assert children.views() == (), "and while nobody uses it, nobody's"
    become = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    with subprocess.Popen([*become, "sleep", "1000"], env={"DISPLAY": ":4242", "PATH": os.environ["PATH"]}) as user:
        try:
            end_s = time.monotonic() + LIMIT_S
            while Path(f"/proc/{user.pid}/comm").read_text() != "sleep\n":  # until then it is root's
                assert time.monotonic() < end_s
                time.sleep(0.01)
            children.look(time.monotonic() + module.NOBODY_S + 1)
            assert [view.uid for view in children.views()] == [NOBODY]
        finally:
            user.kill()
