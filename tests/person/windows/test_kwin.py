"""The watcher of KWin, against a private bus and a KWin that does what its script interface does."""

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from person.windows.buses import Peer, session_bus
from person.windows.xservers import Heard
from smoothtask.person.bus import Bus
from smoothtask.person.watcher import LostError
from smoothtask.person.windows.kwin import KWinWatcher, open_kwin, script_for
from smoothtask.person.windows.limits import MAX_WINDOWS
from smoothtask.person.windows.listing import MAX_CHARACTERS, parse_windows

pytestmark = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="not installed: dbus-daemon")
PATH, INTERFACE = "/org/smoothtask/Windows", "org.smoothtask.Windows"


def entry(**more: Any) -> dict[str, Any]:
    """One window as our scripts describe it."""
    return {
        "id": "{1}",
        "pid": 4242,
        "sure": True,
        "app": "org.kde.konsole",
        "title": "~",
        "focused": False,
        "minimised": False,
        "fullscreen": False,
        "here": True,
        "workspace": "1",
        **more,
    }


class FakeKWin(Peer):
    """Loads a script by reading the file, and runs it by calling back with its windows."""

    def __init__(self, address: str, windows: list[dict[str, Any]], plasma: int = 6) -> None:
        self.windows = windows
        self.scripts: list[str] = []
        self.names: list[str] = []
        self.text: str | None = None
        path = "/Scripting/Script3" if plasma == 6 else "/3"
        handlers = {"loadScript": self._load, "unloadScript": self._unload, f"{path} run": self._run}
        super().__init__(address, "org.kde.KWin", handlers=handlers)

    def _load(self, file: str, name: str) -> tuple[str, tuple[int]]:
        assert name.startswith("smoothtask")
        self.names.append(name)
        self.scripts.append(Path(file).read_text())
        return "i", (3,)

    def _unload(self, name: str) -> tuple[str, tuple[bool]]:
        return "b", (bool(self.scripts),)

    def _run(self) -> tuple[str, tuple[()]]:
        self.tell(json.dumps(self.windows))
        return "", ()

    @property
    def listener(self) -> str:
        """The connection that the script was told to talk to."""
        return self.scripts[-1].split('destination = "')[1].split('"')[0]

    def tell(self, text: str) -> None:
        """What the script would say."""
        self.call(self.listener, PATH, INTERFACE, "Changed", text)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[str]:
    with session_bus(tmp_path) as (address, _):
        yield address


@pytest.fixture
def kwin(bus: str) -> Iterator[FakeKWin]:
    peer = FakeKWin(bus, [entry(focused=True), entry(id="{2}", pid=1, sure=False, minimised=True)])
    yield peer
    peer.close()


@pytest.fixture
def heard(bus: str, kwin: FakeKWin, tmp_path: Path) -> Iterator[Heard]:
    sink = Heard()
    sink.watcher = open_kwin(bus, tmp_path, sink)
    yield sink
    sink.watcher.close()
    sink.watcher.close()


def test_windows_come_from_the_script(heard: Heard, kwin: FakeKWin, tmp_path: Path) -> None:
    [first, second] = heard.windows
    assert (first.key, first.pid, first.confidence, first.app_id) == ("kwin:{1}", 4242, 1.0, "org.kde.konsole")
    assert (first.focused, first.visible, first.minimised, first.workspace) == (True, True, False, "1")
    assert (second.pid, second.confidence, second.minimised, second.visible) == (1, 0.5, True, False)
    assert not list(tmp_path.glob("*.js")), "the script's file is gone"

    kwin.tell(json.dumps([entry(fullscreen=True, here=False)]))
    heard.until(lambda: len(heard.windows) == 1)
    assert heard.windows[0].fullscreen
    assert not heard.windows[0].visible
    heard.until(lambda: len(kwin.answers) == 2)  # every call is answered: KWin keeps a record of those that are not


def test_the_same_again_is_no_news(heard: Heard, kwin: FakeKWin) -> None:
    count = len(heard.reports)
    kwin.tell(json.dumps(kwin.windows))
    heard.until(lambda: len(kwin.answers) == 2)
    assert len(heard.reports) == count


def test_plasma_5_has_its_scripts_elsewhere(bus: str, tmp_path: Path) -> None:
    kwin = FakeKWin(bus, [entry()], plasma=5)
    try:
        sink = Heard()
        open_kwin(bus, tmp_path, sink).close()
        assert [w.pid for w in sink.windows] == [4242]
        deadline_s = time.monotonic() + 10
        while ("unloadScript", ("smoothtask",)) not in kwin.calls[2:]:
            assert time.monotonic() < deadline_s, "the script stays in KWin"
            time.sleep(0.01)
    finally:
        kwin.close()


def test_nobody_but_kwin_is_listened_to(bus: str, heard: Heard, kwin: FakeKWin) -> None:
    before = heard.windows
    stranger = Peer(bus)
    stranger.call(kwin.listener, PATH, INTERFACE, "Changed", json.dumps([entry(pid=666)]))
    heard.until(lambda: stranger.answers)
    assert stranger.answers[0].header.message_type.name == "error"
    assert heard.windows == before
    stranger.close()


def test_the_end_of_kwin_is_said(heard: Heard, kwin: FakeKWin) -> None:
    kwin.close()
    with pytest.raises(LostError, match="KWin is gone"):
        heard.until(lambda: False)


def test_the_end_of_the_bus_is_said(tmp_path: Path) -> None:
    with session_bus(tmp_path) as (address, daemon):
        kwin = FakeKWin(address, [entry()])
        sink = Heard()
        sink.watcher = open_kwin(address, tmp_path, sink)
        daemon.kill()
        daemon.wait(10)
        with pytest.raises(LostError, match="bus is gone"):
            sink.until(lambda: False)
        sink.watcher.close()
        kwin.close()


def test_without_kwin(bus: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="not on this session's bus"):
        open_kwin(bus, tmp_path, Heard())


def test_a_kwin_that_takes_no_script_or_runs_none(bus: str, tmp_path: Path) -> None:
    kwin = FakeKWin(bus, [])
    del kwin.handlers["loadScript"]
    with pytest.raises(LostError, match="does not take our script"):
        open_kwin(bus, tmp_path, Heard())
    kwin.handlers["loadScript"] = kwin._load
    kwin.handlers["/Scripting/Script3 run"] = lambda: ("", ())
    with pytest.raises(LostError, match="said nothing"):
        open_kwin(bus, tmp_path, Heard(), timeout_s=0.3)
    kwin.handlers["loadScript"] = lambda *_: ("i", (-1,))
    with pytest.raises(LostError, match="does not take our script"):
        open_kwin(bus, tmp_path, Heard())
    kwin.close()
    assert not list(tmp_path.glob("*.js"))


def test_another_script_that_has_its_number_is_passed_over(bus: str, tmp_path: Path) -> None:
    kwin = FakeKWin(bus, [entry()])
    run = kwin._run
    kwin.handlers["/Scripting/Script3 run"] = lambda: run() if len(kwin.names) == 2 else ("", ())
    heard = Heard()
    heard.watcher = open_kwin(bus, tmp_path, heard, timeout_s=1.0)
    assert len(heard.windows) == 1
    assert kwin.names == ["smoothtask", "smoothtask-2"]
    heard.watcher.close()
    kwin.close()


def test_a_kwin_that_answers_nothing(bus: str, tmp_path: Path) -> None:
    kwin = FakeKWin(bus, [])
    kwin.handlers["unloadScript"] = lambda *_: time.sleep(1)
    with pytest.raises(LostError, match="no answer"):
        open_kwin(bus, tmp_path, Heard(), timeout_s=0.2)
    kwin.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "7",
        "{}",
        "[7]",
        "[{}]",
        "[" * 100_000,
        json.dumps([entry(pid="4242")]),
        json.dumps([entry(pid=True)]),
        json.dumps([entry(pid=1.5)]),
        json.dumps([entry(focused=1)]),
        json.dumps([entry(title=None)]),
        json.dumps([entry(extra=1)]),
        "[" + " " * MAX_CHARACTERS + "]",
        '[{"id":' + "9" * 10_000 + "}]",
    ],
)
def test_what_is_no_list_of_windows_ends_the_connection(heard: Heard, kwin: FakeKWin, text: str) -> None:
    kwin.tell(text)
    with pytest.raises(LostError):
        heard.until(lambda: False)


def test_text_is_made_safe_and_numbers_are_checked() -> None:
    nasty = "\x1b]0;x\x07\u202e" + "w" * 500
    [window] = parse_windows(
        json.dumps([entry(id=nasty, app=nasty, title=nasty, workspace=nasty, pid=1 << 22)]), "kwin"
    )
    for text in (window.key, window.app_id, window.title, window.workspace or ""):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert len(text) <= 120
    assert window.pid == 1 << 22
    for pid in (0, -1, (1 << 22) + 1, 1 << 70):
        [window] = parse_windows(json.dumps([entry(pid=pid)]), "kwin")
        assert (window.pid, window.confidence) == (None, 0.0)


def test_many_windows_and_many_with_the_focus() -> None:
    many = [entry(id=str(n), focused=True) for n in range(MAX_WINDOWS + 100)]
    windows = parse_windows(json.dumps(many), "kwin")
    assert len(windows) == MAX_WINDOWS
    assert [w.focused for w in windows].count(True) == 1
    assert len(parse_windows(json.dumps([entry(), entry()]), "kwin")) == 1, "keys are unique"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@given(st.text(max_size=100) | json_values.map(json.dumps))
def test_any_text_is_a_list_or_an_error(text: str) -> None:
    with contextlib.suppress(LostError):
        assert all(len(w.title) <= 120 for w in parse_windows(text, "kwin"))


def test_bytes_that_are_no_message_end_the_connection(tmp_path: Path) -> None:
    with session_bus(tmp_path) as (address, _):
        for nonsense in (b"\xff" * 64, b"l\x02\x01\x01" + b"\xff" * 12 + bytes(64), bytes(64)):
            bus = Bus(address)
            with pytest.raises(LostError):
                bus._parsed(nonsense)
            bus.close()


@pytest.mark.parametrize("address", ["", "unix", "tcp:host=localhost,port=1", "unix:path=/nowhere/bus", ";", "unix:x"])
def test_addresses_that_lead_nowhere(address: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"bus|No such"):
        open_kwin(address, tmp_path, Heard())


@pytest.mark.skipif(shutil.which("node") is None, reason="not installed: node")
@pytest.mark.parametrize("plasma", [5, 6])
def test_the_script_itself_tells_what_is_expected(plasma: int, tmp_path: Path) -> None:
    """In a JavaScript engine, with a workspace as KWin's scripts see it."""
    stage = (Path(__file__).parent / "kwin_stage.js").read_text()
    program = tmp_path / "stage.js"
    program.write_text(stage.replace("@PLASMA@", str(plasma)) + script_for(":1.7") + "\nplay();\n")
    done = subprocess.run(["node", str(program)], capture_output=True, text=True, timeout=20, check=True)
    calls = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(call[:4] == [":1.7", PATH, INTERFACE, "Changed"] for call in calls)
    told = [parse_windows(call[4], "kwin") for call in calls]
    assert [(w.pid, w.confidence, w.focused, w.visible) for w in told[0]] == [
        (10, 1.0, True, True),
        (20, 0.5, False, False),
    ]
    assert told[1][1].visible, "the workspace was changed"
    assert told[2][0].minimised
    assert [w.pid for w in told[3]] == [10, 20, 30]
    assert told[4][2].fullscreen, "a window that came later is watched, too"
    assert [w.focused for w in told[5]] == [False, True, False]
    assert [w.pid for w in told[6]] == [20, 30]


def test_the_watcher_is_one(heard: Heard) -> None:
    assert isinstance(heard.watcher, KWinWatcher)
    assert heard.watcher.name == "windows: kwin" == heard.sources[0].source.name
