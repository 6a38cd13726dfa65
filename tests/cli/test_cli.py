"""The command line as people and scripts meet it: a process, its output and its exit status."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from control.hosts import FakeHost, frame
from smoothtask.cli import main
from smoothtask.cli.exits import MEANINGS
from smoothtask.control.server import ControlServer
from smoothtask.model.classes import Limits, PriorityClass
from smoothtask.model.command import (
    Caller,
    Command,
    Explain,
    LabelGroup,
    LabelMoment,
    Pause,
    PinApp,
    Reload,
    Reply,
    SetOverride,
    Undo,
    Unpin,
)

IDLE = PriorityClass.IDLE


def run(*arguments: str | Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "smoothtask", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, **environ},
        check=False,
    )


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Directories of this test's own, so that no daemon of the machine is met."""
    monkeypatch.setenv("SMOOTHTASK_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("SMOOTHTASK_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def engine(place: Path) -> Iterator[FakeHost]:
    """A daemon's socket with a made-up engine behind it."""
    host = FakeHost()
    host.publish(replace(frame(1, groups=3), sources={"tasks": "bpf", "run-queue delays": "bpf"}))
    server = ControlServer(host, place / "control.sock")
    thread = threading.Thread(target=host.run, daemon=True)
    thread.start()
    yield host
    host.stop()
    thread.join(10)
    server.close()


def test_help_lists_every_exit_status() -> None:
    done = run("--help")
    assert done.returncode == 0
    for status, meaning in MEANINGS.items():
        assert f"{status:<4}{meaning}" in done.stdout
    assert run().returncode == 2
    assert run("--version").stdout.startswith("smoothtask ")


def test_help_imports_little() -> None:
    code = (
        "import sys; from smoothtask.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('pydantic', 'numpy', 'yaml', 'socket', 'asyncio') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


def test_asking_the_daemon_imports_no_screen_and_no_database(place: Path) -> None:
    code = (
        "import sys; from smoothtask.cli import main; main(['status'])\n"
        "print([m for m in ('textual', 'sqlmodel', 'onnxruntime', 'pyroute2', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("line", ["status", "groups", "explain firefox", "pin x IDLE", "undo", "pause"])
def test_no_daemon_is_status_3(place: Path, line: str) -> None:
    done = run(*line.split())
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"smoothtask: no daemon is running at {place}/control.sock")


def test_a_wrong_configuration_is_status_78(place: Path) -> None:
    config = place / "c.yaml"
    config.write_text("mode: turbo\ntick: {interval_s: 0}\n")
    for command in (["--config", config, "config", "check"], ["config", "show", "--config", config]):
        done = run(*command)
        assert done.returncode == 78
        assert f"{config}:1: mode: expected 'hybrid', 'rules-only' or 'dry-run', got 'turbo'" in done.stderr
        assert f"{config}:2: tick.interval_s" in done.stderr
    done = run("config", "check", "--json", SMOOTHTASK_CONFIG=str(config))
    assert done.returncode == 78
    assert [p["line"] for p in json.loads(done.stdout)["problems"]] == [1, 2]
    assert run("config", "check", "--config", place / "none.yaml").returncode == 78


def test_the_settings_in_force_can_be_read_again(place: Path) -> None:
    config = place / "c.yaml"
    config.write_text("mode: dry-run\n")
    assert run("config", "check", "--config", config).stdout == f"{config}: fine\n"
    shown = run("config", "show", "--config", config)
    assert yaml.safe_load(shown.stdout)["mode"] == "dry-run"
    config.write_text(shown.stdout)
    assert run("config", "check", "--config", config).returncode == 0
    as_json = run("config", "show", "--config", config, "--json")
    assert json.loads(as_json.stdout) == yaml.safe_load(shown.stdout)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("pin firefox IDLE", PinApp("firefox", IDLE)),
        (
            "pin x IDLE --cpu 150% --cpu-idle --memory-high 2G --io-read 1M --io-write 65536",
            PinApp("x", IDLE, Limits(150.0, True, 2 << 30, 1 << 20, 65536)),
        ),
        ("unpin firefox", Unpin("firefox")),
        ("override 812 idle --for 10m", SetOverride("812", IDLE, 600.0)),
        ("override 812 off", SetOverride("812", None)),
        ("label make idle", LabelGroup("make", IDLE)),
        ("label laggy", LabelMoment("laggy")),
        ("undo", Undo()),
        ("pause", Pause(True)),
        ("resume", Pause(False)),
        ("reload", Reload()),
    ],
)
def test_orders(engine: FakeHost, capsys: pytest.CaptureFixture[str], line: str, command: Command) -> None:
    assert main(line.split()) == 0
    assert capsys.readouterr().out == f"did {command.op}\n"
    assert engine.asked == [(command, Caller(os.getuid(), os.getpid()))]
    assert main([*line.split(), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


def test_refusals(engine: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    engine.answer = lambda *_: Reply(False, "no group is called \x1b[31mx")
    assert main(["pin", "x", "IDLE"]) == 1
    assert capsys.readouterr().err == "no group is called \ufffd[31mx\n"
    engine.answer = lambda *_: Reply(False, "only root may", {"refused": True})
    assert main(["pause"]) == 4
    assert main(["label", "x"]) == 1


def test_status_and_groups(engine: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 0
    said = capsys.readouterr().out
    assert "rules-only" in said
    assert "3 changed" in said
    assert "tasks       bpf" in said
    assert "run-queue delays bpf" in said
    assert main(["groups"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["GROUP", "CLASS", "CPU"]
    assert len(rows) == 3
    assert "it hogs" in rows[0]
    assert main(["groups", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data[0]["decision"]["target"] == "IDLE"
    assert main(["status", "--json"]) == 0
    assert "groups" not in json.loads(capsys.readouterr().out)


def test_groups_that_were_not_sent_are_counted(engine: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    """Who starts thousands of programs hides none of the others."""
    told = threading.Event()
    engine.call_soon(lambda: engine.publish(replace(frame(2, groups=3), left_out=4000)))
    engine.call_soon(told.set)
    assert told.wait(10)
    assert main(["status"]) == 0
    assert "groups      4003, 3 changed" in capsys.readouterr().out
    assert main(["groups"]) == 0
    assert "(and 4000 more, which the daemon left out" in capsys.readouterr().out


def test_explain(engine: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    data = {
        "group": "proc:1-1",
        "label": "evil\x1b]0;x",
        "class": "IDLE",
        "wanted": "IDLE",
        "reasons": [{"stage": "rule", "text": "it builds", "rule": "build", "source": "apps.yaml:3"}],
        "processes": [{"pid": 7, "cpu": 0.5, "wait": 0.1, "nice": 19, "rss_bytes": 2048, "command": "make\n-j"}],
    }
    engine.answer = lambda *_: Reply(True, "fine", data)
    assert main(["explain", "evil"]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "rule: it builds [build] apps.yaml:3" in said
    assert "2.0 KiB  make\ufffd-j" in said
    assert engine.asked[0][0] == Explain("evil")


def test_a_reader_that_leaves_is_no_error(engine: FakeHost) -> None:
    line = f"{sys.executable} -m smoothtask groups --json | head -c 1; test ${{PIPESTATUS[0]}} -le 1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion(shell: str) -> None:
    done = run("completion", shell)
    assert done.returncode == 0
    assert "explain" in done.stdout
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True)


def test_export_of_nothing_is_said(place: Path) -> None:
    done = run("export", place / "out", "--format", "csv")
    assert done.returncode == 1
    assert done.stderr.startswith("smoothtask: ")
    assert "Traceback" not in done.stderr


def test_rules_are_read_without_a_daemon(place: Path) -> None:
    listed = run("rules", "list", "--json")
    assert listed.returncode == 0
    assert len(json.loads(listed.stdout)) >= 300
    which = run("rules", "which", str(os.getpid()), "--json")
    assert [w["pid"] for w in json.loads(which.stdout)] == [os.getpid()]
    nobody = run("rules", "which", "no-such-program-at-all")
    assert (nobody.returncode, nobody.stdout) == (1, "no process is called no-such-program-at-all\n")


def test_a_broken_rule_is_found(place: Path) -> None:
    (place / "rules.d").mkdir()
    (place / "rules.d/x.yaml").write_text("applications:\n  - id: x\n    type: no-such-type\n")
    done = run("rules", "lint")
    assert done.returncode == 1
    assert f"{place}/rules.d/x.yaml:2" in done.stdout
    assert run("rules", "list").returncode == 78


def test_a_rule_made_from_a_process_is_shown_and_only_then_saved(place: Path) -> None:
    """Of a script the script is what counts; lint refuses with the line; what is protected stays so."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "x"])
    try:
        line = ("rules", "make", str(child.pid), "--class", "idle", "--dry-run")
        shown = json.loads(run(*line, "--json").stdout)
        assert shown["rule"]["class"] == "IDLE"
        assert shown["rule"]["certain"] is True
        assert not shown["saved"]
        assert not Path(shown["file"]).exists() or "IDLE" not in Path(shown["file"]).read_text()
        assert any(text.startswith("+") and "class: IDLE" in text for text in shown["diff"])
        broken = run(*line, "--type", "no-such-type", "--match", "name")
        assert broken.returncode == 1
        assert f"{shown['file']}:" in broken.stdout
        assert "undefined type no-such-type" in broken.stdout
        assert run(*line, "--match", "wine").returncode == 1
    finally:
        child.kill()
        child.wait()
    assert "is protected" in run("rules", "make", "1", "--class", "idle").stdout


def test_the_gnome_extension_is_a_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert main(["gnome-extension", "install"]) == 1
    assert "without sudo" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["gnome-extension", "install"]) == 0
    said = capsys.readouterr().out
    assert "gnome-extensions enable windows@smoothtask" in said
    folder = tmp_path / ".local/share/gnome-shell/extensions/windows@smoothtask"
    assert (folder / "metadata.json").exists()
    assert main(["gnome-extension", "uninstall"]) == 0
    assert "removed" in capsys.readouterr().out
    assert not folder.exists()
    (folder / "extension.js").mkdir(parents=True)
    assert main(["gnome-extension", "install"]) == 1
    assert "Is a directory" in capsys.readouterr().err
