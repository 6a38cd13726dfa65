"""The watcher of GNOME Shell, against a private bus and a Shell that does what its extension and Mutter do."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from person.windows.buses import Peer, session_bus
from person.windows.xservers import Heard
from smoothtask.model.person import SourceHealth
from smoothtask.person.watcher import LostError
from smoothtask.person.windows import gnome
from smoothtask.person.windows.gnome import IDLE_NAME, NAME, open_gnome
from smoothtask.person.windows.gnome_install import (
    extension_files,
    install_extension,
    parse_version,
    uninstall_extension,
    uuid,
)
from smoothtask.person.windows.listing import parse_windows

needs_bus = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="not installed: dbus-daemon")
PATH, EXTENSION = "/org/smoothtask/Windows", "org.smoothtask.Windows"
IDLE = "org.gnome.Mutter.IdleMonitor"


def entry(**more: Any) -> dict[str, Any]:
    """One window as the extension describes it."""
    texts = {"id": "7", "app": "org.gnome.Console", "title": "~", "workspace": "0"}
    return {
        **texts,
        "pid": 4242,
        "sure": True,
        "focused": True,
        "minimised": False,
        "fullscreen": False,
        "here": True,
        **more,
    }


class FakeShell(Peer):
    """Tells the windows that it has, and how long nobody has touched it."""

    def __init__(self, address: str, *names: str) -> None:
        self.windows: list[dict[str, Any]] = [entry()]
        self.idle_ms = 0
        self.watches = 0
        self.extension: dict[str, tuple[str, Any]] = {}
        handlers = {
            "Get": lambda: ("s", (json.dumps(self.windows),)),
            "GetIdletime": lambda: ("t", (self.idle_ms,)),
            "AddUserActiveWatch": self._watch,
            "GetExtensionInfo": self._info,
        }
        super().__init__(address, "org.gnome.Shell", *names, handlers=handlers)

    def _watch(self) -> tuple[str, tuple[int]]:
        self.watches += 1
        return "u", (self.watches,)

    def _info(self, wanted: str) -> tuple[str, tuple[dict[str, tuple[str, Any]]]]:
        return "a{sv}", (self.extension if wanted == uuid() else {},)

    def tell(self, text: str) -> None:
        """What the extension would say."""
        self.signal(PATH, EXTENSION, "Changed", "s", text)

    def fire(self, watch: int) -> None:
        """What Mutter says at the first input."""
        self.signal("/org/gnome/Mutter/IdleMonitor/Core", IDLE, "WatchFired", "u", watch)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[str]:
    with session_bus(tmp_path) as (address, _):
        yield address


@pytest.fixture
def shell(bus: str) -> Iterator[FakeShell]:
    peer = FakeShell(bus, EXTENSION, IDLE)
    yield peer
    peer.close()


@pytest.fixture
def heard(bus: str, shell: FakeShell) -> Iterator[Heard]:
    sink = Heard()
    sink.watcher = open_gnome(bus, sink)
    yield sink
    sink.watcher.close()
    sink.watcher.close()


def health(heard: Heard, name: str) -> SourceHealth:
    return next(r.source.health for r in reversed(heard.sources) if r.source.name == name)


@needs_bus
def test_windows_come_from_the_extension(heard: Heard, shell: FakeShell) -> None:
    heard.until(lambda: heard.windows)
    [window] = heard.windows
    assert (window.key, window.pid, window.confidence, window.focused) == ("gnome:7", 4242, 1.0, True)
    shell.tell(json.dumps([entry(focused=False), entry(id="8", pid=1, sure=False)]))
    heard.until(lambda: heard.focused == 1)
    assert [w.confidence for w in heard.windows] == [1.0, 0.5]
    assert health(heard, NAME) is SourceHealth.WORKING


@needs_bus
def test_an_extension_that_comes_later_and_goes(bus: str) -> None:
    shell = FakeShell(bus)
    heard = Heard()
    heard.watcher = open_gnome(bus, heard)
    assert health(heard, NAME) is SourceHealth.ABSENT
    assert "gnome-extension install" in heard.sources[0].source.remedy
    assert health(heard, IDLE_NAME) is SourceHealth.ABSENT
    shell.request(EXTENSION)
    heard.until(lambda: heard.windows)
    assert health(heard, NAME) is SourceHealth.WORKING
    shell.release(EXTENSION)
    heard.until(lambda: not heard.windows)
    assert health(heard, NAME) is SourceHealth.ABSENT
    heard.watcher.close()
    shell.close()


@needs_bus
@pytest.mark.parametrize(
    ("info", "remedy"),
    [
        ({}, "gnome-extension install"),
        ({"state": ("d", 2.0)}, "gnome-extensions enable windows@smoothtask"),
        ({"state": ("d", 3.0)}, "gnome-extensions info windows@smoothtask"),
        ({"state": ("d", 4.0)}, "then log in again"),
        ({"state": ("d", float("nan"))}, "gnome-extension install"),
        ({"state": ("s", "2")}, "gnome-extensions enable"),
    ],
)
def test_what_to_do_is_said_by_what_the_shell_knows(bus: str, info: dict[str, tuple[str, Any]], remedy: str) -> None:
    shell = FakeShell(bus)
    shell.extension = info
    heard = Heard()
    heard.watcher = open_gnome(bus, heard)

    def said() -> list[str]:
        return [r.source.remedy for r in heard.sources if r.source.name == NAME]

    heard.until(lambda: len(said()) == 2)
    assert remedy in said()[-1]
    heard.watcher.close()
    shell.close()


@needs_bus
def test_nobody_but_the_shell_is_listened_to(bus: str) -> None:
    shell, stranger = FakeShell(bus), Peer(bus, EXTENSION)
    heard = Heard()
    heard.watcher = open_gnome(bus, heard)
    assert health(heard, NAME) is SourceHealth.ABSENT
    stranger.signal(PATH, EXTENSION, "Changed", "s", json.dumps([entry(pid=666)]))
    stranger.call(heard.watcher._bus.name, PATH, EXTENSION, "Changed", "[]")
    heard.until(lambda: stranger.answers)
    assert stranger.answers[0].header.message_type.name == "error"
    assert heard.windows == ()
    heard.watcher.close()
    stranger.close()
    shell.close()


@needs_bus
def test_idle_time_is_asked_for_while_active_and_awaited_while_not(heard: Heard, shell: FakeShell) -> None:
    watcher = heard.watcher
    assert watcher is not None
    heard.until(lambda: heard.idle)
    assert (heard.idle[-1].source, heard.idle[-1].idle_s) == (IDLE_NAME, 0.0)
    assert watcher.wake_at_s() is not None
    shell.idle_ms = 61_000
    heard.until(lambda: shell.watches == 1 and [r.idle_s for r in heard.idle[-2:]] == [61.0, 61.0])
    assert watcher.wake_at_s() is None, "nothing is asked while nobody is there"
    shell.fire(99)  # another's watch
    shell.idle_ms = 3
    shell.fire(1)
    heard.until(lambda: heard.idle[-1].idle_s == 0.003)
    shell.idle_ms = 2_000
    heard.until(lambda: shell.watches == 2)


@needs_bus
def test_a_monitor_that_talks_nonsense_is_asked_no_more(bus: str) -> None:
    shell = FakeShell(bus, EXTENSION, IDLE)
    shell.handlers["GetIdletime"] = lambda: ("s", ("soon",))
    heard = Heard()
    heard.watcher = open_gnome(bus, heard)
    heard.until(lambda: health(heard, IDLE_NAME) is SourceHealth.REFUSED)
    heard.until(lambda: heard.windows)
    assert heard.watcher.wake_at_s() is None
    heard.watcher.close()
    shell.close()


@needs_bus
def test_the_end_of_the_shell_is_said(heard: Heard, shell: FakeShell) -> None:
    shell.close()
    with pytest.raises(LostError, match="Shell is gone"):
        heard.until(lambda: False)


@needs_bus
def test_without_a_shell(bus: str) -> None:
    with pytest.raises(OSError, match="not on this session's bus"):
        open_gnome(bus, Heard())


@needs_bus
@pytest.mark.parametrize("text", ["", "{}", "[1]", json.dumps([entry(pid="1")]), json.dumps([{**entry(), "more": 1}])])
def test_what_is_no_list_of_windows_ends_the_connection(heard: Heard, shell: FakeShell, text: str) -> None:
    shell.tell(text)
    with pytest.raises(LostError):
        heard.until(lambda: False)


@needs_bus
@pytest.mark.parametrize("answer", [None, ("i", (1,)), ("ss", ("[]", "[]")), ("s", ("nonsense",))])
def test_an_extension_that_answers_otherwise(bus: str, answer: tuple[str, tuple[Any, ...]] | None) -> None:
    shell = FakeShell(bus, EXTENSION)
    shell.handlers["Get"] = lambda: answer
    heard = Heard()
    heard.watcher = open_gnome(bus, heard)
    with pytest.raises(LostError):
        heard.until(lambda: False)
    heard.watcher.close()
    shell.close()


@needs_bus
def test_a_signal_that_carries_no_text(heard: Heard, shell: FakeShell) -> None:
    shell.signal(PATH, EXTENSION, "Changed", "u", 1)
    with pytest.raises(LostError, match="no text"):
        heard.until(lambda: False)


def test_the_extension_is_installed_for_the_user_and_taken_away(tmp_path: Path) -> None:
    folder = install_extension(tmp_path)
    assert folder == tmp_path / ".local/share/gnome-shell/extensions/windows@smoothtask"
    assert {f.name: f.read_text() for f in folder.iterdir()} == extension_files()
    (folder / "extension.js").write_text("an older one")
    install_extension(tmp_path)
    assert (folder / "extension.js").read_text() == extension_files()["extension.js"]
    assert uninstall_extension(tmp_path) == folder
    assert not folder.exists()
    assert uninstall_extension(tmp_path) is None


def test_the_extension_says_what_it_is() -> None:
    assert extension_files().keys() == {"metadata.json", "extension.js"}
    metadata = json.loads(extension_files()["metadata.json"])
    assert metadata["uuid"] == uuid() == gnome._UUID
    assert min(int(v) for v in metadata["shell-version"]) == 45, "the first with ECMAScript modules"


def test_an_older_shell_gets_no_module() -> None:
    older = extension_files(43)
    assert "43" in json.loads(older["metadata.json"])["shell-version"]
    script = older["extension.js"]
    assert not any(line.startswith(("import ", "export ")) for line in script.splitlines())
    assert "extends" not in script
    assert "function init()" in script


def test_a_shell_that_is_newer_than_this_program_is_given_a_try() -> None:
    assert "77" in json.loads(extension_files(77)["metadata.json"])["shell-version"]


@given(st.text(max_size=40))
def test_any_text_is_a_version_or_none(text: str) -> None:
    version = parse_version(text)
    assert version is None or 0 <= version < 1000


@pytest.mark.skipif(shutil.which("node") is None, reason="not installed: node")
@pytest.mark.parametrize("shell", [43, 48])
def test_the_extension_itself_tells_what_is_expected(tmp_path: Path, shell: int) -> None:
    """In a JavaScript engine, with a Shell as extensions see it."""
    lines = extension_files(shell)["extension.js"].replace("const {Gio, GLib, Meta} = imports.gi;", "").splitlines()
    body = "\n".join(line for line in lines if not line.startswith("import ")).replace("export default class", "class")
    program = tmp_path / "stage.mjs"
    stage = (Path(__file__).parent / "gnome_stage.mjs").read_text()
    program.write_text(stage.replace("// @EXTENSION@", body))
    done = subprocess.run(["node", str(program)], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    told = [parse_windows(text, "gnome") for kind, text in said if kind == "Changed"]
    assert [(w.pid, w.confidence, w.focused, w.visible) for w in told[0]] == [
        (10, 1.0, True, True),
        (20, 0.5, False, False),
    ]
    assert told[1][0].minimised, "two changes in one turn are told at once"
    assert told[1][1].fullscreen
    assert told[2][1].visible, "the workspace was changed"
    assert [w.pid for w in told[3]] == [10, 20, 30]
    assert told[4][2].title == "another title"
    assert [w.pid for w in told[5]] == [20, 30]
    assert len(told) == 6
    assert ["left", 0] in said, "nothing stays connected or running after disable"
