"""Which engine `top`, `daemon` and `restore` end up with."""

import gc
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import smoothtask_tui.app
from control.hosts import FakeHost
from smoothtask.cli import main, verbs
from smoothtask.control.client import RemoteEngine, request
from smoothtask.control.local import LocalEngine
from smoothtask.control.server import ControlServer
from smoothtask.daemon import build as building
from smoothtask.daemon import headless, restoring
from smoothtask.daemon.process import AlreadyRunning, LockedError
from smoothtask.daemon.restoring import Restored
from smoothtask.model.client import EngineClient
from smoothtask.model.command import Reply, Undo


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMOOTHTASK_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("SMOOTHTASK_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("SMOOTHTASK_CONFIG", str(tmp_path / "c.yaml"))
    (tmp_path / "c.yaml").write_text("mode: dry-run\n")
    monkeypatch.setattr(verbs, "_is_on_terminal", lambda: True)
    return tmp_path


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.SimpleNamespace]:
    """In the place of what smoothtask.daemon begins and restores."""
    host = FakeHost()
    built: list[tuple[Any, ...]] = []

    def build(settings: Any, paths: Any, *, observe: bool, **_: Any) -> FakeHost:
        built.append((settings.mode, paths.runtime_dir, observe))
        return host

    def serve(host: FakeHost, paths: Any, settings: Any) -> ControlServer:
        return ControlServer(host, paths.socket, settings.control.group)

    made = types.SimpleNamespace(build=build, serve=serve, built=built, host=host)
    for module, names in ((building, ["build"]), (headless, ["serve", "run_daemon"]), (restoring, ["restore_all"])):
        for name in names:
            monkeypatch.setattr(module, name, partial(_call, made, name))
    yield made
    host.close()


def _call(made: types.SimpleNamespace, name: str, *arguments: Any, **named: Any) -> Any:
    return getattr(made, name)(*arguments, **named)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, place: Path) -> list[tuple[EngineClient, Reply]]:
    """What the dashboard was given, and what the engine answered it."""
    seen = []

    def run_dashboard(engine: EngineClient, **_: Any) -> int:
        worker = threading.Thread(target=engine.run, args=(lambda _: None, lambda _: None), daemon=True)
        worker.start()
        seen.append((engine, request(place / "run/control.sock", Undo())))
        engine.close()
        worker.join(10)
        assert not worker.is_alive()
        return 0

    monkeypatch.setattr(smoothtask_tui.app, "run_dashboard", run_dashboard)
    return seen


def test_top_hosts_the_engine_and_its_socket(place: Path, daemon: Any, shown: list[tuple[Any, Reply]]) -> None:
    assert main(["top", "--observe"]) == 0
    [(engine, reply)] = shown
    assert isinstance(engine, LocalEngine)
    assert reply == Reply(True, "did undo"), "others reach it through the socket"
    assert daemon.built == [("dry-run", place / "run", True)]
    assert not (place / "run/control.sock").exists()


@contextmanager
def another(place: Path, host: FakeHost) -> Iterator[Callable[[], None]]:
    """An engine elsewhere; what is yielded opens its socket."""
    (place / "run").mkdir()
    servers: list[ControlServer] = []
    thread = threading.Thread(target=host.run, daemon=True)
    thread.start()
    try:
        yield lambda: servers.append(ControlServer(host, place / "run/control.sock"))
    finally:
        host.stop()
        thread.join(10)
        for server in servers:
            server.close()


def test_top_attaches_to_a_daemon(place: Path, daemon: Any, shown: list[tuple[Any, Reply]]) -> None:
    with another(place, daemon.host) as open_socket:
        open_socket()
        assert main(["top"]) == 0
    assert isinstance(shown[0][0], RemoteEngine)
    assert daemon.built == []


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """`top` and the daemon let it rest until they run, which they never do here."""
    yield
    gc.enable()


def test_top_waits_for_a_daemon_that_starts(
    place: Path, daemon: Any, shown: list[tuple[Any, Reply]], capsys: pytest.CaptureFixture[str]
) -> None:
    """It has the lock, and its socket comes later."""
    with another(place, daemon.host) as open_socket:

        def build(*_: object, **__: object) -> None:
            assert not gc.isenabled()
            open_socket()
            raise LockedError("pid 812 has the lock")

        daemon.build = build
        assert main(["top"]) == 0
    assert isinstance(shown[0][0], RemoteEngine)
    assert gc.isenabled()  # nothing else would enable it while the dashboard is attached
    assert capsys.readouterr().err.count("pid 812 has the lock; waiting until it answers") == 1


def test_top_waits_for_a_daemon_that_ends(place: Path, daemon: Any, shown: list[tuple[Any, Reply]]) -> None:
    build, held, begun = daemon.build, iter([True, True, False]), []

    def soon(*arguments: Any, **named: Any) -> FakeHost:
        begun.append(named["reading"] is not None)
        if next(held):
            raise LockedError("pid 812 has the lock")
        made: FakeHost = build(*arguments, **named)
        return made

    daemon.build = soon
    assert main(["top"]) == 0
    assert isinstance(shown[0][0], LocalEngine)
    assert begun == [True, False, False]  # no child for each look


def test_top_does_not_wait_for_ever(
    place: Path, daemon: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verbs, "STARTS_WITHIN_S", 0.2)

    def build(*_: object, **__: object) -> None:
        raise LockedError("pid 812 has the lock")

    daemon.build = build
    assert main(["top"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "smoothtask: pid 812 has the lock"


def test_top_needs_a_terminal(place: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(verbs, "_is_on_terminal", lambda: False)
    assert main(["top"]) == 1
    assert "needs a terminal" in capsys.readouterr().err


def test_a_second_daemon_is_told(place: Path, daemon: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise AlreadyRunning("pid 812 manages this machine already")

    daemon.run_daemon = refuse
    assert main(["--daemon"]) == 1
    assert "pid 812 manages this machine already" in capsys.readouterr().err


def test_daemon_and_restore(place: Path, daemon: Any, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.run_daemon = lambda settings, paths, observe, reading: 7 if observe else 0
    assert main(["--daemon", "--observe"]) == 7
    assert main(["daemon"]) == 0
    daemon.restore_all = lambda paths: Restored([f"nothing in {paths.ledger}", "evil \x1b[31m"])
    assert main(["restore"]) == 0
    assert capsys.readouterr().out == f"nothing in {place}/run/ledger\nevil \ufffd[31m\n"
    daemon.restore_all = lambda _paths: Restored(["restored: 1 failed"], whole=False)
    assert main(["restore"]) == 1
    assert capsys.readouterr() == ("", "restored: 1 failed\n")
    assert main(["restore", "--json"]) == 1
    assert '"ok": false' in capsys.readouterr().out


def test_a_wrong_configuration_starts_nothing(place: Path, daemon: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "c.yaml").write_text("mode: turbo\n")
    assert main(["top"]) == main(["--daemon"]) == 78
    assert "c.yaml:1: mode" in capsys.readouterr().err
    assert daemon.built == []
